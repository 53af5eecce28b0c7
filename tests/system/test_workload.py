"""Invariant 3: queries do not notice maintenance. Random steps on a store, random queries after each, against a model."""

import random

import pytest

from workload.store import Workload

RUNS = 4


@pytest.mark.timeout(0)
@pytest.mark.parametrize("run", range(RUNS))
def test_answers_are_those_of_the_model(run, tmp_path, rng, long):
    workload = Workload(tmp_path, random.Random(rng.random()))
    steps = (100_000 if long else 2_000) // RUNS
    try:
        for _ in range(steps):
            workload.step()
        workload.check_counts()
    except BaseException as error:
        error.add_note(f"step {len(workload.done)}: ... {' '.join(workload.done[-12:])}")
        raise
