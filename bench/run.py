"""aqstore beside DuckDB on the same CSV files: load, size, three queries, in one run.

    make bench                                    the whole Beijing data
    build/venv/bin/python bench/run.py --small    a small input made on the spot: as a test

Prints one table: times are the best of --repeat, ratios are aqstore's over DuckDB's (times and sizes: below 1 is better
for aqstore). Under each answer stands a hash of its rows, equal for all, or the run fails: a fast wrong answer cannot win.
aqstore's times are those of whole processes, started anew each time; DuckDB's are in process, connection open.
"""

import argparse
import contextlib
import datetime
import hashlib
import os
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/system/support"))

import aq  # noqa: E402
import duckdb  # noqa: E402
import judge  # noqa: E402
import sets  # noqa: E402

DATA = sets.BEIJING
MIB = 1 << 20
QUERIES = {
    "day x station": "SELECT station, date_trunc('day', ts) AS day, count(*) AS n, avg(pm25) AS pm_avg, min(pm25) AS pm_min,"
    " max(pm25) AS pm_max, avg(temp) AS temp_avg FROM {table} GROUP BY 1, 2 ORDER BY 1, 2",
    "whole table": "SELECT count(*) AS n, count(pm25) AS n_pm25, sum(pm25) AS pm_sum, avg(o3) AS o3_avg, min(temp) AS temp_min,"
    " max(temp) AS temp_max FROM {table}",
    "station-month": "SELECT * FROM {table} WHERE station = 'Dongsi' AND ts >= '2014-02-01 00:00:00+00'"
    " AND ts < '2014-03-01 00:00:00+00' ORDER BY ts",
}
SMALL_HOURS = 2000  # of each of three stations; the queries' month is among them


def made_input(folder):
    """A small input in the form of the real one, the same every time."""
    chance = random.Random(1)
    header = "No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station"
    for station in ("Dongsi", "Gucheng", "Tiantan"):
        lines = [header]
        for number in range(SMALL_HOURS):
            when = datetime.datetime(2014, 1, 1) + datetime.timedelta(hours=number)
            values = [f"{chance.uniform(0, 300):.1f}" if chance.random() > 0.03 else "NA" for _ in range(9)]
            values[4] = str(chance.randrange(100, 9000, 100))
            lines.append(",".join((
                str(number + 1), str(when.year), str(when.month), str(when.day), str(when.hour), *values,
                "0.0", chance.choice(("N", "SSE", "NA")), f"{chance.uniform(0, 9):.1f}", station,
            )))
        (folder / f"PRSA_Data_{station}.csv").write_text("\n".join(lines) + "\n")


def input_files(small, folder):
    if small:
        made_input(folder)
    elif sets.sample(DATA, folder) is None:
        if sets.shared_folder() is None:
            sys.exit("bench: the Beijing data is not here: set AQSTORE_DATA to its folder, or use --small")
        sets.unpack(DATA.source, folder)
    return sorted(folder.rglob("*.csv"))


def plain(value):
    """A value of either engine in one form; floats to nine digits and 1e-9, as DuckDB rounds after every addition."""
    if isinstance(value, datetime.datetime):
        return judge.microseconds(value)
    if isinstance(value, str) and value[4:5] == "-" and value[13:14] == ":":
        return judge.instant(value)
    if isinstance(value, (int, float)):
        return f"{0 if abs(value) < 1e-9 else value:.9g}"
    return value


def result_hash(rows):
    return hashlib.sha256(repr([[plain(value) for value in row] for row in rows]).encode()).hexdigest()[:12]


def best(repeat, action):
    """(seconds of the fastest run, result of the last)."""
    fastest = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        result = action()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest, result


class Aqstore:
    """A store loaded from the files, then compacted; its figures by name."""

    def __init__(self, folder, files, repeat, profile="archive"):
        self.figures = {}
        homes = iter(range(repeat))
        config = folder / f"{profile}.yaml"
        config.write_text(DATA.config_file.read_text() + f"compaction:\n  profile: {profile}\n")

        def load():
            store = aq.Store(folder / f"{profile}-{next(homes)}", config)
            store.load(DATA.dataset, *files)
            return store

        self.figures["load"], self.store = best(repeat, load)
        self.figures["loaded bytes"] = self.store.bytes("segments")
        self.figures["compact"], _ = best(1, self.store.compact)
        self.figures["bytes"] = self.store.bytes("archives")

    def query(self, sql, repeat):
        sql = sql.format(table=DATA.dataset)
        seconds, out = best(repeat, lambda: self.store.ndjson(sql, timezone="UTC"))
        return seconds, result_hash(aq.parse_rows(out))


