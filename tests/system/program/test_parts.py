"""Parts of the program: loaded when they are needed, found beside it or where they are installed, never another build's."""

import shutil
import subprocess

import pytest

import aq

BUILT = aq.BINARY
PARTS = {
    "network": ["librdkafka", "libcurl", "libs3", "libmicrohttpd", "libgnutls", "libcrypto", "libexpat"],
    "files": ["libarchive", "libxml2", "libicuuc", "liblzma"],
}
CONFIG = """
store: ./home
datasets:
  air:
    key: city
    time: ts
    columns: {city: {type: text, required: true}, ts: {type: timestamptz, format: epoch_s, required: true}}
sources:
  live:
    dataset: air
    kafka: {brokers: "127.0.0.1:9", topics: [air]}
"""


def part(name, folder=BUILT.parent):
    return folder / f"aqstore-{name}.so"


def libraries(file):
    return subprocess.run(["ldd", file], capture_output=True, text=True, check=True).stdout


@pytest.fixture(name="program")
def _program(tmp_path, monkeypatch):
    """A copy of the program alone, in prefix/bin."""
    copy = tmp_path / "prefix/bin/aqstore"
    copy.parent.mkdir(parents=True)
    shutil.copy(BUILT, copy)
    monkeypatch.setattr(aq, "BINARY", copy)
    (tmp_path / "aqstore.yaml").write_text(CONFIG)
    return copy


def check(tmp_path, code):
    """A command that needs the network's part, and no network."""
    return aq.run("--config", tmp_path / "aqstore.yaml", "config", "check", code=code)


@pytest.mark.parametrize("name", PARTS)
def test_the_program_starts_without_the_libraries_of_its_parts(name):
    assert "libzstd" in libraries(BUILT)
    for library in PARTS[name]:
        assert library in libraries(part(name))
        assert library not in libraries(BUILT)


def test_a_part_that_is_missing_is_named(program, tmp_path):
    said = check(tmp_path, aq.USAGE).message
    assert f"aqstore-network.so, which talks to brokers, buckets and browsers, is neither in {program.parent}" in said
    config = ("--config", tmp_path / "aqstore.yaml")
    said = aq.run(*config, "import", "--dataset", "air", BUILT, code=aq.USAGE).message
    assert "aqstore-files.so, which reads input files, is neither in" in said
    assert aq.run(*config, "query", "--format", "csv", "SELECT count(*) AS n FROM air").text.split() == ["n", "0"]


@pytest.mark.parametrize("folder", ["bin", "lib/aqstore"])
def test_a_part_is_found(program, tmp_path, folder):
    place = program.parents[1] / folder
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(part("network"), place)
    assert "ok: 1 dataset" in check(tmp_path, aq.DONE).text


def test_a_part_of_another_build_is_refused(program, tmp_path):
    source = "const unsigned long aq_part[64] = {1};"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", part("network", program.parent)], input=source, text=True,
                   check=True)
    assert "is of another build than the program" in check(tmp_path, aq.USAGE).message


def test_a_part_that_is_damaged_is_refused(program, tmp_path):
    part("network", program.parent).write_bytes(part("network").read_bytes()[:100])
    assert "cannot load a part of the program" in check(tmp_path, aq.USAGE).message
