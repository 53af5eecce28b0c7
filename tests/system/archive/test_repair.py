"""`verify --repair-plan` on real damage of each kind of file: its commands, run as they stand, give back what it says."""

import json
import os
import struct
import subprocess

import pytest
import xxhash

import aq
from tiered import Tiered

CONFIG = """\
datasets:
  air:
    key: city
    time: ts
    columns:
      city: {type: text, required: true}
      ts: {type: timestamptz, required: true}
      n: {type: bigint}
"""
ALL = "SELECT city, ts, n FROM air ORDER BY n"


def write_part(folder, month):
    """A month of rows in a file of its own."""
    file = folder / f"2024-{month:02}.ndjson"
    file.write_text("".join(
        json.dumps({"city": ("oslo", "lima")[n % 2], "ts": f"2024-{month:02}-{1 + n % 28:02}T{n % 24:02}:00:00Z",
                    "n": 1000 * month + n}) + "\n" for n in range(300)))
    return file


@pytest.fixture
def store(tmp_path):
    """January in an archive, February and March in a segment each."""
    (tmp_path / "aqstore.yaml").write_text(CONFIG)
    made = aq.Store(tmp_path / "a home", tmp_path / "aqstore.yaml")
    for month in (1, 2, 3):
        made.load("air", write_part(tmp_path, month))
        if month == 1:
            made.compact()
            made.run("gc", "--age", "0s")
    assert len(made.files("archives")) == 1 and len(made.files("segments")) == 2
    return made


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def plan(store):
    """The plan of a damaged store; by text, too."""
    said = store.run("verify", "--deep", "--repair-plan", code=aq.CORRUPT).text
    found = json.loads(store.run("--json", "verify", "--deep", "--repair-plan", code=aq.CORRUPT).text)["plan"]
    for item in found:
        assert item["file"] in said and all(step in said for step in item["steps"])
    return found


def follow(item, env=None):
    """Run the commands as they stand."""
    path = f"{aq.BINARY.parent}:{os.environ['PATH']}"
    for step in item["steps"]:
        if not step.startswith("#"):
            subprocess.run(step, shell=True, env={**os.environ, **(env or {}), "PATH": path}, check=True)


