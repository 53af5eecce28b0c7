"""Archives in which columns follow others: the same answers as from archives of the same rows without, wherever they lie and whatever
becomes of the column that is followed."""

import random
import shutil

import pytest

import aq
import spec

COLUMNS = {
    "station": "{type: text, required: true}",
    "ts": "{type: timestamptz, required: true}",
    "code": "{type: integer}",
    "name": "{type: text}",
    "level": "{type: double}",
    "pm25": "{type: double}",
}
CODES, ROWS = 60, 6000
QUERIES = (
    "SELECT * FROM air ORDER BY station, ts",
    "SELECT name, count(*) AS n, min(level) AS low, max(code) AS high FROM air GROUP BY 1 ORDER BY 1 NULLS FIRST",
    "SELECT level FROM air WHERE name = 'value 7 of many' ORDER BY station, ts",
    "SELECT count(*) AS n, sum(level) AS s FROM air WHERE name LIKE '%3%' AND pm25 > 500",
    "SELECT name FROM air WHERE name IS NULL OR level < 2 ORDER BY ts, station LIMIT 10",
    "SELECT station, last(name, ts) AS n, first(level, ts) AS l FROM air GROUP BY 1 ORDER BY 1",
    "SELECT count(DISTINCT name) AS n FROM air WHERE ts >= '2024-02-20T00:00:00Z'",
    "SELECT count(*) AS n FROM air WHERE level IS NULL AND code IS NOT NULL",
)


def config(columns=COLUMNS, more=""):
    lines = "".join(f"      {name}: {declared}\n" for name, declared in columns.items())
    return f"datasets:\n  air:\n    key: station\n    time: ts\n    columns:\n{lines}{more}"


def line(draw, row, station):
    code = draw.randrange(CODES)
    odd = draw.random() < 0.01
    name = "" if code == 5 else f"value {draw.randrange(CODES) if odd else code} of many"
    level = "" if code % 11 == 3 else code * code % 37 / 4
    return (f"{station},2024-{1 + row // 28 % 3:02}-{1 + row % 28:02}T{row // 84 % 24:02}:{row // 2016:02}:00Z,"
            f"{'' if code == 9 else code},{name},{level},{draw.randrange(100000) / 100}\n")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    draw = random.Random(3)
    files = []
    for number in range(2):
        files.append(tmp_path_factory.mktemp("rows") / f"{number}.csv")
        lines = [line(draw, row, station) for row in range(ROWS // 2 * number, ROWS // 2 * (number + 1)) for station in ("a", "b")]
        files[-1].write_text("station,ts,code,name,level,pm25\n" + "".join(lines))
    return files


def make_store(folder, rows, more=""):
    folder.mkdir()
    (folder / "config.yaml").write_text(config(more=more))
    store = aq.Store(folder / "home", folder / "config.yaml")
    for file in rows:
        store.load("air", file)
    store.compact()
    return store


def table(store, number, *options):
    """A table of what `inspect` shows of the store's only archive: its lines, as lists."""
    (file,) = store.files("archives")
    lines = aq.run("inspect", *options, file).text.split("\n\n")[number].splitlines()
    return [[cell.strip() for cell in line.split("|")] for line in lines[3:]]


def encodings(store):
    return {row[0]: row[-1] for row in table(store, 1)}


@pytest.fixture(scope="module")
def made(rows, tmp_path_factory):
    """Of the same rows, one with followers and one without."""
    folder = tmp_path_factory.mktemp("made")
    with_followers = make_store(folder / "followers", rows)
    plain = make_store(folder / "plain", rows, "compaction:\n  profile: fast\n")
    found = encodings(with_followers)
    assert found["name"].startswith("follows code (") and found["level"].startswith("follows code ("), found
    assert not any("follows" in encoding for encoding in encodings(plain).values())
    return with_followers, plain


@pytest.fixture
def stores(made, tmp_path):
    """Copies of them."""
    copies = [shutil.copytree(store.home.parent, tmp_path / store.home.parent.name) for store in made]
    return [aq.Store(folder / "home", folder / "config.yaml") for folder in copies]


def assert_same_answers(store, plain, queries=QUERIES):
    for query in queries:
        assert store.ndjson(query) == plain.ndjson(query), query


def test_answers_are_the_same(stores, tmp_path):
    store, plain = stores
    assert_same_answers(store, plain)
    for form in ("csv", "ndjson"):
        exported = [one.export("air", form, tmp_path / f"{form} {one.home.parent.name}").read_bytes() for one in stores]
        assert exported[0] == exported[1]
    store.run("verify", "--deep")
    read = spec.Store(store.home)
    assert read.rows("air") == spec.export(store, read.schemas["air"], tmp_path / "export")


def test_they_are_compacted_again(stores, rows, tmp_path):
    later = tmp_path / "later.csv"
    later.write_text(rows[0].read_text().replace(",2024-", ",2023-"))
    for store in stores:
        store.load("air", later)
        store.compact()
    assert_same_answers(*stores)
    stores[0].run("verify", "--deep")
    assert any(b"AQARCHIV" == file.read_bytes()[:8] for file in stores[0].files("archives"))


def test_the_leader_is_hidden_renamed_or_of_another_type(stores):
    declared = {name: text for name, text in COLUMNS.items() if name != "code"}
    queries = [query for query in QUERIES if "code" not in query]
    changes = (declared, {**declared, "number": "{type: integer, was: code}"}, {**declared, "code": "{type: text}"})
    for columns in changes:
        for store in stores:
            more = "" if store is stores[0] else "compaction:\n  profile: fast\n"
            store.config.write_text(config(columns, more))
        assert_same_answers(*stores, queries=queries)


def test_a_damaged_leader_is_told_of(stores):
    (file,) = stores[0].files("archives")
    (offset,) = [int(row[3].replace(",", "")) for row in table(stores[0], 4, "--vectors") if row[1] == "code"]
    data = bytearray(file.read_bytes())
    data[offset + 8] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    corrupt = 3
    refused = stores[0].run("query", "SELECT name, pm25 FROM air", code=corrupt)
    assert b"column id" in refused.err and file.name in refused.err.decode()
    assert stores[0].rows("SELECT count(pm25 + 1) AS n FROM air") == stores[1].rows("SELECT count(pm25 + 1) AS n FROM air")
    stores[0].run("verify", code=corrupt)


def test_in_the_bucket(stores, s3_servers):
    store, plain = stores
    bucket = s3_servers("s3proxy").bucket()
    tier = f'tier: {{to: "s3://{bucket.name}/store", endpoint: "{bucket.endpoint}", after: 0s, protect: 1h, cache: 0B}}\n'
    store.config.write_text(config(more=tier))
    store.env = dict(bucket.env)
    store.run("tier")
    store.run("gc", "--age", "0s")
    assert not store.files("archives"), "something stayed at home"
    assert_same_answers(store, plain)
