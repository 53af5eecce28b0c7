"""Truncations and bit flips of a store whose writers ended cleanly: an error that names file and offset, or the
right answer; never a crash, a hang or a wrong row."""

import concurrent.futures
import os
import random
import re
import shutil
import subprocess

import pytest

import aq

CONFIG = """\
datasets:
  readings:
    key: city
    time: ts
    series: [station]
    columns:
      city: {type: text, required: true}
      station: {type: integer}
      ts: {type: timestamptz, format: epoch_s, required: true}
      pm25: {type: double, null_values: [""]}
      wind: {type: text, null_values: [""]}
      valid: {type: boolean}
      note: {type: text}
"""
EVERYTHING = "SELECT * FROM readings"
STATISTICS = (
    "SELECT count(*) AS n, count(pm25) AS values, min(pm25) AS lowest, max(pm25) AS highest, sum(pm25) AS total,"
    " avg(pm25) AS mean, stddev(pm25) AS spread, min(ts) AS oldest, max(ts) AS newest, min(note) AS first_note,"
    " sum(station) AS stations FROM readings"
)
PRUNED = "SELECT ts, note FROM readings WHERE city = 'hue' AND ts >= '2025-01-20 00:00:00+00' AND pm25 > 10"
QUERIES = (EVERYTHING, STATISTICS, PRUNED)
COMMAND_TIMEOUT_S = 20
TAIL_BYTES = 4096


def write_readings(path, count, rng, first=0):
    winds = ("N", "NNE", "calm", "")
    with path.open("w") as out:
        out.write("city,station,ts,pm25,wind,valid,note\n")
        for n in range(first, first + count):
            city = rng.choice(("hanoi", "hue", "saigon"))
            value = "" if rng.random() < 0.1 else round(rng.uniform(0, 200), 1)
            note = "".join(rng.choice("abcdefgh ") for _ in range(rng.randrange(20))) + str(n)
            out.write(f"{city},{rng.randrange(4)},{1735689600 + n * 600},{value},{rng.choice(winds)},")
            out.write(f"{rng.choice(('true', 'false'))},{note}\n")
    return path


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, request):
    """A store with an archive, a sealed segment and its catalog; and the right answers."""
    folder = tmp_path_factory.mktemp("healthy")
    rng = random.Random(request.config.option.seed)
    (folder / "config.yaml").write_text(CONFIG)
    store = aq.Store(folder / "store", folder / "config.yaml")
    store.load("readings", write_readings(folder / "one.csv", 3000, rng))
    store.compact()
    store.run("gc", "--age", "0s")
    store.load("readings", write_readings(folder / "two.csv", 1000, rng, 3000))
    assert all(store.files(kind) for kind in ("segments", "archives", "catalog"))
    store.run("verify", "--deep")
    return store, {sql: sorted(store.ndjson(sql).splitlines()) for sql in QUERIES}


class Patient:
    """A copy of the store that one worker damages and mends again and again."""

    def __init__(self, healthy, folder):
        original, self.answers = healthy
        shutil.copytree(original.home, folder)
        self.store = aq.Store(folder)  # no config: a store describes itself

    def damage(self, name, data):
        """Put `data` in place of a file, ask everything, mend; gives what went wrong (or None), and
        whether verify found the damage."""
        path = self.store.home / name
        whole = path.read_bytes()
        path.write_bytes(data)
        try:
            found = [self.ask(name, sql) for sql in QUERIES]
            verify = self.store.run("verify", "--deep", code=None, timeout=COMMAND_TIMEOUT_S)
            problem = next((text for text, _ in found if text), None) or self.judge_error(name, verify)
            if not problem and verify.code == aq.DONE and any(error for _, error in found):
                problem = f"a query failed, but verify --deep found nothing: {verify}"
            return problem, verify.code != aq.DONE
        except (AssertionError, subprocess.TimeoutExpired) as crash:
            return str(crash), False
        finally:
            path.write_bytes(whole)

    def ask(self, name, sql):
        """(what is wrong, whether it was an error)."""
        result = self.store.run("query", "--format", "ndjson", sql, code=None, timeout=COMMAND_TIMEOUT_S)
        if result.code != aq.DONE:
            return self.judge_error(name, result), True
        if sorted(result.out.splitlines()) != self.answers[sql]:
            return f"a wrong answer: {result}", False
        return None, False

    def judge_error(self, name, result):
        if result.code == aq.DONE:
            return None
        if result.code != aq.CORRUPT:
            return f"exit {result.code}, not {aq.CORRUPT}: {result}"
        said = result.message + result.text
        if os.path.basename(name) not in said or not re.search(r"offset \d+", said):
            return f"file or offset is not named: {result}"
        return None


def treat(healthy, folder, cases):
    """Apply all cases, in parallel; each is (name, make, what): make(bytes) gives the damaged bytes.
    verify must find every damage but that of the shortcut, which is a hint only."""
    workers = os.cpu_count() or 1
    patients = [Patient(healthy, folder / f"patient{number}") for number in range(workers)]

    def work(number):
        failures = []
        for name, make, what in cases[number::workers]:
            patient = patients[number]
            problem, found = patient.damage(name, make((patient.store.home / name).read_bytes()))
            if not problem and not found and not name.endswith("latest"):
                problem = "verify --deep found nothing"
            if problem:
                failures.append(f"{name}, {what}: {problem}")
                if len(failures) >= 5:
                    break
        return failures

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        failures = [failure for part in pool.map(work, range(workers)) for failure in part]
    assert not failures, f"{len(failures)} of {len(cases)} cases:\n" + "\n\n".join(failures[:5])
    print(f"{len(cases)} cases")


