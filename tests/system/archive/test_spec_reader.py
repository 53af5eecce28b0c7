"""The document of the archives says what their bytes are: a reader written from it gives every value to the bit, and notices damage."""

import struct

import pyarrow
import pyarrow.parquet
import pytest
import xxhash

import aq
import sets
import spec

import coded_column  # of tests/spec-reader, as the next two
from archive import Archive
from cursor import Damaged

GOLDEN = (aq.PROJECT / "tests/golden/archive.bin").read_bytes()
ENDS = (spec.V1 / "whole/archive-run-ends.bin").read_bytes()
MULTIPLE = (spec.V1 / "whole/archive-multiple.bin").read_bytes()
LATE = (spec.V1 / "whole/archive-ans32-repeat.bin").read_bytes()


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


def test_golden_with_first_and_last_values():
    columns = Archive(ENDS).columns()
    assert columns["pm25"][:1] + columns["pm25"][1099:1111:11] == [None, 3948.728, 1126.606]
    assert columns["ts"][-1] == columns["ts"][-2] and set(columns["level"]) == {7}


def with_byte(data, at, value):
    """The archive, of one tile, with another byte in its directory, and checksums that are right again."""
    data = bytearray(data)
    data[at] = value
    root_at = struct.unpack_from("<Q", data, len(data) - 64 + 24)[0]
    archive = Archive(ENDS)
    begin = 64 + archive.tiles[0]["chunks"]
    stored = struct.pack("<Q", archive.tiles[0]["checksum"])
    sum_at = data.index(stored, root_at)
    data[sum_at : sum_at + 8] = struct.pack("<Q", xxhash.xxh3_64_intdigest(bytes(data[begin:root_at])))
    data[-72:-64] = struct.pack("<Q", xxhash.xxh3_64_intdigest(bytes(data[root_at:-72])))
    return bytes(data)


@pytest.mark.parametrize("at, value", [(0x1A54, 3), (0x1A59, 0xCF), (0x1A65, 0), (0x1A6A, 0xB9), (0x1A77, 0)])
def test_wrong_first_and_last_values_are_noticed(at, value, tmp_path):
    """Well-formed, with right checksums: neither reader believes them, once it has the rows."""
    forged = with_byte(ENDS, at, value)
    with pytest.raises(Damaged, match="first and last|first or last"):
        Archive(forged).columns()
    (tmp_path / "forged.aqa").write_bytes(forged)
    shown = aq.run("verify", "--deep", tmp_path / "forged.aqa", code=aq.CORRUPT)
    assert "pm25: a run's first and last values are not those of its rows" in shown.text + shown.message


def late_rows():
    """What tests/unit/format/freeze_archive.h wrote, row by row: ans32 and repeats, over a dictionary and over ans32."""
    state, level, rows = 1, 0, []

    def draw():
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return state >> 33

    for row in range(21000):
        hour = row if row < 8400 else row - 8400
        level = (level * 5 + draw() % 3) % 12
        quarters = draw() | 64
        pm25 = -0.0 if row % 2000 == 77 else ((quarters & -quarters).bit_length() - 1) / 4
        noise = draw()
        if noise % 512 == 0:
            noise = (noise >> 9 >> row % 24) & (2**31 - 1 >> 1)
        else:
            noise = draw() % 9 - 4 if noise % 5 == 0 else 0
        pm25 = struct.pack("<d", pm25) if row < 8400 else rows[hour % 8300 + 50][3]
        leveled = level if row < 900 or row % 1000 == 7 else rows[row - 811][4]
        wind = None if hour % 600 > 550 else [b"north", b"", b"south-west", b"calm"][row // 40 % 5 % 4]
        time = (15706 * 24 + hour) * 3_600_000_000
        rows.append((b"hanoi" if row < 8400 else b"hue", time, noise, pm25, leveled, wind))
    return rows


def test_golden_with_encodings_of_archives():
    columns = Archive(LATE).columns()
    columns["pm25"] = [struct.pack("<d", value) for value in columns["pm25"]]  # -0.0 is not 0.0
    assert list(zip(*columns.values())) == late_rows()


def multiple_rows():
    """What tests/unit/format/freeze_archive.h wrote: times of whole milliseconds, noise a multiple of 3,000 from a base of 7."""
    random, time = 1, 15706 * 24 * 3_600_000_000
    for _ in range(700):
        random = (random * 6364136223846793005 + 1442695040888963407) % 2**64
        time += (random >> 33) % 90000 * 1000
        yield b"hanoi", time, None if (random >> 45) % 8 == 0 else (random >> 50) * 3000 - 19999993, (random >> 60) * 1000


def test_golden_with_multiples():
    columns = Archive(MULTIPLE).columns()
    assert list(zip(*columns.values())) == list(multiple_rows())


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


def test_damage_to_a_longer_one_is_noticed(rng, long):
    for _ in range(2000 if long else 20):
        with pytest.raises(Damaged):
            Archive(LATE[: rng.randrange(len(LATE))]).columns()
        flipped = bytearray(LATE)
        flipped[rng.randrange(len(LATE))] ^= 1 << rng.randrange(8)
        with pytest.raises(Damaged):
            Archive(bytes(flipped)).columns()


def test_beijing(unpacked, tmp_path, long):
    files = unpacked(sets.BEIJING)
    store = aq.Store(tmp_path / "store", sets.BEIJING.config_file)
    store.load("air", *(files if long else files[:1]))
    assert_reads_as_exported(store, "air", tmp_path / "export")


@pytest.mark.parametrize("name", sets.MESSAGES)
def test_messages(name, unpacked, tmp_path):
    store = aq.Store(tmp_path / "store", aq.CONFIGS / "messages.yaml")
    store.load(name, *unpacked(sets.MESSAGES[name]))
    assert_reads_as_exported(store, name, tmp_path / "export")


def test_columns_of_doubles(unpacked, tmp_path, long):
    columns = sets.columns_of_doubles(unpacked(sets.FLOATS)[0].parents[1])
    sets.write_doubles({name: values[: None if long else 3000] for name, values in columns.items()}, tmp_path / "floats.csv")
    store = aq.Store(tmp_path / "store", sets.FLOATS.config_file)
    store.load("floats", tmp_path / "floats.csv")
    assert_reads_as_exported(store, "floats", tmp_path / "export")


def test_flights_of_parquet(unpacked, tmp_path, long):
    """A part of them: three million rows are too many for Python."""
    (file,) = unpacked(sets.US_FLIGHTS)
    part = tmp_path / "part.parquet"
    rows = pyarrow.parquet.ParquetFile(file).iter_batches(200_000 if long else 10_000)
    pyarrow.parquet.write_table(pyarrow.Table.from_batches([next(rows)]), part)
    store = aq.Store(tmp_path / "store", sets.US_FLIGHTS.config_file)
    store.load(sets.US_FLIGHTS.dataset, part)
    assert_reads_as_exported(store, sets.US_FLIGHTS.dataset, tmp_path / "export")


@pytest.mark.parametrize("data_set", [one for one in sets.CSV_SETS if one is not sets.BEIJING], ids=lambda one: one.name)
def test_other_sets(data_set, unpacked, tmp_path, long):
    if not long and data_set.rows > 5000:
        pytest.skip("only with --long")
    store = aq.Store(tmp_path / "store", data_set.config_file)
    store.load(data_set.dataset, *unpacked(data_set)[: data_set.part])  # millions of rows are too many for Python
    assert_reads_as_exported(store, data_set.dataset, tmp_path / "export")
