"""Merging beside DuckDB and ClickHouse: the same rows, unsorted, become one sorted, compressed whole; in one run.

    make bench-merge                                           24 copies of the Beijing data: 10.1 million rows of twelve columns
    build/bench-venv/bin/python bench/merge.py --copies 8      3.4 million
    build/venv/bin/python bench/merge.py --small               a small input made on the spot: as a test

The rows come in order of time, all stations by turns, as a stream has them; copy k of a station has its values moved by k x 1,237
hours, so that no two are alike. Measured is `aqstore compact` of the segments (reading, sorting, coding, fsync and reading
back included), DuckDB's COPY (SELECT ... ORDER BY station, ts) of its own table to Parquet, and ClickHouse's OPTIMIZE FINAL of a
MergeTree of as many parts as there were inserts. Best of --repeat; under the figures stands a hash of an answer from each
result, equal for all, or the run fails. "encode ceiling" is coding alone of the very tiles, on all cores (bench/archive/encode.c).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import duckdb
import run

MADE = pathlib.Path(__file__).resolve().parents[1] / "build/release/bench/archive/encode"
NUMBERS = ("pm25", "pm10", "so2", "no2", "co", "o3", "temp", "pres", "wspm")
CONFIG = """\
datasets:
  air:
    key: station
    time: ts
    columns:
      station: {type: text, required: true}
      ts:      {type: timestamptz, required: true}
