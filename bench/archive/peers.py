"""Other writers of columnar files: each writes the same rows, in a given order, at its best settings.

A peer is a function (rows, order, columns, path): it writes these columns of the rows (sizes.Rows) to `path`, a file or a
folder, sorted as `order` says (SQL, or nothing). CLICKHOUSE_CODECS is measured by itself: ClickHouse keeps columns apart, so
that the best codec of each is known from one table that has every column in all of them.
"""

import contextlib
import json
import os
import re
import tempfile

os.environ.setdefault("LANCE_LOG", "error")  # it warns of its newest format

import chdb
import lance
import pyarrow
import pyarrow.parquet
import vortex
from chdb import session

ZSTD = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL"
CLICKHOUSE_CODECS = "ClickHouse codecs"
NUMBERS = ("ZSTD(3)", "Delta, ZSTD(3)", "DoubleDelta, ZSTD(3)", "T64, ZSTD(3)", "GCD, Delta, ZSTD(3)", "GCD, T64, ZSTD(3)")
FLOATS = ("ZSTD(3)", "ALP, ZSTD(3)", "Gorilla, ZSTD(3)", "FPC, ZSTD(3)", "DoubleDelta, ZSTD(3)")
PLAIN = ("ZSTD(3)",)


def size(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def duckdb_parquet(settings):
    def write(rows, order, columns, path):
        rows.duck.execute(f"COPY ({rows.select(order, columns)}) TO '{path}' ({settings.format(rows=max(rows.count, 2048))})")

    return write


def duckdb_native(rows, order, columns, path):
    rows.duck.execute(f"ATTACH '{path}' AS out")
    rows.duck.execute(f"CREATE TABLE out.t AS {rows.select(order, columns)}")
    rows.duck.execute("DETACH out")


def vortex_file(options):
    def write(rows, order, columns, path):
        options.write(rows.arrow(order, columns), str(path))

    return write


def lance_dataset(rows, order, columns, path):
    """The newest version of its format, with zstd(3), which it leaves out unless a column asks for it."""
    table = rows.arrow(order, columns)
    wish = {"lance-encoding:compression": "zstd", "lance-encoding:compression-level": "3"}
    schema = pyarrow.schema([column.with_metadata(wish) for column in table.schema])
    lance.write_dataset(table.cast(schema), str(path), data_storage_version="2.3")


def clickhouse_parquet(rows, order, columns, path):
    """ClickHouse's own writer, from what DuckDB wrote in that order."""
    source = path.with_suffix(".source")
    duckdb_parquet(f"{ZSTD} 1")(rows, order, columns, source)
    chdb.query(
        f"SELECT * FROM file('{source}', Parquet) INTO OUTFILE '{path}' FORMAT Parquet SETTINGS max_threads = 1,"
        " output_format_parquet_compression_method = 'zstd', output_format_compression_level = 3"
    )
    source.unlink()


PEERS = {
    "DuckDB Parquet V1": duckdb_parquet(f"{ZSTD} 3, PARQUET_VERSION V1"),
    "DuckDB Parquet V2": duckdb_parquet(f"{ZSTD} 3, PARQUET_VERSION V2"),
    "ClickHouse Parquet": clickhouse_parquet,
    "DuckDB native": duckdb_native,
    "Vortex": vortex_file(vortex.io.VortexWriteOptions.default()),
    "Vortex compact": vortex_file(vortex.io.VortexWriteOptions.compact()),
    "Lance zstd(3)": lance_dataset,
}
# Slow: only in the order that is best for the peer named beside it.
PARQUET_19 = "DuckDB Parquet V2 zstd(19)", duckdb_parquet(f"{ZSTD} 19, PARQUET_VERSION V2, ROW_GROUP_SIZE {{rows}}"), "DuckDB Parquet V2"


@contextlib.contextmanager
def clickhouse():
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-clickhouse-") as folder:
        opened = session.Session(folder)
        try:
            opened.query("CREATE DATABASE d ENGINE = Atomic")
            opened.query("SET enable_alp_codec = 1, allow_suspicious_low_cardinality_types = 1, max_threads = 1, max_insert_threads = 1")
            yield opened
        finally:
            opened.close()


def answer(opened, sql):
    return json.loads(str(opened.query(sql, "JSONCompact")))["data"]


def candidates(kind):
    """(type, codecs) worth trying for a column of ClickHouse's type `kind`."""
    if "Float" in kind:
        return [(kind, codecs) for codecs in FLOATS]
    if "String" in kind:
        return [(kind, codecs) for codecs in PLAIN] + [(f"LowCardinality({kind})", codecs) for codecs in PLAIN]
    return [(kind, codecs) for codecs in (PLAIN if "Bool" in kind else NUMBERS)]


def create(opened, source, columns):
    """A MergeTree of one part in the file's order, of (label, column of the file, type, codecs)."""
    declared = ", ".join(f"`{label}` {kind} CODEC({codecs})" for label, _, kind, codecs in columns)
    values = ", ".join(f"`{name}`" for _, name, _, _ in columns)
    opened.query("DROP TABLE IF EXISTS d.t SYNC")
    opened.query(f"CREATE TABLE d.t ({declared}) ENGINE = MergeTree ORDER BY tuple()"
                 " SETTINGS min_bytes_for_wide_part = 0, min_rows_for_wide_part = 0")
    opened.query(f"INSERT INTO d.t SELECT {values} FROM file('{source}', Parquet)")
    opened.query("OPTIMIZE TABLE d.t FINAL")


def smallest_codecs(opened, described, source):
    """column -> (bytes on disk, marks too, type, codecs) with the codecs that make it smallest."""
    tried = {f"{number}_{at}": (name, *pair) for number, (name, kind) in enumerate(described) for at, pair in enumerate(candidates(kind))}
    create(opened, source, [(label, *how) for label, how in tried.items()])
    best = {}
    for label, held in answer(opened, "SELECT column, sum(column_bytes_on_disk) FROM system.parts_columns"
                              " WHERE database = 'd' AND table = 't' AND active GROUP BY column"):
        name, kind, codecs = tried[label]
        best[name] = min(best.get(name, (1 << 62,)), (int(held), kind, codecs))
    return best


def clickhouse_codecs(rows):
    """(bytes, order, {column: bytes}) of the smallest MergeTree of all orders."""
    found = []
    with clickhouse() as opened:
        for label, order in rows.orders.items():
            source = rows.folder / "clickhouse.source"
            duckdb_parquet(f"{ZSTD} 1")(rows, order, rows.columns, source)
            described = [(name, kind if rows.nulls[name] else re.sub(r"^Nullable\((.*)\)$", r"\1", kind))
                         for name, kind, *_ in answer(opened, f"DESCRIBE file('{source}', Parquet)")]
            best = smallest_codecs(opened, described, source)
            create(opened, source, [(name, name, kind, codecs) for name, (_, kind, codecs) in best.items()])
            ((whole,),) = answer(opened, "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'd' AND table = 't' AND active")
            found.append((int(whole), label, {name: held for name, (held, *_) in best.items()}))
            source.unlink()
    return min(found, key=lambda one: one[0])


def clickhouse_alp(table):
    """Bytes of one column of doubles by ALP alone."""
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as folder, clickhouse() as opened:
        path = f"{folder}/values.parquet"
        pyarrow.parquet.write_table(table, path)
        opened.query("CREATE TABLE d.t (v Float64 CODEC(ALP)) ENGINE = MergeTree ORDER BY tuple() SETTINGS min_bytes_for_wide_part = 0")
        opened.query(f"INSERT INTO d.t SELECT v FROM file('{path}', Parquet)")
        ((bytes_,),) = answer(opened, "SELECT sum(column_data_compressed_bytes) FROM system.parts_columns WHERE table = 't' AND active")
    return int(bytes_)
