"""Reading what is in a bucket: the same answers as before, few requests, a cache, and nothing left out in silence."""

import os
import re
import subprocess
import time

import pytest

import aq
import sets
from helpers.fault_proxy import FaultProxy

BEIJING = sets.BEIJING
PREFIX = "beijing/store"
CITY_DAY = (
    "SELECT count(*), avg(pm25) FROM air WHERE station = 'Dongsi'"
    " AND ts >= '2015-01-01 00:00:00+08' AND ts < '2015-01-02 00:00:00+08'"
)
TIER = '\ntier: {{to: "s3://{bucket}/{prefix}", endpoint: "{endpoint}", after: 0s, protect: 1h, cache: {cache}}}\n'
TEMPORARY = 75


class Reader(aq.Store):
    """A machine that has the bucket's address and keys, and nothing else."""

    def __init__(self, folder, bucket, prefix=PREFIX, endpoint=None):
        folder.mkdir(parents=True, exist_ok=True)
        clean = {name: "" for name in os.environ if name.startswith(("AQSTORE_CONFIG", "XDG_"))}
        env = {**clean, **bucket.env, "AWS_ENDPOINT_URL": endpoint or bucket.endpoint, "HOME": str(folder)}
        super().__init__(f"s3://{bucket.name}/{prefix}", env=env)
        self.cache = folder / ".cache/aqstore"

    def blocks(self):
        return sorted(path for path in self.cache.rglob("*") if path.is_file())


def tiered_store(home, bucket, prefix=PREFIX, cache="10GiB"):
    """A store of the readings whose config names the bucket."""
    config = home.with_suffix(".yaml")
    tier = TIER.format(bucket=bucket.name, prefix=prefix, endpoint=bucket.endpoint, cache=cache)
    config.write_text(BEIJING.config_file.read_text() + tier)
    return aq.Store(home, config, env=dict(bucket.env))


@pytest.fixture(scope="module", params=("s3proxy", "versitygw"))
def moved(request, long, s3_servers, unpacked, tmp_path_factory):
    """(store, bucket, expected): the readings, archived, moved to the bucket; answers from before."""
    if request.param != "s3proxy" and not long:
        pytest.skip("with --long only")
    bucket = s3_servers(request.param).bucket()
    store = tiered_store(tmp_path_factory.mktemp("moved") / "home", bucket)
    store.load(BEIJING.dataset, *unpacked(BEIJING))
    store.compact()
    expected = {query.name: store.ndjson(query.sql, query.timezone) for query in BEIJING.queries}
    store.run("tier")
    store.run("gc", "--age", "0s")
    assert not store.files("archives") and not store.files("segments"), "something stayed at home"
    return store, bucket, expected


def expect_answers(store, expected):
    for query in BEIJING.queries:
        assert store.ndjson(query.sql, query.timezone) == expected[query.name], query.name


def costs(store, sql):
    """What EXPLAIN ANALYZE says of the bucket: (GETs, bytes, bytes from the cache, archives, tiles)."""
    text = store.run("query", "--format", "ndjson", f"EXPLAIN ANALYZE {sql}").text
    requests = re.search(r"Bucket requests: (\d+) GET; (\d+) bytes received, (\d+) bytes from the cache", text)
    archives = re.search(r"Bucket archives: (\d+) of \d+ fetched from; tiles: (\d+) of \d+ fetched", text)
    assert requests and archives, text
    return tuple(map(int, (*requests.groups(), *archives.groups())))


def data_requests(targets):
    return [target for target in targets if "/data/" in target]


def test_home_reads_what_has_moved(moved):
    store, _, expected = moved
    expect_answers(store, expected)
    assert (store.home / "cache").is_dir()


def test_empty_machine_reads_the_bucket(moved, tmp_path):
    _, bucket, expected = moved
    reader = Reader(tmp_path, bucket)
    expect_answers(reader, expected)
    assert reader.blocks()
    with FaultProxy(bucket.endpoint, lambda request: None) as proxy:  # once more, from the cache
        expect_answers(Reader(tmp_path, bucket, endpoint=proxy.address), expected)
        assert not data_requests(proxy.targets)


