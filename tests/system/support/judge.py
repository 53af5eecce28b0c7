"""The judges: DuckDB and PostgreSQL 15 answer the same SQL text, and results are compared value by value."""

import datetime
import decimal
import math
import re
import tempfile
from dataclasses import dataclass, field

import duckdb
import psycopg

# A comment in a query that the judges replace by columns giving the scale of each float column: the
# sum of absolute inputs for a sum, the largest absolute input for avg and stddev.
SCALES = "/*scales*/"
TOLERANCE = 1e-12

# Of TimescaleDB's functions and round(double, int), which PostgreSQL does not have by itself.
POSTGRES_FUNCTIONS = """
CREATE FUNCTION time_bucket(interval, timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
  $$ SELECT date_bin($1, $2, '2000-01-03 00:00:00+00') $$;
CREATE FUNCTION round(double precision, integer) RETURNS double precision LANGUAGE sql IMMUTABLE AS
  $$ SELECT round($1::numeric, $2)::double precision $$;
"""
POSTGRES_FIRST_LAST = """
CREATE TYPE pick_{short} AS (value {type}, at timestamptz);
CREATE FUNCTION first_step(s pick_{short}, v {type}, t timestamptz) RETURNS pick_{short}
  LANGUAGE sql IMMUTABLE AS
  $$ SELECT CASE WHEN t IS NULL THEN s WHEN (s).at IS NULL OR t < (s).at THEN ROW(v, t)::pick_{short} ELSE s END $$;
CREATE FUNCTION last_step(s pick_{short}, v {type}, t timestamptz) RETURNS pick_{short}
  LANGUAGE sql IMMUTABLE AS
  $$ SELECT CASE WHEN t IS NULL THEN s WHEN (s).at IS NULL OR t > (s).at THEN ROW(v, t)::pick_{short} ELSE s END $$;
CREATE FUNCTION pick_value(s pick_{short}) RETURNS {type} LANGUAGE sql IMMUTABLE AS $$ SELECT (s).value $$;
CREATE AGGREGATE first({type}, timestamptz) (SFUNC = first_step, STYPE = pick_{short}, FINALFUNC = pick_value);
CREATE AGGREGATE last({type}, timestamptz) (SFUNC = last_step, STYPE = pick_{short}, FINALFUNC = pick_value);
"""


@dataclass
class Query:
    name: str
    sql: str
    scales: dict = field(default_factory=dict)  # float column -> SQL of its scale, see SCALES
    timezone: str = "UTC"
    judged: bool = True  # False: the judges' answer is not defined (ties), ours must be the same in all states


def scaled_sql(query):
    scales = "".join(f", {sql} AS scale_{column}" for column, sql in query.scales.items())
    assert not scales or SCALES in query.sql, f"{query.name}: no {SCALES} in the query"
    return query.sql.replace(SCALES, scales)


def cut_scales(query, columns, rows):
    """Part the scale columns from the answer: (columns, rows, scales by row)."""
    count = len(columns) - len(query.scales)
    scales = [dict(zip(query.scales, row[count:])) for row in rows]
    return columns[:count], [row[:count] for row in rows], scales


class Duck:
    """An in-memory DuckDB that behaves as PostgreSQL where the two differ by a setting."""

    name = "DuckDB"

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
        self.connection.execute("SET integer_division = true")
        self.connection.execute("SET threads = 2")
        self.connection.execute(f"SET temp_directory = '{tempfile.gettempdir()}/aqstore-duckdb'")
        self.connection.execute("SET memory_limit = '1GB'")

    def execute(self, sql):
        return self.connection.execute(sql)

    def load(self, table, select):
        self.execute(f"CREATE TABLE {table} AS {select}")

    def answer(self, query):
        self.execute(f"SET TimeZone = '{query.timezone}'")
        sql = re.sub(r"\bfirst\(", "arg_min_null(", scaled_sql(query))
        sql = re.sub(r"\blast\(", "arg_max_null(", sql)
        cursor = self.execute(sql)
        columns = [item[0] for item in cursor.description]
        return cut_scales(query, columns, cursor.fetchall())

    def differences(self, left, right):
        """Up to five rows that one of two SELECTs has more often than the other."""
        some = []
        for sign, one, other in (("<", left, right), (">", right, left)):
            rows = self.execute(f"({one}) EXCEPT ALL ({other}) LIMIT 5").fetchall()
            some += [(sign, row) for row in rows]
        return some


