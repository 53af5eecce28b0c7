"""The document of the archives says what their bytes are: a reader written from it gives every value to the bit, and notices damage."""

import pytest

import aq
import sets
import spec

import coded_column  # of tests/spec-reader, as the next two
from archive import Archive
from cursor import Damaged

GOLDEN = (aq.PROJECT / "tests/golden/archive.bin").read_bytes()


def assert_reads_as_exported(store, dataset, folder):
    """Every row of the dataset's archives is a row of its export, as often."""
    store.compact()
    assert store.files("archives"), "compaction made no archive"
    read = spec.Store(store.home)
    assert read.rows(dataset) == spec.export(store, read.schemas[dataset], folder)


def test_golden():
    hour = 3_600_000_000
    begin = 1_356_998_400_000_000
    assert Archive(GOLDEN).columns() == {
        "city": [b"hanoi", b"hanoi", b"hanoi", b"hue"],
        "ts": [begin, begin + hour, begin + 2 * hour, begin],
        "pm25": [12.5, 13.0, None, 40.5],
    }


def test_golden_with_arrivals():
    hour = 3_600_000_000
    stamp = 1_356_998_400_000_000 + 2 * hour
    columns = Archive((aq.PROJECT / "tests/golden/archive-unique.bin").read_bytes()).columns()
    assert columns["pm25"] == [12.5, 13.0, None, 40.5]
    assert columns["(stamp)"] == [stamp, stamp + hour, stamp + 2 * hour, None]
    assert columns["(ordinal)"] == [70, 71, 72, None]


def test_golden_with_statistics_of_runs():
    columns = Archive((aq.PROJECT / "tests/golden/archive-runs.bin").read_bytes()).columns()
    assert [len(list(columns["city"])), columns["city"].count(b"hoi an")] == [2210, 10]
    assert columns["pm25"].index(None) == 1500 and max(filter(None, columns["pm25"])) == 199.8


def read_listed(kind, type_number, name):
    """The content hash of a golden file of version 1."""
    data = (spec.V1 / name).read_bytes()
    if kind == "column":
        return coded_column.content_hash([(type_number, coded_column.coded(data, type_number, name))])
    archive = Archive(data)
    values = archive.columns()
    return coded_column.content_hash([(column.type, values[column.name]) for column in archive.schema.stored])


@pytest.mark.parametrize("kind, type_number, name, result", spec.listed("archive", "column"), ids=lambda one: one if "/" in str(one) else "")
def test_version_1(kind, type_number, name, result):
    if result in spec.REFUSED:
        with pytest.raises(spec.REFUSED[result]) as refusal:
            read_listed(kind, type_number, name)
        assert refusal.type is spec.REFUSED[result]
    else:
        assert read_listed(kind, type_number, name) == result


def test_any_damaged_byte_is_noticed(rng):
    for data in spec.flips(GOLDEN, rng):
        with pytest.raises(Damaged):
            Archive(data).columns()


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
