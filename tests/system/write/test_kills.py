"""SIGKILL at random moments of an import, restarted each time: in the end every row is there once.

AQSTORE_KILLS is how many imports are killed instead of 10, or 100 in long runs."""

import os
import time

import pytest

import aq
import sets
from running import timed_kill

BEIJING = sets.BEIJING


@pytest.fixture(scope="module")
def small_frames(tmp_path_factory):
    """The Beijing config with small frames and segments, so that kills meet many of their edges."""
    config = tmp_path_factory.mktemp("kills") / "beijing.yaml"
    text = BEIJING.config_file.read_text()
    config.write_text(text + "ingest: {commit_interval: 5ms, commit_size: 64KiB, segment_size: 1MiB}\n")
    return config


def assert_every_row_once(store, files, duck, folder):
    assert store.value("SELECT count(*) AS n FROM air") == BEIJING.rows
    exported = store.export("air", "csv", folder)
    assert duck.differences(BEIJING.truth(files), BEIJING.exported(exported)) == []
    exported.unlink()
    store.run("verify", "--deep")


@pytest.mark.timeout(0)
def test_killed_imports_lose_and_double_nothing(unpacked, small_frames, tmp_path, duck, rng, long):
    files = unpacked(BEIJING)
    target, kills, rounds = int(os.environ.get("AQSTORE_KILLS", 100 if long else 10)), 0, 0
    begun = time.monotonic()
    aq.Store(tmp_path / "timing", small_frames).load("air", *files)
    whole = time.monotonic() - begun
    while kills < target:
        rounds += 1
        store = aq.Store(tmp_path / f"store{rounds}", small_frames)
        count, before = 0, kills
        while kills < target:
            begun = time.monotonic()
            process = store.start("import", "--dataset", "air", *files)
            if not timed_kill(process, rng.uniform(0, whole)):
                assert process.returncode == 0
                if kills == before:  # a whole import, and faster than the last one: kill earlier
                    whole = min(whole, time.monotonic() - begun)
                break
            kills += 1
            count = check_after_kill(store, count, rng)
        store.load("air", *files)
        assert_every_row_once(store, files, duck, tmp_path / "export")
    print(f"{kills} kills in {rounds} stores")


def check_after_kill(store, count, rng):
    """Now and then look at what is there: never fewer rows than before, none of them twice."""
    if rng.random() < 0.5 or not (store.home / "catalog").is_dir():
        return count
    result = store.run("query", "--format", "ndjson", "SELECT count(*) AS n FROM air", code=None)
    if result.code != aq.DONE:  # killed before the dataset was declared
        assert count == 0, str(result)
        return 0
    rows = store.rows("SELECT station, count(*) AS n, count(DISTINCT reading) AS readings FROM air GROUP BY station")
    assert all(n == readings for _, n, readings in rows), rows
    total = sum(n for _, n, _ in rows)
    assert count <= total <= BEIJING.rows
    return total


@pytest.mark.timeout(1800)
def test_killed_compactions_change_nothing(unpacked, small_frames, tmp_path, duck, rng, long):
    files = unpacked(BEIJING)
    store = aq.Store(tmp_path / "store", small_frames)
    store.load("air", *files)
    kills, delay = 0, 0.4
    for _ in range(20 if long else 4):
        process = store.start("compact")
        if timed_kill(process, rng.uniform(0, delay)):
            kills += 1
        assert store.value("SELECT count(*) AS n FROM air") == BEIJING.rows
    store.compact()
    store.run("gc", "--age", "0s")
    assert store.files("archives")
    assert_every_row_once(store, files, duck, tmp_path / "export")
    print(f"{kills} kills")
