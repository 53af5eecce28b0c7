"""Parquet and Arrow that were exported, read back by DuckDB, pyarrow, Polars and ClickHouse."""

import datetime
import json
import math
import os
import struct

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest

import aq

CONFIG = aq.CONFIGS / "interchange.yaml"
UTC = datetime.timezone.utc
TYPES = {
    "city": pyarrow.string(),
    "ts": pyarrow.timestamp("us", tz="UTC"),
    "flag": pyarrow.bool_(),
    "small": pyarrow.int32(),
    "large": pyarrow.int64(),
    "single": pyarrow.float32(),
    "value": pyarrow.float64(),
    "note": pyarrow.string(),
    "bytes": pyarrow.binary(),
    "document": pyarrow.string(),
    "day": pyarrow.date32(),
}
# What is exported as readers that have a type of its own for it give it.
DUCK_TYPES = ["VARCHAR", "TIMESTAMP WITH TIME ZONE", "BOOLEAN", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR",
              "BLOB", "JSON", "DATE"]

EDGES = {
    "ts": ["1600-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z",
           "2262-04-11T23:47:16.854775Z", "9999-12-31T23:59:59.999999Z"],
    "flag": [True, False, None],
    "small": [-(2**31), -1, 0, 1, 2**31 - 1, None],
    "large": [-(2**63), -(2**53) - 1, -1, 0, 2**53 + 1, 2**63 - 1, None],
    "single": ["NaN", "-Infinity", "Infinity", -0.0, 0.1, 3.4028234663852886e38, 1e-45, None],
    "value": ["NaN", "-Infinity", "Infinity", -0.0, 0.0, 0.1, 1.7976931348623157e308, 5e-324, -2.5, None],
    "note": ["", "a", "ÄÖ\u4e2d\U0001f600", 'quotes " and \\ and \n', "x" * 70000, "NULL", None],
    "bytes": ["", "\\x00ff", "\\x" + "ab" * 5000, None],
    "document": [{"a": [1, None, {"b": "\u00e9"}]}, [], "text", 1.5, True, None],
    "day": ["0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31", None],
}


def edge_rows(rng, count):
    """Rows of the edges, each with every other now and then."""
    return [{"city": rng.choice("abc"), **{name: rng.choice(values) for name, values in EDGES.items()}}
            for _ in range(count)]


def stored(folder, dataset, rows):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rows.ndjson"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    store = aq.Store(folder / "store", CONFIG)
    report = store.load(dataset, file)
    assert (report["rows"], report["rejects"]) == (len(rows), 0)
    return store


def bits(value, form):
    """A float's bits, any NaN being one."""
    return "nan" if math.isnan(value) else struct.pack(form, value)


def plain(name, value):
    """A value as it is compared: of a reader, or of an NDJSON export."""
    if value is None:
        return None
    if name in ("single", "value"):
        return bits(float(value), "<f" if name == "single" else "<d")
    if name == "ts":
        moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).isoformat()
    if name == "day":
        return str(value)[:10]
    if name == "bytes":
        return bytes.fromhex(value[2:]) if isinstance(value, str) else bytes(value)
    if name == "document":
        return json.dumps(json.loads(value), sort_keys=True)
    return value


def multiset(rows):
    return sorted((tuple(plain(name, value) for name, value in zip(TYPES, row)) for row in rows), key=repr)


def wanted(store, folder):
    """The rows of the NDJSON export."""
    lines = store.export("every", "ndjson", folder).read_text(encoding="utf-8").split("\n")
    rows = []
    for line in filter(None, lines):
        row = json.loads(line, parse_int=lambda text: -0.0 if text == "-0" else int(text))
        row["document"] = None if row["document"] is None else json.dumps(row["document"])
        rows.append(row.values())
    return multiset(rows)