@pytest.mark.parametrize("gone", (False, True), ids=("damaged", "gone"))
@pytest.mark.parametrize("kind", ("archives", "segments"))
def test_a_file_without_a_copy(kind, gone, store, tmp_path):
    answer = store.rows(ALL)
    file = store.files(kind)[0]
    whole = file.read_bytes()
    file.unlink() if gone else flip(file)
    (item,) = plan(store)
    assert item["file"] == str(file) and "300 rows of air, 2024-0" in item["loss"]
    # A copy helps, however old.
    damaged = file.read_bytes() if file.exists() else None
    file.write_bytes(whole)
    name = f"{kind}/{file.name}"
    assert "is whole" in store.run("restore", "--give-up", name, code=aq.USAGE).message
    assert store.rows(ALL) == answer
    file.unlink() if damaged is None else file.write_bytes(damaged)
    # Without one: the other rows, and then the file's from where they had come from.
    assert any(f"restore --give-up {name}" in step for step in item["steps"])
    give_up = next(step for step in item["steps"] if "--give-up" in step)
    follow({"steps": [give_up]})
    month = 2 if kind == "segments" else 1
    left = [row for row in answer if row[2] // 1000 != month]
    assert store.rows(ALL) == left
    store.run("import", "--dataset", "air", "--replace", "--span", "day", tmp_path / f"2024-{month:02}.ndjson")
    assert store.rows(ALL) == answer
    store.compact()
    store.run("gc", "--age", "0s")
    store.run("verify", "--deep")
    assert store.rows(ALL) == answer


def make_newer(file):
    """Give it a feature that no aqstore knows yet: a segment's header, an archive's root, an edit."""
    data = bytearray(file.read_bytes())
    begin, end = 0, 64 if file.suffix == ".seg" else len(data)
    if file.suffix == ".aqa":
        begin, end = int.from_bytes(data[-40:-32], "little"), len(data) - 64
    data[begin + 19] |= 0x80
    data[end - 8 : end] = struct.pack("<Q", xxhash.xxh3_64_intdigest(data[begin : end - 8]))
    file.chmod(0o644)
    file.write_bytes(data)


@pytest.mark.parametrize("kind", ("archives", "segments", "catalog"))
def test_what_a_newer_aqstore_wrote_is_no_damage(kind, store):
    file = catalog_of(store, "newest") if kind == "catalog" else store.files(kind)[0]
    make_newer(file)
    for arguments in (("verify",), ("verify", "--deep", "--repair-plan"), ("restore", "--give-up", f"{kind}/{file.name}")):
        refused = store.run(*arguments, code=aq.USAGE)
        assert "use a newer aqstore" in refused.message and file.name in refused.message
        assert "DAMAGED" not in refused.text and "give-up" not in refused.text
    assert file in store.files(kind)


def catalog_of(store, kind):
    """The newest edit, the newest checkpoint, or an edit in the middle."""
    files = store.files("catalog")
    edits = [path for path in files if path.name.isdigit()]
    if kind == "middle":
        return edits[len(edits) // 2]
    return edits[-1] if kind == "newest" else max(path for path in files if path.name.startswith("checkpoint"))


@pytest.mark.parametrize("gone", (False, True), ids=("damaged", "gone"))
def test_the_newest_edit(gone, store, tmp_path):
    answer = store.rows(ALL)
    edit = catalog_of(store, "newest")
    edit.unlink() if gone else flip(edit)
    (item,) = plan(store)
    assert item["file"] == str(store.home / "catalog") and "newest edit" in item["loss"]
    follow(item)
    store.load("air", tmp_path / "2024-03.ndjson")
    assert store.rows(ALL) == answer
    store.compact()
    store.run("verify", "--deep")
    assert (store.home / "catalog.damaged").is_dir()


def test_an_edit_in_the_middle(store):
    catalog_of(store, "middle").unlink()
    (item,) = plan(store)
    assert any("copy of" in step for step in item["steps"]) and any("restore --from" in step for step in item["steps"])


def test_the_hint(store):
    answer = store.rows(ALL)
    flip(store.home / "catalog/latest")
    (item,) = plan(store)
    assert item["loss"] == "nothing" and store.rows(ALL) == answer
    store.compact()
    store.run("verify")


def test_a_checkpoint(store, tmp_path):
    """300 small files, an edit each: there is a checkpoint, and edits from the first on."""
    small = []
    for number in range(300):
        small.append(tmp_path / f"small{number}.ndjson")
        small[-1].write_text(json.dumps({"city": "oslo", "ts": "2024-05-01T00:00:00Z", "n": 9000 + number}) + "\n")
    store.load("air", *small)
    answer = store.rows(ALL)
    flip(catalog_of(store, "checkpoint"))
    assert store.run("query", ALL, code=None).code == aq.CORRUPT
    (item,) = plan(store)
    assert item["loss"] == "nothing"
    follow(item)
    assert store.rows(ALL) == answer
    store.run("verify", "--deep")


def test_an_open_segment(tmp_path):
    """Damage in front of frames that were acknowledged: recovery changes nothing, and the source is read again."""
    config = tmp_path / "aqstore.yaml"
    config.write_text(CONFIG + "ingest: {commit_size: 16KiB}\n")
    store = aq.Store(tmp_path / "home", config)
    big = tmp_path / "big.ndjson"
    big.write_text("".join(json.dumps({"city": "oslo", "ts": f"2024-01-{1 + n % 28:02}T00:00:00Z", "n": n}) + "\n"
                           for n in range(200_000)))
    assert aq.kill_import(store, "air", [big], 400_000), "the kill came too late"
    (segment,) = store.home.glob("segments/*.seg")
    flip_at = bytearray(segment.read_bytes())
    flip_at[6000] ^= 1
    segment.write_bytes(flip_at)
    (item,) = [item for item in plan(store) if item["file"] == str(segment)]
    assert "had not been sealed" in item["loss"]
    follow(item)
    store.load("air", big)
    assert store.value("SELECT count(*) FROM air") == 200_000
    assert store.value("SELECT count(DISTINCT n) FROM air") == 200_000
    store.run("verify", "--deep")


def test_a_file_that_the_bucket_has(s3proxy, tmp_path):
    store = Tiered(tmp_path, s3proxy).fill()
    config = store.config.read_text()
    store.config.write_text(config.replace("after: 30d, keep_home: 60d", "after: 90000d"))
    store.tier()
    store.run("gc", "--age", "0s")
    answer = store.ndjson("SELECT * FROM air ORDER BY ts, city, station")
    files = store.files("archives") + store.files("segments")
    assert [file.suffix for file in files] == [".aqa", ".aqa", ".seg"]
    for number, file in enumerate(files):
        file.unlink() if number % 2 else flip(file)
        (item,) = plan(store)
        assert item["file"] == str(file) and item["loss"] == "nothing"
        refused = store.run("restore", "--give-up", file, code=aq.USAGE)
        assert "is in the bucket, too" in refused.message
        follow(item, store.env)
        store.run("verify", "--deep")
    assert store.ndjson("SELECT * FROM air ORDER BY ts, city, station") == answer
    # The copy in the bucket is damaged: the home has it.
    (object_path,) = [s3proxy.folder / name for name in s3proxy.objects() if name.endswith(".aqa")][:1]
    flip(object_path)
    (item,) = plan(store)
    assert item["file"].startswith("s3://") and any(step.startswith("aws s3 cp") for step in item["steps"])
    assert "no file of this store" in store.run("restore", "--file", "archives/7", code=aq.USAGE).message
