"""The documents of segments and the catalog say what their bytes are: readers written from them alone find in a store what aqstore
says that it has, before, during and after everything, and notice damage."""

import collections
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest

import aq
import spec

from catalog import Edit, open_catalog, read_hint  # of tests/spec-reader, as the next three
from coded_column import content_hash
from cursor import Damaged, checked
from segment import Frame, Segment, Trailer, read_index, read_page, read_trailer

CONFIG = """
datasets:
  air:
    key: city
    time: ts
    columns:
      city: {type: text, required: true}
      ts: {type: timestamptz, required: true}
      pm25: {type: double}
      n: {type: integer}
ingest: {commit_size: 4KiB}
"""
NO_ROWS = f"{0:032x}:"


def combined(hashes):
    """The content hash of rows whose parts have these."""
    parts = [one.split(":") for one in hashes]
    return f"{sum(int(total, 16) for total, _ in parts) % (1 << 128):032x}:{sum(int(rows) for _, rows in parts)}"


def read_frame(data):
    frame = Frame(data)
    assert frame.size == len(data)
    hashes = []
    for section in frame.sections:
        rows = frame.read(section)
        hashes.append(content_hash([(rows.types[number], values) for number, values in rows.columns.items()]))
    return combined(hashes)


def read_ends(data):
    """Header, index and trailer without the frames: how many the index has."""
    header, trailer = Segment(data[:64]), read_trailer(data[-64:], 5)
    assert (header.id, trailer.index_size) == (5, len(data) - 128)
    return f"{NO_ROWS}{len(read_index(checked(data[64:-64], trailer.checksum, 'index')))}"


def read_edit(data):
    edit = Edit(data)
    return f"{edit.checksum:032x}:{len(edit.records)}"


READERS = {"frame": read_frame, "ends": read_ends, "edit": read_edit}
LISTED = spec.listed(*READERS)


@pytest.mark.parametrize("kind, _, name, result", LISTED, ids=lambda one: one if "/" in str(one) else "")
def test_version_1(kind, _, name, result, rng):
    data = (spec.V1 / name).read_bytes()
    if result in spec.REFUSED:
        with pytest.raises(Damaged) as refusal:
            READERS[kind](data)
        assert refusal.type is spec.REFUSED[result]
        return
    assert READERS[kind](data) == result
    for flipped in spec.flips(data, rng):
        with pytest.raises(Damaged):
            READERS[kind](flipped)


def golden(name):
    return (aq.PROJECT / "tests/golden" / name).read_bytes()


@pytest.mark.parametrize("page", ["archive-format.md", "segment-format.md", "catalog-format.md"])
def test_bytes_in_the_documents(page):
    """The dumps are those of the golden file that was named last: its place, then bytes in columns, 16 a line."""
    data, compared = b"", 0
    for line in (aq.PROJECT / "docs" / page).read_text().splitlines():
        for name in re.findall(r"`tests/golden/([\w/.-]+\.bin)`", line):
            data = golden(name)
        dump = re.fullmatch(r"    ([0-9a-f]{2,3}):((?: [0-9a-f]{2}|   )+)(?: \.\.\.)?", line)
        for column, shown in enumerate(re.findall("...", dump[2]) if dump else ()):
            assert shown.isspace() or int(shown, 16) == data[int(dump[1], 16) + column], line
            compared += not shown.isspace()
    assert compared > 200


def test_worked_examples():
    frame = Frame(golden("frame.bin"))
    assert frame.read(frame.sections[0]).columns[3] == [12.5, None, -0.0]
    ends = golden("segment-ends.bin")
    (_, _, none), (size, checksum, (section,)) = read_index(ends[64:128])
    assert (size, none, section[2:4]) == (576, [], (3, 192))
    assert read_trailer(ends[128:], 5) == Trailer(960, 64, int.from_bytes(ends[176:184], "little"))
    assert [type(record).__name__ for record in Edit(golden("catalog-edit.bin")).records] == ["Dataset", "Open", "Remove"]
    checkpoint = Edit(golden("catalog-checkpoint.bin"))
    assert (checkpoint.number, checkpoint.is_checkpoint, checkpoint.records[2].edit) == (12, True, 7)


