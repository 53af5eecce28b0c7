"""`rejects replay`: what a wrong config refused becomes rows after its fix, each message once, whatever is killed."""

import fcntl
import json
import shutil
import signal
import time

import pytest

import aq
import sets

WIKIPEDIA = sets.WIKIPEDIA
BOTH = "SELECT count(*) AS n FROM edits UNION ALL SELECT count(*) FROM edits_rejects"
GARBAGE = [b"not JSON\n", b"[1, 2\n", b'{"channel": "#x"}\n', b'{"channel": "#x", "time": "yesterday"}\n']


def wrong_config(folder):
    """The edits' config with a column required that most edits lack."""
    config = folder / "wrong.yaml"
    right = WIKIPEDIA.config_file.read_text()
    wrong = right.replace("country_code: {type: text,", "country_code: {type: text, required: true,")
    assert wrong != right
    config.write_text(wrong)
    return config


@pytest.fixture(scope="module")
def refused(unpacked, tmp_path_factory):
    """(home, lines, garbage): a store whose config has refused most of the edits, and garbage among them."""
    folder = tmp_path_factory.mktemp("refused")
    (file,) = unpacked(WIKIPEDIA)
    lines = file.read_bytes().splitlines(keepends=True)
    garbage = GARBAGE * 10
    mixed = folder / "mixed.ndjson"
    mixed.write_bytes(b"".join(lines[:20000] + garbage + lines[20000:]))
    store = aq.Store(folder / "home", wrong_config(folder))
    report = store.load("edits", mixed)
    assert report["rows"] + report["rejects"] == len(lines) + len(garbage)
    assert report["rejects"] > len(lines) // 2
    return store.home, lines, garbage


def mended(refused, home):
    """A copy of that store, with the right config."""
    shutil.copytree(refused[0], home)
    return aq.Store(home, WIKIPEDIA.config_file)


def replay(store, *options, **checks):
    """Report of the one dataset, or the result of a failure."""
    result = store.run("--json", "rejects", "replay", *options, **checks)
    if result.code != aq.DONE:
        return result
    (report,) = json.loads(result.text)["datasets"]
    return report


def counts(store):
    """(rows, rejects) of one snapshot."""
    (rows,), (rejects,) = store.rows(BOTH)
    return rows, rejects


def assert_all_edits(store, refused, unpacked, duck, folder):
    """Every edit is a row once, every piece of garbage a reject once."""
    exported = store.export("edits", "ndjson", folder)
    assert duck.differences(WIKIPEDIA.truth(unpacked(WIKIPEDIA)), WIKIPEDIA.exported(exported)) == []
    exported.unlink()
    rows = store.rows("SELECT bytes FROM edits_rejects")
    assert sorted(bytes.fromhex(data[2:]) for data, in rows) == sorted(line.rstrip(b"\n") for line in refused[2])


def test_all_that_fits_now_becomes_rows(refused, unpacked, tmp_path, duck):
    store = mended(refused, tmp_path / "home")
    before = counts(store)
    plan = replay(store, "--dry-run")
    assert counts(store) == before
    done = replay(store)
    for report in (plan, done):
        assert (report["selected"], report["rows"]) == (before[1], before[1] - len(refused[2])), report
        assert sum(reason["rejects"] for reason in report["still_rejected"]) == len(refused[2])
        assert any("not JSON" in reason["reason"] for reason in report["still_rejected"])
    assert done["archives"] > 0
    for step in ("replayed", "replayed again", "compacted"):
        assert counts(store) == (len(refused[1]), len(refused[2])), step
        assert_all_edits(store, refused, unpacked, duck, tmp_path / "export")
        store.run("verify", "--deep")
        if step == "replayed":
            assert replay(store)["rows"] == 0
        else:
            store.compact()
            store.run("gc", "--age", "0s")
    edits = store.rows("SELECT what FROM aqstore_commits WHERE tombstones > 0")
    assert len(edits) == 1, "a replay is one edit"


def test_only_what_is_asked_for(refused, unpacked, tmp_path, duck):
    """Filters choose; the others stay rejects as they were, and can be replayed later."""
    store = mended(refused, tmp_path / "home")
    rows, rejects = counts(store)
    assert replay(store, "--source", "nobody")["selected"] == 0
    assert replay(store, "--since", "2100-01-01")["selected"] == 0
    assert replay(store, "--reason", "no time")["selected"] == 10
    assert counts(store) == (rows, rejects)
    report = replay(store, "--reason", "country_code", "--source", "import", "--since", "1d")
    assert report["selected"] == report["rows"] == rejects - len(refused[2])
    assert counts(store) == (len(refused[1]), len(refused[2]))
    assert_all_edits(store, refused, unpacked, duck, tmp_path / "export")
    listed = json.loads(store.run("--json", "rejects", "list", "--reason", "not JSON").text)["rejects"]
    assert sum(entry["rejects"] for entry in listed) == 20, listed


def test_rejects_of_archives(refused, unpacked, tmp_path, duck):
    """The same where the rejects have been compacted, in parts, and rows and rejects go on coming."""
    store = mended(refused, tmp_path / "home")
    store.compact()
    rejects = counts(store)[1]
    assert replay(store)["rows"] == rejects - len(refused[2])
    assert counts(store) == (len(refused[1]), len(refused[2]))
    more = tmp_path / "more.ndjson"
    more.write_bytes(b"".join(GARBAGE))
    store.load("edits", more)
    report = replay(store)
    assert (report["rejects"], report["rows"]) == (len(refused[2]) + len(GARBAGE), 0)
    assert counts(store) == (len(refused[1]), len(refused[2]) + len(GARBAGE))


