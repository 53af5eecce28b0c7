"""A simulated year: every night a day's readings are imported and the store compacted.

    make bench-year                                       1,000 cities x a reading per 5 minutes x 365 days
    build/venv/bin/python bench/year.py --small           20 cities x 60 days, as a test
    build/venv/bin/python bench/year.py --cities 10000 --days 30

One reading in a hundred comes a day late, one in a thousand thirty days late, and one in twenty is sent again (a fifth of those the
next day, corrected). The night is 02:30; `compact --now` tells the store so. At the end, rows and sums must be those of
the readings, each counted once. Prints total time, bytes written by compaction over bytes of the archives at the end (write amplification), files,
bytes a row, the largest memory and number of open files of any process (looked at fifty times a second) and of a compaction, beside the objects that a file per city and half
hour would make.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("AQSTORE", str(ROOT / "build/release/aqstore"))
FIRST_DAY = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
STEPS = 288  # readings of a city a day
MONTH_LATE = 30

CONFIG = """
datasets:
  air:
    key: city
    time: ts
{unique}    columns:
      city: {{type: text, required: true}}
      ts: {{type: timestamptz, required: true, format: epoch_s}}
      pm25: {{type: double}}
      pm10: {{type: double}}
      no2: {{type: double}}
      o3: {{type: double}}
      temp: {{type: double}}
      wind: {{type: double}}
      humidity: {{type: double}}
      pressure: {{type: double}}
      so2: {{type: double}}
