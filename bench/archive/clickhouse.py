"""ClickHouse's own tables (MergeTree), each column with the codecs that make it smallest.

ClickHouse keeps columns apart, so one table that has every column in all codecs tells the best of each, with zstd(3), in every order
(of more than a million rows in the one that is best for its Parquet).
In the order where these sum up to least, each column is tried at zstd(19) with its best codec and without one, in blocks of 16 MiB;
the whole is then written with what was smallest.
"""

import contextlib
import json
import re
import tempfile

import peers
import pyarrow.parquet
from chdb import session

NUMBERS = ("", "Delta, ", "DoubleDelta, ", "T64, ", "GCD, Delta, ", "GCD, T64, ")
FLOATS = ("", "ALP, ", "Gorilla, ", "FPC, ", "DoubleDelta, ")
MANY_ROWS = 1_000_000
FEW_ROWS = 10_000  # take less in one file
LARGE_BLOCKS = ", min_compress_block_size = 16777216, max_compress_block_size = 16777216"


@contextlib.contextmanager
def opened():
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-clickhouse-") as folder:
        server = session.Session(folder)
        try:
            server.query("CREATE DATABASE d ENGINE = Atomic")
            server.query("SET enable_alp_codec = 1, allow_suspicious_low_cardinality_types = 1, max_threads = 1, max_insert_threads = 1")
            yield server
        finally:
            server.close()


def answer(server, sql):
    return json.loads(str(server.query(sql, "JSONCompact")))["data"]


def candidates(kind):
    """(type, codecs) worth trying for a column of ClickHouse's type `kind`."""
    if "Float" in kind:
        return [(kind, codecs) for codecs in FLOATS]
    if "String" in kind:
        return [(kind, ""), (f"LowCardinality({kind})", "")]
    return [(kind, codecs) for codecs in ([""] if "Bool" in kind else NUMBERS)]


def create(server, source, columns, level, wide=True):
    """A table of one part in the file's order, of {label: (column of the file, type, codecs)}."""
    declared = ", ".join(f"`{label}` {kind} CODEC({codecs}ZSTD({level}))" for label, (_, kind, codecs) in columns.items())
    values = ", ".join(f"`{name}`" for name, _, _ in columns.values())
    parts = ", ".join(f"{least} = {0 if wide else 1 << 40}" for least in ("min_bytes_for_wide_part", "min_rows_for_wide_part"))
    server.query("DROP TABLE IF EXISTS d.t SYNC")
    server.query(f"CREATE TABLE d.t ({declared}) ENGINE = MergeTree ORDER BY tuple() SETTINGS {parts}{LARGE_BLOCKS}")
    server.query(f"INSERT INTO d.t SELECT {values} FROM file('{source}', Parquet)")
    server.query("OPTIMIZE TABLE d.t FINAL")


def smallest(server, source, tried, level):
    """column -> (bytes, (column, type, codecs)) of those tried that make it smallest; marks count, too."""
    labels = {f"{number}": how for number, how in enumerate(tried)}
    create(server, source, labels, level)
    best = {}
    for label, held in held_by_column(server):
        how = labels[label]
        best[how[0]] = min(best.get(how[0], (1 << 62,)), (held, how))
    return best


def held_by_column(server):
    """(column, bytes), marks too."""
    return [(name, int(held)) for name, held in answer(server, "SELECT column, sum(column_bytes_on_disk) FROM system.parts_columns"
                                                       " WHERE database = 'd' AND table = 't' AND active GROUP BY column")]


def held_in_all(server):
    ((held,),) = answer(server, "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'd' AND table = 't' AND active")
    return int(held)


def described(server, rows, source):
    """(column, type); nullable only where there are nulls."""
    return [(name, kind if rows.nulls[name] else re.sub(r"^Nullable\((.*)\)$", r"\1", kind))
            for name, kind, *_ in answer(server, f"DESCRIBE file('{source}', Parquet)")]


def write_source(rows, order):
    source = rows.folder / "clickhouse.source"
    peers.duckdb_parquet(f"{peers.ZSTD} 1")(rows, order, rows.columns, source)
    return source


def measure(rows, likely):
    """(bytes, order, {column: bytes}) of the smallest table; of many rows only in the order `likely`."""
    found = []
    with opened() as server:
        for label in rows.orders if rows.count <= MANY_ROWS else [likely]:
            source = write_source(rows, rows.orders[label])
            tried = [(name, *pair) for name, kind in described(server, rows, source) for pair in candidates(kind)]
            best = smallest(server, source, tried, 3)
            found.append((sum(held for held, _ in best.values()), label, best))
        _, label, best = min(found, key=lambda one: one[0])
        source = write_source(rows, rows.orders[label])
        tried = dict.fromkeys(pair for _, (name, kind, codecs) in best.values() for pair in ((name, kind, codecs), (name, kind, "")))
        best = smallest(server, source, tried, 19)
        chosen = {name: how for name, (_, how) in best.items()}
        create(server, source, chosen, 19)
        columns = dict(held_by_column(server))
        whole = held_in_all(server)
        if rows.count <= FEW_ROWS:
            create(server, source, chosen, 19, wide=False)
            whole = min(whole, held_in_all(server))
    return whole, label, columns


def alp(table, folder):
    """Bytes of one column of doubles, `v`, by ALP alone."""
    path = folder / "values.parquet"
    pyarrow.parquet.write_table(table, path)
    with opened() as server:
        server.query("CREATE TABLE d.t (v Float64 CODEC(ALP)) ENGINE = MergeTree ORDER BY tuple() SETTINGS min_bytes_for_wide_part = 0")
        server.query(f"INSERT INTO d.t SELECT v FROM file('{path}', Parquet)")
        ((held,),) = answer(server, "SELECT sum(column_data_compressed_bytes) FROM system.parts_columns WHERE table = 't' AND active")
    return int(held)
