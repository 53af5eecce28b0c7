"""Bytes a row of every shared data set: aqstore's archives beside other writers' files of the same rows.

    make bench-size                                     all sets, all peers
    build/bench-venv/bin/python bench/archive/size.py beijing   one set, with aqstore's bytes by column

The rows are those that DuckDB reads from the input, the same for all. Each peer writes them in several orders, as they
came, sorted by (key, series, time), and by (block of time, key, series, time); its smallest file counts, and the order is
named. aqstore's figure is that of whole archive files: statistics, checksums and directories included.
"""

import argparse
import datetime
import json
import pathlib
import platform
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system/support"))

import aq  # noqa: E402
import chdb  # noqa: E402
import duckdb  # noqa: E402
import judge  # noqa: E402
import lance  # noqa: E402
import sets  # noqa: E402
import vortex  # noqa: E402

BLOCK_HOURS = (730, 2048)
SETS = {data_set.name: data_set for data_set in (sets.BEIJING, *sets.QUERIED, sets.AIRPORTS)}
PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, PARQUET_VERSION {version})"


class Rows:
    """A set's rows in DuckDB, and the orders in which peers may write them."""

    def __init__(self, data_set, files, folder):
        self.folder = folder
        self.duck = judge.Duck()
        self.duck.load("input", data_set.truth(files))
        self.count = self.duck.execute("SELECT count(*) FROM input").fetchone()[0]
        columns = [row[0] for row in self.duck.execute("DESCRIBE input").fetchall()]
        schema = Declared(data_set)
        keys = [name for name in schema.columns if name in columns]
        times = [name for name in schema.time if name in columns]
        self.orders = {"as it came": ""}
        if keys or times:
            self.orders["sorted"] = " ORDER BY " + ", ".join(f'"{name}"' for name in keys + times)
        for hours in BLOCK_HOURS if keys and times else ():
            block = f"time_bucket(INTERVAL {hours} HOUR, \"{times[0]}\"::TIMESTAMP)"
            names = ", ".join(f'"{name}"' for name in keys + times)
            self.orders[f"{hours} h blocks"] = f" ORDER BY {block}, {names}"

    def arrow(self, order):
        return self.duck.connection.sql("SELECT * FROM input" + order).to_arrow_table()


class Declared:
    """Key, series and time of a set, as the store has them."""

    def __init__(self, data_set):
        shown = aq.run("--config", data_set.config_file, "config", "show").text
        block = re.search(rf"^  {data_set.dataset}:\n((?:    .*\n)+)", shown, re.M)[1]

        def named(word):
            found = re.search(rf"^    {word}: (.*)$", block, re.M)
            return re.findall(r"\w+", found[1]) if found else []

        self.columns = named("key") + named("series")
        self.time = named("time")


def size(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def duckdb_parquet(version):
    def write(rows, order, path):
        rows.duck.execute(f"COPY (SELECT * FROM input{order}) TO '{path}' {PARQUET.format(version=version)}")

    return write


def duckdb_native(rows, order, path):
    rows.duck.execute(f"ATTACH '{path}' AS out")
    rows.duck.execute(f"CREATE TABLE out.t AS SELECT * FROM input{order}")
    rows.duck.execute("DETACH out")


def vortex_file(options):
    def write(rows, order, path):
        options.write(rows.arrow(order), str(path))

    return write


def lance_dataset(rows, order, path):
    lance.write_dataset(rows.arrow(order), str(path), data_storage_version="2.1")


def clickhouse_parquet(rows, order, path):
    """ClickHouse's own writer, from what DuckDB wrote in that order."""
    source = path.with_suffix(".source")
    duckdb_parquet("V1")(rows, order, source)
    chdb.query(
        f"SELECT * FROM file('{source}', Parquet) INTO OUTFILE '{path}' FORMAT Parquet SETTINGS max_threads = 1,"
        " output_format_parquet_compression_method = 'zstd', output_format_compression_level = 3"
    )


PEERS = {
    "DuckDB Parquet V1": duckdb_parquet("V1"),
    "DuckDB Parquet V2": duckdb_parquet("V2"),
    "ClickHouse Parquet": clickhouse_parquet,
    "DuckDB native": duckdb_native,
    "Vortex": vortex_file(vortex.io.VortexWriteOptions.default()),
    "Vortex compact": vortex_file(vortex.io.VortexWriteOptions.compact()),
    "Lance": lance_dataset,
}


def measure_peer(name, rows):
    """(bytes of the smallest file, its order), or (None, why)."""
    found = []
    for number, (label, order) in enumerate(rows.orders.items()):
        path = rows.folder / f"{name.replace(' ', '-')}-{number}"
        try:
            PEERS[name](rows, order, path)
        except Exception as error:  # a peer that cannot write these rows is a result, too
            return None, f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
        found.append((size(path), label))
    return min(found)


def measure_ours(data_set, files, folder, columns):
    """Bytes of the archives; prints bytes and bits by column, when asked."""
    store = aq.Store(folder / "store", data_set.config_file)
    store.load(data_set.dataset, *files)
    store.compact()
    archives = []
    for file in store.files("archives"):
        seen = json.loads(aq.run("--json", "inspect", file).text)
        if seen["dataset"] == data_set.dataset:
            archives.append((file, seen))
    if columns:
        print_columns(archives)
    return sum(file.stat().st_size for file, _ in archives)


def print_columns(archives):
    totals = {}
    for _, seen in archives:
        for chunk in seen["chunks"]:
            totals[chunk["column"]] = totals.get(chunk["column"], 0) + chunk["bytes"]
    rows = sum(seen["rows"] for _, seen in archives)
    whole = sum(file.stat().st_size for file, _ in archives)
    for name, held in sorted(totals.items(), key=lambda item: -item[1]):
        print(f"  {name:<20} {held:>12,} bytes  {8 * held / rows:7.3f} bits/value  {100 * held / whole:5.1f}%")
    rest = whole - sum(totals.values())
    print(f"  {'(not in columns)':<20} {rest:>12,} bytes  {8 * rest / rows:7.3f} bits/row    {100 * rest / whole:5.1f}%\n")


def measure(data_set, columns):
    """A line of the table."""
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        folder = pathlib.Path(name)
        source = folder / "input"
        source.mkdir()
        if sets.sample(data_set, source) is None:
            sets.unpack(data_set.source, source)
        files = sorted(source.glob(data_set.pattern))
        ours = measure_ours(data_set, files, folder, columns)
        rows = Rows(data_set, files, folder)
        best = {peer: measure_peer(peer, rows) for peer in PEERS}
    line = [data_set.name, f"{rows.count:,}", f"{ours / rows.count:.2f}"]
    for held, note in best.values():
        line.append(f"{held / rows.count:.2f} ({note})" if held else note)
    smallest = min(held for held, _ in best.values() if held)
    return [*line, f"{ours / smallest:.2f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *SETS], help="sets to measure (default: all)")
    options = parser.parse_args()
    chosen = options.names or list(SETS)
    lines = [measure(SETS[name], bool(options.names)) for name in chosen]
    print(f"bytes/row on {datetime.date.today()}; {platform.machine()}; DuckDB {duckdb.__version__}, ClickHouse "
          f"{chdb.engine_version}, Vortex {vortex_version()}, Lance {lance.__version__}\n")
    header = ["set", "rows", "aqstore", *PEERS, "aqstore / smallest"]
    for line in (header, ["---"] * len(header), *lines):
        print("| " + " | ".join(line) + " |")


def vortex_version():
    from importlib.metadata import version

    return version("vortex-data")


if __name__ == "__main__":
    main()
