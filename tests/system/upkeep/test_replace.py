"""`import --replace`: a reloaded span is swapped whole, at once, whatever is killed when; removed rows are gone in every state."""

import csv
import datetime
import re
import signal
import threading
import time

import pytest

import aq
import sets
from running import timed_kill

BEIJING = sets.BEIJING
ROWS = BEIJING.rows // 12  # of a station
ZONE = datetime.timedelta(hours=8)
GONE = "Dongsi"  # the station that a reloaded file lacks
COUNT = "SELECT count(*) AS n, sum(reading) AS readings FROM air"


def instant(row):
    """When a reading was taken, in UTC."""
    return datetime.datetime(*(int(row[name]) for name in ("year", "month", "day", "hour"))) - ZONE


def reload_file(files, folder, name, wanted, change=0):
    """The readings of all stations that `wanted` takes, in one file; `change` is added to their numbers."""
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as out:
        writer = None
        for file in files:
            with file.open(newline="") as source:
                for row in csv.DictReader(source):
                    writer = writer or csv.DictWriter(out, list(row))
                    if out.tell() == 0:
                        writer.writeheader()
                    if wanted(row, instant(row)):
                        writer.writerow({**row, "No": int(row["No"]) + change})
    return path


def in_march(when):
    return (when.year, when.month) == (2014, 3)


@pytest.fixture(scope="module")
def files(unpacked, long):
    """A file a station; in the short run three, GONE among them."""
    found = unpacked(BEIJING)
    return found if long else [*(file for file in found if GONE not in file.name)][:2] + [
        file for file in found if GONE in file.name
    ]


@pytest.fixture(scope="module")
def march(files, tmp_path_factory):
    """March 2014 (UTC) as it is loaded again: without its 10th and one station, all readings numbered anew."""
    return reload_file(
        files,
        tmp_path_factory.mktemp("reload"),
        "march",
        lambda row, when: in_march(when) and when.day != 10 and row["station"] != GONE,
        change=1_000_000,
    )


def expected(files, reloaded, span):
    """What must be there: the input without a span (an SQL condition), and the reloaded file."""
    return f"SELECT * FROM ({BEIJING.truth(files)}) WHERE NOT ({span}) UNION ALL {BEIJING.truth([reloaded])}"


MARCH = "ts >= TIMESTAMPTZ '2014-03-01 00:00:00+00' AND ts < TIMESTAMPTZ '2014-04-01 00:00:00+00'"


def answers(store):
    return [store.ndjson(query.sql, query.timezone) for query in BEIJING.queries[:6]]


def assert_holds(store, truth, duck, folder):
    exported = store.export("air", "csv", folder)
    assert duck.differences(truth, BEIJING.exported(exported)) == []
    exported.unlink()


def replace(store, *arguments, **options):
    return store.run("import", "--dataset", "air", "--replace", *arguments, **options)


def test_a_reloaded_month(files, march, duck, tmp_path):
    """In every state: what the file lacks vanishes, what it has is there, the rest stays; and it stays so."""
    truth = expected(files, march, MARCH)
    given = {}
    for state in ("hot", "compacted"):
        store = aq.build(state, tmp_path, BEIJING.config_file, "air", files)
        assert f"in place of {744 * len(files):,} rows" in replace(store, march).text
        assert store.value(f"SELECT count(*) AS n FROM air WHERE station = '{GONE}' AND {MARCH}") == 0
        given[state] = answers(store)
        again = replace(store, march)
        assert "nothing was replaced" in again.message and "nothing to add" in again.text, str(again)
        store.compact()
        assert answers(store) == given[state], f"{state}: compaction changed an answer"
        store.run("verify", "--deep")
    assert given["compacted"] == given["hot"]
    assert_holds(store, truth, duck, tmp_path / "export")
    # The former file brings the former rows back, though its content is known.
    back = reload_file(files, tmp_path, "back", lambda row, when: in_march(when))
    replace(store, back)
    assert_holds(store, BEIJING.truth(files), duck, tmp_path / "export")


def test_what_is_replaced_leaves_the_files(files, tmp_path):
    """Everything loaded again, less a station: compaction writes the archives anew, and no tombstone is left."""
    store = aq.Store(tmp_path / "store", BEIJING.config_file)
    store.load("air", *files)
    store.compact()
    before = store.bytes("archives")
    rest = [file for file in files if GONE not in file.name]
    replace(store, "--span", "year", *rest)
    assert store.value("SELECT count(*) AS n FROM air") == len(rest) * ROWS
    store.compact()
    store.run("gc", "--age", "0s")
    assert store.bytes("archives") < before
    assert store.value("SELECT count(*) AS n FROM air") == len(rest) * ROWS
    kinds = store.rows("SELECT state, kind, count(*) AS n FROM aqstore_files GROUP BY 1, 2 ORDER BY 1, 2")
    assert {(state, kind) for state, kind, _ in kinds} == {("closed", "archive")}
    store.run("verify", "--deep")


