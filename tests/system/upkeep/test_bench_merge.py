"""bench/merge.py in its small form, so that it cannot rot: it fails unless all results give one answer."""

import pathlib
import subprocess
import sys

MERGE = pathlib.Path(__file__).resolve().parents[3] / "bench/merge.py"


def test_merges_of_all_engines_give_one_answer():
    process = subprocess.run([sys.executable, MERGE, "--small"], capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "| aqstore compact" in process.stdout and "| DuckDB" in process.stdout
