"""Invariant 3: queries do not notice maintenance. Random steps on a store, random queries after each, against a model."""

import concurrent.futures
import random

import pytest

from workload.store import Workload

STORES = 4  # small ones find as much as a big one, and sooner


def drive(folder, seed, steps):
    workload = Workload(folder, random.Random(seed))
    try:
        for _ in range(steps):
            workload.step()
        workload.check_counts()
    except BaseException as error:
        error.add_note(f"{folder.name}, step {len(workload.done)}: ... {' '.join(workload.done[-12:])}")
        raise


@pytest.mark.timeout(0)
def test_answers_are_those_of_the_model(tmp_path, rng, long):
    steps = (100_000 if long else 2_000) // STORES
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(drive, tmp_path / f"store{i}", rng.random(), steps) for i in range(STORES)]
        for run in concurrent.futures.as_completed(runs):
            run.result()
