"""Bytes a row of every shared data set, whole and by column: aqstore's archives beside other writers' files of the same rows.

    make bench-size                                     all sets, all peers; into docs/benchmarks-size.md
    build/bench-venv/bin/python bench/archive/size.py beijing   one set

The rows are those that DuckDB reads from the input, or those of aqstore's export, the same for all. Each peer writes them in several
orders: as they came, sorted by (key, series, time), and by (block of time, key, series, time); its smallest file counts, and the order is
named. aqstore's figure is that of whole archive files: statistics, checksums and directories included.

By column: of aqstore, Parquet and ClickHouse's tables what the column takes in the whole; of Vortex and Lance a file of that column
alone, less what a file of no rows takes. DuckDB's own file has blocks in which columns share.

Columns of doubles (float-columns) are coded one by one, in tiles of 65,536, beside ALP as DuckDB, ClickHouse and Vortex write it, and
zstd over the doubles as they are.
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
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system/support"))

import aq  # noqa: E402
import chdb  # noqa: E402
import clickhouse  # noqa: E402
import duckdb  # noqa: E402
import judge  # noqa: E402
import numpy  # noqa: E402
import peers  # noqa: E402
import pyarrow  # noqa: E402
import sets  # noqa: E402

BLOCK_HOURS = (730, 2048)
SETS = {data_set.name: data_set for data_set in (sets.BEIJING, *sets.QUERIED, sets.US_FLIGHTS, sets.AIRPORTS, sets.AIRLINES)}
MESSAGES = {"aqicn": ("aqicn", "aqicn"), "recentchange": ("changes", "changes")}  # name -> (of sets.MESSAGES, dataset)
CLICKHOUSE = "ClickHouse tables"
PEERS = ["DuckDB Parquet V1", "DuckDB Parquet V2", "ClickHouse Parquet", "best Parquet", CLICKHOUSE, "DuckDB native", "Vortex", "Vortex compact", "Lance"]
COLUMN_PEERS = [name for name in PEERS if name != "DuckDB native"]
MARK = "<!-- made by `make bench-size`; what follows is replaced -->"
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
            self.orders["sorted"] = " ORDER BY " + ", ".join([*keys, *times, "rowid"])
        for hours in BLOCK_HOURS if keys and times else ():
            self.orders[f"{hours} h blocks"] = f" ORDER BY time_bucket(INTERVAL {hours} HOUR, {times[0]}::TIMESTAMP), " + ", ".join([*keys, *times, "rowid"])

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


def write(rows, peer, order, columns):
    path = pathlib.Path(tempfile.mkdtemp(dir=rows.folder)) / "written"
    peer(rows, order, columns, path)
    return path


def columns_of(path, rows, peer, order):
    """{column: bytes} of what a peer wrote."""
    if path.is_file() and path.read_bytes()[:4] == b"PAR1":
        return peers.parquet_columns(path)
    return {name: peers.size(write(rows, peer, order, [name])) - peers.size(write(rows, peer, " WHERE false", [name])) for name in rows.columns}


def smallest(rows, tried):
    """(bytes, how, {column: bytes} or None) of the smallest of {how: (peer, order)}, or (None, why, None)."""
    best = None
    for how, (peer, order) in tried.items():
        try:
            path = write(rows, peer, order, rows.columns)
        except Exception as error:  # a peer that cannot write these rows is a result, too
            return None, f"{type(error).__name__}: {str(error).splitlines()[0][:60]}", None
        if best is None or peers.size(path) < best[0]:
            best = peers.size(path), how, path, peer, order
    if best is None:
        return None, "nothing like it", None
    held, how, path, peer, order = best
    return held, how, None if peer is peers.duckdb_native else columns_of(path, rows, peer, order)


def measure_peers(rows):
    """name -> as `smallest`."""
    best = {name: smallest(rows, {how: (peer, order) for how, order in rows.orders.items()}) for name, peer in peers.FAST.items()}
    for name, writers in peers.SLOW.items():
        likes = {like: best[like] for like, _ in writers.values() if best[like][0]}
        tried = {f"{how}, {likes[like][1]}": (peer, rows.orders[likes[like][1]]) for how, (like, peer) in writers.items() if like in likes}
        found = [(held, f"{like} zstd(3), {how}", columns) for like, (held, how, columns) in likes.items()]
        best[name] = min([smallest(rows, tried), *found], key=lambda one: one[0] or 1 << 62)
    best[CLICKHOUSE] = clickhouse.measure(rows, best["ClickHouse Parquet"][1])
    return best


def measure(rows, store, dataset):
    """(sizes, how they were had, sizes by column), as lines of tables."""
    whole, columns = ours(store, dataset)
    best = measure_peers(rows)
    sizes = [f"{rows.count:,}", f"{whole / rows.count:.2f}"]
    sizes += [f"{best[name][0] / rows.count:.2f}" if best[name][0] else "none" for name in PEERS]
    sizes += [f"{whole / min(held for held, _, _ in best.values() if held):.2f}", f"{100 * (1 - sum(columns.values()) / whole):.1f} %"]
    by_column = []
    for column in sorted(rows.columns, key=lambda column: -columns[column]):
        others = [best[peer][2][column] if best[peer][2] else None for peer in COLUMN_PEERS]
        least = min(other for other in others if other is not None)
        by_column.append([column, bits(columns[column], rows.count), *(bits(other, rows.count) for other in others),
                          f"{columns[column] / least:.2f}" if least > 0 else ""])
    rest = [None if best[peer][2] is None or peer in ("Vortex", "Vortex compact", "Lance") else best[peer][0] - sum(best[peer][2].values()) for peer in COLUMN_PEERS]
    by_column.append(["(besides columns)", bits(whole - sum(columns.values()), rows.count), *(bits(other, rows.count) for other in rest), ""])
    return sizes, [best[name][1] for name in PEERS], by_column


def bits(held, count):
    """Bits a value."""
    return "" if held is None else f"{8 * held / count:.2f}"


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


def measure_exported(config, dataset, make_input):
    """Rows that have no SQL of their own: peers write what aqstore exports."""
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "input").mkdir()
        store = aq.Store(folder / "store", config)
        store.load(dataset, *make_input(folder / "input"))
        store.compact()
        exported = store.export(dataset, "parquet", folder / "exported")
        texts = [name for name, kind in schema_of(exported) if kind == "JSON"]
        replaced = f" REPLACE ({', '.join(f'{name}::VARCHAR AS {name}' for name in texts)})" if texts else ""
        return measure(Rows(f"SELECT *{replaced} FROM '{exported}'", *declared(config, dataset), folder), store, dataset)


def schema_of(parquet):
    return [row[:2] for row in duckdb.execute(f"DESCRIBE SELECT * FROM '{parquet}'").fetchall()]


def measure_messages(name):
    messages, dataset = MESSAGES[name]
    data_set = sets.MESSAGES[messages]
    return measure_exported(aq.CONFIGS / "messages.yaml", dataset, lambda folder: sets.unpack(data_set.source, folder).glob(data_set.pattern))


def measure_strings():
    def make_input(folder):
        strings = json.loads((sets.unpack(sets.NAUGHTY.source, folder) / sets.NAUGHTY.pattern).read_text())
        file = folder / "strings.ndjson"
        file.write_text("".join(json.dumps({"n": number, "value": value}) + "\n" for number, value in enumerate(strings)))
        return [file]

    return measure_exported(sets.NAUGHTY.config_file, sets.NAUGHTY.dataset, make_input)


def measure_floats():
    def make_input(folder):
        file = folder / "floats.csv"
        sets.write_doubles(sets.columns_of_doubles(sets.unpack(sets.FLOATS.source, folder / "floats")), file)
        return [file]

    return measure_exported(sets.FLOATS.config_file, sets.FLOATS.dataset, make_input)


class Doubles:
    """A column of doubles, `v`, as peers take rows."""

    def __init__(self, values, folder):
        self.folder = folder
        self.count = len(values)
        self.columns = ["v"]
        self.duck = judge.Duck()
        self.table = pyarrow.table({"v": values})
        self.duck.connection.register("input", self.table)

    def select(self, order, columns):
        return "SELECT v FROM input" + order


def measure_doubles(name, values, folder):
    """A line of the table of columns of doubles, in bits a value."""
    values = numpy.array(values)
    raw = values.tobytes()
    (folder / "values").write_bytes(raw)
    made = subprocess.run([DECODE, "column", "archive", "double", folder / "values"], check=True, capture_output=True, text=True)
    own = json.loads(made.stdout)
    rows = Doubles(values, folder)
    alp = [peers.duckdb_alp(rows, folder), clickhouse.alp(rows.table, folder)]
    vortexes = []
    for kind in ("default", "compact"):
        file = folder / f"{kind}.vortex"
        getattr(peers.vortex.io.VortexWriteOptions, kind)().write(rows.table, str(file))
        vortexes.append(file.stat().st_size)
    zstd = [len(pyarrow.Codec("zstd", compression_level=level).compress(raw)) for level in (3, 19)]
    shown = [f"{8 * held / len(values):.3f}" for held in (own["bytes"], *alp, *vortexes, *zstd)]
    return [name, f"{len(values):,}", own["encoding"], *shown, f"{own['bytes'] / min(*alp, vortexes[0], *zstd):.2f}"]


def table(header, lines):
    """A table of Markdown, in columns."""
    widths = [max(len(line[at]) for line in (header, *lines)) for at in range(len(header))]
    drawn = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in (header, *lines)]
    drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(drawn) + "\n\n"


def doubles_table():
    lines = []
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        columns = sets.columns_of_doubles(sets.unpack(sets.FLOATS.source, pathlib.Path(name) / "columns"))
        for number, (column, values) in enumerate(columns.items()):
            folder = pathlib.Path(name) / str(number)
            folder.mkdir()
            lines.append(measure_doubles(column, values, folder))
    return table(["column", "values", "encoding", "aqstore", "DuckDB ALP", "ClickHouse ALP", "Vortex (ALP)", "Vortex compact", "zstd(3)", "zstd(19)",
                  "aqstore / smallest of ALP and zstd"], lines)


def versions():
    from importlib.metadata import version

    return (f"DuckDB {duckdb.__version__}, ClickHouse {chdb.engine_version}, pyarrow {pyarrow.__version__}, Vortex {version('vortex-data')}, "
            f"Lance {peers.lance.__version__}")


SPECIAL = {**{name: lambda name=name: measure_messages(name) for name in MESSAGES}, "strings": measure_strings, "floats": measure_floats}
DOUBLES = "doubles"


def measured(chosen):
    """The text of all tables."""
    found = {}
    for name in chosen:
        begin = time.monotonic()
        if name != DOUBLES:
            found[name] = measure_set(SETS[name]) if name in SETS else SPECIAL[name]()
            print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    text = f"One run, {datetime.date.today()}, {platform.machine()}; {versions()}.\n\n"
    if found:
        text += "## Bytes a row\n\n" + table(["set", "rows", "aqstore", *PEERS, "aqstore / smallest", "of aqstore, not columns"],
                                             [[name, *sizes] for name, (sizes, _, _) in found.items()])
        text += "What was smallest: of which writer, in which order.\n\n" + table(["set", *PEERS], [[name, *how] for name, (_, how, _) in found.items()])
    if DOUBLES in chosen:
        text += "## Columns of doubles, bits a value\n\n" + doubles_table()
    for name, (_, _, by_column) in found.items():
        text += f"## {name}: bits a value, by column\n\n" + table(["column", "aqstore", *COLUMN_PEERS, "aqstore / smallest"], by_column)
    return text.rstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*SETS, *SPECIAL, DOUBLES]
    parser.add_argument("names", nargs="*", choices=[[], *names], help="sets to measure (default: all)")
    parser.add_argument("--into", type=pathlib.Path, help=f"document to put the tables into, below its line {MARK!r}")
    options = parser.parse_args()
    text = measured(options.names or names)
    print(text)
    if options.into:
        above, mark, _ = options.into.read_text().partition(MARK)
        options.into.write_text(f"{above}{mark}\n\n{text}")


if __name__ == "__main__":
    main()
