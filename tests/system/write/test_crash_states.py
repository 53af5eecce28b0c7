"""Power cuts on the simulated disk (tests/sim, tests/unit/store/test_crash_states.c), by the ten thousand."""

import os
import re
import subprocess

import aq
import pytest

BINARY = aq.BINARY.parent / "unit/test_crash_states"
TESTS = 2  # in the binary; each makes half of the states


@pytest.mark.timeout(0)
def test_no_cut_loses_or_doubles_a_message(rng, long):
    if not BINARY.exists():
        pytest.skip(f"{BINARY} is missing: make unit-binaries")
    wanted = 1_000_000 if long else 50_000
    settings = {"AQ_CRASH_STATES": str(wanted // TESTS), "AQ_CRASH_SEED": str(rng.randrange(1 << 20))}
    done = subprocess.run([BINARY, "--jobs", "2"], env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    where = done.stderr.replace("\n", "\r").split("\r")  # a line before each state
    assert done.returncode == 0, f"{settings}: {chr(10).join(line for line in where if line[:5] != 'world')[-3000:]}"
    assert sum(map(int, re.findall(r"(\d+) states", done.stderr))) >= wanted
