"""Nights of imports and compactions: few files, whatever the number of cities and of late rows. bench/year.py in its small form."""

import json
import pathlib
import subprocess
import sys

import aq
import pytest

YEAR = pathlib.Path(__file__).resolve().parents[3] / "bench/year.py"


def simulate(*arguments):
    """Rows and sums are compared by bench/year.py itself."""
    process = subprocess.run([sys.executable, YEAR, *map(str, arguments)], capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(process.stdout)


def test_nights_end_with_few_files():
    result = simulate("--cities", 20, "--days", 34)
    assert result["left_to_do_at_the_end"] == 0
    assert result["files"] <= 8, result
    assert result["most_files"] <= 36, result
    assert result["write_amplification"] <= 2.6, result


def test_files_and_descriptors_do_not_grow_with_cities(long):
    few = simulate("--cities", 10, "--days", 3)
    many = simulate("--cities", 10000 if long else 300, "--days", 3, "--descriptors", 64)
    assert many["files"] <= few["files"], (few, many)
    assert many["most_files"] <= few["most_files"], (few, many)
    assert 3 < many["most_open_files_by_command"]["compact"] <= many["limit_of_open_files"] == 64, many


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def days(folder, name, first, count):
    lines = "".join(f"hanoi,2025-{(day // 28) + 1:02}-{day % 28 + 1:02}T12:00:00Z,{day}\n" for day in range(first, first + count))
    (folder / name).write_text("city,ts,pm25\n" + lines)
    return folder / name


CONFIG = """
datasets:
  air:
    key: city
    time: ts
    columns:
      city: {type: text, required: true}
      ts: {type: timestamptz, required: true}
      pm25: {type: double}
"""


@pytest.fixture
def nights(tmp_path, store):
    """Five days of January, each compacted in its night."""
    config = tmp_path / "aqstore.yaml"
    config.write_text(CONFIG)

    def run(*arguments, code=0):
        return aq.run("--config", config, "--store", store, *arguments, code=code)

    for day in range(5):
        run("import", "--dataset", "air", days(tmp_path, f"{day}.csv", day, 1))
        run("compact", "--now", f"2025-01-{day + 2:02}T02:30:00Z")
    return run


def plan(nights, *arguments):
    return json.loads(nights("compact", "--dry-run", "--json", *arguments).text)


def test_a_dry_run_says_why_of_each_file(nights):
    waiting = plan(nights, "--now", "2025-01-06T02:30:00Z")
    assert len(waiting["files"]) == 5 and not any(file["input"] for file in waiting["files"])
    assert all("waits until" in file["reason"] for file in waiting["files"]), waiting
    closed = plan(nights, "--now", "2025-02-01T06:00:00Z")
    assert all(file["input"] and "rolls up month 2025-01" in file["reason"] for file in closed["files"]), closed
    assert closed["archives_read"] == 5 and closed["expected_bytes"] > 0
    assert [group["archives"] for group in closed["groups"]] == [5]
    text = nights("compact", "--dry-run", "--now", "2025-02-01T06:00:00Z").text
    assert text.count("rolls up month 2025-01, which is closed") == 6 and "to write: about" in text
    assert len(plan(nights, "--now", "2025-02-01T05:59:59Z")["groups"]) == 0, "late rows may still come"


def test_before_and_dataset_leave_archives_alone(nights):
    late = ("--now", "2025-02-02")
    assert plan(nights, *late, "--before", "2025-01-05")["archives_read"] == 4
    assert plan(nights, *late, "--before", "2025-01-03")["archives_read"] == 0
    assert plan(nights, *late, "air")["archives_read"] == 5
    assert plan(nights, *late, "air_rejects")["archives_read"] == 0
    assert "expected a time" in nights("compact", "--before", "soon", code=aq.USAGE).message


def test_rolled_up_once_for_all(nights):
    assert json.loads(nights("compact", "--json", "--now", "2025-02-02").text)["archives_written"] == 1
    assert json.loads(nights("compact", "--json", "--now", "2025-02-02").text)["archives_read"] == 0
    [answer] = json.loads(nights("query", "--format", "json", "SELECT count(*) AS n, sum(pm25) AS s FROM air").text)
    assert (answer["n"], answer["s"]) == (5, 10)