""" + "".join(f"      {name}: {{type: double}}\n" for name in NUMBERS) + "      wd: {type: text}\n"
QUERY = "SELECT station, count(*) AS n, sum(pm25) AS pm_sum, avg(o3) AS o3_avg, max(temp) AS temp_max, min(wd) AS wd_min FROM {table} GROUP BY station ORDER BY station"
SHIFT_HOURS = 1237
INSERTS = 16


class Input:
    """The rows, in a table of DuckDB in order of time, and as CSV."""

    def __init__(self, files, copies, folder):
        self.file = folder / "rows.duckdb"
        self.csv = folder / "rows.csv"
        with run.Duck.open(self.file) as connection:
            connection.execute(f"""CREATE TEMP TABLE numbered AS SELECT *, row_number() OVER (PARTITION BY station ORDER BY ts) - 1 AS n,
                count(*) OVER (PARTITION BY station) AS hours FROM ({run.DATA.truth(files)})""")
            connection.execute(f"""CREATE TEMP TABLE places AS SELECT station || '-' || lpad(k::VARCHAR, 2, '0') AS name, k, station, ts,
                (n + k * {SHIFT_HOURS}) % hours AS n FROM numbered, range({copies}) AS copy(k)""")
            values = ", ".join(f"numbered.{name}" for name in (*NUMBERS, "wd"))
            connection.execute(f"""CREATE TABLE air AS SELECT name AS station, places.ts, {values}
                FROM places JOIN numbered USING (station, n) ORDER BY places.ts, k, station""")
            connection.execute("CHECKPOINT")
            self.count = connection.execute("SELECT count(*) FROM air").fetchone()[0]
            connection.execute(f"""COPY (SELECT * REPLACE (strftime(ts::TIMESTAMP, '%Y-%m-%dT%H:%M:%SZ') AS ts) FROM air)
                TO '{self.csv}' (HEADER)""")


def coding_rate(archives):
    """Rows/s; 0 where bench/archive/encode is not built."""
    return float(subprocess.run([MADE, *archives], check=True, capture_output=True).stdout) if MADE.exists() else 0


def measure_aqstore(rows, folder, repeat):
    """(seconds, bytes, hash, rows/s of coding alone)."""
    config = folder / "merge.yaml"
    config.write_text(CONFIG)
    loaded = run.aq.Store(folder / "loaded", config)
    loaded.load("air", rows.csv)
    seconds = []
    for number in range(repeat):
        store = run.aq.Store(folder / f"store-{number}", config)
        shutil.copytree(loaded.home, store.home)
        seconds.append(store.compact()["seconds"])
        if number + 1 < repeat:
            shutil.rmtree(store.home)
    archives = [path for path in store.files("archives") if path.suffix == ".aqa"]
    ceiling = max(coding_rate(archives) for _ in range(repeat))
    answer = run.result_hash(run.aq.parse_rows(store.ndjson(QUERY.format(table="air"))))
    return min(seconds), store.bytes("archives"), answer, ceiling


def measure_duckdb(rows, folder, repeat):
    parquet = folder / "air.parquet"
    with run.Duck.open(rows.file) as connection:
        seconds, _ = run.best(repeat, lambda: connection.execute(
            f"""COPY (SELECT * FROM air ORDER BY station, ts) TO '{parquet}'
            (FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL 3)"""))
        answer = connection.execute(QUERY.format(table=f"'{parquet}'")).fetchall()
    return seconds, parquet.stat().st_size, run.result_hash(answer)


def measure_clickhouse(rows, folder, repeat):
    """None where chdb is not installed."""
    try:
        from chdb import session
    except ImportError:
        return None
    source = folder / "source.parquet"
    with run.Duck.open(rows.file) as connection:
        connection.execute(f"COPY air TO '{source}' (FORMAT parquet, COMPRESSION zstd)")
    found = []
    for number in range(repeat):
        clickhouse = session.Session(str(folder / f"clickhouse-{number}"))
        clickhouse.query("SET enable_alp_codec = 1")
        doubles = ", ".join(f"{name} Nullable(Float64) CODEC(ALP, ZSTD(3))" for name in NUMBERS)
        clickhouse.query(f"""CREATE TABLE air (station LowCardinality(String), ts DateTime('UTC') CODEC(DoubleDelta, ZSTD(3)),
            {doubles}, wd LowCardinality(Nullable(String)) CODEC(ZSTD(3))) ENGINE = MergeTree ORDER BY (station, ts)""")
        clickhouse.query("SYSTEM STOP MERGES air")
        limits = clickhouse.query(f"SELECT toUnixTimestamp(min(ts)), toUnixTimestamp(max(ts)) FROM file('{source}', Parquet)", "CSV")
        first, last = (int(part) for part in str(limits).strip().split(","))
        step = (last - first) // INSERTS + 1
        for begin in range(first, last + 1, step):
            clickhouse.query(f"""INSERT INTO air SELECT * FROM file('{source}', Parquet)
                WHERE toUnixTimestamp(ts) >= {begin} AND toUnixTimestamp(ts) < {begin + step}""")
        clickhouse.query("SYSTEM START MERGES air")
        start = time.perf_counter()
        clickhouse.query("OPTIMIZE TABLE air FINAL")
        seconds = time.perf_counter() - start
        size = int(str(clickhouse.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE table = 'air' AND active", "CSV")))
        lines = str(clickhouse.query(QUERY.format(table="air"), "JSONCompactEachRow")).strip().splitlines()
        answer = run.result_hash([json.loads(line) for line in lines])
        clickhouse.close()
        found.append((seconds, size, answer))
    return min(found)


def main():
    parser = run.parser_of(__doc__, 3)
    parser.add_argument("--copies", type=int, default=24, help="of the Beijing data")
    options, repeat = run.arguments(parser)
    with run.workplace(options.small) as (folder, files):
        rows = Input(files, 2 if options.small else options.copies, folder)
        seconds, size, answer, ceiling = measure_aqstore(rows, folder, repeat)
        results = {"DuckDB Parquet zstd(3)": measure_duckdb(rows, folder, repeat),
                   "ClickHouse OPTIMIZE FINAL": measure_clickhouse(rows, folder, repeat)}
    print(f"{rows.count:,} rows of {2 + len(NUMBERS) + 1} columns, in order of time; DuckDB {duckdb.__version__}, {os.cpu_count()} cores\n")
    table = [["", "rows/s", "bytes/row", "time, size / peer", "hash of the answer"],
             ["aqstore compact", f"{rows.count / seconds:,.0f}", f"{size / rows.count:.2f}", "", answer]]
    for peer, result in results.items():
        if result is None:
            table.append([peer, "chdb is not here", "", "", ""])
            continue
        table.append([peer, f"{rows.count / result[0]:,.0f}", f"{result[1] / rows.count:.2f}",
                      f"{seconds / result[0]:.2f}, {size / result[1]:.2f}", result[2]])
    if ceiling > 0:
        table.append(["encode ceiling", f"{ceiling:,.0f}", "", f"{ceiling * seconds / rows.count:.2f}", ""])
    run.print_table(table)
    if {answer} != {result[2] for result in results.values() if result is not None}:
        sys.exit("bench: the answers differ")


if __name__ == "__main__":
    main()