def test_city_day_costs_two_requests_an_archive(moved, tmp_path):
    _, bucket, _ = moved
    with FaultProxy(bucket.endpoint, lambda request: None) as proxy:
        reader = Reader(tmp_path, bucket, endpoint=proxy.address)
        gets, received, cached, archives, tiles = costs(reader, CITY_DAY)
        targets = list(proxy.targets)
        assert 1 <= gets <= 2 * archives and tiles < 7 and cached == 0, (gets, archives, tiles)
        assert len(data_requests(targets)) == gets, targets
        assert all(target.startswith("GET ") and "list-type" not in target for target in targets), targets
        assert len(targets) - gets <= 6, targets  # incarnation, mirror, and what is not there yet
        again = costs(reader, CITY_DAY)
        assert again[:3] == (0, 0, received), again
        assert len(data_requests(proxy.targets)) == gets


def test_cache_can_be_off_and_bounded(moved, tmp_path):
    store, bucket, expected = moved
    for cache, bound in (("0B", 0), ("1MiB", 1 << 20)):
        config = tmp_path / f"{cache}.yaml"
        text = store.config.read_text().replace("cache: 10GiB", f"cache: {cache}")
        assert text != store.config.read_text()
        config.write_text(text)
        reader = Reader(tmp_path / cache, bucket)
        reader.config = config
        expect_answers(reader, expected)
        assert sum(path.stat().st_size for path in reader.blocks()) <= bound
        assert (costs(reader, CITY_DAY)[0] > 0) or bound


