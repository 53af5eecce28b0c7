"""Invariant 3: queries do not notice maintenance. Random steps on a store, random queries after each, against a model."""

import concurrent.futures
import random

import pytest

from workload.store import Workload

# Small stores find as much as a big one, and sooner: their datasets, and their part of all steps.
STORES = ((("plain", "latest"), 0.3), (("revised", "earliest"), 0.3), (("plain", "highest"), 0.3))
WITH_BUCKET = (("plain", "latest", "revised"), 0.1)


def drive(folder, seed, steps, datasets, bucket):
    workload = Workload(folder, random.Random(seed), datasets, bucket)
    try:
        for _ in range(steps):
            workload.step()
        workload.check_counts(workload.tables)
    except BaseException as error:
        error.add_note(f"{folder.name}, step {len(workload.done)}: ... {' '.join(workload.done[-12:])}")
        raise
    print(f"{folder.name}: {steps} steps")


@pytest.mark.timeout(0)
def test_answers_are_those_of_the_model(tmp_path, rng, long, s3proxy):
    all_steps, times, at_once = (100_000, 10, 8) if long else (2_000, 1, 2)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        runs = []
        for number, (datasets, part) in enumerate((WITH_BUCKET, *STORES) * times):
            bucket = s3proxy if datasets is WITH_BUCKET[0] else None
            steps = round(all_steps * part / times)
            runs.append(pool.submit(drive, tmp_path / f"store{number}", rng.random(), steps, datasets, bucket))
        for run in concurrent.futures.as_completed(runs):
            run.result()
