"""How fast columns are decoded, by one core, beside memcpy, Vortex and Parquet; and a whole table beside DuckDB.

    make bench-decode
    build/bench-venv/bin/python bench/archive/decode.py --small     fewer rows, made on the spot

Each column is one of known shape, so that the archive's writer chooses a certain encoding; it is coded by aqstore in tiles
of 65,536 rows, by Vortex and by pyarrow's Parquet with zstd(3), and decoded again. Times are processor time (of all
threads, where a peer has some), the least of many passes. All decoders must give the same values: a hash of the bits and
their places is compared. The table at the end is the Beijing air quality: all its doubles, added up, checksums verified.
"""

import argparse
import datetime
import io
import json
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system/support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import aq  # noqa: E402
import duckdb  # noqa: E402
import numpy  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
import run  # noqa: E402

try:
    import vortex
except ModuleNotFoundError:  # it is no dependency of the tests
    vortex = None

DECODE = aq.PROJECT / "build/release/bench/archive/decode"
PASSES = 9
SECONDS_MIN = 1e-4  # of what is measured in one go


def made_columns(count):
    """name -> values; numpy arrays, or a list of texts."""
    chance = numpy.random.default_rng(1)
    few = chance.integers(-(1 << 60), 1 << 60, 200)
    words = ["".join(chr(97 + letter) for letter in chance.integers(0, 26, 12)) for _ in range(200)]
    steps = chance.geometric(0.3, count) * chance.choice([-1, 1], count)
    return {
        "10 bits": chance.integers(0, 1 << 10, count),
        "21 bits": chance.integers(0, 1 << 21, count),
        "44 bits": chance.integers(0, 1 << 44, count),
        "decimals, 2 places": chance.integers(0, 1 << 20, count) / 100,
        "decimals, 3 places, 1% not": numpy.where(chance.random(count) < 0.01, chance.random(count), chance.integers(0, 1 << 20, count) / 1000),
        "ascending": numpy.cumsum(chance.integers(0, 1 << 12, count)),
        "200 large integers": few[chance.integers(0, 200, count)],
        "runs of 50": numpy.repeat(chance.integers(0, 1 << 40, count // 50 + 1), 50)[:count],
        "one value": numpy.full(count, 77, dtype=numpy.int64),
        "a walk": numpy.cumsum(steps),
        "a sawtooth of bytes": (numpy.arange(count) * 7 % 253).astype(numpy.int64),
        "true doubles": chance.normal(size=count),
        "200 texts": [words[i] for i in chance.integers(0, 200, count)],
        "texts": [f"/wiki/{a:x}-{b}" for a, b in zip(chance.integers(0, 1 << 40, count), chance.integers(0, 99, count))],
    }


def words_of(values):
    """One 64-bit word a value, as bench/archive/decode.c takes them."""
    if isinstance(values, numpy.ndarray):
        return values.view(numpy.uint64)
    lengths = numpy.fromiter((len(text) for text in values), numpy.uint64)
    return lengths * numpy.uint64(256) + numpy.fromiter((ord(text[0]) for text in values), numpy.uint64)


def value_hash(values):
    places = numpy.arange(len(values), dtype=numpy.uint64) * numpy.uint64(2) + numpy.uint64(1)
    return f"{int((words_of(values) * places).sum(dtype=numpy.uint64)):016x}"


def least(action):
    """(processor seconds of the cheapest pass, what it gave). A pass that the clock hardly sees is repeated."""
    best = float("inf")
    for _ in range(PASSES):
        start = time.process_time()
        count = spent = 0
        while spent < SECONDS_MIN:
            result = action()
            count += 1
            spent = time.process_time() - start
        best = min(best, spent / count)
    return best, result


def plain(column):
    """Of an Arrow column: a numpy array, or texts."""
    if pyarrow.types.is_floating(column.type) or pyarrow.types.is_integer(column.type):
        return column.to_numpy()
    return column.to_pylist()


def ours(values, profile, folder):
    path = folder / "values"
    if isinstance(values, numpy.ndarray):
        values.tofile(path)
        kind = "double" if values.dtype == numpy.float64 else "bigint"
    else:
        path.write_text("".join(f"{text}\n" for text in values))
        kind = "text"
    out = subprocess.run([DECODE, "column", profile, kind, path], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def parquet(table):
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd", compression_level=3)
    bytes_ = pyarrow.BufferReader(file.getvalue())
    seconds, found = least(lambda: pyarrow.parquet.read_table(bytes_, use_threads=False))
    return seconds, value_hash(plain(found.column(0)))


def vortex_file(table, folder):
    """As parquet; None without Vortex."""
    if vortex is None:
        return None
    path = str(folder / "column.vortex")
    vortex.io.VortexWriteOptions.default().write(table, path)
    file = vortex.open(path)
    seconds, found = least(lambda: file.to_arrow().read_all())
    return seconds, value_hash(plain(found.column(0)))


def measure(name, values, profile, folder):
    """A line of the table."""
    own = ours(values, profile, folder)
    table = pyarrow.table({"v": pyarrow.array(values)})
    count = own["rows"]
    found = {"aqstore": (own["decode"], own["hash"]), "Vortex": vortex_file(table, folder), "Parquet": parquet(table)}
    expected = value_hash(values)
    for who, measured in found.items():
        if measured is not None and measured[1] != expected:
            sys.exit(f"bench: {who} decodes other values of {name!r}")
    million = [f"{count / measured[0] / 1e6:,.0f}" if measured else "" for measured in found.values()]
    gigabytes = count * (8 if isinstance(values, numpy.ndarray) else 16) / 1e9
    return [
        name, own["encoding"], f"{8 * own['bytes'] / count:.1f}", *million, f"{gigabytes / own['decode']:.1f}",
        f"{gigabytes / own['copy']:.1f}", f"{100 * own['checksum'] / own['decode']:.1f}%",
    ]


def duck_sums(files, folder, names):
    """(processor seconds, sums) of all doubles by DuckDB with one thread over Parquet."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SET TimeZone = 'UTC'")
        path = folder / "air.parquet"
        connection.execute(
            f"COPY (SELECT * FROM ({run.DATA.truth(files)}) ORDER BY station, ts) TO '{path}'"
            " (FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL 3)"
        )
        sql = "SELECT " + ", ".join(f"sum({name})" for name in names) + f" FROM '{path}'"
        seconds, row = least(lambda: connection.execute(sql).fetchone())
    return seconds, dict(zip(names, row))


def whole_table(small, folder):
    """Lines of the table of a whole scan, by each profile."""
    (folder / "input").mkdir()
    files = run.input_files(small, folder / "input")
    own = {}
    for profile in ("archive", "fast"):
        archive = run.Aqstore(folder, files, 1, profile).store.files("archives")[0]
        out = subprocess.run([DECODE, "scan", archive], check=True, capture_output=True, text=True)
        own[profile] = json.loads(out.stdout) | {"bytes": archive.stat().st_size}
    columns = list(own["fast"]["sums"])
    seconds, sums = duck_sums(files, folder, columns)
    values = own["fast"]["rows"] * len(columns)
    lines = []
    for profile, found in own.items():
        for name, expected in found["sums"].items():
            if abs(sums[name] - expected) > 1e-9 * abs(expected):
                sys.exit(f"bench: sums of {name} differ: {expected} and {sums[name]}")
        lines.append([f"aqstore, `{profile}`", f"{found['bytes'] / found['rows']:.2f}", f"{values / found['scan'] / 1e6:,.0f}",
                      f"{found['scan'] * 1e3:.2f}", f"{100 * found['checksum'] / found['scan']:.1f}%", f"{seconds / found['scan']:.2f}"])
    size = (folder / "air.parquet").stat().st_size
    lines.append(["DuckDB over Parquet zstd(3), one thread", f"{size / own['fast']['rows']:.2f}", f"{values / seconds / 1e6:,.0f}",
                  f"{seconds * 1e3:.2f}", "", "1.00"])
    return lines


def print_table(header, rows):
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="fewer rows, made on the spot")
    parser.add_argument("--profile", default="archive", help="of aqstore's columns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        folder = pathlib.Path(name)
        columns = made_columns(1 << 16 if options.small else 1 << 20)
        rows = [measure(label, values, options.profile, folder) for label, values in columns.items()]
        scans = whole_table(options.small, folder)
    peer = f"Vortex {metadata.version('vortex-data')}" if vortex else "no Vortex"
    print(f"{datetime.date.today()}, {platform.machine()}; {peer}, pyarrow {pyarrow.__version__}, "
          f"DuckDB {duckdb.__version__}\n")
    print_table(["values", "encoding", "bits/value", "aqstore, million values/s", "Vortex", "Parquet zstd(3)", "aqstore, GB/s",
                 "memcpy, GB/s", "checksum / decode"], rows)
    print()
    print_table(["all doubles of the Beijing air quality, added up", "bytes/row", "million values/s", "ms", "of that, checksums",
                 "DuckDB's time / its"], scans)


if __name__ == "__main__":
    main()