def test_in_the_bucket(files, march, duck, bucket, tmp_path):
    """Archives that are only in the bucket lose rows likewise; the mirror says so, too."""
    config = tmp_path / "tier.yaml"
    tier = f'tier: {{to: "s3://{bucket.name}/s", endpoint: "{bucket.endpoint}", after: 30d, keep_home: 30d}}\n'
    config.write_text(BEIJING.config_file.read_text() + tier)
    store = aq.Store(tmp_path / "store", config, env=dict(bucket.env))
    hot = aq.Store(tmp_path / "hot", BEIJING.config_file)
    for each in (store, hot):
        each.load("air", *files)
    store.compact()
    store.run("tier")
    replace(store, march)
    replace(hot, march)
    assert not list((store.home / "archives").glob("*.aqa")), "the archives are in the bucket alone"
    assert answers(store) == answers(hot)
    store.run("tier")
    mirror = aq.Store(f"s3://{bucket.name}/s", config, env=dict(bucket.env))
    assert answers(mirror) == answers(hot)
    assert_holds(store, expected(files, march, MARCH), duck, tmp_path / "export")


class Watch(threading.Thread):
    """Asks for the same numbers all the time; remembers every answer that is none of the allowed ones."""

    def __init__(self, store, allowed):
        super().__init__(daemon=True)
        self.store, self.allowed = store, allowed
        self.asked, self.wrong, self.ended = 0, [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            result = self.store.run("query", "--format", "ndjson", COUNT, code=None)
            (seen,) = aq.parse_rows(result.out) if result.code == aq.DONE else (str(result),)
            self.asked += 1
            if seen not in self.allowed:
                self.wrong.append(seen)

    def stop(self):
        self.ended.set()
        self.join()
        assert self.wrong == [] and self.asked > 0


@pytest.mark.timeout(1800)
def test_killed_replacements_leave_old_or_new(files, tmp_path, duck, rng, long):
    """SIGKILL at random moments of a replacement, beside queries: the old rows or the new ones, never both or neither."""
    config = tmp_path / "small.yaml"
    text = BEIJING.config_file.read_text()
    config.write_text(text + "ingest: {commit_interval: 5ms, commit_size: 64KiB, segment_size: 1MiB}\n")
    year = "ts >= TIMESTAMPTZ '2015-01-01 00:00:00+00' AND ts < TIMESTAMPTZ '2016-01-01 00:00:00+00'"
    reloads = [
        reload_file(files, tmp_path, "less", lambda row, when: when.year == 2015 and row["station"] != GONE, 7),
        reload_file(files, tmp_path, "all", lambda row, when: when.year == 2015),
    ]
    store = aq.Store(tmp_path / "store", config)
    store.load("air", *files)
    allowed, whole = store.rows(COUNT), 0.0
    for file in reloads:
        begun = time.monotonic()
        replace(store, file, "--span", "year")
        whole = time.monotonic() - begun
        allowed += store.rows(COUNT)
    assert allowed[0] == allowed[2] != allowed[1]
    watch = Watch(store, allowed)
    watch.start()
    kills, done = 0, 0
    for number in range(60 if long else 8):
        process = store.start("import", "--dataset", "air", "--replace", "--span", "year", reloads[number % 2])
        killed = timed_kill(process, rng.uniform(0, whole * 0.7))
        kills += killed
        done += not killed
        assert store.rows(COUNT)[0] in allowed
        if number % 4 == 3:
            store.compact()
    replace(store, reloads[0], "--span", "year")
    watch.stop()
    assert_holds(store, expected(files, reloads[0], year), duck, tmp_path / "export")
    assert store.value("SELECT count(*) AS n FROM aqstore_files WHERE state = 'held'") == 0
    store.run("verify", "--deep")
    print(f"{kills} kills, {done} replacements went through, {watch.asked} queries beside them")


def test_a_stopped_replacement_changes_nothing(files, march, tmp_path):
    """SIGTERM, a file that is damaged behind a good one, a wrong column: the old rows stay, and nothing is left over."""
    store = aq.Store(tmp_path / "store", BEIJING.config_file)
    store.load("air", *files)
    before = answers(store)
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"\x1f\x8b\x08\x00damaged")
    result = replace(store, march, broken, code=None)
    assert result.code != aq.DONE and re.search("broken", result.message), str(result)
    assert answers(store) == before
    process = store.start("import", "--dataset", "air", "--replace", march)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    replace(store, tmp_path / "absent.csv", code=aq.FAILED)
    store.run("gc", "--age", "0s")
    assert store.value("SELECT count(*) AS n FROM aqstore_files WHERE state <> 'closed'") == 0