compaction: {{late: 6h}}
"""
UNIQUE = "    unique: [city, ts]\n    keep: last\n"


# name: largest step between two readings and largest value, in tenths
COLUMNS = {
    "pm25": (30, 9999), "pm10": (50, 9999), "no2": (20, 2000), "o3": (30, 3000), "temp": (4, 500), "wind": (15, 400),
    "humidity": (2, 1000), "pressure": (3, 12000), "so2": (40, 5000),
}
PM25 = 2  # its place behind city and time


class Readings:
    """Days of readings, the same for the same seed; values are smooth, in tenths, as sensors give them."""

    def __init__(self, cities, seed):
        self.chance = numpy.random.default_rng(seed)
        self.cities = cities
        self.last = {name: self.chance.integers(0, high, cities) for name, (_, high) in COLUMNS.items()}
        self.waiting = {}  # day of arrival -> readings that come late, or again
        self.expected_rows = 0
        self.expected_pm25 = 0
        self.sent_rows = 0

    def walk(self, name):
        """A day's values of all cities; four readings in ten are those of five minutes before."""
        step, high = COLUMNS[name]
        steps = self.chance.integers(-step, step + 1, (STEPS, self.cities), dtype=numpy.int32)
        steps[self.chance.random((STEPS, self.cities), dtype=numpy.float32) < 0.4] = 0
        values = numpy.clip(self.last[name] + numpy.cumsum(steps, axis=0), 0, high)
        self.last[name] = values[-1]
        return values.ravel()

    def day(self, number):
        """Lines of a CSV file: what arrives on that day, one row each, in order of arrival."""
        midnight = int((FIRST_DAY + datetime.timedelta(days=number)).timestamp())
        times = numpy.repeat(midnight + numpy.arange(STEPS) * (86400 // STEPS), self.cities)
        rows = numpy.stack((numpy.tile(numpy.arange(self.cities), STEPS), times, *map(self.walk, COLUMNS)), axis=1)
        fate = self.chance.random(len(rows))
        on_time = rows[fate >= 0.011]
        self.wait(number + 1, rows[fate < 0.01])
        self.wait(number + MONTH_LATE, rows[(fate >= 0.01) & (fate < 0.011)])
        again = on_time[self.chance.random(len(on_time)) < 0.05]
        corrected = again[self.chance.random(len(again)) < 0.2].copy()
        corrected[:, PM25] += 1
        self.wait(number + 1, corrected)
        self.expected_rows += len(rows)
        self.expected_pm25 += int(rows[:, PM25].sum()) + len(corrected)
        return self.lines(numpy.concatenate((on_time, again, *self.waiting.pop(number, []))))

    def wait(self, number, rows):
        self.waiting.setdefault(number, []).append(rows)

    def rest(self):
        """What was still under way when the last day was over."""
        rest = [rows for number in sorted(self.waiting) for rows in self.waiting[number]]
        self.waiting = {}
        return self.lines(numpy.concatenate(rest))

    def lines(self, rows):
        """CSV by columns of digits: a row is a fixed number of bytes, so numpy writes all at once."""
        self.sent_rows += len(rows)
        width = 18 + 7 * len(COLUMNS)
        out = numpy.full((len(rows), width), ord(","), dtype=numpy.uint8)
        out[:, 0] = ord("c")
        digits(out[:, 1:6], rows[:, 0])
        digits(out[:, 7:17], rows[:, 1])
        for place in range(len(COLUMNS)):
            begin = 18 + 7 * place
            tenths(out[:, begin : begin + 6], rows[:, PM25 + place])
        out[:, -1] = ord("\n")
        return f"city,ts,{','.join(COLUMNS)}\n".encode() + out.tobytes()


def digits(out, values):
    for place in range(out.shape[1] - 1, -1, -1):
        out[:, place] = ord("0") + values % 10
        values = values // 10


def tenths(out, values):
    out[:, -2] = ord(".")
    digits(out[:, -1:], values)
    digits(out[:, :-2], values // 10)


class OpenFiles(threading.Thread):
    """Counts the open files of a process again and again, until it is told to end."""

    def __init__(self, process):
        super().__init__()
        self.folder = f"/proc/{process}/fd"
        self.most = 0
        self.over = threading.Event()

    def run(self):
        while True:
            try:
                self.most = max(self.most, len(os.listdir(self.folder)))
            except OSError:  # it has gone
                pass
            if self.over.wait(0.02):
                return


def execute(line):
    """Exit code, output, peak memory and most open files of a program. Its memory counts as much at least as that of the process
    it is forked from: so this runs in one that was forked before there were readings."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(line, stdout=output)
        files = OpenFiles(process.pid)
        files.start()
        _, status, usage = os.wait4(process.pid, 0)
        files.over.set()
        files.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return process.returncode, output.read().decode(), usage.ru_maxrss, files.most


class Store:
    def __init__(self, folder, options):
        self.folder = folder
        self.home = folder / "home"
        self.config = folder / "aqstore.yaml"
        self.config.write_text(CONFIG.format(unique=UNIQUE if options.unique else ""))
        self.peak_kib = {}
        self.open_files = {}
        self.seconds = {}
        self.limit = options.descriptors
        self.runner = multiprocessing.get_context("fork").Pool(1)

    def run(self, command, *arguments):
        """One process: its output; its time is added up, of its memory and open files the most is kept."""
        prefix = ["prlimit", f"--nofile={self.limit}:{self.limit}", "--"] if self.limit else []
        line = [*prefix, PROGRAM, "--config", self.config, "--store", self.home, "--quiet", command, *arguments]
        started = time.monotonic()
        code, text, peak_kib, open_files = self.runner.apply(execute, [[str(word) for word in line]])
        if code != 0:
            sys.exit(f"year: {' '.join(map(str, line))} failed with {code}")
        self.seconds[command] = self.seconds.get(command, 0) + time.monotonic() - started
        self.peak_kib[command] = max(self.peak_kib.get(command, 0), peak_kib)
        self.open_files[command] = max(self.open_files.get(command, 0), open_files)
        return text

    def load(self, name, lines):
        path = self.folder / name
        path.write_bytes(lines)
        self.run("import", "--dataset", "air", path)
        path.unlink()

    def value(self, sql):
        return [row for row in json.loads(self.run("query", "--format", "json", sql))][0]


def night_after(number):
    return FIRST_DAY + datetime.timedelta(days=number + 1, hours=2, minutes=30)


def simulate(options, folder):
    store = Store(folder, options)
    readings = Readings(options.cities, options.seed)
    totals = {"written": 0, "files": 0, "most_files": 0, "bytes": 0}

    def compact(when):
        report = json.loads(store.run("compact", "--json", "--now", when.strftime("%Y-%m-%dT%H:%M:%SZ")))
        totals["written"] += report["output_bytes"]
        totals["files"] += report["archives_written"] - report["archives_read"]
        totals["most_files"] = max(totals["most_files"], totals["files"])
        return report

    for number in range(options.days):
        store.load(f"day-{number:04}.csv", readings.day(number))
        compact(night_after(number))
        if number % options.gc == options.gc - 1:
            store.run("gc", "--age", "0s") if options.age else store.run("gc")
        if options.progress and (number + 1) % options.progress == 0:
            print(f"day {number + 1}: {totals['files']} files, {totals['written'] >> 20} MiB written", file=sys.stderr, flush=True)
    store.load("rest.csv", readings.rest())
    for more in range(2):  # the year is closed by then
        compact(night_after(options.days + MONTH_LATE * more))
    idle = compact(night_after(options.days + MONTH_LATE))
    return store, readings, totals, idle


def report(options, store, readings, totals, idle):
    archives = json.loads(store.run("compact", "--dry-run", "--json", "--now", "2025-01-01"))["files"]
    archives = [file for file in archives if file["file"].startswith("archives/") and file["rows"] > 0]
    size = sum(file["bytes"] for file in archives)
    stored = sum(file["rows"] for file in archives)
    answer = store.value("SELECT count(*) AS n, sum(pm25) AS pm25 FROM air")
    result = {
        "cities": options.cities,
        "days": options.days,
        "rows_sent": readings.sent_rows,
        "rows": stored,
        "seconds": round(sum(store.seconds.values()), 1),
        "seconds_by_command": {name: round(seconds, 1) for name, seconds in store.seconds.items()},
        "written_bytes": totals["written"],
        "final_bytes": size,
        "write_amplification": round(totals["written"] / size, 3),
        "files": len(archives),
        "most_files": totals["most_files"],
        "bytes_per_row": round(size / stored, 2),
        "peak_memory_mib": max(store.peak_kib.values()) >> 10,
        "peak_memory_mib_by_command": {name: peak >> 10 for name, peak in store.peak_kib.items()},
        "most_open_files": max(store.open_files.values()),
        "most_open_files_by_command": store.open_files,
        "limit_of_open_files": options.descriptors or None,
        "objects_of_a_file_per_city_and_half_hour": options.cities * 48 * options.days,
        "left_to_do_at_the_end": idle["segments"] + idle["archives_read"],
    }
    if options.unique:
        rows, total = readings.expected_rows, readings.expected_pm25
    else:
        rows, total = readings.sent_rows, None
    if int(answer["n"]) != rows or (total is not None and round(float(answer["pm25"]) * 10) != total):
        sys.exit(f"year: the store answers {answer}, sent were {rows} rows, the sum of pm25 is {total} tenths")
    return result


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cities", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--small", action="store_true", help="20 cities x 60 days")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-unique", dest="unique", action="store_false", help="keep all that was sent again")
    parser.add_argument("--descriptors", type=int, default=0, help="limit on open files of each process")
    parser.add_argument("--gc", type=int, default=7, help="remove old files every so many nights")
    parser.add_argument("--age", action="store_true", help="remove them whatever their age")
    parser.add_argument("--progress", type=int, default=0, help="say where it stands every so many nights")
    parser.add_argument("--folder", type=pathlib.Path, help="where to work, and what to keep (default: temporary)")
    options = parser.parse_args()
    if options.small:
        options.cities, options.days = 20, 60
    return options


def main():
    options = parse()
    folder = options.folder or pathlib.Path(tempfile.mkdtemp(prefix="aqstore-year-"))
    folder.mkdir(exist_ok=True)
    try:
        print(json.dumps(report(options, *simulate(options, folder)), indent=2))
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
