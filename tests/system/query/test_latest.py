"""The first and the latest reading of every series, by a model in Python: whatever state the rows are in, however they tie in time, are
sent again or taken away; and read from what archives say of the ends of runs, where those rows all count."""

import csv
import math
import re
import struct

import pytest

import aq

CONFIG = """\
datasets:
  readings:
    key: city
    time: ts
    series: [station]
    {unique}
    columns:
      city: {{type: text, required: true}}
      station: {{type: integer}}
      ts: {{type: timestamptz, format: epoch_s, required: true}}
      pm25: {{type: double, null_values: [""]}}
      level: {{type: bigint, null_values: [""]}}
      note: {{type: text, null_values: [""]}}
"""
COLUMNS = ("city", "station", "ts", "pm25", "level", "note")
BEGIN = 1_735_689_600  # a day of UTC
DAY = 86_400
SERIES = [(city, station) for city in ("hanoi", "hue") for station in (1, 2, 3)]
ROWS = 1500  # of a series, a minute apart: each has a run long enough for statistics
PICKS = {"first": (min, False), "last": (max, False), "arg_min": (min, True), "arg_max": (max, True)}
WHERES = {
    "": lambda row: True,
    f"WHERE ts >= to_timestamp({BEGIN + 40_000})": lambda row: row["ts"] >= BEGIN + 40_000,
    "WHERE station <> 2": lambda row: row["station"] != 2,
    "WHERE pm25 < 900": lambda row: row["pm25"] is not None and row["pm25"] < 900,
    "WHERE note IS NOT NULL AND level > 3": lambda row: row["note"] is not None and (row["level"] or 0) > 3,
}
GROUPS = ((), ("city",), ("city", "station"))
LATEST = "SELECT city, station, max(ts), last(pm25, ts), last(level, ts), last(note, ts) FROM readings GROUP BY city, station"


def draw(rng, city, station, ts):
    pm25 = rng.choice((None, math.nan, -0.0, 0.0)) if rng.random() < 0.2 else round(rng.uniform(0, 1000), 4)
    note = None if rng.random() < 0.1 else "".join(rng.choices("abcdefghijkl", k=rng.choice((3, 12, 30))))
    level = None if station == 3 else rng.randrange(6)
    return dict(zip(COLUMNS, (city, station, ts, pm25, level, note)))


def load(store, path, rows, *extra):
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    store.run("import", "--dataset", "readings", *extra, path)


def in_order(value):
    """As rows that tie are ordered: nulls last, NaN above all numbers, then by bits."""
    if isinstance(value, float):
        return False, math.isnan(value), 0.0 if math.isnan(value) else value, struct.unpack("<Q", struct.pack("<d", value))
    return value is None, "" if value is None else value


def picked(rows, name, column):
    best, skips_nulls = PICKS[name]
    rows = [row for row in rows if not skips_nulls or row[column] is not None]
    if not rows:
        return None
    value = best(rows, key=lambda row: (row["ts"], [in_order(row[name]) for name in COLUMNS]))[column]
    return shown(value)


def shown(value):
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    return value


def assert_as_the_model(store, rows, rng, count):
    for _ in range(count):
        name, column, where, group = (rng.choice(list(each)) for each in (PICKS, COLUMNS[3:], WHERES, GROUPS))
        keys = ", ".join(group)
        sql = f"SELECT {keys + ', ' if keys else ''}{name}({column}, ts) FROM readings {where}"
        sql += f" GROUP BY {keys} ORDER BY {keys}" if keys else ""
        groups = {} if keys else {(): []}
        for row in filter(WHERES[where], rows):
            groups.setdefault(tuple(row[key] for key in group), []).append(row)
        expected = [[*key, picked(groups[key], name, column)] for key in sorted(groups)]
        assert store.rows(sql) == expected, sql


def rows_read(store, sql):
    return int(re.search(r"Rows: (\d+) read", store.run("query", f"EXPLAIN ANALYZE {sql}").text)[1])


@pytest.mark.parametrize("unique", (False, True), ids=("ties", "unique"))
def test_first_and_latest(unique, rng, tmp_path, long):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(unique="unique: [city, station, ts]" if unique else ""))
    store = aq.Store(tmp_path / "store", config)
    count = 60 if long else 12

    def count_for(rows):
        """The rows that count, the last sent of each reading where it is unique."""
        return list({tuple(row[name] for name in COLUMNS[:3]): row for row in rows}.values()) if unique else rows

    early = [draw(rng, *series, BEGIN + 60 * minute) for series in SERIES for minute in range(ROWS)]
    if not unique:
        early += [draw(rng, *rng.choice(SERIES), BEGIN + 60 * rng.choice((0, 7, ROWS - 1))) for _ in range(8)]
    load(store, tmp_path / "early.csv", early)
    assert_as_the_model(store, count_for(early), rng, count)
    hot = sorted(store.rows(LATEST))
    assert rows_read(store, LATEST) >= len(early)
    store.compact()
    assert_as_the_model(store, count_for(early), rng, count)
    assert sorted(store.rows(LATEST)) == hot
    if unique:
        assert rows_read(store, LATEST) == 0
        assert rows_read(store, LATEST.replace(" GROUP", f" WHERE ts >= to_timestamp({BEGIN + 80_000}) GROUP")) > 0, "it has max(ts), too"
        assert rows_read(store, f"SELECT last(pm25, ts) FROM readings WHERE ts >= to_timestamp({BEGIN + 80_000})") == 0
    sent = early + [draw(rng, *rng.choice(SERIES), BEGIN + 60 * rng.randrange(ROWS - 60, ROWS + 60)) for _ in range(400)]
    load(store, tmp_path / "late.csv", sent[len(early) :])
    assert_as_the_model(store, count_for(sent), rng, count)
    store.compact()
    assert_as_the_model(store, count_for(sent), rng, count)
    # The second day anew, with other rows: those that were the latest are gone.
    anew = [draw(rng, *series, BEGIN + DAY + 60 * minute) for series in SERIES[1:] for minute in range(rng.randrange(1, 40))]
    load(store, tmp_path / "anew.csv", anew, "--replace")
    left = [row for row in sent if row["ts"] < BEGIN + DAY] + anew
    assert_as_the_model(store, count_for(left), rng, count)
    store.compact()
    assert_as_the_model(store, count_for(left), rng, count)
    store.run("verify", "--deep")
