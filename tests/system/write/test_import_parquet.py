"""Parquet files of other writers, imported: every encoding, codec and type, what is refused, what is known, what is damaged."""

import datetime
import decimal
import gzip
import json
import os
import signal
import uuid

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest

import aq

UTC = datetime.timezone.utc
EVERY = aq.CONFIGS / "interchange.yaml"


def configured(folder, columns, extra=""):
    """A store whose dataset `d` has these columns."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "aqstore.yaml"
    config.write_text("datasets:\n  d:\n    columns:\n" + "".join(f"      {line}\n" for line in columns) + extra)
    return aq.Store(folder / "store", config)


def table_of(rng, count):
    """Columns that suit each encoding, with nulls, runs and extremes."""
    some = [rng.randrange(-(2**63), 2**63) for _ in range(20)] + [2**63 - 1, -(2**63), 0]

    def nulls(values, every=7):
        return [None if rng.randrange(every) == 0 else value for value in values]

    return pyarrow.table({
        "n": pyarrow.array(range(count), pyarrow.int64()),
        "wide": pyarrow.array(nulls([rng.choice(some) for _ in range(count)]), pyarrow.int64()),
        "narrow": pyarrow.array(nulls([i // 50 - 3 for i in range(count)]), pyarrow.int32()),
        "real": pyarrow.array(nulls([rng.choice([rng.random(), -0.0, 1e300, 5e-324, float("inf")])
                                     for _ in range(count)]), pyarrow.float64()),
        "flag": pyarrow.array(nulls([i // 100 % 3 == 0 for i in range(count)], 1000), pyarrow.bool_()),
        "text": pyarrow.array(nulls([f"station {i // 9} \u00e9\"\\" * rng.randrange(3) for i in range(count)])),
    })


COLUMNS = ["n: {type: bigint}", "wide: {type: bigint}", "narrow: {type: integer}", "real: {type: double}",
           "flag: {type: boolean}", "text: {type: text}"]


def assert_holds(store, table, folder):
    """The store has the rows of the table, by an export as Parquet."""
    store.run("export", "--dataset", "d", "--format", "parquet", "--to", folder)
    got = pyarrow.parquet.read_table(folder / "d.parquet").sort_by("n")
    assert got.to_pylist() == table.to_pylist()


SPLIT = {"n": "BYTE_STREAM_SPLIT", "wide": "BYTE_STREAM_SPLIT", "narrow": "BYTE_STREAM_SPLIT",
         "real": "BYTE_STREAM_SPLIT", "flag": "RLE", "text": "DELTA_LENGTH_BYTE_ARRAY"}
DELTA = {"n": "DELTA_BINARY_PACKED", "wide": "DELTA_BINARY_PACKED", "narrow": "DELTA_BINARY_PACKED", "real": "PLAIN",
         "flag": "PLAIN", "text": "DELTA_BYTE_ARRAY"}
WRITTEN = [
    {"compression": "none", "use_dictionary": False},
    {"compression": "snappy", "use_dictionary": True},
    {"compression": "gzip", "use_dictionary": False, "column_encoding": DELTA},
    {"compression": "zstd", "use_dictionary": False, "column_encoding": SPLIT, "data_page_version": "2.0"},
    {"compression": "snappy", "use_dictionary": False, "column_encoding": DELTA, "data_page_version": "2.0"},
    {"compression": "zstd", "use_dictionary": True, "data_page_version": "2.0", "dictionary_pagesize_limit": 2000},
    {"compression": "lz4", "use_dictionary": ["text"], "version": "1.0"},
]


@pytest.mark.parametrize("options", WRITTEN, ids=range(len(WRITTEN)))
def test_every_encoding(options, rng, tmp_path):
    table = table_of(rng, 3000)
    file = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(table, file, row_group_size=1100, data_page_size=700, write_page_checksum=True, **options)
    store = configured(tmp_path, COLUMNS)
    assert store.load("d", file)["rows"] == 3000
    assert_holds(store, table, tmp_path)


def test_other_writers(rng, tmp_path):
    table = table_of(rng, 2000)
    duck = duckdb.connect()
    duck.register("t", table)
    duck.execute(f"COPY t TO '{tmp_path}/duck.parquet' (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)")
    polars.from_arrow(table).write_parquet(tmp_path / "polars.parquet", compression="lz4")
    for name in ("duck", "polars"):
        store = configured(tmp_path / name, COLUMNS)
        assert store.load("d", tmp_path / f"{name}.parquet")["rows"] == 2000
        assert_holds(store, table, tmp_path / name)


TYPES = [
    # (array, type of the column, options, values)
    (pyarrow.array([1, 255], pyarrow.uint8()), "integer", "", [1, 255]),
    (pyarrow.array([0, 2**32 - 1], pyarrow.uint32()), "bigint", "", [0, 2**32 - 1]),
    (pyarrow.array([0, 2**63 - 1], pyarrow.uint64()), "bigint", "", [0, 2**63 - 1]),
    (pyarrow.array([2**64 - 1, 7], pyarrow.uint64()), "text", "", ["18446744073709551615", "7"]),
    (pyarrow.array([0.1, None], pyarrow.float32()), "real", "", [0.1, None]),
    (pyarrow.array([0.1, None], pyarrow.float32()), "double", "", [0.10000000149011612, None]),
    (pyarrow.array([decimal.Decimal("-12345678901234567890.05"), decimal.Decimal("0.10")], pyarrow.decimal128(30, 2)),
     "text", "", ["-12345678901234567890.05", "0.10"]),
    (pyarrow.array([decimal.Decimal("1.50"), None], pyarrow.decimal128(9, 2)), "double", "", [1.5, None]),
    (pyarrow.array([datetime.date(1600, 2, 29), datetime.date(9999, 12, 31)]), "date", "", ["1600-02-29", "9999-12-31"]),
    (pyarrow.array([-1, 1_500_000_000_123], pyarrow.timestamp("ms", "UTC")), "timestamptz", "",
     ["1969-12-31T23:59:59.999+00:00", "2017-07-14T02:40:00.123+00:00"]),
    (pyarrow.array([1_499, 1_500], pyarrow.timestamp("ns", "UTC")), "timestamptz", "",
     ["1970-01-01T00:00:00.000001+00:00", "1970-01-01T00:00:00.000002+00:00"]),
    (pyarrow.array([0, 3_600_000_000], pyarrow.timestamp("us")), "timestamptz", ', zone: "Asia/Shanghai"',
     ["1969-12-31T16:00:00+00:00", "1969-12-31T17:00:00+00:00"]),
    (pyarrow.array([2**31 - 1, -(2**31)], pyarrow.date32()), "text", "", ["5881580-07-11", "5877642-06-23 BC"]),
    (pyarrow.array([-(2**53), 0], pyarrow.timestamp("us")), "text", "", ["1684-07-28 00:12:25.259008", "1970-01-01 00:00:00"]),
    (pyarrow.array([0, None], pyarrow.timestamp("us", "UTC")), "text", "", ["1970-01-01 00:00:00+00", None]),
    (pyarrow.array([3_723_000_001, 0], pyarrow.time64("us")), "text", "", ["01:02:03.000001", "00:00:00.000000"]),
    (pyarrow.array([b"\x00\xff", b""], pyarrow.binary()), "bytea", "", ["\\x00ff", "\\x"]),
    (pyarrow.array([b"ab", b"cd"], pyarrow.binary(2)), "text", "", ["ab", "cd"]),
    (pyarrow.array(['{"a": 1}', "[2]"]), "json", "", [{"a": 1}, [2]]),
    (pyarrow.array([1.5, True and 2.0]), "json", "", [1.5, 2]),
    (pyarrow.array([-999, 5]), "double", ', null_values: ["-999"], scale: 0.5', [None, 2.5]),
    (pyarrow.array([None, None], pyarrow.null()), "text", "", [None, None]),
    (pyarrow.ExtensionArray.from_storage(pyarrow.uuid(), pyarrow.array([uuid.UUID(int=255).bytes, None], pyarrow.binary(16))),
     "text", "", ["00000000-0000-0000-0000-0000000000ff", None]),
]


def test_every_type(tmp_path):
    names = [f"c{i}" for i in range(len(TYPES))]
    file = tmp_path / "types.parquet"
    arrays = [pyarrow.array(range(2)), *(array for array, _, _, _ in TYPES)]
    pyarrow.parquet.write_table(pyarrow.table(arrays, names=["n", *names]), file)
    store = configured(tmp_path, ["n: {type: bigint}", *(
        f"{name}: {{type: {kind}{options}}}" for name, (_, kind, options, _) in zip(names, TYPES))])
    report = store.load("d", file)
    assert report["rows"] == 2, store.run("rejects", "show").text
    rows = [json.loads(line) for line in store.ndjson("SELECT * FROM d ORDER BY n").splitlines()]
    for name, (array, kind, _, values) in zip(names, TYPES):
        assert [row[name] for row in rows] == values, (name, array.type, kind)


def test_int96_and_old_types(tmp_path):
    moments = [datetime.datetime(1901, 2, 3, 4, 5, 6, 7, UTC), None, datetime.datetime(2250, 1, 1, tzinfo=UTC)]
    file = tmp_path / "old.parquet"
    table = pyarrow.table({"t": pyarrow.array(moments, pyarrow.timestamp("us", "UTC"))})
    pyarrow.parquet.write_table(table, file, use_deprecated_int96_timestamps=True, version="1.0")
    store = configured(tmp_path, ["t: {type: timestamptz}"])
    assert store.load("d", file)["rows"] == 3
    assert store.rows("SELECT t FROM d ORDER BY t") == [
        ["1901-02-03T04:05:06.000007+00:00"], ["2250-01-01T00:00:00+00:00"], [None]]


def test_names_rest_and_nested(tmp_path):
    file = tmp_path / "wide.parquet"
    columns = {"PM2.5": [1.5], 'odd "name"': ["x"], "more": [True], "none": pyarrow.array([None], pyarrow.int32()),
               "raw": [b"\xff"]}
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    store = configured(tmp_path, ['pm25: {type: double, from: "PM2.5"}', 'rest: {type: json, from: "*"}',
                                  "absent: {type: text}"])
    done = store.run("import", "--dataset", "d", file)
    assert "not in the header, so null: absent" in done.message
    assert store.rows("SELECT * FROM d") == [[1.5, {'odd "name"': "x", "more": True, "none": None, "raw": "\\xff"}, None]]
    nested = tmp_path / "nested.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"n": [1], "list": [[1, 2]], "group": [{"inner": {"x": 1}}]}), nested)
    for number, (column, path) in enumerate((("list: {type: json}", "list.list.element"),
                                             ("x: {type: bigint, from: group.inner.x}", "group.inner.x"),
                                             ('rest: {type: json, from: "*"}', "list.list.element"))):
        store = configured(tmp_path / str(number), ["n: {type: bigint}", column])
        refused = store.run("import", "--dataset", "d", nested, code=aq.USAGE)
        assert f"column '{path}' lies inside of a group or a list" in refused.message
    store = configured(tmp_path / "flat", ["n: {type: bigint}"])
    assert store.load("d", nested)["rows"] == 1
    store = configured(tmp_path / "needed", ["n: {type: bigint}", "key: {type: text, required: true}"])
    refused = store.run("import", "--dataset", "d", nested, code=aq.USAGE)
    assert "column 'key' needs a value" in refused.message


def test_rejects_are_kept_and_replayed(tmp_path):
    file = tmp_path / "mixed.parquet"
    pyarrow.parquet.write_table(pyarrow.table({
        "n": list(range(300)), "v": [str(i) if i % 100 else "odd" for i in range(300)],
        "bytes": [b"\x01"] * 300, "at": pyarrow.array([0] * 300, pyarrow.timestamp("us", "UTC"))}), file, row_group_size=90)
    store = configured(tmp_path, ["n: {type: bigint}", "v: {type: integer}"])
    report = store.load("d", file)
    assert (report["rows"], report["rejects"]) == (297, 3)
    rejects = store.rows('SELECT "offset", reason, bytes FROM d_rejects ORDER BY 1')
    assert [row[0] for row in rejects] == [0, 100, 200]
    assert "column 'v' (v): 'odd' is no integer" in rejects[0][1]
    assert json.loads(bytes.fromhex(rejects[1][2][2:])) == {
        "n": 100, "v": "odd", "bytes": "\\x01", "at": "1970-01-01 00:00:00+00"}
    store.config.write_text(store.config.read_text().replace("v: {type: integer}", 'v: {type: integer, null_values: ["odd"]}'))
    store.run("rejects", "replay")
    assert store.rows("SELECT count(*) AS n, count(v) AS v FROM d") == [[300, 297]]


def test_known_by_content(tmp_path):
    file = tmp_path / "numbers.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"n": list(range(5000))}), file, row_group_size=700)
    store = configured(tmp_path, ["n: {type: bigint}"])
    assert store.load("d", file)["rows"] == 5000
    packed = tmp_path / "other.parquet.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    for again in (file, packed):
        assert store.load("d", again)["rows"] == 0
    store.run("import", "--dataset", "d", "-", stdin=file.read_bytes())
    assert store.value("SELECT count(*) AS n FROM d") == 5000
    piped = configured(tmp_path / "piped", ["n: {type: bigint}"])
    piped.run("import", "--dataset", "d", "--format", "parquet", "-", stdin=packed.read_bytes())
    assert piped.rows("SELECT count(*) AS n, sum(n) AS s FROM d") == [[5000, 5000 * 4999 // 2]]
    assert piped.load("d", packed)["rows"] == 0
    replaced = store.run("import", "--dataset", "d", "--replace", file)
    assert "just these rows already" in replaced.message


def test_goes_on_where_it_stopped(rng, tmp_path):
    file = tmp_path / "numbers.parquet"
    count = 200_000
    pyarrow.parquet.write_table(pyarrow.table({"n": list(range(count))}), file, row_group_size=30_000)
    store = configured(tmp_path, ["n: {type: bigint}"], "ingest: {commit_size: 64KiB}\n")
    for _ in range(3):
        process = store.start("import", "--dataset", "d", file)
        limit = store.bytes() + rng.randrange(1, 60_000)
        while process.poll() is None and store.bytes() < limit:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert store.load("d", file)["rows"] <= count
    assert store.rows("SELECT count(*) AS n, count(DISTINCT n) AS different, max(n) AS top FROM d") == [
        [count, count, count - 1]]
    assert store.load("d", file)["rows"] == 0


def test_damage(rng, tmp_path, long):
    file = tmp_path / "small.parquet"
    pyarrow.parquet.write_table(table_of(rng, 200), file, compression="snappy", data_page_size=200)
    good = file.read_bytes()
    for name, data, code, message in (
        ("cut", good[:-3], aq.USAGE, "does not end in PAR1"),
        ("encrypted", good[:-4] + b"PARE", aq.USAGE, "encrypted"),
        ("long", good[:-8] + b"\xff\xff\xff\x7fPAR1", aq.CORRUPT, "longer than the file"),
        ("text", b"n\n1\n", aq.USAGE, "no Parquet file"),
    ):
        bad = tmp_path / f"{name}.parquet"
        bad.write_bytes(data)
        store = configured(tmp_path / name, COLUMNS)
        refused = store.run("import", "--dataset", "d", "--format", "parquet", bad, code=code)
        assert message in refused.message
    for number in range(400 if long else 25):
        flipped = bytearray(good)
        flipped[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        bad = tmp_path / f"flip-{number}.parquet"
        bad.write_bytes(flipped)
        store = configured(tmp_path / f"flip-{number}", COLUMNS)
        done = store.run("import", "--dataset", "d", "--format", "parquet", bad, code=None)
        assert done.code in (aq.DONE, aq.CORRUPT, aq.USAGE, aq.FAILED), str(done)


@pytest.mark.parametrize("version", ("1.0", "2.0"))
def test_checksums_of_pages(version, tmp_path):
    """Without the checksum the byte that is changed would be another number."""
    table = pyarrow.table({"n": pyarrow.array(range(1000), pyarrow.int64())})
    for checked in (True, False):
        file = tmp_path / f"{version}-{checked}.parquet"
        pyarrow.parquet.write_table(table, file, compression="none", use_dictionary=False, data_page_version=version,
                                    write_page_checksum=checked)
        store = configured(tmp_path / f"good-{checked}", ["n: {type: bigint}"])
        store.load("d", file, format="parquet")
        assert store.value("SELECT sum(n) AS n FROM d") == sum(range(1000))
        data = bytearray(file.read_bytes())
        data[data.index((700).to_bytes(8, "little"))] ^= 1
        file.write_bytes(data)
        store = configured(tmp_path / f"bad-{checked}", ["n: {type: bigint}"])
        code = aq.CORRUPT if checked else aq.DONE
        done = store.run("import", "--dataset", "d", "--format", "parquet", file, code=code)
        assert not checked or "row group 0, row 0: column 'n': a page is damaged: its checksum is another" in done.message


def test_brotli_is_refused_by_name(tmp_path):
    file = tmp_path / "b.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"n": [1, 2]}), file, compression="brotli")
    store = configured(tmp_path, ["n: {type: bigint}"])
    refused = store.run("import", "--dataset", "d", file, code=aq.USAGE)
    assert "column 'n' is compressed by BROTLI, which is not read here" in refused.message
    assert str(file) in refused.message


def test_memory_is_bounded(tmp_path):
    """A page of 40 MiB, compressed to nothing, does not fit what ingest.memory leaves."""
    file = tmp_path / "bomb.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"t": ["x" * (40 << 20)]}), file, compression="zstd", use_dictionary=False,
                                write_statistics=False)
    store = configured(tmp_path, ["t: {type: text}"], "ingest: {memory: 16MiB}\n")
    refused = store.run("import", "--dataset", "d", file, code=aq.FAILED)
    assert "raise it" in refused.message
