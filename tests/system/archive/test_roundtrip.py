"""Rows in = rows + rejects, and a full export equals the input as a multiset, for every shared CSV and NDJSON set."""

import csv
import json
import struct
import tarfile

import pytest

import aq
import sets

MESSAGES = aq.CONFIGS / "messages.yaml"
LOOKUPS = aq.CONFIGS / "lookups.yaml"


def assert_export_equals(store, data_set, files, form, duck, folder):
    exported = store.export(data_set.dataset, form, folder / form)
    assert duck.differences(data_set.truth(files), data_set.exported(exported)) == []


@pytest.mark.parametrize("data_set", sets.CSV_SETS, ids=lambda data_set: data_set.name)
def test_every_row_comes_back(data_set, unpacked, duck, tmp_path, long):
    files = unpacked(data_set)
    if not long and data_set.part is not None:
        files = files[: data_set.part]
    rows = duck.execute(f"SELECT count(*) FROM ({data_set.truth(files)})").fetchone()[0]
    if len(files) == len(unpacked(data_set)):
        assert rows == data_set.rows
    store = aq.Store(tmp_path / "store", data_set.config_file)
    report = store.load(data_set.dataset, *files)
    assert report["rows"] + report["rejects"] == rows
    assert report["rejects"] == 0, store.run("rejects", "show", "--dataset", data_set.dataset).text
    assert store.value(f"SELECT count(*) AS n FROM {data_set.dataset}") == rows
    assert_export_equals(store, data_set, files, "csv", duck, tmp_path)
    store.compact()
    assert_export_equals(store, data_set, files, "ndjson", duck, tmp_path)
    assert_export_equals(store, data_set, files, "parquet", duck, tmp_path)


def messages(unpacked, name):
    (file,) = unpacked(sets.MESSAGES[name])
    return file, [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ("aqicn", "changes"))
def test_nothing_of_a_message_is_lost(name, unpacked, tmp_path):
    data_set = sets.MESSAGES[name]
    file, sent = messages(unpacked, name)
    store = aq.Store(tmp_path / "store", MESSAGES)
    report = store.load(name, file)
    assert (report["rows"], report["rejects"]) == (len(sent), 0)
    for step in ("hot", "compacted"):
        lines = store.export(name, "ndjson", tmp_path / step).read_text(encoding="utf-8").splitlines()
        got = sorted(json.dumps(data_set.named(json.loads(line)), sort_keys=True) for line in lines)
        want = sorted(json.dumps(data_set.expected(message), sort_keys=True) for message in sent)
        assert got == want, step
        kept = sorted(json.dumps(data_set.rest(json.loads(line)["extra"]), sort_keys=True) for line in lines)
        left = sorted(json.dumps(data_set.rest(message), sort_keys=True) for message in sent)
        assert kept == left, step
        store.compact()


def test_doubles_keep_every_bit(unpacked, tmp_path, long):
    columns = sets.columns_of_doubles(unpacked(sets.FLOATS)[0].parents[1])
    columns = {name: values[: None if long else 20_000] for name, values in columns.items()}
    want = {(name, n): struct.pack("<d", value) for name, values in columns.items() for n, value in enumerate(values)}
    file = tmp_path / "floats.csv"
    sets.write_doubles(columns, file)
    store = aq.Store(tmp_path / "store", LOOKUPS)
    assert store.load("floats", file)["rows"] == len(want)
    for step in ("hot", "compacted"):
        with store.export("floats", "csv", tmp_path / step).open(newline="") as exported:
            rows = list(csv.DictReader(exported))
        assert len(rows) == len(want)
        got = {(row["name"], int(row["n"])): struct.pack("<d", float(row["value"])) for row in rows}
        assert got == want, step
        store.compact()


def test_garbage_becomes_rejects(unpacked, tmp_path, rng):
    """Bad lines among good ones: each is one reject with its bytes, and no good row is lost."""
    (file,) = unpacked(sets.WIKIPEDIA)
    good = file.read_bytes().splitlines(keepends=True)[:5000]
    bad = [b"not JSON\n", b"[1, 2\n", b'{"channel": "#x"}\n', b'{"time": "2015-09-12T00:00:00Z", "channel": 7}x\n',
           b'{"channel": "#x", "time": "yesterday"}\n', b'{"channel": "#x", "time": "2015-09-12T00:00:00Z", "delta": 1.5}\n',
           b'{"channel": "\xff", "time": "2015-09-12T00:00:00Z"}\n']
    lines = list(good)
    garbage = [rng.choice(bad) for _ in range(50)] + bad
    for line in garbage:
        lines.insert(rng.randrange(len(lines)), line)
    mixed = tmp_path / "mixed.ndjson"
    mixed.write_bytes(b"".join(lines))
    store = aq.Store(tmp_path / "store", sets.WIKIPEDIA.config_file)
    report = store.load("edits", mixed)
    assert (report["rows"], report["rejects"]) == (len(good), len(garbage))
    for _ in ("hot", "compacted"):
        assert store.value("SELECT count(*) AS n FROM edits") == len(good)
        rows = store.rows("SELECT bytes, reason FROM edits_rejects")
        assert sorted(bytes.fromhex(data[2:]) for data, _ in rows) == sorted(line.rstrip(b"\n") for line in garbage)
        assert all(reason for _, reason in rows)
        store.compact()


@pytest.mark.parametrize("suffix", (".tar", ".tar.gz", ".tar.xz"))
def test_a_tar_is_named_as_such(suffix, tmp_path):
    (tmp_path / "a.csv").write_text("carrier,name\nXX,Nobody\n")
    archive = tmp_path / f"a{suffix}"
    with tarfile.open(archive, "w:" + suffix[5:]) as tar:
        tar.add(tmp_path / "a.csv", arcname="a.csv")
    store = aq.Store(tmp_path / "store", LOOKUPS)
    result = store.run("import", "--dataset", "airlines", "--format", "csv", archive, code=None)
    assert result.code in (aq.FAILED, aq.USAGE) and "tar" in result.message.replace(str(archive), ""), str(result)
    assert "unpack" in result.message, str(result)
    assert store.value("SELECT count(*) AS n FROM airlines") == 0
