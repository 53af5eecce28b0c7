"""Columns added, hidden, named again, renamed and reordered while rows go on coming: every answer is that of DuckDB over what a
model says each column holds, whatever the files are."""

import itertools
import json
import math

import duckdb
import pytest

import aq
from tiered import Tiered, restore

TYPES = {
    # 8,192 of them have a sum that is a bigint, too; beyond that aqstore says so instead of answering.
    "bigint": ("BIGINT", lambda rng: rng.randrange(-(1 << 50), 1 << 50)),
    "double": ("DOUBLE", lambda rng: rng.choice((round(rng.gauss(40, 9), 1), rng.random() * 1e300, -0.0, 7.25))),
    "text": ("VARCHAR", lambda rng: rng.choice(("", "hà nội", "x" * rng.randrange(1, 40), f"v{rng.randrange(5)}"))),
    "boolean": ("BOOLEAN", lambda rng: rng.random() < 0.5),
}
NUMBERS = itertools.count()
CITIES = ("hanoi", "oslo", "lima")


class Column:
    """A column of the model; the store must know it by one id through all its names."""

    def __init__(self, number, kind):
        self.number, self.kind = number, kind
        self.name, self.was, self.visible, self.default = f"c{number}", [], True, None


class Model:
    """What the store was told: columns, and rows as {column number: value}."""

    def __init__(self, rng, unique):
        self.rng, self.columns, self.rows, self.series, self.keyed = rng, [], [], False, "city"
        self.unique, self.former_key = unique, None
        for _ in range(3):
            self.add()

    def visible(self):
        return [column for column in self.columns if column.visible]

    def free_name(self):
        used = {column.name for column in self.columns} | {name for column in self.columns for name in column.was}
        return next(name for name in (f"c{self.rng.randrange(1000)}" for _ in iter(int, 1)) if name not in used)

    # The changes; each gives False where it cannot be made now.

    def add(self):
        column = Column(len(self.columns), self.rng.choice(list(TYPES)))
        column.name = self.free_name()
        if self.rng.random() < 0.3:
            column.default = TYPES[column.kind][1](self.rng)
        self.columns.insert(self.rng.randrange(len(self.columns) + 1), column)

    def hide(self):
        self.rng.choice(self.visible()).visible = False
        return len(self.visible()) > 0

    def show(self):
        hidden = [column for column in self.columns if not column.visible]
        if hidden:
            self.rng.choice(hidden).visible = True

    def rename(self):
        column = self.rng.choice(self.columns)
        column.was.insert(0, column.name)
        column.name, column.visible = self.free_name(), True

    def replace(self):
        """Another type under the same name: the old column goes by a new one."""
        old = self.rng.choice(self.columns)
        new = Column(len(self.columns), self.rng.choice(list(TYPES)))
        new.name = old.name
        old.was.insert(0, old.name)
        old.name, old.visible = self.free_name(), True
        self.columns.append(new)

    def reorder(self):
        self.rng.shuffle(self.columns)

    def change_series(self):
        self.series = not self.series

    def rename_key(self):
        self.former_key, self.keyed = self.keyed, "town" if self.keyed == "city" else "city"

    def change(self):
        kinds = (self.add, self.hide, self.show, self.rename, self.replace, self.reorder, self.change_series, self.rename_key)
        while self.rng.choice(kinds)() is False:
            self.show()

    def forget_names(self):
        """Once the store knows: names that another column has by now, and some of the others."""
        held = {column.name for column in self.columns}
        for column in self.columns:
            column.was = [name for name in column.was if name not in held and self.rng.random() < 0.7]

    # What the store is given, and what it must answer.

    def config(self):
        was = f", was: {self.former_key}" if self.former_key else ""
        lines = [f"      {self.keyed}: {{type: text, required: true{was}}}", "      ts: {type: timestamptz, required: true}"]
        lines += ["      n: {type: bigint, required: true}"]
        for column in self.visible():
            default = f", default: {json.dumps(literal(column.default))}" if column.default is not None else ""
            names = f", was: [{', '.join(column.was)}]" if column.was else ""
            lines.append(f"      {column.name}: {{type: {column.kind}{names}{default}}}")
        roles = "    series: [n]\n" if self.series else ""
        roles += f"    unique: [{self.keyed}, ts, n]\n" if self.unique else ""
        return f"datasets:\n  d:\n    key: {self.keyed}\n    time: ts\n{roles}    columns:\n" + "\n".join(lines) + "\n"

    def make_rows(self, count):
        """Messages of new rows; where rows are unique also of some that were sent before, which this one replaces."""
        made = []
        for _ in range(count):
            n = len(self.rows)
            row = {"n": n, "city": self.rng.choice(CITIES), "ts": f"2025-01-{1 + self.rng.randrange(28):02}T00:{n % 60:02}:00Z"}
            if self.unique and self.rows and self.rng.random() < 0.3:
                sent = self.rng.choice(self.rows)
                row = {key: sent[key] for key in ("n", "city", "ts")}
                n = row["n"]
            message = {self.keyed: row["city"], "ts": row["ts"], "n": n}
            for column in self.visible():
                value = TYPES[column.kind][1](self.rng) if self.rng.random() < 0.8 else None
                if value is not None or self.rng.random() < 0.5:
                    message[column.name] = value
                row[column.number] = column.default if value is None else value
            self.rows[n : n + 1] = [row]
            made.append(json.dumps(message))
        return "\n".join(made) + "\n"

    def table(self):
        """A DuckDB with the dataset as it must be seen."""
        duck = duckdb.connect()
        duck.execute("SET TimeZone = 'UTC'")
        names = [(self.keyed, "VARCHAR", "city"), ("ts", "TIMESTAMPTZ", "ts"), ("n", "BIGINT", "n")]
        names += [(column.name, TYPES[column.kind][0], column.number) for column in self.visible()]
        duck.execute(f"CREATE TABLE d ({', '.join(f'{name} {kind}' for name, kind, _ in names)})")
        marks = ", ".join("?" * len(names))
        values = [row.get(key) for row in self.rows for _, _, key in names]
        duck.execute(f"INSERT INTO d VALUES {', '.join([f'({marks})'] * len(self.rows))}", values)
        return duck

    def queries(self):
        names = [column.name for column in self.visible()]
        numbered = [name for name in names if self.kind(name) != "boolean"]
        counts = "".join(
            f", count({name}) AS n{at}, min({name}) AS a{at}, max({name}) AS z{at}" for at, name in enumerate(numbered)
        )
        yield f"SELECT count(*) AS n{counts} FROM d"
        yield f"SELECT {self.keyed}, count(*) AS n{counts} FROM d GROUP BY {self.keyed} ORDER BY {self.keyed}"
        for name in self.rng.sample(names, min(2, len(names))):
            yield f"SELECT n, {name} FROM d WHERE {name} IS NULL AND {self.keyed} <> 'lima' ORDER BY n"
            yield f"SELECT count(*) AS r, min(n) AS a, max(n) AS z FROM d WHERE {name} IS NOT NULL AND ts >= '2025-01-14'"
            yield f"SELECT {name}, count(*) AS r, sum(n) AS s FROM d GROUP BY {name} ORDER BY {name} NULLS LAST"
            if self.kind(name) == "bigint":
                yield f"SELECT sum({name}) AS s, count(*) AS r FROM d WHERE {name} > 1000"

    def kind(self, name):
        return next(column.kind for column in self.visible() if column.name == name)


