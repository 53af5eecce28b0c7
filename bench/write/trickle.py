"""A trickle: three cities, one reading each per five minutes, for 30 days: what a small store costs.

    make bench-trickle                                    three minutes, of which one is idle; a Kafka broker
    build/venv/bin/python bench/write/trickle.py --days 2 --idle 0   a look at it, without a broker

Days are written one after the other by the store's own writer on a clock that is only counted (bench/write/trickle.c): a frame
for what comes within a second, a marker when five more are quiet, a segment sealed after an hour. The cities' readings come
together, one frame for three rows, or apart, a frame for each. Each night at 02:30 the store is compacted, and what only older
versions need is removed (`gc --age 0s`; by default it stays for 24 hours). In the end every reading must be there.

Written: frames, markers, footers, as handed to the kernel; every one of them is a durable write. Wake-ups: voluntary context switches of
all threads of `aqstore ingest`, which waits for a topic that brings nothing, and of `kcat`, which does the same with the same librdkafka.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system/support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import aq  # noqa: E402
from run import print_table  # noqa: E402

PROGRAM = aq.PROJECT / "build/release/bench/write/trickle"
FIRST_DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
CITIES, READINGS, HALF_HOURS, SETTLE_S = 3, 288, 48, 15
IDLE_CONFIG = """\
store: {folder}/store
datasets:
  air:
    key: city
    time: ts
    columns:
      city: {{type: text, required: true}}
      ts: {{type: timestamptz, required: true}}
sources:
  live:
    kafka: {{brokers: "{brokers}", topics: [quiet], group: trickle}}
    dataset: air
    format: json
"""


def size_of(*folders):
    files = [path for folder in folders for path in folder.iterdir()]
    return len(files), sum(path.stat().st_size for path in files)


def simulate(home, shape, days):
    """Totals of the days, and what is there in the end."""
    store = aq.Store(home)
    totals = dict.fromkeys(("rows", "frames", "markers", "segments", "bytes"), 0)
    most_files = 0
    for day in range(days):
        result = subprocess.run([PROGRAM, home, str(day), shape], stdout=subprocess.PIPE, check=True)
        for name, count in json.loads(result.stdout).items():
            totals[name] += count
        most_files = max(most_files, size_of(home / "segments", home / "archives")[0])
        night = FIRST_DAY + datetime.timedelta(days=day + 1, hours=2, minutes=30)
        store.run("compact", "--now", night.isoformat().replace("+00:00", "Z"))
        store.run("gc", "--age", "0s")
    ((found, newest),) = store.rows("SELECT count(*), max(ts) - min(ts) FROM air")
    assert found == totals["rows"] == CITIES * READINGS * days, (found, totals, newest)
    kept_files, kept = size_of(home / "segments", home / "archives")
    catalog_files, catalog = size_of(home / "catalog")
    return totals | {"most_files": most_files, "files": kept_files, "kept": kept, "catalog_files": catalog_files, "catalog": catalog}


def table(results, days):
    rows = [[f"{days} days", *results]]

    def line(name, text):
        rows.append([name, *(text(result) for result in results.values())])

    line("rows", lambda r: f"{r['rows']:,}")
    line("frames, markers", lambda r: f"{r['frames']:,}, {r['markers']:,}")
    line("written, MiB", lambda r: f"{r['bytes'] / 2**20:.2f}")
    line("  a row, bytes", lambda r: f"{r['bytes'] / r['rows']:.0f}")
    line("kept after compaction, KiB", lambda r: f"{r['kept'] / 1024:.1f}")
    line("  a row, bytes", lambda r: f"{r['kept'] / r['rows']:.2f}")
    line("files: in the end (most in between)", lambda r: f"{r['files']} ({r['most_files']})")
    line("catalog: files, KiB", lambda r: f"{r['catalog_files']}, {r['catalog'] / 1024:.1f}")
    line("objects of a file per city and half hour", lambda _: f"{CITIES * HALF_HOURS * days:,}")
    return rows


def switches(pid):
    """Voluntary context switches of all threads so far."""
    count = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        count += int(fields["voluntary_ctxt_switches"])
    return count


def wake_ups(command, seconds):
    """A minute of a program that has nothing to do, after it has settled: (wake-ups, CPU milliseconds)."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def spent():
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 10

    try:
        time.sleep(SETTLE_S)
        before, spent_before = switches(process.pid), spent()
        time.sleep(seconds)
        assert process.poll() is None, f"{command[0]} ended"
        return (switches(process.pid) - before) * 60 / seconds, (spent() - spent_before) * 60 / seconds
    finally:
        process.terminate()
        process.wait()


def measure_idle(folder, seconds):
    import services

    broker = services.Kafka(folder / "broker", services.KAFKA_VERSIONS[0])
    try:
        broker.create("quiet", 3)
        config = folder / "aqstore.yaml"
        config.write_text(IDLE_CONFIG.format(folder=folder, brokers=broker.brokers))
        return {
            "aqstore ingest": wake_ups([aq.BINARY, "--config", config, "ingest"], seconds),
            "kcat -C": wake_ups(["kcat", "-C", "-q", "-b", broker.brokers, "-t", "quiet"], seconds),
        }
    finally:
        broker.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds; 0: not measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        print_table(table({shape: simulate(folder / shape, shape, options.days) for shape in ("together", "apart")}, options.days))
        if options.idle > 0:
            idle = measure_idle(folder, options.idle)
            print()
            print_table([["idle", "wake-ups a minute", "CPU, ms a minute"], *([name, f"{woken:.0f}", f"{spent:.0f}"] for name, (woken, spent) in idle.items())])


if __name__ == "__main__":
    main()
