"""Queries over 420,768 real readings: equal to DuckDB's and PostgreSQL's values, and to the bit in five states."""

import pytest

import aq
import judge
import sets

BEIJING = sets.BEIJING


@pytest.fixture(scope="module")
def beijing(unpacked, stores):
    return stores(BEIJING, unpacked(BEIJING))


@pytest.mark.parametrize("query", BEIJING.queries, ids=lambda query: query.name)
def test_values_equal_the_judges(beijing, beijing_judges, query):
    rows = beijing["hot"].rows(query.sql, query.timezone)
    for each in beijing_judges:
        judge.compare(query, rows, each.answer(query), each.name)


@pytest.mark.parametrize("query", BEIJING.queries, ids=lambda query: query.name)
def test_states_equal_to_the_bit(beijing, query):
    answers = {state: beijing[state].ndjson(query.sql, query.timezone) for state in aq.STATES}
    for state in aq.STATES:
        assert answers[state] == answers["hot"], f"{query.name}: {state} differs from hot"


def test_states_are_what_they_say(beijing):
    assert beijing["hot"].files("segments") and not beijing["hot"].files("archives")
    assert beijing["half"].files("segments") and beijing["half"].files("archives")
    assert beijing["compacted"].files("archives")
    assert len(beijing["restarted"].files("segments")) > 1, "the import was over before it could be killed"


def test_states_verify(beijing):
    for state in aq.STATES:
        beijing[state].run("verify", "--deep")