def literal(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def bits(value):
    """A double's sign of zero counts; whole numbers are equal whatever their type."""
    if isinstance(value, float):
        return repr(float(value)) if value != 0 else repr(math.copysign(0.0, value))
    return repr(float(value)) if isinstance(value, int) and not isinstance(value, bool) else value


def whole(text):
    return -0.0 if text == "-0" else int(text)


def comparable(rows):
    return [[bits(value) for value in row] for row in rows]


def check(store, model, step, history):
    where = f"step {step}: {history[-6:]}"
    duck = model.table()
    names = [model.keyed, "ts", "n", *(column.name for column in model.visible())]
    lines = store.ndjson("SELECT * FROM d ORDER BY n").decode().splitlines()
    assert list(json.loads(lines[0])) == names, where
    got = [list(json.loads(line, parse_int=whole).values()) for line in lines]
    want = duck.execute("SELECT * FROM d ORDER BY n").fetchall()
    for mine, theirs in zip(got, want, strict=True):
        assert mine[1] == theirs[1].isoformat(), where
        assert [bits(value) for value in mine[:1] + mine[2:]] == [bits(value) for value in theirs[:1] + theirs[2:]], where
    for sql in model.queries():
        theirs = comparable(duck.execute(sql).fetchall())
        assert plain(comparable(store.rows(sql))) == plain(theirs), f"{where}: {sql}"


def plain(rows):
    """Aggregates and group keys give 0.0 for -0.0; DuckDB gives either."""
    return [["0.0" if value == "-0.0" else value for value in row] for row in rows]


def take(store, model, folder, count):
    store.config.write_text(model.config())
    part = folder / f"part-{next(NUMBERS)}.ndjson"
    part.write_text(model.make_rows(count))
    assert store.load("d", part)["rows"] == count
    model.forget_names()


@pytest.mark.timeout(0)  # each command has its own limit; long histories on a busy machine take their time
@pytest.mark.parametrize("unique", (False, True), ids=("all rows count", "re-sent rows replace"))
def test_any_order_of_changes(unique, tmp_path, rng, long):
    store = aq.Store(tmp_path / "store", tmp_path / "aqstore.yaml")
    model, history = Model(rng, unique), []
    take(store, model, tmp_path, 50)
    for step in range(60 if long else 14):
        what = rng.choice(("change", "change", "rows", "compact", "archive")) if step else "compact"
        history.append(what)
        if what == "change":
            for _ in range(rng.choice((1, 1, 1, 3))):
                model.change()
                history[-1] += f" -> {[column.name for column in model.visible()]}"
                take(store, model, tmp_path, rng.choice((1, 30)))
        elif what == "rows":
            take(store, model, tmp_path, rng.randrange(1, 80))
        elif what == "compact":
            store.compact()
        else:  # an archive by itself, which later compactions leave alone or merge as they see fit
            take(store, model, tmp_path, 40)
            store.compact()
        if step % 2 == 0 or what != "rows":
            check(store, model, step, history)
    assert json.loads(store.run("--json", "verify", "--deep").text)["ok"]
    exported = store.export("d", "ndjson", tmp_path / "export").read_text().splitlines()
    assert len(exported) == len(model.rows)
    store.run("gc", "--age", "0s")
    check(store, model, "end", history)


CONFIG = """
datasets:
  d:
    key: {key}
    time: ts
    {roles}
    columns:
      {columns}
"""


def declare(store, columns, key="city", roles="slot: day"):
    store.config.write_text(CONFIG.format(key=key, roles=roles, columns="\n      ".join(columns)))


def load(store, folder, *messages, code=aq.DONE):
    part = folder / f"{abs(hash(json.dumps(messages)))}.ndjson"
    part.write_text("".join(json.dumps(message) + "\n" for message in messages))
    return store.run("import", "--dataset", "d", part, code=code)


BASE = ("city: {type: text, required: true}", "ts: {type: timestamptz, required: true}")


def message(number, **values):
    return {"city": "oslo", "ts": f"2025-01-01T00:{number:02}:00Z", **values}


def test_a_type_is_changed_by_two_columns(tmp_path):
    store = aq.Store(tmp_path / "store", tmp_path / "aqstore.yaml")
    declare(store, [*BASE, "aqi: {type: text}"])
    load(store, tmp_path, message(0, aqi="17"), message(1, aqi="-"))
    store.compact()
    declare(store, [*BASE, "aqi: {type: integer}"])
    refused = load(store, tmp_path, message(2, aqi=18), code=aq.USAGE).message
    assert 'recorded as "text" and cannot be changed to "integer"' in refused and "was: aqi" in refused
    assert store.value("SELECT count(*) FROM d") == 2
    declare(store, [*BASE, "aqi: {type: integer}", "aqi_text: {type: text, was: aqi}"])
    load(store, tmp_path, message(2, aqi=18))
    for _ in range(2):
        rows = store.rows("SELECT aqi, aqi_text FROM d ORDER BY ts")
        assert rows == [[None, "17"], [None, "-"], [18, None]]
        both = "SELECT coalesce(aqi, nullif(aqi_text, '-')::integer) AS aqi FROM d ORDER BY ts"
        assert store.rows(both) == [[17], [None], [18]]
        store.compact()


def test_what_is_refused_changes_nothing(tmp_path):
    store = aq.Store(tmp_path / "store", tmp_path / "aqstore.yaml")
    columns = [*BASE, "pm2_5: {type: double}", "note: {type: text}"]
    declare(store, columns)
    load(store, tmp_path, message(0, pm2_5=1.5, note="a"))
    for changed, key, roles, part in (
        ([*BASE, "pm25: {type: double, was: pm25_}"], "city", "slot: day", 'only "pm2_5"'),
        ([*BASE, "a: {type: double, was: pm2_5}", "b: {type: double, was: pm2_5}"], "city", "slot: day", "leave one"),
        (columns, "note", "slot: day", 'the key is recorded as "city"'),
        (columns, "city", "slot: month", "the slot is recorded"),
        ([*BASE, "other: {type: timestamptz}"], "city", "slot: hour", "the slot is recorded"),
    ):
        declare(store, changed, key, roles)
        before = [path.name for path in store.files("catalog")]
        assert part in load(store, tmp_path, message(1), code=aq.USAGE).message
        assert [path.name for path in store.files("catalog")] == before
    declare(store, columns)
    load(store, tmp_path, message(1, pm2_5=2.5))
    assert store.rows("SELECT pm2_5, note FROM d ORDER BY ts") == [[1.5, "a"], [2.5, None]]


def test_defaults_are_for_messages_not_for_the_past(tmp_path):
    store = aq.Store(tmp_path / "store", tmp_path / "aqstore.yaml")
    declare(store, BASE)
    load(store, tmp_path, message(0))
    store.compact()
    load(store, tmp_path, message(1))
    declare(store, [*BASE, "unit: {type: text, default: ugm3}", "level: {type: integer, required: true}"])
    load(store, tmp_path, message(2, level=3), message(3, level=4, unit="ppm"))
    want = [[None, None], [None, None], ["ugm3", 3], ["ppm", 4]]
    for _ in range(2):
        assert store.rows("SELECT unit, level FROM d ORDER BY ts") == want
        assert store.rows("SELECT count(*) AS n, count(unit) AS units, min(level) AS level FROM d WHERE unit IS NULL") == [[2, 0, None]]
        store.compact()


# ---- in a bucket ----


class Changing(Tiered):
    """A tiered store whose columns change from part to part."""

    def declare(self, *columns):
        tier = self.config.read_text().split("tier:")[1].splitlines()[0]
        lines = "\n".join(f"      {column}" for column in columns)
        self.config.write_text(
            f"store: {self.home}\ndatasets:\n  air:\n    key: city\n    time: ts\n    columns:\n{lines}\ntier:{tier}\n"
        )

    def take(self, folder, number, **values):
        part = folder / f"{number}.ndjson"
        rows = [{"city": "oslo", "ts": f"2024-01-0{number}T0{hour}:00:00Z", **values} for hour in range(5)]
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.load("air", part)


@pytest.mark.parametrize("order", ("rename first", "hide first"))
def test_in_the_bucket_and_after_a_restore(bucket, tmp_path, order):
    store = Changing(tmp_path, bucket, prefix=order.replace(" ", "-"))
    store.declare(*BASE, "pm2_5: {type: double}", "note: {type: text}")
    store.take(tmp_path, 1, pm2_5=1.5, note="first")
    store.compact()
    assert store.tier()["evicted"] == 1
    if order == "hide first":
        store.declare(*BASE, "note: {type: text}")
        store.take(tmp_path, 2, note="second")
        store.declare(*BASE, "pm25: {type: double, was: pm2_5}", "pm10: {type: double}")
    else:
        store.declare(*BASE, "pm25: {type: double, was: pm2_5}", "note: {type: text}")
        store.take(tmp_path, 2, pm25=None, note="second")
        store.declare(*BASE, "pm25: {type: double, was: pm2_5}", "pm10: {type: double}")
    store.take(tmp_path, 3, pm25=3.5, pm10=4.5)
    sql = "SELECT date_trunc('day', ts)::date AS day, count(*) AS n, sum(pm25) AS a, sum(pm10) AS b FROM air GROUP BY 1 ORDER BY 1"
    want = [["2024-01-01", 5, 7.5, None], ["2024-01-02", 5, None, None], ["2024-01-03", 5, 17.5, 22.5]]

    def look(where, **options):
        assert where.rows(sql, **options) == want
        assert where.value("SELECT count(*) FROM air WHERE pm10 IS NULL", **options) == 10
        assert 'column "note" does not exist' in where.run("query", "SELECT note FROM air", code=aq.USAGE, **options).message

    look(store)
    store.tier()
    look(store)
    store.compact()
    store.tier()
    look(store)
    look(aq.Store(store.url, env={**store.env, "AWS_ENDPOINT_URL": bucket.endpoint}))
    restored, _ = restore(store, tmp_path / "restored")
    look(restored)
