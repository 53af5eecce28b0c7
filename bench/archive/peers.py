"""Other writers of columnar files: each writes the same rows, in a given order.

A peer is a function (rows, order, columns, path): it writes these columns of the rows (size.Rows) to `path`, a file or a folder,
sorted as `order` says (SQL, or nothing). FAST ones write in every order; SLOW ones, which write the same at their best
settings, only in the order that is best for the fast one they are like. ClickHouse's own tables are measured by themselves
(clickhouse.py).
"""

import os

os.environ.setdefault("LANCE_LOG", "error")  # it warns of its newest format

import chdb
import duckdb
import lance
import pyarrow
import pyarrow.parquet
import vortex

ZSTD = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL"
NATIVE_BLOCKS = (16384, 262144)


def size(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def duckdb_parquet(settings):
    def write(rows, order, columns, path):
        rows.duck.execute(f"COPY ({rows.select(order, columns)}) TO '{path}' ({settings.format(rows=max(rows.count, 2048))})")

    return write


def duckdb_native(rows, order, columns, path, compression="auto"):
    """A file of its own, with whichever size of blocks is smaller."""
    made = []
    rows.duck.execute(f"SET force_compression = '{compression}'")
    for block in NATIVE_BLOCKS:
        file = path.with_suffix(f".{block}")
        rows.duck.execute(f"ATTACH '{file}' AS out (BLOCK_SIZE {block}, STORAGE_VERSION 'latest')")
        rows.duck.execute(f"CREATE TABLE out.t AS {rows.select(order, columns)}")
        rows.duck.execute("DETACH out")
        made.append(file)
    made.sort(key=size)
    made[0].rename(path)
    made[1].unlink()


def vortex_file(options):
    def write(rows, order, columns, path):
        options.write(rows.arrow(order, columns), str(path))

    return write


def lance_dataset(level):
    """The newest version of its format, with zstd, which it leaves out unless a column asks for it."""

    def write(rows, order, columns, path):
        table = rows.arrow(order, columns)
        wish = {"lance-encoding:compression": "zstd", "lance-encoding:compression-level": str(level)}
        schema = pyarrow.schema([column.with_metadata(wish) for column in table.schema])
        lance.write_dataset(table.cast(schema), str(path), data_storage_version="2.3", max_rows_per_file=max(rows.count, 1))

    return write


def clickhouse_parquet(level, row_group=None):
    """ClickHouse's own writer, from what DuckDB wrote in that order."""

    def write(rows, order, columns, path):
        source = path.with_suffix(".source")
        duckdb_parquet(f"{ZSTD} 1")(rows, order, columns, source)
        group = f", output_format_parquet_row_group_size = {row_group}, output_format_parquet_row_group_size_bytes = {1 << 34}" if row_group else ""
        chdb.query(
            f"SELECT * FROM file('{source}', Parquet) INTO OUTFILE '{path}' FORMAT Parquet SETTINGS max_threads = 1,"
            f" output_format_parquet_compression_method = 'zstd', output_format_compression_level = {level}{group}"
        )
        source.unlink()

    return write


def arrow_parquet(rows, order, columns, path):
    table = rows.arrow(order, columns)
    pyarrow.parquet.write_table(table, path, row_group_size=max(rows.count, 1), compression="zstd", compression_level=19, data_page_version="2.0",
                                data_page_size=1 << 24, dictionary_pagesize_limit=1 << 22)


FAST = {
    "DuckDB Parquet V1": duckdb_parquet(f"{ZSTD} 3, PARQUET_VERSION V1"),
    "DuckDB Parquet V2": duckdb_parquet(f"{ZSTD} 3, PARQUET_VERSION V2"),
    "ClickHouse Parquet": clickhouse_parquet(3),
    "DuckDB native": duckdb_native,
    "Vortex": vortex_file(vortex.io.VortexWriteOptions.default()),
    "Vortex compact": vortex_file(vortex.io.VortexWriteOptions.compact()),
    "Lance": lance_dataset(3),
}
SLOW = {  # name -> {how: (like, peer)}
    "best Parquet": {
        "DuckDB V1": ("DuckDB Parquet V1", duckdb_parquet(f"{ZSTD} 19, PARQUET_VERSION V1, ROW_GROUP_SIZE {{rows}}")),
        "DuckDB V2": ("DuckDB Parquet V2", duckdb_parquet(f"{ZSTD} 19, PARQUET_VERSION V2, ROW_GROUP_SIZE {{rows}}")),
        "ClickHouse": ("ClickHouse Parquet", clickhouse_parquet(19, 1 << 24)),
        "pyarrow": ("ClickHouse Parquet", arrow_parquet),
    },
    "Lance": {"zstd(19)": ("Lance", lance_dataset(19))},
}


def parquet_columns(path):
    """{column: bytes} of a Parquet file, of which every column is one chunk a row group."""
    found = {}
    for name, held in duckdb.execute(f"SELECT path_in_schema, sum(total_compressed_size) FROM parquet_metadata('{path}') GROUP BY 1").fetchall():
        found[name] = int(held)
    return found


def duckdb_alp(rows, path):
    """Bytes of the rows in DuckDB's file, by ALP alone, less what a file without rows takes."""
    held = []
    for name, order in (("rows", ""), ("none", " WHERE false")):
        duckdb_native(rows, order, rows.columns, path / name, "alp")
        held.append(size(path / name))
    return held[0] - held[1]
