"""Bytes a row of every shared data set, whole and by column: aqstore's archives beside other writers' files of the same rows.

    make bench-size                                     all sets, all peers
    build/bench-venv/bin/python bench/archive/size.py beijing   one set

The rows are those that DuckDB reads from the input, the same for all. Each peer writes them in several orders, as they
came, sorted by (key, series, time), and by (block of time, key, series, time); its smallest file counts, and the order is
named. aqstore's figure is that of whole archive files: statistics, checksums and directories included.

By column: of aqstore and of ClickHouse's codecs what the column takes in the whole file; of the others a file of that
column alone, in the order in which the whole was smallest, less what a file of no rows takes.

Columns of doubles (float-columns) are coded one by one, in tiles of 65,536, beside ALP, by ClickHouse's codec of that name
and by Vortex, whichever is smaller, and zstd over the doubles as they are.
"""

import argparse
import datetime
import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system/support"))

import aq  # noqa: E402
import chdb  # noqa: E402
import duckdb  # noqa: E402
import judge  # noqa: E402
import numpy  # noqa: E402
import peers  # noqa: E402
import pyarrow  # noqa: E402
import sets  # noqa: E402

BLOCK_HOURS = (730, 2048)
SETS = {data_set.name: data_set for data_set in (sets.BEIJING, *sets.QUERIED, sets.US_FLIGHTS, sets.AIRPORTS, sets.AIRLINES)}
COLUMN_PEERS = [name for name in peers.PEERS if name != "DuckDB native"]  # whose file begins at 256 KiB
DECODE = aq.PROJECT / "build/release/bench/archive/decode"


class Rows:
    """A set's rows in DuckDB, and the orders in which peers may write them."""

    def __init__(self, truth, keys, times, folder):
        self.folder = folder
        self.duck = judge.Duck()
        self.duck.load("input", truth)
        described = self.duck.execute("DESCRIBE input").fetchall()
        self.columns = [row[0] for row in described]
        self.count, *held = self.duck.execute("SELECT count(*), " + ", ".join(f'count("{name}")' for name in self.columns) + " FROM input").fetchone()
        self.nulls = {name: self.count - values for name, values in zip(self.columns, held)}
        keys = [f'"{name}"' for name in keys if name in self.columns]
        times = [f'"{name}"' for name in times if name in self.columns]
        self.orders = {"as it came": ""}
        if keys or times:
            self.orders["sorted"] = " ORDER BY " + ", ".join(keys + times)
        for hours in BLOCK_HOURS if keys and times else ():
            self.orders[f"{hours} h blocks"] = f" ORDER BY time_bucket(INTERVAL {hours} HOUR, {times[0]}::TIMESTAMP), " + ", ".join(keys + times)

    def select(self, order, columns):
        return "SELECT " + ", ".join(f'"{name}"' for name in columns) + " FROM input" + order

    def arrow(self, order, columns):
        return self.duck.connection.sql(self.select(order, columns)).to_arrow_table()


def declared(config, dataset):
    """Columns of key and series, and of time, of a set as the store has them."""
    shown = aq.run("--config", config, "config", "show").text
    block = re.search(rf"^  {dataset}:\n((?:    .*\n)+)", shown, re.M)[1]

    def named(word):
        found = re.search(rf"^    {word}: (.*)$", block, re.M)
        return re.findall(r"\w+", found[1]) if found else []

    return named("key") + named("series"), named("time")


def ours(store, dataset):
    """(bytes of the archives, {column: bytes})."""
    whole, columns = 0, {}
    for file in store.files("archives"):
        seen = json.loads(aq.run("--json", "inspect", file).text)
        if seen["dataset"] == dataset:
            whole += file.stat().st_size
            for column in seen["columns"]:
                columns[column["column"]] = columns.get(column["column"], 0) + column["bytes"]
    return whole, columns


def write(rows, name, order, columns):
    """Bytes that a peer writes."""
    peer = dict([*peers.PEERS.items(), peers.PARQUET_19[:2]])[name]
    path = pathlib.Path(tempfile.mkdtemp(dir=rows.folder)) / "written"
    peer(rows, order, columns, path)
    return peers.size(path)


def measure_peer(name, rows):
    """(bytes of the smallest file, its order's name), or (None, why)."""
    try:
        return min((write(rows, name, order, rows.columns), label) for label, order in rows.orders.items())
    except Exception as error:  # a peer that cannot write these rows is a result, too
        return None, f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"


def measure_columns(name, rows, label):
    """{column: bytes of a file of it alone, less those of one without rows}."""
    order = rows.orders[label]
    nothing = " WHERE false"
    return {column: write(rows, name, order, [column]) - write(rows, name, nothing, [column]) for column in rows.columns}