def test_damaged_cache_is_repaired(moved, tmp_path):
    _, bucket, expected = moved
    reader = Reader(tmp_path, bucket)
    expect_answers(reader, expected)
    for number, path in enumerate(reader.blocks()):
        data = bytearray(path.read_bytes())
        if number % 3 == 0:
            data = data[: len(data) // 2]
        else:
            data[(number * 7919) % len(data)] ^= 16
        path.write_bytes(data)
    expect_answers(reader, expected)
    gets, *_ = costs(reader, CITY_DAY)
    assert gets == 0, "what was damaged has not been cached again"


def test_unwritable_cache_is_said_once(moved, tmp_path):
    _, bucket, expected = moved
    reader = Reader(tmp_path, bucket)
    reader.cache.parent.mkdir()
    reader.cache.write_text("in the way")
    query = BEIJING.queries[0]
    result = reader.run("query", "--format", "ndjson", query.sql)
    assert result.out == expected[query.name]
    assert result.message.count("nothing more is cached there") == 1, result


def test_restored_home_answers_alike(moved, tmp_path, unpacked):
    store, bucket, expected = moved
    # The restore ends the life of the first home, so a store of its own.
    own = tiered_store(tmp_path / "first", bucket, prefix="restored")
    own.load(BEIJING.dataset, *unpacked(BEIJING))
    own.compact()
    own.run("tier")
    restored = aq.Store(tmp_path / "second", env={**bucket.env, "AWS_ENDPOINT_URL": bucket.endpoint})
    restored.run("restore", "--from", f"s3://{bucket.name}/restored")
    assert not restored.files("archives")
    expect_answers(restored, expected)
    assert not restored.files("archives")
    expect_answers(store, expected)


def test_other_commands_read_the_bucket(moved, tmp_path):
    store, bucket, _ = moved
    reader = Reader(tmp_path, bucket)
    assert "bucket" in reader.run("inspect").text
    columns = reader.run("--json", "inspect", "air").text
    assert columns == store.run("--json", "inspect", "air").text
    name = re.search(r"archives/\S+", reader.run("inspect").text)[0]
    layout = reader.run("inspect", name).text
    assert "pm25" in layout and "tiles" in layout, layout
    assert store.run("inspect", name).text == layout
    assert "neither" in reader.run("inspect", "archives/00000000000000099999.aqa", code=aq.FAILED).message
    assert reader.run("--json", "sources").text == store.run("--json", "sources").text
    where = ("--dataset", "air", "--where", "pm25 > 700", "--to", "-")
    assert sorted(reader.run("export", *where).out.split(b"\n")) == sorted(store.run("export", *where).out.split(b"\n"))
    assert "not checked: 1 files" in reader.run("verify").text
    deep = reader.run("verify", "--deep").text
    assert deep.startswith("ok:") and "420,768 rows" in deep, deep


def test_the_stores_own_tables_of_a_bucket(moved, tmp_path):
    """They say the same of it as of the home, and nothing of commits: a bucket has the state alone."""
    store, bucket, _ = moved
    reader = Reader(tmp_path / "machine", bucket)
    for sql in ("SELECT * FROM aqstore_partitions ORDER BY dataset, key, slot",
                "SELECT * FROM aqstore_files ORDER BY id", "SELECT source, dataset, name, position, rows FROM aqstore_sources"):
        assert reader.rows(sql) == store.rows(sql) != []
    assert reader.rows("SELECT DISTINCT tier FROM aqstore_partitions") == [["s3"]]
    assert reader.value("SELECT sum(rows) AS n FROM aqstore_partitions") == BEIJING.rows
    assert reader.value("SELECT count(*) AS n FROM aqstore_commits") == 0


def test_writes_are_refused(moved, tmp_path):
    store, bucket, _ = moved
    reader = Reader(tmp_path, bucket)
    reader.config = store.config
    before = bucket.objects()
    file = tmp_path / "more.csv"
    file.write_text("x\n")
    for command in (("import", "--dataset", "air", file), ("compact",), ("gc", "--age", "0s"), ("tier",), ("rejects", "replay")):
        message = reader.run(*command, code=aq.USAGE).message
        assert "read-only" in message and "restore" in message, message
    assert bucket.objects() == before


def test_wrong_addresses_are_explained(moved, tmp_path):
    _, bucket, _ = moved
    for prefix in ("nothing/here", f"{PREFIX}/deeper"):
        result = Reader(tmp_path, bucket, prefix=prefix).run("query", "SELECT 1", code=aq.FAILED)
        assert "holds no store" in result.message and prefix in result.message, result
    missing = Reader(tmp_path, bucket)
    missing.home = "s3://no-such-bucket-here/store"
    assert "no-such-bucket-here" in missing.run("query", "SELECT 1", code=aq.FAILED).message


def test_config_is_needed_where_nothing_says_where_the_bucket_is(moved, tmp_path):
    store, _, expected = moved
    note = (store.home / "bucket").read_bytes()
    bare = aq.Store(store.home, env=store.env)
    query = BEIJING.queries[0]
    assert bare.ndjson(query.sql, query.timezone) == expected[query.name]
    (store.home / "bucket").unlink()
    try:
        assert "tier:" in bare.run("query", query.sql, code=aq.USAGE).message
    finally:
        (store.home / "bucket").write_bytes(note)


def damaged(bucket, unpacked, folder, prefix):
    """A store of its own in the bucket, its archive's file on the server, and a reader without a cache."""
    store = tiered_store(folder / prefix, bucket, prefix=prefix, cache="0B")
    store.load(BEIJING.dataset, *unpacked(BEIJING))
    store.compact()
    store.run("tier")
    (file,) = (bucket.folder / prefix / "data").glob("*.aqa")
    reader = Reader(folder / "reader", bucket, prefix=prefix)
    reader.config = store.config
    return store, reader, file


def test_damage_in_the_bucket_is_found(moved, unpacked, tmp_path, rng, long):
    _, bucket, _ = moved
    store, reader, file = damaged(bucket, unpacked, tmp_path, "damaged")
    whole = file.read_bytes()
    every = [f"max({name} || '')" if kind == "VARCHAR" else f"max({name})" for name, kind in BEIJING.columns]
    sql = f"SELECT {', '.join(every)} FROM air WHERE pm25 + pm10 > 3"  # no statistics answer it
    expected = reader.ndjson(sql)
    for _ in range(50 if long else 5):
        data = bytearray(whole)
        data[rng.randrange(64, len(data) - (1 << 16))] ^= 1 << rng.randrange(8)  # a chunk or a directory
        file.write_bytes(data)
        for each in (reader, store):
            result = each.run("query", sql, code=aq.CORRUPT)
            assert "damaged/data/" in result.message and "offset" in result.message, result
            assert "damaged/data/" in each.run("verify", "--deep", code=aq.CORRUPT).text
    file.write_bytes(whole)
    assert reader.ndjson(sql) == store.ndjson(sql) == expected


def test_vanished_object_is_temporary(moved, unpacked, tmp_path):
    _, bucket, _ = moved
    store, reader, file = damaged(bucket, unpacked, tmp_path, "vanished")
    file.unlink()
    for each in (reader, store):
        result = each.run("query", CITY_DAY, code=TEMPORARY)
        assert "vanished/data/" in result.message and "no longer in the bucket" in result.message, result


def test_server_that_is_down_is_temporary(moved, tmp_path, long):
    if not long:
        pytest.skip("with --long only: it is tried for a minute")
    _, bucket, _ = moved
    reader = Reader(tmp_path, bucket, endpoint="http://127.0.0.1:9")
    reader.run("query", "SELECT 1", code=TEMPORARY)


def wait_for_rows(store, least):
    """Until so many rows of an import that goes on are durable."""
    for _ in range(600):
        count = store.value("SELECT count(*) FROM air")
        if count >= least:
            return count
        time.sleep(0.1)
    raise AssertionError(f"{count} rows only, {least} expected")


def test_incomplete_days_are_refused(moved, unpacked, tmp_path):
    _, bucket, _ = moved
    first, *others = unpacked(BEIJING)
    store = tiered_store(tmp_path / "live", bucket, prefix="live")
    with store.config.open("a") as config:
        config.write("ingest: {commit_size: 64KiB}\n")
    store.load("air", first)
    done = store.value("SELECT count(*) FROM air")
    # The other stations' rows of 2016 on are being imported while the tier runs: in an open segment.
    header, *_ = first.read_bytes().splitlines(keepends=True)
    lines = [line for other in others for line in other.read_bytes().splitlines(keepends=True)]
    late = [line for line in lines if line.split(b",")[1] in (b"2016", b"2017")]
    command = [aq.BINARY, *store.arguments(), "import", "--dataset", "air", "--format", "csv", "-"]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **store.env})
    writer.stdin.write(b"".join([header, *late[:-10]]))
    writer.stdin.flush()
    wait_for_rows(store, done + 1)
    store.run("tier")
    reader = Reader(tmp_path / "reader", bucket, prefix="live")
    whole = "SELECT count(*), sum(pm25) FROM air"
    for sql in (whole, f"{whole} WHERE ts >= '2017-01-01'", "SELECT * FROM air LIMIT 1"):
        result = reader.run("query", sql, code=aq.FAILED)
        assert "--allow-incomplete" in result.message, result
        (point,) = re.findall(r"ts < '([^']+)'", result.message)
        assert point.startswith(("2015-12-31", "2016-")), point
    before = f"{whole} WHERE ts < '{point}'"
    assert reader.ndjson(before) == store.ndjson(before)
    lenient = reader.run("query", "--format", "csv", "--allow-incomplete", "SELECT count(*) FROM air")
    assert lenient.text.split()[1] == str(done), lenient
    writer.stdin.write(b"".join(late[-10:]))
    writer.stdin.close()
    assert writer.wait(60) == 0
    store.run("tier")
    assert reader.ndjson(whole) == store.ndjson(whole)
    assert reader.value("SELECT count(*) FROM air") == done + len(late)
