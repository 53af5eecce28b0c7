"""A backlog larger than the memory that sources may have: they wait for the disk, the process does not grow."""

import pytest

import aq
from kafka_feeds import Feeds, edits, ingest_once
from kafka_ledger import ROW, Ledger, Message

MIB = 1 << 20
PROGRAM = 24 * MIB  # code, libraries, threads, catalog: whatever the limit is
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif("asan" in aq.BINARY.parts or "tsan" in aq.BINARY.parts, reason="a sanitizer's memory is its own")
def test_memory_stays_below_its_limit(kafka, unpacked, tmp_path, long):
    feeds, ledger = Feeds(kafka), Ledger()
    lines = edits(unpacked) * (20 if long else 3)
    ledger.produce(kafka, [Message(feeds.edits, b"", line, {"edits": ROW}) for line in lines])
    for limit_mib in (16, 32, 128) if long else (32,):
        group = f"{feeds.group}-{limit_mib}"
        config = feeds.config(tmp_path / f"{limit_mib}.yaml", group, f"{{memory: {limit_mib}MiB}}", sources=["edits"])
        peak = tmp_path / f"peak-{limit_mib}"
        store = aq.Store(tmp_path / f"store-{limit_mib}", config, launcher=("python3", "-c", MEASURE, peak))
        ingest_once(store)
        store.launcher = ()
        assert store.value("SELECT count(*) AS n FROM edits") == len(lines)
        peak_bytes = int(peak.read_text()) * 1024
        print(f"peak {peak_bytes / MIB:.0f} MiB with a limit of {limit_mib} MiB, {sum(map(len, lines)) / MIB:.0f} MiB read")
        assert peak_bytes < limit_mib * MIB + PROGRAM
