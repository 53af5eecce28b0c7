"""Options, seeds, unpacked data, judges and stores that the system tests share."""

import os
import pathlib
import random
import shutil
import tempfile

import pytest

import aq
import judge
import sets

pytest_plugins = ["services"]


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", default=os.environ.get("AQSTORE_LONG") == "1",
                     help="full counts: every kill, flip, truncation and file")
    parser.addoption("--seed", type=int, default=None, help="seed of all random choices (default: a new one)")


def forget_environment():
    """What somebody has set to try the program with, as the README does, is not the tests'."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    for name in ("AQSTORE_CONFIG", "AQSTORE_HOME", "AQSTORE_HTTP_PORT", "KAFKA_BROKERS", "S3_BUCKET", "S3_ENDPOINT"):
        os.environ.pop(name, None)


def pytest_configure(config):
    forget_environment()
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(1 << 31)
    if config.option.basetemp is None and not config.option.collectonly:
        # Of this run alone: pytest's own numbered folders are cleared by other runs that end meanwhile.
        config.option.basetemp = tempfile.mkdtemp(prefix="aqstore-tests-")
        config.add_cleanup(lambda: remove_unless_failed(config.option.basetemp))


FAILED = []  # names of tests; their folders are kept


def pytest_runtest_logreport(report):
    if report.failed:
        FAILED.append(report.nodeid)


def remove_unless_failed(folder):
    if FAILED:
        print(f"kept for a look: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_report_header(config):
    data = sets.shared_folder()
    return [
        f"aqstore: {aq.BINARY}",
        f"seed: {config.option.seed} (repeat with --seed {config.option.seed})",
        f"shared data: {'found' if data else 'absent: tests that need it are skipped'}",
    ]


def pytest_collection_modifyitems(items):
    for item in items:
        if not any(item.iter_markers("timeout")):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session", autouse=True)
def binary():
    if not aq.BINARY.exists():
        pytest.exit(f"{aq.BINARY} is missing: run make, or set AQSTORE", returncode=2)
    return aq.BINARY


@pytest.fixture(scope="session")
def long(request):
    return request.config.option.long


@pytest.fixture
def rng(request):
    """Random numbers that depend on the seed and the test's name only."""
    return random.Random(f"{request.config.option.seed}/{request.node.nodeid}")


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """unpacked(set) -> its files in name order, unpacked once a session; skips where there are none."""
    done = {}

    def files(data_set):
        if data_set.source not in done:
            folder = tmp_path_factory.mktemp(data_set.name + "-data")
            sample = sets.sample(data_set, folder)
            if sample is None:
                if sets.shared_folder() is None:
                    pytest.skip(f"{data_set.source}: no shared data here (AQSTORE_DATA names the folder)")
                sets.unpack(data_set.source, folder)
            done[data_set.source] = folder
        found = sorted(done[data_set.source].glob(data_set.pattern))
        assert found, f"{data_set.source} holds no {data_set.pattern}"
        return found

    return files


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """stores(set, files) -> {state: store}, built once a session."""
    done = {}

    def built(data_set, files):
        if data_set.name not in done:
            folder = tmp_path_factory.mktemp(data_set.name + "-stores")
            done[data_set.name] = {
                state: aq.build(state, folder, data_set.config_file, data_set.dataset, files) for state in aq.STATES
            }
        return done[data_set.name]

    return built


@pytest.fixture(scope="session")
def beijing_judges(unpacked, postgres, tmp_path_factory):
    """DuckDB and PostgreSQL with the Beijing readings."""
    return judge.both(sets.BEIJING, unpacked(sets.BEIJING), postgres, tmp_path_factory.mktemp("judges"))


@pytest.fixture
def duck():
    return judge.Duck()