class Duck:
    """The same rows in DuckDB, natively or as a Parquet file."""

    def __init__(self, folder, files, repeat, parquet):
        self.figures = {}
        self.file = folder / ("air.parquet" if parquet else "air.duckdb")
        self.table = f"'{self.file}'" if parquet else "air"
        truth = DATA.truth(files)

        def load():
            self.file.unlink(missing_ok=True)
            with self.open(":memory:" if parquet else self.file) as connection:
                if parquet:
                    connection.execute(
                        f"COPY ({truth}) TO '{self.file}' (FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd,"
                        " COMPRESSION_LEVEL 3)"
                    )
                else:
                    connection.execute(f"CREATE TABLE air AS {truth}")
                    connection.execute("CHECKPOINT")

        self.figures["load"], _ = best(repeat, load)
        self.figures["bytes"] = self.file.stat().st_size
        self.connection = self.open(":memory:" if parquet else self.file)

    @staticmethod
    def open(file):
        connection = duckdb.connect(str(file))
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET threads = {os.cpu_count()}")
        return connection

    def query(self, sql, repeat):
        sql = sql.format(table=self.table)
        seconds, rows = best(repeat, lambda: self.connection.execute(sql).fetchall())
        return seconds, result_hash(rows)


def table_rows(engines, row_count, repeat):
    """Rows of the printed table, and whether all answers were equal."""
    ours, *peers = engines
    ratio = [f"{ours.figures['load'] / peer.figures['load']:.2f}" for peer in peers]
    rows = [["CSV to durable, rows/s", *(f"{row_count / engine.figures['load']:,.0f}" for engine in engines), *ratio]]
    rows.append(["aqstore compact, s", f"{ours.figures['compact']:.2f}", "", "", "", ""])
    hot = ours.figures["loaded bytes"]
    rows.append(["bytes/row before compaction", f"{hot / row_count:.2f}", "", "", "", ""])
    ratio = [f"{ours.figures['bytes'] / peer.figures['bytes']:.2f}" for peer in peers]
    rows.append(["bytes/row", *(f"{engine.figures['bytes'] / row_count:.2f}" for engine in engines), *ratio])
    equal = True
    for name, sql in QUERIES.items():
        answers = [engine.query(sql, repeat) for engine in engines]
        ratio = [f"{answers[0][0] / seconds:.2f}" for seconds, _ in answers[1:]]
        rows.append([f"{name}, ms", *(f"{seconds * 1000:.1f}" for seconds, _ in answers), *ratio])
        rows.append(["  hash of the answer", *(found for _, found in answers), "", ""])
        equal = equal and len({found for _, found in answers}) == 1
    return rows, equal


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if row is rows[0]:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def parser_of(description, repeat):
    """The options of each benchmark; those of one alone are added to it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a small input made on the spot, once")
    parser.add_argument("--repeat", type=int, default=repeat, help="runs of each measurement; the best counts")
    return parser


def arguments(parser):
    """(options, how often to measure)."""
    options = parser.parse_args()
    return options, 1 if options.small else options.repeat


@contextlib.contextmanager
def workplace(small):
    """A temporary folder, and the input's files, some of which may lie there."""
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "input").mkdir()
        yield folder, input_files(small, folder / "input")


def main():
    options, repeat = arguments(parser_of(__doc__, 5))
    with workplace(options.small) as (folder, files):
        size = sum(file.stat().st_size for file in files)
        engines = [Aqstore(folder, files, repeat), Duck(folder, files, repeat, False), Duck(folder, files, repeat, True)]
        counts = [engine.query("SELECT count(*) AS n FROM {table}", 1)[1] for engine in engines]
        row_count = engines[0].store.value(f"SELECT count(*) AS n FROM {DATA.dataset}")
        print(f"{row_count:,} rows, {len(files)} CSV files, {size / MIB:.1f} MiB; DuckDB {duckdb.__version__}, {os.cpu_count()} cores\n")
        rows, equal = table_rows(engines, row_count, repeat)
    header = ["", "aqstore", "DuckDB native", "DuckDB Parquet zstd(3)", "time, size / native", "time, size / Parquet"]
    print_table([header, *rows])
    if not equal or len(set(counts)) != 1:
        sys.exit("bench: the answers differ")


if __name__ == "__main__":
    main()