def lines(first, count, day=None):
    """Readings of seven cities over twenty days, or of one day; one in a hundred has no integer where one should be."""
    for at in range(first, first + count):
        number = "x" if at % 100 == 50 else at
        yield f"c{at % 7},2025-02-{day or 1 + at % 20:02}T{at % 24:02}:{at % 60:02}:00Z,{at % 3000 / 10 if at % 9 else ''},{number}\n"


def write(path, rows):
    path.write_text("city,ts,pm25,n\n" + "".join(rows))
    return path


@pytest.fixture
def store(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    return aq.Store(tmp_path / "store", config)


def assert_reads_as_told(store, folder):
    """What the documents' readers find in the files is what aqstore says."""
    found = spec.Store(store.home)
    for name in ("air", "air_rejects"):
        assert found.rows(name) == spec.export(store, found.schemas[name], folder)
    found.check_archives()
    assert_files(store, found)
    told = store.rows("SELECT name, position, rows, rejects, passed_over, state FROM aqstore_sources ORDER BY name")
    positions = [(found.state.feeds[one.feed].name, one) for one in found.state.positions.values()]
    assert told == sorted([name, one.next, one.rows, one.rejects, one.passed_over, "finished" if one.finished else "unfinished"]
                          for name, one in positions)


def assert_files(store, found):
    """Of each file how many rows of each dataset count; its entries count those that tombstones remove, too."""
    told = store.rows("SELECT id, dataset, kind, rows, edit FROM aqstore_files WHERE dataset IS NOT NULL ORDER BY id, dataset")
    read = [[number, name, file.kind, rows, file.edit] for number, file in found.state.files.items()
            for name in found.schemas if (rows := len(list(found.rows_of(number, found.schemas[name]))))]
    assert told == sorted(read)
    for number, file in found.state.files.items():
        if file.kind == "segment":
            rows = collections.Counter()
            for frame in found.frames(number):
                rows.update({section.dataset: section.rows for section in frame.sections})
            assert rows == {entry.dataset: entry.rows for entry in file.entries}


def assert_edits_as_told(store):
    """Of each edit what `aqstore_commits` counts."""
    folder = store.home / "catalog"
    counted = {"opened": "Open", "closed": "Close", "archives": "Archive", "removed": "Remove", "claims": "Claim", "masks": "Mask",
               "tombstones": "Tombstone", "declarations": "Dataset"}
    told = store.rows(f"SELECT edit, {', '.join(counted)} FROM aqstore_commits ORDER BY edit")
    edits = [Edit((folder / f"{row[0]:020}").read_bytes()) for row in told]
    names = [collections.Counter(type(record).__name__ for record in edit.records) for edit in edits]
    assert told == [[edit.number, *(held[name] for name in counted.values())] for edit, held in zip(edits, names)]


def test_a_store(store, tmp_path):
    store.load("air", write(tmp_path / "first.csv", lines(0, 1500)))
    assert_reads_as_told(store, tmp_path / "hot")
    store.compact()
    store.load("air", write(tmp_path / "second.csv", lines(3000, 1000)))
    store.load("air", write(tmp_path / "again.csv", lines(9000, 200, day=3)))
    store.run("import", "--replace", "--dataset", "air", write(tmp_path / "day.csv", lines(7000, 500, day=3)))
    assert spec.Store(store.home).state.tombstones
    assert_reads_as_told(store, tmp_path / "half")
    store.compact()
    assert not spec.Store(store.home).state.tombstones
    assert_reads_as_told(store, tmp_path / "compacted")
    assert_edits_as_told(store)


def frames_in(folder):
    (path,) = (folder / "segments").glob("*.seg")
    data = path.read_bytes()
    return Segment(data).prefix()[0] if len(data) > 64 else []


def assert_published(path, page, frames):
    """What the page said before the file was copied lies in the valid prefix, and is a number of whole frames."""
    found = Segment(path.read_bytes())
    assert found.prefix(published=page[0] if page else 64)
    if page and page[1]:
        assert page == (64 + sum(frame.size for frame in frames[: page[1]]), page[1]) and page[1] <= len(frames)
    with pytest.raises(Damaged, match="durable"):
        found.prefix(published=len(found.data) + 64)


def copy_of_open(store, folder):
    """A copy of a home that is being written to, once it has a few frames, and what its page said before: the catalog first, as a
    snapshot reads it."""
    until = time.monotonic() + 60
    while True:
        assert time.monotonic() < until, "no frames came"
        time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            pages = [read_page(path.read_bytes(), 1) for path in (store.home / "segments").glob("*.pub")]
            for name in ("catalog", "segments"):
                shutil.copytree(store.home / name, folder / name)
        except (shutil.Error, FileNotFoundError):  # not there yet, or a temporary file that has its name by now
            continue
        if pages and len(list((folder / "segments").glob("*.seg"))) == 1 and len(frames_in(folder)) > 5:
            return spec.Store(folder), pages[0]


def test_an_open_segment(store, tmp_path, rng):
    process = store.start("import", "--dataset", "air", "--format", "csv", "-", stdin=subprocess.PIPE)
    try:
        process.stdin.write(("city,ts,pm25,n\n" + "".join(lines(0, 3000))).encode())
        process.stdin.flush()
        opened, page = copy_of_open(store, tmp_path / "copy")
        before, schema = opened.rows("air"), opened.schemas["air"]
        assert sum(before.values()) > 500
        until = time.monotonic() + 60  # what is in the file is published when it is durable
        while not before <= spec.export(store, schema, tmp_path / "export"):
            assert time.monotonic() < until, "rows of the copy are not there"
            time.sleep(0.05)
    finally:
        process.communicate()
    assert process.returncode == 0
    (number,) = opened.state.files
    closed = spec.Store(store.home)
    assert not opened.state.files[number].entries and closed.state.files[number].entries
    frames = opened.frames(number)
    assert [frame.data for frame in frames] == [frame.data for frame in closed.frames(number)][: len(frames)]
    assert_published(opened.path(number), page, frames)
    assert_torn_tails(opened.path(number).read_bytes(), frames, rng)
    assert_reads_as_told(store, tmp_path / "sealed")


def assert_torn_tails(data, frames, rng):
    """A file that ends anywhere has the frames that are whole; a hole before what was durable is damage."""
    ends = [64]
    for frame in frames:
        ends.append(ends[-1] + frame.size)
    for cut in [rng.randrange(64, ends[-1]) for _ in range(10)]:
        for tail in (b"", bytes(4096), rng.randbytes(999)):
            torn = data[:cut] + tail
            whole = [frame for frame, end in zip(frames, ends[1:]) if torn[:end] == data[:end]]
            found, at = Segment(torn).prefix()
            assert ([frame.checksum for frame in found], at) == ([frame.checksum for frame in whole], ends[len(whole)])
    assert frames[-1].durable > 1
    with pytest.raises(Damaged, match="durable"):
        Segment(data[:64] + bytes(frames[0].size) + data[64 + frames[0].size :]).prefix()


def test_edits_and_their_checkpoint(store, tmp_path):
    """300 files are 300 edits, of which a checkpoint has the first 256; quick, since it is in memory where there is such a folder."""
    shared = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        store.home = pathlib.Path(folder) / "store"
        store.load("air", *(write(tmp_path / f"{at:03}.csv", lines(at, 1)) for at in range(300)))
        catalog = store.home / "catalog"
        hint = read_hint((catalog / "latest").read_bytes())
        state = open_catalog(catalog)
        assert (hint.checkpoint, state.number) == (256, len(list(catalog.glob("0*"))))
        assert vars(state) == vars(open_catalog(catalog, 0))
        assert_edits_as_told(store)
        assert sum(spec.Store(store.home).rows("air").values()) == 297
        assert json.loads(store.run("--json", "compact").text)["rows"] == 300
        assert vars(open_catalog(catalog)) == vars(open_catalog(catalog, 0))