def test_killed_replays_count_every_message_once(refused, unpacked, tmp_path, duck, rng, long):
    store = mended(refused, tmp_path / "timing")
    before = counts(store)
    begun = time.monotonic()
    replay(store)
    whole = time.monotonic() - begun
    after = counts(store)
    seen = set()
    for number in range(100 if long else 6):
        store = mended(refused, tmp_path / f"home{number}")
        process = store.start("rejects", "replay")
        time.sleep(rng.uniform(0, 1.2 * whole))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = counts(store)
        assert found in (before, after), (before, found, after)
        seen.add(found)
        replay(store)
        assert counts(store) == after
        if number % 4 == 0:
            store.run("gc", "--age", "0s")
            store.run("verify")
            assert_all_edits(store, refused, unpacked, duck, tmp_path / "export")
        shutil.rmtree(store.home)
    print(f"killed before and after the edit: {len(seen)} of 2 states seen")


def test_queries_see_one_state_or_the_other(refused, tmp_path):
    """While it runs, and while others import and compact: no message twice, none missing."""
    store = mended(refused, tmp_path / "home")
    before = counts(store)
    process = store.start("rejects", "replay")
    found = []
    while process.poll() is None:
        found.append(counts(store))
    process.communicate()
    found.append(counts(store))
    assert set(found) <= {before, (len(refused[1]), len(refused[2]))}, set(found)
    assert process.returncode == 0


def test_replay_beside_an_import(refused, tmp_path):
    """A segment that is being written is left alone; what closes meanwhile is not touched."""
    store = mended(refused, tmp_path / "home")
    more = tmp_path / "more.ndjson"
    more.write_bytes(b"".join(refused[1][:15000] + GARBAGE * 100))
    process = store.start("import", "--dataset", "edits", more)
    while process.poll() is None:
        replay(store)
    process.communicate()
    assert process.returncode == 0
    replay(store)
    assert counts(store) == (len(refused[1]) + 15000, len(refused[2]) + 100 * len(GARBAGE))


def test_a_compaction_that_runs_excludes_it(refused, tmp_path):
    store = mended(refused, tmp_path / "home")
    before = counts(store)
    with open(store.home / "locks/compact", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        replay(store, code=aq.CONFLICT)
        assert replay(store, "--dry-run")["rows"] > 0
    assert counts(store) == before


UNIQUE = """
datasets:
  readings:
    key: city
    time: ts
    unique: [city, ts]
    columns:
      city: {type: text, required: true}
      ts: {type: timestamptz, required: true}
      v: {type: integer%s}
"""


def test_re_sent_readings_keep_their_place(tmp_path):
    """Of re-sent readings the one that came last counts, also when it was refused at first."""
    wrong, right = tmp_path / "wrong.yaml", tmp_path / "right.yaml"
    wrong.write_text(UNIQUE % "")
    right.write_text(UNIQUE % ', null_values: ["-"]')
    sent = [("early", "-"), ("early", 1), ("late", 2), ("late", "-"), ("alone", "-")]
    file = tmp_path / "sent.ndjson"
    file.write_text("".join(json.dumps({"city": c, "ts": "2025-02-14T13:00:00Z", "v": v}) + "\n" for c, v in sent))
    store = aq.Store(tmp_path / "home", wrong)
    assert store.load("readings", file)["rejects"] == 3
    assert store.rows("SELECT city, v FROM readings ORDER BY 1") == [["early", 1], ["late", 2]]
    store.config = right
    assert replay(store)["rows"] == 3
    for hidden in (2, 0):
        assert store.rows("SELECT city, v FROM readings ORDER BY 1") == [["alone", None], ["early", 1], ["late", None]]
        told = "SELECT sum(rows) AS r, sum(duplicates_hidden) AS h FROM aqstore_partitions WHERE dataset = 'readings'"
        assert store.rows(told) == [[3, hidden]]
        store.compact()


def test_csv_records_need_their_header(unpacked, tmp_path, duck):
    data = sets.HANOI
    files = unpacked(data)[:1]
    header = files[0].read_bytes().splitlines()[0].decode("utf-8-sig")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(data.config_file.read_text().replace('"%Y-%m-%d %I:%M %p"', '"%Y/%m/%d %I:%M %p"'))
    store = aq.Store(tmp_path / "home", wrong)
    report = store.load(data.dataset, *files)
    assert report["rows"] == 0 and report["rejects"] > 5000
    store.config = data.config_file
    (reason,) = replay(store, "--format", "csv")["still_rejected"]
    assert "--header" in reason["reason"], reason
    assert replay(store, "--header", header)["rows"] == report["rejects"]
    exported = store.export(data.dataset, "csv", tmp_path / "export")
    assert duck.differences(data.truth(files), data.exported(exported)) == []


def test_what_cannot_be_replayed_says_so(tmp_path):
    """A message of which only the beginning is kept stays a reject."""
    store = aq.Store(tmp_path / "home", wrong_config(tmp_path))
    file = tmp_path / "long.ndjson"
    file.write_bytes(b'{"channel": "#x", "time": "2015-09-12T00:00:00Z", "comment": "' + b"x" * (17 << 20) + b'"}\n')
    assert store.load("edits", file)["rejects"] == 1
    store.config = WIKIPEDIA.config_file
    report = replay(store)
    assert (report["selected"], report["rows"]) == (1, 0)
    assert "only its beginning is kept" in report["still_rejected"][0]["reason"]
    assert store.run("rejects", "replay", "--dataset", "nobody", code=aq.USAGE).message
    assert store.run("rejects", "replay", "--since", "yesterday", code=aq.USAGE).message
