"""The judges agree with each other, and notice a wrong answer: without that, a green run says nothing."""

import json

import pytest

import judge
import sets


def as_printed(value):
    """A judge's value as aqstore would print it in JSON."""
    if hasattr(value, "isoformat"):
        return value.isoformat(sep=" ") if hasattr(value, "hour") else value.isoformat()
    return json.loads(json.dumps(value, default=lambda number: int(number) if number == int(number) else float(number)))


@pytest.mark.parametrize("query", sets.BEIJING.queries, ids=lambda query: query.name)
def test_duckdb_and_postgres_agree(beijing_judges, query):
    duck, postgres = beijing_judges
    rows = [[as_printed(value) for value in row] for row in duck.answer(query)[1]]
    judge.compare(query, rows, postgres.answer(query), "PostgreSQL")


def changed(value):
    """The smallest change of a value that a test must notice."""
    if isinstance(value, bool) or value is None:
        return "x" if value is None else not value
    if isinstance(value, float):
        return value + max(abs(value), 1e-3) * 1e-9
    if isinstance(value, int):
        return value + 1
    return value[:-4] + ("7" if value[-4:-3] != "7" else "8") + value[-3:] if value.endswith("+00:00") else value + "x"


@pytest.mark.parametrize("query", sets.BEIJING.queries, ids=lambda query: query.name)
def test_a_changed_value_is_noticed(beijing_judges, query, rng):
    answer = beijing_judges[1].answer(query)
    rows = [[as_printed(value) for value in row] for row in answer[1]]
    judge.compare(query, rows, answer, "itself")
    row, column = rng.randrange(len(rows)), rng.randrange(len(rows[0]))
    wrong = [list(values) for values in rows]
    wrong[row][column] = changed(wrong[row][column])
    for damaged in (wrong, rows[:-1], rows + rows[-1:]):
        with pytest.raises(AssertionError):
            judge.compare(query, damaged, answer, "itself")


def test_an_altered_row_is_noticed(duck, tmp_path):
    duck.load("input", "SELECT i AS n, i * 0.1 AS value FROM range(1000) t(i)")
    same = "SELECT * FROM input ORDER BY n DESC"
    assert duck.differences("SELECT * FROM input", same) == []
    for damaged in (
        "SELECT * FROM input WHERE n <> 500",
        "SELECT * FROM input UNION ALL SELECT 7, 0.7",
        "SELECT n, CASE n WHEN 9 THEN 0.90001 ELSE value END FROM input",
    ):
        assert duck.differences("SELECT * FROM input", damaged)