def measure(rows, store, dataset):
    """(line of the table of sets, lines of the table of columns)."""
    whole, columns = ours(store, dataset)
    best = {name: measure_peer(name, rows) for name in peers.PEERS}
    name, _, like = peers.PARQUET_19
    label = best[like][1]
    best[name] = write(rows, name, rows.orders[label], rows.columns), label
    bytes_, label, codecs = peers.clickhouse_codecs(rows)
    best[peers.CLICKHOUSE_CODECS] = bytes_, label
    line = [f"{rows.count:,}", f"{whole / rows.count:.2f}", f"{100 * (1 - sum(columns.values()) / whole):.1f}%"]
    line += [f"{held / rows.count:.2f} ({note})" if held else note for held, note in best.values()]
    line.append(f"{whole / min(held for held, _ in best.values() if held):.2f}")
    alone = {peer: measure_columns(peer, rows, best[peer][1]) for peer in COLUMN_PEERS if best[peer][0]}
    alone[peers.CLICKHOUSE_CODECS] = codecs
    table = []
    for column in sorted(rows.columns, key=lambda column: -columns[column]):
        others = [alone[peer][column] if peer in alone else None for peer in [*COLUMN_PEERS, peers.CLICKHOUSE_CODECS]]
        smallest = min(other for other in others if other is not None)
        table.append([column, f"{columns[column] / rows.count:.3f}", *("" if other is None else f"{other / rows.count:.3f}" for other in others),
                      f"{columns[column] / smallest:.2f}" if smallest > 0 else ""])
    return line, table


def measure_set(data_set):
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        folder = pathlib.Path(name)
        source = folder / "input"
        source.mkdir()
        if sets.sample(data_set, source) is None:
            sets.unpack(data_set.source, source)
        files = sorted(source.glob(data_set.pattern))
        store = aq.Store(folder / "store", data_set.config_file)
        store.load(data_set.dataset, *files)
        store.compact()
        rows = Rows(data_set.truth(files), *declared(data_set.config_file, data_set.dataset), folder)
        return measure(rows, store, data_set.dataset)


def measure_messages(name):
    """Messages have no SQL of their own: peers write what aqstore exports."""
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as folder:
        folder = pathlib.Path(folder)
        config = aq.CONFIGS / "messages.yaml"
        sets.unpack(sets.MESSAGES[name].source, folder / "input")
        store = aq.Store(folder / "store", config)
        store.load(name, *(folder / "input").glob(sets.MESSAGES[name].pattern))
        store.compact()
        truth = f"SELECT * REPLACE (extra::VARCHAR AS extra) FROM '{store.export(name, 'parquet', folder)}'"
        return measure(Rows(truth, *declared(config, name), folder), store, name)


def measure_doubles(name, values, folder):
    """A line of the table of columns of doubles, in bits a value."""
    values = numpy.array(values)
    raw = values.tobytes()
    (folder / "values").write_bytes(raw)
    made = subprocess.run([DECODE, "column", "archive", "double", folder / "values"], check=True, capture_output=True, text=True)
    own = json.loads(made.stdout)
    table = pyarrow.table({"v": values})
    found = {"ALP": peers.clickhouse_alp(table)}
    for kind in ("default", "compact"):
        file = folder / f"{kind}.vortex"
        getattr(peers.vortex.io.VortexWriteOptions, kind)().write(table, str(file))
        found[f"Vortex {kind}"] = file.stat().st_size
    alp = min(found["ALP"], found["Vortex default"])
    zstd = [len(pyarrow.Codec("zstd", compression_level=level).compress(raw)) for level in (3, 19)]
    bits = [8 * held / len(values) for held in (own["bytes"], *found.values(), *zstd)]
    return [name, f"{len(values):,}", own["encoding"], *(f"{held:.2f}" for held in bits), f"{own['bytes'] / min(alp, zstd[0]):.2f}"]


def print_table(header, lines):
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def print_doubles():
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        folder = pathlib.Path(name)
        sets.unpack(sets.FLOATS.source, folder)
        lines = [measure_doubles(name, values, folder) for name, values in sets.columns_of_doubles(folder).items()]
    print("### Columns of doubles\n\nBits a value.\n")
    print_table(["column", "values", "encoding", "aqstore", "ALP", "Vortex", "Vortex compact", "zstd(3)", "zstd(19)",
                 "aqstore / smaller of ALP and zstd(3)"], lines)


def vortex_version():
    from importlib.metadata import version

    return version("vortex-data")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*SETS, *sets.MESSAGES, sets.FLOATS.name]
    parser.add_argument("names", nargs="*", choices=[[], *names], help="sets to measure (default: all)")
    chosen = parser.parse_args().names or names
    print(f"bytes/row on {datetime.date.today()}; {platform.machine()}; DuckDB {duckdb.__version__}, ClickHouse "
          f"{chdb.engine_version}, Vortex {vortex_version()}, Lance {peers.lance.__version__}\n", flush=True)
    found = {name: measure_set(SETS[name]) if name in SETS else measure_messages(name) for name in chosen if name != sets.FLOATS.name}
    if found:
        header = ["set", "rows", "aqstore", "of that, not columns", *peers.PEERS, peers.PARQUET_19[0], peers.CLICKHOUSE_CODECS, "aqstore / smallest"]
        print_table(header, [[name, *line] for name, (line, _) in found.items()])
    for name, (_, table) in found.items():
        print(f"### {name}\n")
        print_table(["column", "aqstore", *COLUMN_PEERS, peers.CLICKHOUSE_CODECS, "aqstore / smallest"], table)
    if sets.FLOATS.name in chosen:
        print_doubles()


if __name__ == "__main__":
    main()
