"""Import, queries, compaction and gc at once: each query sees one snapshot, counts never fall, one job a lock."""

import json
import os
import signal
import threading
import time

import pytest

import aq
import sets

BEIJING = sets.BEIJING
COUNT = "SELECT count(*) AS n FROM air"
COUNTS = "SELECT count(*) AS n, count(DISTINCT station || reading::text) AS different FROM air"


@pytest.fixture
def store(tmp_path):
    config = tmp_path / "beijing.yaml"
    text = BEIJING.config_file.read_text()
    config.write_text(text + "ingest: {commit_interval: 5ms, commit_size: 32KiB, segment_size: 1MiB}\n")
    return aq.Store(tmp_path / "store", config)


def finish(process):
    out, err = process.communicate(timeout=aq.TIMEOUT_S)
    return process.returncode, out.decode(), err.decode()


def test_counts_never_fall_while_an_import_runs(store, unpacked):
    """No row twice, whole frames only, and with compactions in between."""
    store.load("air", unpacked(BEIJING)[0])
    process = store.start("import", "--dataset", "air", *unpacked(BEIJING))
    seen = [store.value(COUNT)]
    compactions = 0
    while process.poll() is None:
        ((rows, different),) = store.rows(COUNTS)
        assert rows == different and rows >= seen[-1], seen
        seen.append(rows)
        if len(seen) % 3 == 0:
            compactions += 1
            assert store.run("compact", code=None).code in (aq.DONE, aq.CONFLICT)
    code, _, error = finish(process)
    assert code == aq.DONE, error
    assert store.value(COUNT) == BEIJING.rows
    print(f"{len(seen)} queries, {len(set(seen))} different counts, {compactions} compactions")


def test_two_imports_of_one_dataset(store, unpacked):
    """The same files twice at once: one may be told to wait (exit 4); together they add every row once."""
    first = store.start("import", "--dataset", "air", *unpacked(BEIJING))
    second = store.start("import", "--dataset", "air", *unpacked(BEIJING))
    codes = sorted((finish(first), finish(second)))
    assert codes[0][0] == aq.DONE, codes
    assert codes[1][0] in (aq.DONE, aq.CONFLICT), codes
    assert codes[1][0] == aq.DONE or codes[1][2].strip(), "a conflict without a word"
    store.load("air", *unpacked(BEIJING))
    assert store.rows(COUNTS) == [[BEIJING.rows, BEIJING.rows]]


def test_two_compactions(store, unpacked):
    store.load("air", *unpacked(BEIJING)[:6])
    rows = store.value(COUNT)
    both = [store.start("compact"), store.start("compact")]
    codes = sorted(finish(process)[0] for process in both)
    assert codes in ([aq.DONE, aq.DONE], [aq.DONE, aq.CONFLICT])
    assert store.value(COUNT) == rows
    store.run("verify", "--deep")


def test_queries_during_compaction_and_gc(store, unpacked):
    for part in range(4):
        store.load("air", *unpacked(BEIJING)[part * 3 : part * 3 + 3])
    sql = "SELECT station, count(*) AS n, sum(pm25) AS s, stddev(temp) AS d FROM air GROUP BY station ORDER BY station"
    answer = store.ndjson(sql)
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            got = store.ndjson(sql)
            if got != answer:
                wrong.append(got)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            assert store.run("compact", code=None).code in (aq.DONE, aq.CONFLICT)
            assert store.run("gc", "--age", "0s", code=None).code in (aq.DONE, aq.CONFLICT)
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong


def test_gc_keeps_what_a_reader_reads(store, unpacked):
    """A query that is held up in the middle keeps the files of its version, and gc removes what is older beside it."""
    store.load("air", *unpacked(BEIJING)[:2])
    store.compact()
    store.load("air", *unpacked(BEIJING)[2:4])
    rows = store.value(COUNT)
    reader = store.start("query", "--format", "csv", "SELECT * FROM air")
    begin = os.read(reader.stdout.fileno(), 1000)  # the pipe is full soon: the query stands still with its snapshot open
    read = store.files("segments")
    store.compact()
    collected = json.loads(store.run("--json", "gc", "--age", "0s").text)
    assert collected["oldest_lease"] < collected["version"] and collected["files_kept"] >= 1
    assert set(store.files("segments")) <= set(read) and store.files("segments")
    out, err = reader.communicate(timeout=aq.TIMEOUT_S)
    assert reader.returncode == aq.DONE, err
    assert (begin + out).count(b"\n") == rows + 1  # and the header
    collected = json.loads(store.run("--json", "gc", "--age", "0s").text)
    assert "oldest_lease" not in collected and collected["files_kept"] == 0
    assert not store.files("segments")
    assert store.value(COUNT) == rows


def test_gc_keeps_history(store, unpacked):
    """What a version of the last day needs stays, unless one asks for less; `--dry-run` tells the same and removes nothing."""
    store.load("air", *unpacked(BEIJING)[:2])
    store.compact()
    before = store.files("segments")
    kept = json.loads(store.run("--json", "gc").text)
    assert kept["files_removed"] == 0 and kept["files_kept"] == len(before) and store.files("segments") == before
    told = json.loads(store.run("--json", "gc", "--age", "0s", "--dry-run").text)
    assert told["files_removed"] == len(before) and store.files("segments") == before
    assert json.loads(store.run("--json", "gc", "--age", "0s").text)["files_removed"] == len(before)
    assert not store.files("segments")


@pytest.mark.parametrize("sent, code", ((signal.SIGINT, 130), (signal.SIGTERM, 143)))
def test_a_signal_stops_an_import_at_a_frame(sent, code, store, unpacked):
    files = unpacked(BEIJING)
    process = store.start("import", "--dataset", "air", *files)
    while process.poll() is None and store.bytes() < 100_000:
        time.sleep(0.001)
    process.send_signal(sent)
    assert finish(process)[0] == code
    ((rows, different),) = store.rows(COUNTS)
    assert 0 < rows == different < BEIJING.rows
    report = store.load("air", *files)
    assert report["rows"] == BEIJING.rows - rows and store.value(COUNT) == BEIJING.rows
