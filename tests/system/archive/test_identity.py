"""When is a file known: by the hash of its decoded bytes, whatever its name and compression."""

import bz2
import gzip
import lzma
import shutil
import subprocess

import pytest

import aq
import sets

WEATHER = sets.WEATHER
HEADER = b"carrier,name\n"
LOOKUPS = aq.CONFIGS / "lookups.yaml"


def lines(first, count):
    return b"".join(b"C%06d,Carrier number %d\n" % (n, n) for n in range(first, first + count))


def count(store, dataset="airlines"):
    return store.value(f"SELECT count(*) AS n FROM {dataset}")


@pytest.fixture
def store(tmp_path):
    return aq.Store(tmp_path / "store", LOOKUPS)


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


COMPRESSORS = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd}


def test_the_same_import_twice_adds_nothing(unpacked, tmp_path):
    files = unpacked(WEATHER)
    store = aq.Store(tmp_path / "store", WEATHER.config_file)
    first = store.load("weather", *files)
    assert first["rows"] == WEATHER.rows
    for _ in range(2):
        again = store.load("weather", *files)
        assert again["rows"] == 0 and count(store, "weather") == WEATHER.rows
        store.compact()


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_renamed_and_recompressed_copies_add_nothing(suffix, store, tmp_path):
    if suffix == ".zst" and not shutil.which("zstd"):
        pytest.skip("the zstd program is not installed")
    data = HEADER + lines(0, 5000)
    (tmp_path / "a.csv").write_bytes(data)
    assert store.load("airlines", tmp_path / "a.csv")["rows"] == 5000
    for name in ("a.csv", "other.csv"):
        copy = tmp_path / (name + suffix)
        copy.write_bytes(COMPRESSORS[suffix](data))
        assert store.load("airlines", copy)["rows"] == 0
    (tmp_path / "renamed.csv").write_bytes(data)
    assert store.load("airlines", tmp_path / "renamed.csv")["rows"] == 0
    assert store.load("airlines", "-", format="csv", stdin=data)["rows"] == 0
    assert count(store) == 5000


def test_a_grown_file_continues(store, tmp_path):
    file = tmp_path / "log.csv"
    file.write_bytes(HEADER + lines(0, 3000))
    assert store.load("airlines", file)["rows"] == 3000
    file.write_bytes(HEADER + lines(0, 4500))
    assert store.load("airlines", file)["rows"] == 1500
    file.unlink()
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(HEADER + lines(0, 4600)))
    assert store.load("airlines", packed)["rows"] == 100
    assert store.value("SELECT count(DISTINCT carrier) AS n FROM airlines") == count(store) == 4600


def test_a_grown_line_is_not_torn(store, tmp_path):
    """The file ended without a newline: its last record counts, and growth goes on behind it."""
    file = tmp_path / "log.csv"
    file.write_bytes((HEADER + lines(0, 10))[:-1])
    assert store.load("airlines", file)["rows"] == 10
    file.write_bytes(HEADER + lines(0, 12))
    assert store.load("airlines", file)["rows"] == 2
    assert store.value("SELECT count(DISTINCT name) AS n FROM airlines") == count(store) == 12


def test_a_known_name_with_other_content_is_new_with_a_notice(store, tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(HEADER + lines(0, 100))
    store.load("airlines", file)
    file.write_bytes(HEADER + lines(500, 100))
    result = store.run("import", "--dataset", "airlines", file)
    assert "a.csv" in result.message, "no notice about the known name"
    assert count(store) == 200


def test_one_more_file_of_several(store, tmp_path):
    files = []
    for part in range(4):
        files.append(tmp_path / f"part{part}.csv")
        files[-1].write_bytes(HEADER + lines(part * 100, 100))
    assert store.load("airlines", *files[:3])["rows"] == 300
    assert store.load("airlines", *files)["rows"] == 100
    assert count(store) == 400


@pytest.mark.parametrize("suffix", (".csv", ".csv.gz"))
def test_an_unfinished_import_continues_under_any_name(suffix, tmp_path, unpacked):
    """Killed in the middle, then the same bytes come under another name and another compression."""
    files = unpacked(sets.FLIGHTS)
    config = tmp_path / "flights.yaml"
    config.write_text(sets.FLIGHTS.config_file.read_text() + "ingest: {commit_interval: 5ms, commit_size: 64KiB}\n")
    store = aq.Store(tmp_path / "store", config)
    assert aq.kill_import(store, "flights", files, 400_000), "the import was over before it could be killed"
    before = count(store, "flights")
    assert 0 < before < sets.FLIGHTS.rows
    renamed = tmp_path / f"renamed{suffix}"
    data = files[0].read_bytes()
    renamed.write_bytes(gzip.compress(data, 1) if suffix.endswith(".gz") else data)
    report = store.load("flights", renamed)
    assert report["resumed_files"] == 1
    assert 0 < report["rows"] <= sets.FLIGHTS.rows - before  # a last frame may have become durable unseen
    assert count(store, "flights") == sets.FLIGHTS.rows
    assert store.load("flights", *files)["rows"] == 0


def test_standard_input_in_parts(store):
    data = HEADER + lines(0, 2000)
    assert store.load("airlines", "-", format="csv", stdin=data)["rows"] == 2000
    assert store.load("airlines", "-", format="csv", stdin=data)["rows"] == 0
    packed = gzip.compress(data)
    assert store.load("airlines", "-", format="csv", stdin=packed)["rows"] == 0
    assert count(store) == 2000


def test_the_same_file_feeds_two_datasets(tmp_path):
    config = tmp_path / "two.yaml"
    config.write_text("datasets:\n  a: {columns: {name: {type: text}}}\n  b: {columns: {name: {type: text}}}\n")
    store = aq.Store(tmp_path / "store", config)
    (tmp_path / "x.csv").write_bytes(HEADER + lines(0, 50))
    assert store.load("a", tmp_path / "x.csv")["rows"] == 50
    assert store.load("b", tmp_path / "x.csv")["rows"] == 50


def test_a_broken_compressed_file_keeps_what_came_before(store, tmp_path):
    data = HEADER + lines(0, 20000)
    packed = gzip.compress(data)
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(packed[: len(packed) // 2])
    result = store.run("import", "--dataset", "airlines", torn, code=aq.FAILED)
    assert "torn.csv.gz" in result.message
    some = count(store)
    assert 0 <= some < 20000
    torn.write_bytes(packed)
    store.load("airlines", torn)
    assert store.value("SELECT count(DISTINCT carrier) AS n FROM airlines") == count(store) == 20000


def test_unknown_compression_is_named(store, tmp_path):
    file = tmp_path / "a.csv.bz2"
    file.write_bytes(bz2.compress(HEADER + lines(0, 10)))
    result = store.run("import", "--dataset", "airlines", "--format", "csv", file, code=None)
    if result.code == aq.DONE:
        assert count(store) == 10
    else:
        assert result.code in (aq.FAILED, aq.USAGE) and "a.csv.bz2" in result.message
