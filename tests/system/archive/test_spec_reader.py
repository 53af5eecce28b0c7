"""The documents say what the bytes are: a reader written from them gives every value to the bit, and notices damage."""

import collections
import json
import struct
import sys

import pytest

import aq
import sets
from judge import instant

sys.path.insert(0, str(aq.PROJECT / "tests/spec-reader"))

import coded_column  # noqa: E402
import reader  # noqa: E402

GOLDEN = (aq.PROJECT / "tests/golden/archive.bin").read_bytes()
BOOLEAN, REAL, DOUBLE, JSON, TIME = 1, 4, 5, 8, 10


def read(value, column):
    """A value of the reader as a comparable one."""
    if value is None:
        return None
    if column.type in (REAL, DOUBLE):
        return struct.pack("<d", value)
    if column.type == BOOLEAN:
        return bool(value)
    if column.type == JSON:
        return json.dumps(json.loads(value), sort_keys=True)
    return value.decode() if isinstance(value, bytes) else value


def exported(value, column):
    """The same of a value that aqstore printed."""
    if value is None:
        return None
    if column.type in (REAL, DOUBLE):
        return struct.pack("<d", float(value))
    if column.type == TIME:
        return instant(value)
    return json.dumps(value, sort_keys=True) if column.type == JSON else value


def assert_reads_as_exported(store, dataset, folder):
    """Every row of the dataset's archives is a row of its export, as often."""
    store.compact()
    found = collections.Counter()
    for path in store.files("archives"):
        archive = reader.Archive(path.read_bytes())
        if archive.schema.name != dataset:
            continue
        shown = [column for column in archive.schema.columns if not column.hidden]
        values = archive.columns()
        columns = [[read(value, column) for value in values[column.name]] for column in shown]
        found.update(zip(*columns))
    assert found, "compaction made no archive"
    lines = store.export(dataset, "ndjson", folder).read_bytes().split(b"\n")
    rows = (json.loads(line) for line in lines if line)
    assert found == collections.Counter(
        tuple(exported(row[column.name], column) for column in shown) for row in rows
    )


def test_golden():
    hour = 3_600_000_000
    begin = 1_356_998_400_000_000
    assert reader.Archive(GOLDEN).columns() == {
        "city": [b"hanoi", b"hanoi", b"hanoi", b"hue"],
        "ts": [begin, begin + hour, begin + 2 * hour, begin],
        "pm25": [12.5, 13.0, None, 40.5],
    }


def test_golden_with_arrivals():
    hour = 3_600_000_000
    stamp = 1_356_998_400_000_000 + 2 * hour
    columns = reader.Archive((aq.PROJECT / "tests/golden/archive-unique.bin").read_bytes()).columns()
    assert columns["pm25"] == [12.5, 13.0, None, 40.5]
    assert columns["(stamp)"] == [stamp, stamp + hour, stamp + 2 * hour, None]
    assert columns["(ordinal)"] == [70, 71, 72, None]


def test_golden_with_statistics_of_runs():
    columns = reader.Archive((aq.PROJECT / "tests/golden/archive-runs.bin").read_bytes()).columns()
    assert [len(list(columns["city"])), columns["city"].count(b"hoi an")] == [2210, 10]
    assert columns["pm25"].index(None) == 1500 and max(filter(None, columns["pm25"])) == 199.8


V1 = aq.PROJECT / "tests/golden/v1"
LISTED = [line.split() for line in (V1 / "manifest.txt").read_text().splitlines()]


def read_listed(kind, type_number, name):
    """The content hash of a golden file of version 1."""
    data = (V1 / name).read_bytes()
    if kind == "column":
        return coded_column.content_hash([(int(type_number), coded_column.coded(data, int(type_number), name))])
    archive = reader.Archive(data)
    values = archive.columns()
    return coded_column.content_hash([(column.type, values[column.name]) for column in archive.schema.stored])


@pytest.mark.parametrize("kind, type_number, name, result", [
    (kind, number, name, result) for kind, number, name, _, result in LISTED if kind in ("archive", "column")
], ids=lambda one: one if "/" in one else "")
def test_version_1(kind, type_number, name, result):
    if result in ("corrupt", "unsupported"):
        with pytest.raises(reader.Damaged):
            read_listed(kind, type_number, name)
    else:
        assert read_listed(kind, type_number, name) == result


def test_any_damaged_byte_is_noticed(rng):
    for at in range(len(GOLDEN)):
        data = bytearray(GOLDEN)
        data[at] ^= 1 << rng.randrange(8)
        with pytest.raises(reader.Damaged):
            reader.Archive(data).columns()


def test_beijing(unpacked, tmp_path, long):
    files = unpacked(sets.BEIJING)
    store = aq.Store(tmp_path / "store", sets.BEIJING.config_file)
    store.load("air", *(files if long else files[:1]))
    assert_reads_as_exported(store, "air", tmp_path / "export")


def test_messages(unpacked, tmp_path):
    store = aq.Store(tmp_path / "store", aq.CONFIGS / "messages.yaml")
    store.load("aqicn", *unpacked(sets.MESSAGES["aqicn"]))
    assert_reads_as_exported(store, "aqicn", tmp_path / "export")


@pytest.mark.parametrize("data_set", [one for one in sets.CSV_SETS if one is not sets.BEIJING], ids=lambda one: one.name)
def test_other_sets(data_set, unpacked, tmp_path, long):
    if not long:
        pytest.skip("only with --long")
    store = aq.Store(tmp_path / "store", data_set.config_file)
    store.load(data_set.dataset, *unpacked(data_set)[: data_set.part])  # millions of rows are too many for Python
    assert_reads_as_exported(store, data_set.dataset, tmp_path / "export")