def read_by_duckdb(source, **tables):
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    for name, table in tables.items():
        duck.register(name, table)
    types = [row[1] for row in duck.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    assert types == DUCK_TYPES
    moment = "strftime(ts AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%f+00:00') AS ts"
    return duck.execute(f"SELECT * REPLACE ({moment}) FROM {source}").fetchall()


def read_by_pyarrow(table):
    types = {field.name: field.type for field in table.schema}
    types["document"] = getattr(types["document"], "storage_type", types["document"])
    assert types == TYPES
    columns = [column.combine_chunks() for column in table.columns]
    plain_columns = [getattr(column, "storage", column).to_pylist() for column in columns]
    return list(zip(*plain_columns)) if plain_columns[0] else []


def read_by_polars(frame):
    assert frame.schema["ts"] == polars.Datetime("us", "UTC") and frame.schema["single"] == polars.Float32
    return frame.rows()


def readers(file):
    """(name, rows) of each reader there is."""
    if file.suffix == ".parquet":
        yield "DuckDB", read_by_duckdb(f"'{file}'")
        yield "pyarrow", read_by_pyarrow(pyarrow.parquet.read_table(file, page_checksum_verification=True))
        yield "Polars", read_by_polars(polars.read_parquet(file))
        return
    table = pyarrow.ipc.open_file(file).read_all()
    table.validate(full=True)
    yield "pyarrow", read_by_pyarrow(table)
    yield "Polars", read_by_polars(polars.read_ipc(file))
    yield "DuckDB", read_by_duckdb("arrow_table", arrow_table=table)


@pytest.mark.parametrize("form", ("parquet", "arrow"))
@pytest.mark.parametrize("count", (0, 1, 400))
def test_every_type_comes_back(form, count, rng, tmp_path):
    store = stored(tmp_path, "every", edge_rows(rng, count))
    want = wanted(store, tmp_path / "ndjson")
    assert len(want) == count
    file = store.export("every", form, tmp_path / form)
    for name, rows in readers(file):
        assert multiset(rows) == want, name


def test_all_null(tmp_path):
    nulls = {name: None for name in EDGES if name != "ts"}
    rows = [{"city": "a", "ts": "2024-01-01T00:00:00Z", **nulls}] * 5000
    store = stored(tmp_path, "every", rows)
    file = store.export("every", "parquet", tmp_path / "parquet")
    for name, got in [*readers(file), *readers(store.export("every", "arrow", tmp_path / "arrow"))]:
        assert all(value is None for row in got for value in row[2:]) and len(got) == 5000, name
    meta = pyarrow.parquet.read_metadata(file).row_group(0)
    for column in range(2, meta.num_columns):
        assert (meta.column(column).statistics.null_count, meta.column(column).statistics.has_min_max) == (5000, False)


def assert_statistics(file):
    """Of each chunk the smallest, the largest value and the count of nulls, as recomputed from its values."""
    parquet = pyarrow.parquet.ParquetFile(file)
    for group in range(parquet.num_row_groups):
        table = parquet.read_row_group(group)
        for column, name in enumerate(table.column_names):
            stats = parquet.metadata.row_group(group).column(column).statistics
            values = [value for value in table.column(column).to_pylist() if value is not None]
            assert stats.null_count == table.num_rows - len(values)
            real = name in ("single", "value")
            long = name in ("note", "bytes") and any(len(value) > 256 for value in values)
            has = bool(values) and name != "document" and not (real and any(map(math.isnan, values)))
            if long:  # a long bound is left out; a shorter one of the two may not be
                continue
            assert stats.has_min_max == has, name
            if has:
                assert (stats.min, stats.max) == (min(values), max(values)), name
            if has and real and min(values) == 0:
                assert math.copysign(1, stats.min) == -1
            if has and real and max(values) == 0:
                assert math.copysign(1, stats.max) == 1


def test_statistics(rng, tmp_path):
    rows = edge_rows(rng, 300)
    kept = [row for row in rows if "NaN" not in (row["single"], row["value"]) and len(row["note"] or "") < 99
            and len(row["bytes"] or "") < 99]
    assert len(kept) > 20
    for name, some in (("with", rows), ("without", kept), ("zeros", [{**kept[0], "value": 0.0, "single": -0.0}])):
        store = stored(tmp_path / name, "every", some)
        assert_statistics(store.export("every", "parquet", tmp_path / name))


def test_row_groups(tmp_path):
    """More rows than a row group takes: 1,048,576; and dictionaries, differences and runs across pages."""
    count = 1_050_000
    file = tmp_path / "numbers.csv"
    file.write_text("n,word\n" + "".join(f"{n * n},{'' if n % 7 == 0 else n // 5 % 1000}\n" for n in range(count)))
    store = aq.Store(tmp_path / "store", CONFIG)
    assert store.load("numbers", file)["rows"] == count
    out = store.export("numbers", "parquet", tmp_path / "out")
    meta = pyarrow.parquet.read_metadata(out)
    assert [meta.row_group(group).num_rows for group in range(meta.num_row_groups)] == [1 << 20, count - (1 << 20)]
    assert meta.created_by.startswith("aqstore version ")
    truth = f"SELECT n * n AS n, CASE WHEN n % 7 <> 0 THEN (n // 5 % 1000)::VARCHAR END AS word FROM range({count}) AS r(n)"
    duck = duckdb.connect()
    assert duck.execute(f"(SELECT * FROM '{out}') EXCEPT ALL ({truth}) LIMIT 5").fetchall() == []
    assert duck.execute(f"SELECT count(*) FROM '{out}'").fetchone() == (count,)
    arrow = pyarrow.ipc.open_file(store.export("numbers", "arrow", tmp_path / "out"))
    assert arrow.num_record_batches == -(-count // 65536)
    assert arrow.read_all().sort_by("n").equals(pyarrow.parquet.read_table(out).sort_by("n"))
    assert polars.read_parquet(out).to_arrow().cast(pyarrow.schema([("n", "int64"), ("word", "string")])).equals(
        pyarrow.parquet.read_table(out))
    # Statistics are believed: groups that cannot match are not read.
    assert duck.execute(f"SELECT word FROM '{out}' WHERE n = {1_049_999 ** 2}").fetchone() == (str(1_049_999 // 5 % 1000),)


def test_query_results_and_pipes(tmp_path):
    store = stored(tmp_path, "every", [{"city": "a", "ts": "2024-01-01T00:00:00Z", "small": 7}])
    out = tmp_path / "result.parquet"
    store.run("query", "-o", out, "SELECT small AS s, ts AT TIME ZONE 'UTC' AS local, ts > now() AS later FROM every")
    schema = pyarrow.parquet.read_schema(out)
    assert schema.types == [pyarrow.int32(), pyarrow.timestamp("us"), pyarrow.bool_()]
    piped = store.run("export", "--dataset", "every", "--format", "parquet", "--to", "-").out
    assert pyarrow.parquet.read_table(pyarrow.BufferReader(piped)).num_rows == 1
    streamed = store.run("query", "--format", "arrow", "SELECT ts, ts - ts < '1 day' AS soon FROM every").out
    assert pyarrow.ipc.open_stream(streamed).read_all().to_pylist() == [
        {"ts": datetime.datetime(2024, 1, 1, tzinfo=UTC), "soon": True}]
    for form, why in (("parquet", "which Parquet has not"), ("arrow", "which is not written")):
        out = tmp_path / f"no.{form}"
        refused = store.run("query", "-o", out, "SELECT ts - ts AS span FROM every", code=aq.USAGE)
        assert f"'span' is of type interval, {why}: write span::text" in refused.message
        assert not out.exists() and [*tmp_path.glob("no.*")] == []


def test_clickhouse_reads_it(rng, tmp_path):
    import chdb  # half a gigabyte, which no other test has to map

    # Its times and days end at the years 1900 and 2299.
    rows = [row for row in edge_rows(rng, 3000) if row["ts"] < "2263" and row["ts"] > "1900"
            and (row["day"] is None or "1900" < row["day"] < "2299")]
    store = stored(tmp_path, "every", rows)
    want = wanted(store, tmp_path / "ndjson")
    file = store.export("every", "parquet", tmp_path / "parquet")
    # Its own JSON type holds objects only.
    settings = ("output_format_json_quote_denormals=1, output_format_json_quote_64bit_integers=0,"
                " input_format_parquet_enable_json_parsing=0, session_timezone='UTC'")
    select = "* REPLACE ('\\\\x' || hex(bytes) AS bytes)"
    text = str(chdb.query(f"SELECT {select} FROM file('{file}', Parquet) SETTINGS {settings}", "JSONCompactEachRow"))
    got = [json.loads(line, parse_int=lambda text: -0.0 if text == "-0" else int(text)) for line in text.splitlines()]
    assert multiset(got) == want
