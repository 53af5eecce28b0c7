"""Generated queries over the Beijing readings: PostgreSQL and DuckDB judge, the states must agree to the bit."""

import pytest

import aq
import judge
import sets

DOUBLES = ("pm25", "pm10", "so2", "no2", "o3", "temp", "pres", "dewp", "rain", "wspm")
LIMITS = {"pm25": (0, 500), "pm10": (0, 600), "so2": (0, 200), "no2": (0, 200), "o3": (0, 400), "temp": (-15, 38),
          "pres": (985, 1040), "dewp": (-30, 28), "rain": (0, 20), "wspm": (0, 9)}
STATIONS = ("Dongsi", "Gucheng", "Huairou", "Shunyi", "Tiantan", "Wanliu", "Changping")
WINDS = ("N", "NNE", "SW", "WSW", "E")


class Generator:
    """Random SELECTs whose answers PostgreSQL defines completely: grouped ones order by their keys."""

    def __init__(self, rng):
        self.rng = rng
        self.scales = {}

    def constant(self, column):
        low, high = LIMITS[column]
        return round(self.rng.uniform(low, high), 1)

    def simple(self):
        rng = self.rng
        column, other = rng.sample(DOUBLES, 2)
        year, month, day = rng.randrange(2013, 2017), rng.randrange(1, 13), rng.randrange(1, 28)
        low, high = sorted((self.constant(column), self.constant(column)))
        return rng.choice((
            f"{column} {rng.choice(('<', '<=', '>', '>=', '<>', '='))} {self.constant(column)}",
            f"{column} IS {rng.choice(('', 'NOT '))}NULL",
            f"{column} BETWEEN {low} AND {high}",
            f"{column} + {other} > {self.constant(column)}",
            f"station {rng.choice(('IN', 'NOT IN'))} ({', '.join(repr(s) for s in rng.sample(STATIONS, 3))})",
            f"station = '{rng.choice(STATIONS)}'",
            f"wd LIKE '{rng.choice(('%N%', 'S%', '_W', '%', 'NN_'))}'",
            f"coalesce(wd, '?') <> '{rng.choice(WINDS)}'",
            f"ts >= '{year}-{month:02d}-{day:02d} 0{rng.randrange(10)}:00:00+00'",
            f"ts < '{year}-{month:02d}-{day:02d} 12:00:00+08'",
            f"reading % {rng.randrange(2, 9)} = {rng.randrange(2)}",
            f"co {rng.choice(('<', '>', '='))} {rng.choice((300, 500, 1200, 4000))}",
            f"wd IS DISTINCT FROM '{rng.choice(WINDS)}'",
        ))

    def predicate(self, depth=2):
        if depth == 0 or self.rng.random() < 0.4:
            return self.simple()
        joined = f" {self.rng.choice(('AND', 'AND', 'OR'))} ".join(self.predicate(depth - 1) for _ in range(2))
        return f"{self.rng.choice(('', '', 'NOT '))}({joined})"

    def key(self):
        rng = self.rng
        return rng.choice((
            "station",
            "wd",
            "coalesce(wd, 'none')",
            f"date_trunc('{rng.choice(('month', 'quarter', 'year', 'week'))}', ts)",
            f"extract({rng.choice(('hour', 'month', 'year', 'dow', 'doy'))} FROM ts)",
            f"time_bucket('{rng.choice(('7 days', '36 hours', '3 hours'))}', ts)",
            f"{(column := rng.choice(DOUBLES))} > {self.constant(column)}",
            f"reading % {rng.randrange(2, 30)}",
            "substr(station, 1, 2)",
            "CASE WHEN temp < 0 THEN 'frost' WHEN temp > 25 THEN 'hot' END",
            "floor(temp / 10)",
        ))

    def aggregate(self, name, by_station):
        rng = self.rng
        column = rng.choice(DOUBLES)
        calls = [
            "count(*)", f"count({column})", f"count(DISTINCT {rng.choice(('wd', 'co', 'station'))})",
            f"min({column})", f"max({column})", f"min({rng.choice(('ts', 'wd', 'co'))})", "max(ts)", "sum(co)",
            f"sum({column})", f"sum({column})", f"avg({column})", f"avg({column})", f"stddev({column})",
            f"stddev_pop({column})", "avg(reading)", f"sum(reading % {rng.randrange(3, 50)})",
            f"sum(CASE WHEN {column} > {self.constant(column)} THEN 1 ELSE 0 END)",
        ]
        if by_station:
            calls += [f"first({column}, ts)", f"last({column}, ts)", "last(wd, ts)"] * 2
        call = rng.choice(calls)
        picked = call.split("(")[0]
        where = self.simple() if rng.random() < 0.25 and picked not in ("first", "last") else None
        inside = f" FILTER (WHERE {where})" if where else ""
        if call == "avg(reading)":
            self.scales[name] = f"max(abs(reading)){inside}"
        elif picked in ("avg", "stddev", "stddev_pop"):
            self.scales[name] = f"max(abs({column})){inside}"
        elif call == f"sum({column})":
            self.scales[name] = f"sum(abs({column})){inside}"
        return f"{call}{inside} AS {name}"

    def grouped(self):
        rng = self.rng
        keys = [self.key() for _ in range(rng.choice((0, 1, 1, 2, 2)))]
        if rng.random() < 0.3:
            keys = ["station", *[key for key in keys if key != "station"]][:2]
        items = [f"{key} AS k{number}" for number, key in enumerate(keys)]
        items += [self.aggregate(f"a{number}", "station" in keys) for number in range(rng.randrange(1, 5))]
        sql = f"SELECT {', '.join(items)} {judge.SCALES} FROM air"
        if rng.random() < 0.7:
            sql += f" WHERE {self.predicate()}"
        if keys:
            ordinals = [str(number + 1) for number in range(len(keys))]
            sql += f" GROUP BY {', '.join(ordinals)}"
            if rng.random() < 0.3:
                sql += f" HAVING count(*) > {rng.choice((1, 20, 500))}"
            directions = [rng.choice(("", " DESC", " NULLS FIRST", " DESC NULLS LAST")) for _ in keys]
            sql += " ORDER BY " + ", ".join(map("".join, zip(ordinals, directions)))
            if rng.random() < 0.5:
                sql += f" LIMIT {rng.randrange(1, 60)}"
        return sql

    def plain(self):
        rng = self.rng
        one, two = rng.sample(DOUBLES, 2)
        items = rng.sample((
            one, two, "wd", "co", f"{one} + {two} AS plus", f"{one} * {two} - 3 AS times", f"{one} / 7 AS seventh",
            "co / 100 AS hundreds", "co % 700 AS rest", f"greatest({one}, {two}) AS more", f"-{one} AS minus",
            f"coalesce({one}, {two}, 0) AS some", f"nullif({one}, {two}) AS other", f"abs({one} - {two}) AS apart",
            "lower(station) || '-' || wd AS label", f"{one} > {two} AS bigger", "date_trunc('day', ts) AS day",
            "length(wd) AS size", f"CASE wd WHEN 'N' THEN {one} ELSE {two} END AS pick", "upper(wd) AS big",
        ), rng.randrange(1, 6))
        first = f"{one} {rng.choice(('', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST'))}, " if rng.random() < 0.5 else ""
        return (
            f"SELECT station, ts, {', '.join(items)} FROM air WHERE {self.predicate()} ORDER BY {first}station, ts"
            f" LIMIT {rng.randrange(1, 80)}{rng.choice(('', '', ' OFFSET 10'))}"
        )

    def query(self, number):
        self.scales = {}
        sql = self.plain() if self.rng.random() < 0.3 else self.grouped()
        zone = self.rng.choice(("UTC", "UTC", "Asia/Shanghai", "America/New_York"))
        return judge.Query(f"generated {number}", sql, self.scales, zone)


@pytest.mark.timeout(3600)
def test_generated_queries(unpacked, stores, beijing_judges, rng, long):
    built = stores(sets.BEIJING, unpacked(sets.BEIJING))
    generator = Generator(rng)
    for number in range(1000 if long else 60):
        query = generator.query(number)
        first, second = rng.sample(aq.STATES, 2)
        try:
            text = built[first].ndjson(query.sql, query.timezone)
            rows = aq.parse_rows(text)
            for each in beijing_judges:
                judge.compare(query, rows, each.answer(query), each.name, may_be_empty=True)
            assert built[second].ndjson(query.sql, query.timezone) == text, f"{second} differs from {first}"
        except Exception as problem:
            pytest.fail(f"{query.sql}\n--timezone {query.timezone}\n{problem}", pytrace=False)
