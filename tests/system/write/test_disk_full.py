"""A full disk, and other limits: a clear message, exit 1, nothing acked is lost; with more room the import goes on."""

import os
import random

import pytest

import aq
from disk import make_room, tmpfs
from running import Ingest

ROWS = 900_000  # 24 random bytes each: more than 16 MiB however they are coded
CONFIG = """\
datasets:
  noise:
    time: ts
    columns:
      n: {type: bigint, required: true}
      ts: {type: timestamptz, format: epoch_s, required: true}
      a: {type: bigint}
      b: {type: bigint}
      c: {type: bigint}
ingest: {commit_interval: 20ms, commit_size: 256KiB, segment_size: 4MiB}
"""


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A CSV of numbers that no encoding makes smaller, and its config."""
    folder = tmp_path_factory.mktemp("noise")
    numbers = random.Random(16)
    with (folder / "noise.csv").open("w") as out:
        out.write("n,ts,a,b,c\n")
        for n in range(ROWS):
            a, b, c = (numbers.getrandbits(63) for _ in range(3))
            out.write(f"{n},{1700000000 + n},{a},{b},{c}\n")
    (folder / "noise.yaml").write_text(CONFIG)
    return folder / "noise.csv", folder / "noise.yaml"


def prefix_length(store):
    """Rows that are there; they must be the first of the input, each once."""
    ((rows, different, newest),) = store.rows(
        "SELECT count(*) AS n, count(DISTINCT n) AS different, max(n) AS newest FROM noise"
    )
    assert rows == different == (newest + 1 if rows else 0), f"{rows} rows, {different} different, newest {newest}"
    return rows


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
@pytest.mark.parametrize("io", ("posix", "auto"))
def test_a_full_disk_keeps_what_was_acked(io, noise, tmp_path):
    file, config = noise
    with tmpfs(tmp_path / "disk", "16m") as disk:
        store = aq.Store(disk / "store", config, io=io)
        for _ in range(2):
            result = store.run("import", "--dataset", "noise", file, code=aq.FAILED)
            assert "No space left" in result.message or "disk full" in result.message.lower(), str(result)
            assert str(disk) in result.message, "the message names no file"
            assert "Traceback" not in result.message and len(result.message.splitlines()) < 10
        kept = prefix_length(store)
        assert 0 < kept < ROWS, "the disk was not filled, or nothing was kept"
        store.run("verify")
        compacted = store.run("compact", code=None)  # no room for archives: refused, or done; never harm
        assert compacted.code in (aq.DONE, aq.FAILED), str(compacted)
        assert prefix_length(store) >= kept
        make_room(disk)
        report = store.load("noise", file)
        assert report["rows"] == ROWS - kept
        assert prefix_length(store) == ROWS
        store.compact()
        store.run("gc", "--age", "0s")
        assert prefix_length(store) == ROWS
        store.run("verify", "--deep")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_disk_that_is_full_from_the_start(noise, tmp_path):
    file, config = noise
    with tmpfs(tmp_path / "disk", "40k") as disk:
        store = aq.Store(disk / "store", config)
        result = store.run("import", "--dataset", "noise", file, code=aq.FAILED)
        assert "No space left" in result.message or "disk full" in result.message.lower(), str(result)
        make_room(disk)
        store.load("noise", file)
        assert prefix_length(store) == ROWS


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_ingest_waits_for_room_and_goes_on(noise, tmp_path):
    file, config = noise
    with tmpfs(tmp_path / "disk", "16m") as disk:
        text = config.read_text() + f"store: {disk}/store\nhttp: {{listen: '127.0.0.1:0'}}\n"
        text += f"sources:\n  noise: {{files: ['{file}'], dataset: noise}}\n"
        (tmp_path / "aqstore.yaml").write_text(text)
        store = aq.Store(disk / "store")
        with Ingest(tmp_path, tmp_path / "aqstore.yaml") as running:
            waiting = running.wait_for(
                "the full disk", lambda: (source := running.sources()["noise"])["state"] == "waiting" and source
            )
            assert "space" in waiting["message"].lower() and running.get("/readyz")[0] == 503
            assert 0 < prefix_length(store) < ROWS, "the store is not read meanwhile"
            make_room(disk)
            assert running.process.wait(60) == aq.DONE, str(running)
        assert prefix_length(store) == ROWS


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_ingest_once_does_not_wait_for_room(noise, tmp_path):
    file, config = noise
    with tmpfs(tmp_path / "disk", "16m") as disk:
        text = config.read_text() + f"sources:\n  noise: {{files: ['{file}'], dataset: noise}}\n"
        (tmp_path / "aqstore.yaml").write_text(text)
        store = aq.Store(disk / "store", tmp_path / "aqstore.yaml")
        store.run("ingest", "--once", code=aq.FAILED)
        assert 0 < prefix_length(store) < ROWS


def test_a_file_size_limit_is_a_clear_error(noise, tmp_path):
    """RLIMIT_FSIZE: the write fails with EFBIG instead of a death by SIGXFSZ."""
    file, config = noise
    store = aq.Store(tmp_path / "store", config)
    limited = ("/bin/sh", "-c", 'ulimit -f 2000; exec "$0" "$@"')
    result = store.run("import", "--dataset", "noise", file, code=aq.FAILED, launcher=limited)
    assert str(store.home) in result.message
    assert prefix_length(store) < ROWS
    store.load("noise", file)
    assert prefix_length(store) == ROWS


def test_few_descriptors_are_enough(noise, tmp_path):
    """RLIMIT_NOFILE: almost as many segments as a process may have files open."""
    _, config = noise
    store = aq.Store(tmp_path / "store", config)
    limited = ("/bin/sh", "-c", 'ulimit -n 64; exec "$0" "$@"')
    files = 60
    for n in range(files):
        (tmp_path / "part.csv").write_text(f"n,ts,a,b,c\n{n},{1700000000 + n},1,2,3\n")
        store.load("noise", tmp_path / "part.csv", launcher=limited)
    assert len(store.files("segments")) == files
    for command in ("query", "compact", "gc", "query"):
        if command == "query":
            result = store.run("query", "--format", "ndjson", "SELECT count(*) AS n, count(DISTINCT n) AS different FROM noise", launcher=limited)
            assert aq.parse_rows(result.out) == [[files, files]]
        else:
            store.run(command, launcher=limited)
    store.run("verify", "--deep", launcher=limited)