class Postgres:
    """A database of its own in the session's PostgreSQL server."""

    name = "PostgreSQL"

    def __init__(self, conninfo):
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.connection.execute(POSTGRES_FUNCTIONS)
        for short, name in (("double", "double precision"), ("text", "text")):
            self.connection.execute(POSTGRES_FIRST_LAST.format(short=short, type=name))

    def load(self, table, columns, csv):
        """COPY a CSV that DuckDB wrote; `columns`: pairs of name and type."""
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns)
        self.connection.execute(f"CREATE TABLE {table} ({declared})")
        with self.connection.cursor() as cursor, open(csv, "rb") as file:
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as copy:
                while block := file.read(1 << 20):
                    copy.write(block)
        self.connection.execute(f"ANALYZE {table}")

    def answer(self, query):
        self.connection.execute(f"SET TIME ZONE '{query.timezone}'")
        cursor = self.connection.execute(scaled_sql(query))
        columns = [item.name for item in cursor.description]
        return cut_scales(query, columns, cursor.fetchall())


def create_database(conninfo, name):
    with psycopg.connect(f"{conninfo} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")


def instant(text):
    """Microseconds since 1970 of a timestamp as PostgreSQL prints it (offsets as +HH too); None for other texts."""
    text = re.sub(r"([+-]\d\d)$", r"\1:00", text.replace("Z", "+00"))
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if when.tzinfo is None else microseconds(when)


def microseconds(when):
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (when - epoch) // datetime.timedelta(microseconds=1)


def equal(ours, theirs, scale):
    """One value of aqstore's JSON against a judge's Python value."""
    if theirs is None or ours is None:
        return theirs is None and ours is None
    if isinstance(theirs, bool) or isinstance(ours, bool):
        return ours is theirs
    if isinstance(theirs, datetime.datetime):
        return isinstance(ours, str) and instant(ours) == microseconds(theirs)
    if isinstance(theirs, datetime.date):
        return ours == theirs.isoformat()
    if isinstance(theirs, (int, float, decimal.Decimal)):
        if not isinstance(ours, (int, float)):
            return False
        if scale is None:
            return decimal.Decimal(ours) == decimal.Decimal(theirs)
        if not math.isfinite(ours) or not math.isfinite(theirs):
            return repr(float(ours)) == repr(float(theirs))
        return abs(decimal.Decimal(ours) - decimal.Decimal(theirs)) <= decimal.Decimal(TOLERANCE) * decimal.Decimal(
            scale
        )
    return ours == theirs


def compare(query, ours, answer, judge_name, may_be_empty=False):
    """aqstore's rows (lists) against a judge's answer; the first difference fails with its place."""
    columns, rows, scales = answer
    where = f"{query.name} against {judge_name}"
    for number, (mine, theirs, scale) in enumerate(zip(ours, rows, scales)):
        assert len(mine) == len(columns), f"{where}: {len(mine)} columns, expected {len(columns)}: {mine}"
        for column, a, b in zip(columns, mine, theirs):
            assert equal(a, b, scale.get(column)), (
                f"{where}: row {number}, column {column}: aqstore {a!r}, judge {b!r}, scale {scale.get(column)}\n"
                f"  aqstore: {mine}\n  judge:   {list(theirs)}"
            )
    assert len(ours) == len(rows), f"{where}: {len(ours)} rows, expected {len(rows)}"
    assert rows or may_be_empty, f"{where}: an empty answer proves nothing"


def both(data_set, files, postgres, folder):
    """DuckDB reads the input by itself; PostgreSQL gets by COPY what DuckDB read."""
    duck = Duck()
    duck.load(data_set.dataset, data_set.truth(files))
    names = ", ".join(name for name, _ in data_set.columns)
    csv = folder / f"{data_set.name}.csv"
    duck.execute(f"COPY (SELECT {names} FROM {data_set.dataset}) TO '{csv}' (HEADER)")
    other = postgres(data_set.name)
    other.load(data_set.dataset, [(name, POSTGRES_TYPES[kind]) for name, kind in data_set.columns], csv)
    return duck, other


POSTGRES_TYPES = {
    "VARCHAR": "text",
    "TIMESTAMPTZ": "timestamptz",
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "DOUBLE": "double precision",
    "BOOLEAN": "boolean",
}
