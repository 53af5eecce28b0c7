"""The store's own tables say what is in the store: judged by DuckDB over the input, and by the store's other words."""

import json
import random

import aq
import sets

BUCHAREST, WIKIPEDIA = sets.BUCHAREST, sets.WIKIPEDIA
PARTITIONS = (
    "SELECT key, extract(epoch FROM slot)::bigint AS slot, rows, floor(extract(epoch FROM oldest))::bigint AS oldest,"
    " floor(extract(epoch FROM newest))::bigint AS newest FROM aqstore_partitions WHERE dataset = '{dataset}' ORDER BY 1, 2"
)


def truth(duck, data_set, files, key, time):
    """The partitions as DuckDB counts them."""
    return [list(row) for row in duck.execute(
        f"SELECT {key}, epoch(date_trunc('day', {time}))::BIGINT AS slot, count(*), floor(epoch(min({time})))::BIGINT,"
        f" floor(epoch(max({time})))::BIGINT FROM ({data_set.truth(files)}) AS input GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()]


def check_sums(store):
    """Rows and bytes add up, whichever way they are counted."""
    for dataset, kind in store.rows("SHOW TABLES"):
        if kind not in ("dataset", "rejects"):
            continue
        where = f"WHERE dataset = '{dataset}'"
        rows = store.value(f"SELECT count(*) AS n FROM {dataset}")
        by_partition = store.rows(f"SELECT coalesce(sum(rows), 0) AS r, coalesce(sum(bytes), 0) AS b FROM aqstore_partitions {where}")
        by_file = store.rows(f"SELECT coalesce(sum(rows), 0) AS r, coalesce(sum(bytes), 0) AS b FROM aqstore_files {where}")
        assert by_partition == by_file and by_file[0][0] == rows, (dataset, rows, by_partition, by_file)
    report = json.loads(store.run("--json", "inspect").text)
    assert store.value("SELECT count(DISTINCT id) AS n FROM aqstore_files") == report["file_count"]
    assert store.value("SELECT max(edit) AS n FROM aqstore_commits") == report["catalog_edit"]
    assert store.value("SELECT max(edit) AS n FROM aqstore_files") <= report["catalog_edit"]


def check_where(store, dataset, rng):
    """WHERE gives what it leaves of all rows, however much it spares."""
    every = store.rows("SELECT dataset, key, slot, rows, bytes, files FROM aqstore_partitions")
    for _ in range(3):
        _, key, slot, *_ = rng.choice([row for row in every if row[0] == dataset])
        for where, chosen in (
            (f"key = '{key}'", lambda row: row[1] == key),
            (f"slot >= '{slot}'", lambda row: row[2] is not None and row[2] >= slot),
            (f"dataset = '{dataset}' AND key < '{key}' AND slot < '{slot}'",
             lambda row: row[0] == dataset and row[1] < key and row[2] < slot),
            (f"dataset <> '{dataset}' OR slot = '{slot}'", lambda row: row[0] != dataset or row[2] == slot),
        ):
            found = store.rows(
                f"SELECT dataset, key, slot, rows, bytes, files FROM aqstore_partitions WHERE {where}")
            assert sorted(found, key=repr) == sorted(filter(chosen, every), key=repr), where


def test_partitions_add_up_in_every_state(unpacked, tmp_path, duck, rng, long):
    """Files that overlap, loaded in parts, compacted now and then."""
    files = unpacked(BUCHAREST)[: 12 if long else 4]
    store = aq.Store(tmp_path / "home", BUCHAREST.config_file)
    loaded = []
    for number, file in enumerate(files):
        store.load(BUCHAREST.dataset, file)
        loaded.append(file)
        if number == 1 or (number > 1 and rng.random() < 0.5):
            store.compact()
        assert store.rows(PARTITIONS.format(dataset="bucharest")) == truth(duck, BUCHAREST, loaded, "field", "ts")
        check_sums(store)
    check_where(store, "bucharest", rng)
    store.compact()
    store.run("gc", "--age", "0s")
    assert store.rows(PARTITIONS.format(dataset="bucharest")) == truth(duck, BUCHAREST, loaded, "field", "ts")
    check_sums(store)
    check_where(store, "bucharest", rng)
    names = {row[0] for row in store.rows("SELECT name FROM aqstore_files")}
    assert names <= {str(path.relative_to(store.home)) for path in store.files("segments") + store.files("archives")}


def test_duplicates_are_counted_until_they_are_merged(unpacked, tmp_path, duck):
    """The daily files overlap: DuckDB says how many of their readings are sent again."""
    files = unpacked(BUCHAREST)[:3]
    config = tmp_path / "unique.yaml"
    text = BUCHAREST.config_file.read_text()
    config.write_text(text.replace("    series: [sensor]\n", "    unique: [field, sensor, ts]\n"))
    assert config.read_text() != text
    store = aq.Store(tmp_path / "home", config)
    for file in files:
        store.load(BUCHAREST.dataset, file)
    want = [list(row) for row in duck.execute(
        "SELECT field, epoch(date_trunc('day', ts))::BIGINT AS slot, count(DISTINCT (sensor, ts)),"
        f" count(*) - count(DISTINCT (sensor, ts)) FROM ({BUCHAREST.truth(files)}) AS input GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()]
    assert any(row[3] > 0 for row in want)
    ask = ("SELECT key, extract(epoch FROM slot)::bigint AS slot, rows, duplicates_hidden FROM aqstore_partitions"
           " WHERE dataset = 'bucharest' ORDER BY 1, 2")
    assert store.rows(ask) == want
    check_where(store, "bucharest", random.Random(1))
    stored = store.rows("SELECT sum(rows + duplicates_hidden) AS n, sum(bytes) AS b FROM aqstore_partitions")
    assert stored == store.rows("SELECT sum(rows) AS n, sum(bytes) AS b FROM aqstore_files")
    assert store.value("SELECT count(*) AS n FROM bucharest") == sum(row[2] for row in want)
    both = "SELECT count(*) AS n FROM bucharest UNION ALL SELECT sum(duplicates_hidden) FROM aqstore_partitions"
    assert store.rows(both) == [[sum(row[2] for row in want)], [sum(row[3] for row in want)]]
    store.compact()
    assert store.rows(ask) == [[*row[:3], 0] for row in want]
    check_sums(store)


def test_feeds_and_rejects(unpacked, tmp_path):
    """Positions of files, finished and killed, with garbage; the sources' words are those of `sources`."""
    (file,) = unpacked(WIKIPEDIA)
    lines = file.read_bytes().splitlines(keepends=True)
    mixed = tmp_path / "mixed.ndjson"
    mixed.write_bytes(b"".join([b"garbage\n"] * 7 + lines))
    store = aq.Store(tmp_path / "home", WIKIPEDIA.config_file)
    if aq.kill_import(store, "edits", [mixed], 1 << 18):
        check_feeds(store)
    store.load("edits", mixed)
    check_feeds(store)
    assert store.rows("SELECT source, dataset, name, partition, state, position, lag, rows, rejects FROM aqstore_sources") == [
        ["import", "edits", "mixed.ndjson", None, "finished", len(lines) + 7, None, len(lines), 7]]
    assert store.value("SELECT rows FROM aqstore_partitions WHERE dataset = 'edits_rejects'") == 7
    assert store.value("SELECT count(*) AS n FROM aqstore_sources WHERE age < INTERVAL '1 hour'") == 1


def check_feeds(store):
    """The feeds' counts are those of the rows, also of a segment that nobody has closed."""
    (rows,), (told_rows,), (rejects,), (told_rejects,) = store.rows(  # of one snapshot: a killed writer's file may settle
        "SELECT count(*) AS n FROM edits UNION ALL SELECT sum(rows) FROM aqstore_sources UNION ALL"
        " SELECT count(*) FROM edits_rejects UNION ALL SELECT sum(rejects) FROM aqstore_sources")
    assert (rows, rejects) == (told_rows, told_rejects)
    words = ("dataset", "source", "name", "next_message", "rows", "rejects", "passed", "lost")
    for _ in range(5):
        listed = json.loads(store.run("--json", "sources").text)["sources"]
        told = store.rows("SELECT dataset, source, name, position, rows, rejects, passed_over, lost FROM aqstore_sources")
        if told == [[feed[word] for word in words] for feed in listed]:
            return
    assert told == listed


def test_commits_tell_what_happened(unpacked, tmp_path):
    files = unpacked(BUCHAREST)[:3]
    store = aq.Store(tmp_path / "home", BUCHAREST.config_file)
    for file in files:
        store.load(BUCHAREST.dataset, file)
    rows = store.value("SELECT count(*) AS n FROM bucharest")
    store.compact()
    assert store.rows("SELECT sum(opened) AS a, sum(closed) AS b, sum(removed) AS c, sum(claims) AS d, sum(rows) AS e FROM aqstore_commits") == [
        [3, 3, 3, 3, 2 * rows]]
    ((edit, what),) = store.rows("SELECT edit, what FROM aqstore_commits WHERE archives > 0")
    assert what.startswith("added ") and what.endswith("removed 3 files")
    assert store.rows("SELECT DISTINCT edit FROM aqstore_files") == [[edit]]
    numbers = [row[0] for row in store.rows("SELECT edit FROM aqstore_commits ORDER BY edit")]
    assert numbers == list(range(1, edit + 1))
    times = [row[0] for row in store.rows("SELECT time FROM aqstore_commits ORDER BY edit")]
    assert times == sorted(times)


def test_inspect_shows_the_partitions(unpacked, tmp_path):
    store = aq.Store(tmp_path / "home", BUCHAREST.config_file)
    store.load(BUCHAREST.dataset, unpacked(BUCHAREST)[0])
    report = json.loads(store.run("--json", "inspect", "bucharest").text)
    every = store.rows("SELECT key, slot, rows, bytes FROM aqstore_partitions WHERE dataset = 'bucharest'")
    keys = {key for key, *_ in every}
    assert report["key_count"] == len(keys) == len(report["keys"]) and report["partition_count"] == len(every)
    for line in report["keys"]:
        own = [row for row in every if row[0] == line["key"]]
        assert [line[word] for word in ("slots", "rows", "bytes")] == [len(own), sum(row[2] for row in own), sum(row[3] for row in own)]
    key = report["keys"][0]["key"]
    slots = json.loads(store.run("--json", "inspect", "bucharest", "--key", key, "-n", 1).text)
    assert slots["partition_count"] == sum(row[0] == key for row in every) and len(slots["slots"]) == 1
    assert slots["slots"][0]["slot"][:10] == max(row[1] for row in every if row[0] == key)[:10]
    text = store.run("inspect", "bucharest", "--limit", 2).text.split("keys:\n")[1]
    assert len(text.splitlines()) == 2 + 2, text
    assert "no key" in store.run("inspect", "bucharest_rejects", "--key", "x", code=aq.USAGE).message


def test_they_are_tables_like_others(tmp_path, unpacked):
    store = aq.Store(tmp_path / "home", BUCHAREST.config_file)
    store.load(BUCHAREST.dataset, unpacked(BUCHAREST)[0])
    assert ["aqstore_partitions", "system table"] in store.rows("SHOW TABLES")
    best = store.rows("SELECT key, sum(rows) AS n FROM aqstore_partitions GROUP BY key HAVING sum(rows) > 0"
                      " ORDER BY n DESC, key LIMIT 3")
    assert best == store.rows("SELECT field, count(*) AS n FROM bucharest GROUP BY 1 ORDER BY n DESC, 1 LIMIT 3")
    assert store.rows("WITH p AS (SELECT slot, rows FROM aqstore_partitions) SELECT count(*) AS n FROM p WHERE rows = 0") == [[0]]
    for form in ("csv", "json", "table", "markdown"):
        for table in ("partitions", "files", "commits", "sources"):
            assert store.run("query", "--format", form, f"SELECT * FROM aqstore_{table}").out
    message = store.run("query", "SELECT * FROM aqstore_file", code=aq.USAGE).message
    assert 'did you mean "aqstore_files"' in message
    taken = tmp_path / "taken.yaml"
    taken.write_text("datasets: {aqstore_files: {columns: {a: {type: text}}}}\n")
    assert "own tables" in aq.run("--config", taken, "config", "check", code=aq.USAGE).message
