"""Re-sent and revised readings: the one that counts is the one that DuckDB finds among all that were imported, whatever
has become of the files. The feed is the Bucharest sensors', whose daily files overlap by days: 54% of the keys are
sent again, some with another value."""

import json
import os
import re

import pytest

import aq
import judge
import sets

PART = 3  # files of the short run

CONFIG = """
datasets:
  readings:
    key: field
    time: ts
    unique: [field, ts, sensor]
    {rule}
    columns:
      field: {{type: text, required: true}}
      ts: {{type: timestamptz, from: time, required: true}}
      sensor: {{type: bigint, from: id}}
      value: {{type: double}}
"""

# The rule in the config, and DuckDB's: order by it, the first one counts.
RULES = {
    "last": ("keep: last", "file DESC, record DESC"),
    "first": ("keep: first", "file, record"),
    "highest": ("version: value", "value DESC NULLS LAST"),
    "lowest": ("{keep: first, version: value}", "value NULLS FIRST"),
}

QUERIES = (
    "SELECT count(*) AS n FROM readings",
    "SELECT field, count(*) AS n, count(value) AS n_value, min(value) AS low, max(value) AS high, min(ts) AS oldest,"
    " max(ts) AS newest FROM readings GROUP BY field ORDER BY field",
    "SELECT min(value) AS low, max(value) AS high, count(DISTINCT sensor) AS sensors FROM readings",
    "SELECT count(*) AS n, min(value) AS low, max(value) AS high FROM readings WHERE value > 100",
    "SELECT count(*) AS n, max(value) AS high FROM readings WHERE field = 'co2' AND value < 450",
    "SELECT date_trunc('day', ts) AS day, count(*) AS n, max(value) AS high FROM readings"
    " WHERE ts >= '2025-08-08 00:00:00+00' AND ts < '2025-08-09 12:00:00+00' GROUP BY 1 ORDER BY 1",
    "SELECT sensor, ts, value FROM readings WHERE field = 'pm25' ORDER BY sensor, ts LIMIT 500",
    "SELECT a.field, count(*) AS n FROM (SELECT DISTINCT field, ts, sensor FROM readings) AS a GROUP BY 1 ORDER BY 1",
)


def make_store(folder, name, rule):
    lines = rule.strip("{}").replace(", ", "\n    ")
    config = folder / f"{name}.yaml"
    config.write_text(CONFIG.format(rule=lines))
    return aq.Store(folder / name, config)


@pytest.fixture(scope="module")
def feed(unpacked, request):
    files = unpacked(sets.BUCHAREST)
    return files if request.config.option.long else files[:PART]


@pytest.fixture(scope="module")
def everything(feed):
    """DuckDB with all readings as they were sent, in the order of sending."""
    duck = judge.Duck()
    duck.execute("CREATE TABLE sent (field VARCHAR, ts TIMESTAMPTZ, sensor BIGINT, value DOUBLE, file INT, record BIGINT)")
    for number, file in enumerate(feed):
        duck.execute(
            "INSERT INTO sent SELECT field, time::TIMESTAMPTZ, id::BIGINT, value::DOUBLE, "
            f"{number}, row_number() OVER () FROM read_csv('{file}', all_varchar=true, header=true)"
        )
    revised = "SELECT count(*) FROM (SELECT 1 FROM sent GROUP BY field, ts, sensor HAVING min(value) <> max(value))"
    assert duck.execute(revised).fetchone()[0] > 100
    return duck


def expect(duck, order):
    duck.execute(
        "CREATE OR REPLACE TABLE readings AS SELECT field, ts, sensor, value FROM sent "
        f"QUALIFY row_number() OVER (PARTITION BY field, ts, sensor ORDER BY {order}) = 1"
    )


def assert_as_expected(store, duck, folder):
    """Every row, and answers that could be given from row counts, statistics or pruned units."""
    file = store.export("readings", "ndjson", folder)
    types = "{'field': 'VARCHAR', 'ts': 'TIMESTAMPTZ', 'sensor': 'BIGINT', 'value': 'DOUBLE'}"
    exported = f"SELECT * FROM read_json('{file}', format='newline_delimited', columns={types})"
    assert not duck.differences(exported, "SELECT * FROM readings")
    for sql in QUERIES:
        columns, rows, _ = duck.answer(judge.Query("unique", sql))
        found = [json.loads(line) for line in store.ndjson(sql).splitlines()]
        assert len(found) == len(rows), sql
        for one, other in zip(found, rows):
            for name, value in zip(columns, other):
                shown = judge.instant(one[name]) if hasattr(value, "tzinfo") else one[name]
                assert shown == (judge.instant(value.isoformat()) if hasattr(value, "tzinfo") else value), (sql, name)


