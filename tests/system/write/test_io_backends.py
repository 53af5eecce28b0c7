"""io_uring and POSIX write the same store; where io_uring is refused, a notice and the POSIX back end."""

import errno
import os
import shutil
import subprocess

import pytest

import aq
import judge
import sets

HELPERS = aq.PROJECT / "tests/system/helpers"
BEIJING = sets.BEIJING
STATIONS = 3  # files of twelve: enough to fill several frames


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """Ways to refuse io_uring: name -> options of aq.Store."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler for the helpers that refuse io_uring")
    folder = tmp_path_factory.mktemp("helpers")
    preload, launcher = folder / "preload.so", folder / "launcher"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", preload, HELPERS / "refuse_uring_preload.c"], check=True)
    subprocess.run([compiler, "-O1", "-o", launcher, HELPERS / "refuse_uring_seccomp.c"], check=True)
    return {
        "preload": {"env": {"LD_PRELOAD": str(preload)}},
        "seccomp-EPERM": {"launcher": (str(launcher), str(errno.EPERM))},
        "seccomp-ENOSYS": {"launcher": (str(launcher), str(errno.ENOSYS))},
    }


def is_sanitized():
    return b"__asan_init" in aq.BINARY.read_bytes()


def uring_works(tmp_path):
    (tmp_path / "probe.csv").write_text("carrier,name\nXX,Nobody\n")
    store = aq.Store(tmp_path / "probe", aq.CONFIGS / "lookups.yaml", io="uring")
    return store.run("import", "--dataset", "airlines", tmp_path / "probe.csv", code=None).code == aq.DONE


def core_set(store, unpacked, duck, tmp_path):
    """Import twice, query hot and compacted, export, gc, verify: what any back end must get right."""
    files = unpacked(BEIJING)[:STATIONS]
    first = store.run("import", "--dataset", "air", *files)
    assert store.load("air", *files)["rows"] == 0
    duck.load("air", BEIJING.truth(files))
    for step in ("hot", "compacted"):
        for query in BEIJING.queries[::4]:
            rows = store.rows(query.sql, query.timezone)
            judge.compare(query, rows, duck.answer(query), duck.name, may_be_empty=True)
        exported = store.export("air", "csv", tmp_path / step)
        assert duck.differences("SELECT * FROM air", BEIJING.exported(exported)) == []
        store.compact()
    store.run("gc", "--age", "0s")
    store.run("verify", "--deep")
    return first


@pytest.mark.parametrize("way", ("preload", "seccomp-EPERM", "seccomp-ENOSYS"))
def test_refused_uring_falls_back_with_a_notice(way, refusals, unpacked, duck, tmp_path):
    if way == "preload" and is_sanitized():
        pytest.skip("a preloaded library must come after the sanitizer's")
    store = aq.Store(tmp_path / "store", BEIJING.config_file, **refusals[way])
    first = core_set(store, unpacked, duck, tmp_path)
    assert "io_uring" in first.message and "posix" in first.message.lower(), str(first)


@pytest.mark.parametrize("way", ("preload", "seccomp-EPERM"))
def test_refused_uring_that_was_demanded_is_an_error(way, refusals, unpacked, tmp_path):
    if way == "preload" and is_sanitized():
        pytest.skip("a preloaded library must come after the sanitizer's")
    store = aq.Store(tmp_path / "store", BEIJING.config_file, io="uring", **refusals[way])
    result = store.run("import", "--dataset", "air", *unpacked(BEIJING)[:STATIONS], code=None)
    assert result.code != aq.DONE and "io_uring" in result.message, str(result)


@pytest.mark.parametrize("kind", ("posix", "uring", "auto"))
def test_each_back_end_by_name(kind, unpacked, duck, tmp_path):
    if kind == "uring" and not uring_works(tmp_path):
        pytest.skip("this kernel or container refuses io_uring")
    store = aq.Store(tmp_path / "store", BEIJING.config_file, io=kind)
    first = core_set(store, unpacked, duck, tmp_path)
    if kind == "posix":
        assert "io_uring" not in first.message, "a notice about what the user chose"


def test_posix_makes_no_ring(unpacked, refusals, tmp_path):
    """--io posix must not even try: no notice when the ring would have been refused."""
    store = aq.Store(tmp_path / "store", BEIJING.config_file, io="posix", **refusals["seccomp-EPERM"])
    result = store.run("import", "--dataset", "air", *unpacked(BEIJING)[:STATIONS])
    assert "io_uring" not in result.message


def test_an_unknown_back_end_is_refused(tmp_path):
    result = aq.run("--io", "sync", "--store", tmp_path, "query", "SELECT 1", code=aq.USAGE)
    assert "posix" in result.message and os.linesep in result.message
