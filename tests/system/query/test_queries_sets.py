"""Table-driven: the other real data sets, each with its own config, judged by DuckDB, equal to the bit in five states."""

import pytest

import aq
import judge
import sets

CASES = [(data_set, query) for data_set in sets.QUERIED for query in data_set.queries]


def chosen(data_set, files, long):
    return files if long or data_set.part is None else files[: data_set.part]


@pytest.fixture(scope="module")
def truths(unpacked, long):
    done = {}

    def loaded(data_set):
        if data_set.name not in done:
            done[data_set.name] = judge.Duck()
            files = chosen(data_set, unpacked(data_set), long)
            done[data_set.name].load(data_set.dataset, data_set.truth(files))
        return done[data_set.name]

    return loaded


@pytest.mark.parametrize("data_set, query", CASES, ids=lambda case: case.name)
def test_values_and_states(data_set, query, unpacked, stores, truths, long):
    built = stores(data_set, chosen(data_set, unpacked(data_set), long))
    if query.judged:
        truth = truths(data_set)
        judge.compare(query, built["hot"].rows(query.sql, query.timezone), truth.answer(query), truth.name)
    answers = {state: built[state].ndjson(query.sql, query.timezone) for state in aq.STATES}
    for state in aq.STATES:
        assert answers[state] == answers["hot"], f"{query.name}: {state} differs from hot"