@pytest.mark.parametrize("rule", RULES)
def test_the_reading_that_counts(rule, feed, everything, tmp_path):
    declared, order = RULES[rule]
    half = len(feed) // 2
    expect(everything, order)
    store = make_store(tmp_path, rule, declared)
    store.load("readings", *feed[:half])
    store.load("readings", *feed[half:])
    assert_as_expected(store, everything, tmp_path / "hot")
    store.compact()
    assert_as_expected(store, everything, tmp_path / "compacted")
    assert store.compact()["segments"] == 0, "nothing is left to do"
    store.run("verify", "--deep")


@pytest.mark.parametrize("rule", ("last", "lowest"))
def test_twins_in_archives_and_segments(rule, feed, everything, tmp_path):
    declared, order = RULES[rule]
    third = len(feed) // 3
    expect(everything, order)
    store = make_store(tmp_path, rule, declared)
    store.load("readings", *feed[:third])
    store.compact()
    store.load("readings", *feed[third : 2 * third])
    store.compact()
    store.load("readings", *feed[2 * third :])
    assert_as_expected(store, everything, tmp_path / "mixed")
    sent = everything.execute("SELECT count(*) FROM sent").fetchone()[0]
    count = store.value("SELECT count(*) FROM readings")
    explained = store.run("query", "EXPLAIN ANALYZE SELECT count(*) FROM readings").text
    hidden = int(re.search(r"Re-sent rows hidden: (\d+)", explained)[1])
    assert 0 < hidden <= sent - count, "compaction has dropped some of them already"
    shown = json.loads(store.run("--json", "inspect", "readings").text)
    assert shown["rows"] == count and shown["duplicates_hidden"] == hidden
    store.compact()
    assert_as_expected(store, everything, tmp_path / "compacted")


def test_a_dataset_that_becomes_unique(feed, everything, tmp_path):
    """Archives of before `unique` do not know when rows arrived: such rows are the earliest."""
    expect(everything, "file DESC, record DESC")
    store = make_store(tmp_path, "late", "keep: last")
    plain = tmp_path / "plain.yaml"
    plain.write_text(store.config.read_text().replace("    unique: [field, ts, sensor]\n    keep: last\n", "    series: [sensor]\n"))
    before = aq.Store(store.home, plain)
    half = len(feed) // 2
    # What is not known of the archived rows must not matter: one reading each.
    first = tmp_path / "first.csv"
    everything.execute(
        "COPY (SELECT ts AS time, value, field, sensor AS id FROM sent "
        f"WHERE file < {half} QUALIFY row_number() OVER (PARTITION BY field, ts, sensor ORDER BY file DESC, record DESC) = 1)"
        f" TO '{first}' (HEADER)"
    )
    before.load("readings", first)
    before.compact()
    store.load("readings", *feed[half:])
    assert_as_expected(store, everything, tmp_path / "mixed")
    store.compact()
    assert_as_expected(store, everything, tmp_path / "compacted")


def test_the_order_of_arrival_is_that_of_the_imports(feed, everything, tmp_path):
    """The same files the other way round: what was sent first counts."""
    order = "file, record DESC"
    expect(everything, order)
    store = make_store(tmp_path, "backwards", "keep: last")
    for file in reversed(feed[:PART]):
        store.load("readings", file)
    if len(feed) > PART:
        everything.execute(
            "CREATE OR REPLACE TABLE readings AS SELECT field, ts, sensor, value FROM sent "
            f"WHERE file < {PART} QUALIFY row_number() OVER (PARTITION BY field, ts, sensor ORDER BY {order}) = 1"
        )
    assert_as_expected(store, everything, tmp_path / "hot")
    store.load("readings", feed[0])
    assert_as_expected(store, everything, tmp_path / "again")


def test_twins_in_the_bucket(feed, everything, s3_servers, tmp_path):
    """Archives that have left the home, and segments that have not: at home, and with the bucket's address alone."""
    bucket = s3_servers("s3proxy").bucket()
    expect(everything, "file DESC, record DESC")
    store = make_store(tmp_path, "moved", "keep: last")
    store.config.write_text(
        store.config.read_text()
        + f'\ntier: {{to: "s3://{bucket.name}/readings", endpoint: "{bucket.endpoint}", after: 0s, protect: 1h}}\n'
    )
    store.env = dict(bucket.env)
    store.load("readings", *feed[:-1])
    store.compact()
    store.run("tier")
    store.run("gc", "--age", "0s")
    assert not store.files("archives"), "something stayed at home"
    store.load("readings", feed[-1])
    assert_as_expected(store, everything, tmp_path / "moved-and-hot")
    store.run("tier")
    clean = {name: "" for name in os.environ if name.startswith(("AQSTORE_CONFIG", "XDG_"))}
    env = {**clean, **bucket.env, "AWS_ENDPOINT_URL": bucket.endpoint, "HOME": str(tmp_path)}
    assert_as_expected(aq.Store(f"s3://{bucket.name}/readings", env=env), everything, tmp_path / "reader")