def names(store, kind):
    return [str(path.relative_to(store.home)) for path in store.files(kind)]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ("segments", "archives", "catalog"))
def test_truncations(kind, healthy, tmp_path, rng, long):
    store, _ = healthy
    cases = []
    for name in names(store, kind):
        size = (store.home / name).stat().st_size
        lengths = list(range(max(size - TAIL_BYTES, 0), size))
        if not long:
            lengths = lengths[rng.randrange(64) :: 64]
        cases += [(name, lambda data, length=length: data[:length], f"cut to {length} bytes") for length in lengths]
    treat(healthy, tmp_path, cases)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ("segments", "archives", "catalog"))
def test_bit_flips(kind, healthy, tmp_path, rng, long):
    store, _ = healthy
    cases = []
    for _ in range(3400 if long else 100):
        name = rng.choice(names(store, kind))
        bit = rng.randrange((store.home / name).stat().st_size * 8)
        cases.append((name, lambda data, bit=bit: flipped(data, bit), f"bit {bit % 8} of byte {bit // 8} flipped"))
    treat(healthy, tmp_path, cases)


def flipped(data, bit):
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@pytest.mark.parametrize("kind", ("segments", "archives", "catalog"))
def test_missing_files_are_named(kind, healthy, tmp_path):
    store, _ = healthy
    for number, name in enumerate(names(store, kind)):
        if name.endswith("latest"):
            continue  # a shortcut: the store opens without it
        copy = tmp_path / str(number)
        shutil.copytree(store.home, copy)
        (copy / name).unlink()
        result = aq.Store(copy).run("query", EVERYTHING, code=None)
        assert result.code in (aq.FAILED, aq.CORRUPT), str(result)
        assert os.path.basename(name) in result.message, str(result)


def test_the_shortcut_may_go(healthy, tmp_path):
    store, answers = healthy
    shutil.copytree(store.home, tmp_path / "copy")
    for name in names(store, "catalog"):
        if name.endswith("latest"):
            (tmp_path / "copy" / name).unlink()
    assert sorted(aq.Store(tmp_path / "copy").ndjson(EVERYTHING).splitlines()) == answers[EVERYTHING]


def test_foreign_files_are_ignored(healthy, tmp_path):
    store, answers = healthy
    shutil.copytree(store.home, tmp_path / "copy")
    copy = aq.Store(tmp_path / "copy")
    for kind in ("segments", "archives", "catalog"):
        first = copy.files(kind)[0]
        (first.parent / (first.name + ".bak")).write_bytes(b"what an editor left")
        (first.parent / "README").write_bytes(b"x")
    assert sorted(copy.ndjson(EVERYTHING).splitlines()) == answers[EVERYTHING]


def test_a_file_of_another_store_is_not_taken(healthy, tmp_path, rng):
    """Same names, same shape, other rows: the checksums are right, but it is not this store's file."""
    store, _ = healthy
    (tmp_path / "config.yaml").write_text(CONFIG)
    other = aq.Store(tmp_path / "other", tmp_path / "config.yaml")
    other.load("readings", write_readings(tmp_path / "one.csv", 3000, rng))
    other.compact()
    other.run("gc", "--age", "0s")
    other.load("readings", write_readings(tmp_path / "two.csv", 1000, rng, 3000))
    for kind in ("segments", "archives"):
        (name,) = names(store, kind)
        assert names(other, kind) == [name]
        copy = tmp_path / kind
        shutil.copytree(store.home, copy)
        shutil.copy(other.home / name, copy / name)
        result = aq.Store(copy).run("query", EVERYTHING, code=aq.CORRUPT)
        assert os.path.basename(name) in result.message, str(result)


def newest_edit(store):
    return max(path for path in store.files("catalog") if path.name.isdigit())


@pytest.mark.parametrize("last", ("import", "compact"))
@pytest.mark.parametrize("lost", (False, True))
def test_the_way_back_from_a_damaged_newest_edit(last, lost, healthy, tmp_path):
    """What docs/recovery.md says to do gives the store back, with every row once."""
    original, answers = healthy
    shutil.copytree(original.home, tmp_path / "copy")
    store = aq.Store(tmp_path / "copy", original.config)
    if last == "compact":
        store.compact()
    edit = newest_edit(store)
    edit.write_bytes(edit.read_bytes()[:-1])
    if lost:
        edit.unlink()
    refused = store.run("query", EVERYTHING, code=aq.CORRUPT)
    assert "newest edit" in refused.message and "docs/recovery.md" in refused.message, str(refused)
    assert edit.name in refused.message
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in (edit, store.home / "catalog/latest"):
        if name.exists():
            name.rename(aside / name.name)
    assert sorted(store.ndjson(EVERYTHING).splitlines()) == answers[EVERYTHING]
    store.load("readings", original.home.parent / "two.csv")
    store.compact()
    store.run("gc", "--age", "0s")
    store.run("verify", "--deep")
    assert sorted(store.ndjson(EVERYTHING).splitlines()) == answers[EVERYTHING]
