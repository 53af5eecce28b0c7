"""Compaction that nobody watches: by schedule inside `ingest`, and as a command that cron may overlap."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import time


import aq
from running import Ingest, wait_for

CONFIG = """\
store: ./home
datasets:
  air:
    key: city
    time: ts
    columns:
      city: {type: text, required: true}
      ts: {type: timestamptz, format: epoch_s, required: true}
      n: {type: bigint}
sources:
  live: {kafka: {brokers: "127.0.0.1:1", topics: [nothing]}, dataset: air}
http: {listen: "127.0.0.1:0"}
compaction: {schedule: "%s"}
"""


def make_store(folder, rows=3000, schedule="02:30"):
    (folder / "aqstore.yaml").write_text(CONFIG % schedule)
    store = aq.Store(folder / "home", folder / "aqstore.yaml")
    add_rows(store, folder, 0, rows)
    return store


def add_rows(store, folder, first, count):
    part = folder / f"{first}.ndjson"
    lines = [
        json.dumps({"city": ("oslo", "lima")[n % 2], "ts": 1_700_000_000 + n * 61, "n": n * n * 7919 % 1_000_003})
        for n in range(first, first + count)
    ]
    part.write_text("\n".join(lines) + "\n")
    store.load("air", part)


def set_last_run(store, hours_ago):
    lock = store.home / "locks" / "compact"
    lock.touch()
    then = time.time() - hours_ago * 3600
    os.utime(lock, (then, then))


def leave_orphan(store):
    """What a killed compaction leaves: gc's to remove."""
    (store.home / "archives").mkdir(exist_ok=True)
    orphan = store.home / "archives" / f"{900:020}.aqa"
    orphan.write_bytes(b"never published")
    return orphan


@contextlib.contextmanager
def lock_held(store):
    with (store.home / "locks" / "compact").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def answers(store):
    return store.rows("SELECT city, count(*) AS n, sum(n) AS s, min(ts) AS a, max(ts) AS z FROM air GROUP BY 1 ORDER BY 1")


# ---- inside ingest ----


def test_a_missed_run_is_made_up_for_once(tmp_path):
    store = make_store(tmp_path)
    before = answers(store)
    orphan = leave_orphan(store)
    set_last_run(store, hours_ago=24 * 9 + 1)
    with Ingest(tmp_path, store.config) as running:
        running.wait_for("an archive", lambda: set(store.files("archives")) - {orphan})
        running.wait_for("gc", lambda: not orphan.exists())
        running.wait_for("its count", lambda: running.metric("aqstore_compaction_runs_total", result="ok") == 1)
        assert running.metric("aqstore_compaction_rows_total") == 3000
        assert running.metric("aqstore_compaction_input_files_total") == 1
        assert running.metric("aqstore_compaction_output_files_total") == 1
        assert running.metric("aqstore_gc_removed_files_total") >= 1
        next_run = "aqstore_compaction_next_timestamp_seconds"
        due = running.wait_for("the next night", lambda: time.time() < (due := running.metric(next_run)) and due)
        assert due - time.time() <= 24 * 3600, "however many were missed"
        assert time.gmtime(due)[3:5] == (2, 30)
        assert time.time() - running.metric("aqstore_compaction_last_success_timestamp_seconds") < 3600
        assert answers(store) == before
        assert running.end()[0] == aq.DONE
        assert "compaction: 3,000 rows of 1 files" in running.messages
    # Another process knows that it was done.
    with Ingest(tmp_path, store.config) as running:
        due = running.wait_for("a plan", lambda: running.metric("aqstore_compaction_next_timestamp_seconds"))
        assert 0 < due - time.time() <= 24 * 3600
        assert running.metric("aqstore_compaction_runs_total", result="ok") == 0
        assert running.end()[0] == aq.DONE


def test_a_store_that_is_met_first_waits_for_its_time(tmp_path):
    store = make_store(tmp_path, schedule="6h")
    with Ingest(tmp_path, store.config) as running:
        next_run = running.wait_for("a plan", lambda: running.metric("aqstore_compaction_next_timestamp_seconds"))
        assert 5.9 * 3600 < next_run - time.time() <= 6 * 3600
        assert running.end()[0] == aq.DONE
    assert not store.files("archives")
    # The first meeting counts, though nothing ran: the next process does not begin anew.
    with Ingest(tmp_path, store.config) as running:
        again = running.wait_for("a plan", lambda: running.metric("aqstore_compaction_next_timestamp_seconds"))
        assert abs(again - next_run) < 1
        assert running.end()[0] == aq.DONE


def test_another_compaction_is_stepped_back_from(tmp_path):
    store = make_store(tmp_path)
    set_last_run(store, hours_ago=30)
    with lock_held(store), Ingest(tmp_path, store.config) as running:
        running.wait_for("a skip", lambda: running.metric("aqstore_compaction_runs_total", result="skipped") == 1)
        assert "compaction: left to another process" in running.messages
        assert running.metric("aqstore_compaction_runs_total", result="failed") == 0
        assert running.get("/healthz")[0] == 200
        assert running.end()[0] == aq.DONE
    assert not store.files("archives")


def test_a_failure_is_told_and_survived(tmp_path):
    store = make_store(tmp_path)
    set_last_run(store, hours_ago=30)
    (segment,) = store.files("segments")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with Ingest(tmp_path, store.config, options=("--log-format", "json")) as running:
        running.wait_for("a failure", lambda: running.metric("aqstore_compaction_runs_total", result="failed") == 1)
        lines = [json.loads(line) for line in running.messages.splitlines()]
        (said,) = [line for line in lines if "compaction" in line["message"]]
        assert said["level"] == "error" and segment.name in said.get("path", ""), said
        assert running.get("/healthz")[0] == 200
        assert running.end()[0] == aq.DONE
    assert not store.files("archives")


def test_the_bucket_gets_what_compaction_made(bucket, tmp_path):
    store = make_store(tmp_path)
    before = answers(store)
    set_last_run(store, hours_ago=30)
    tier = f'tier: {{to: "s3://{bucket.name}/nightly", endpoint: "{bucket.endpoint}", after: 1d, protect: 0}}\n'
    store.config.write_text(store.config.read_text() + tier)
    store.env = dict(bucket.env)
    with Ingest(tmp_path, store.config, env=dict(bucket.env)) as running:
        # Without tier.protect nothing but compaction asks for a second run, which finds the archive.
        running.wait_for("the tier", lambda: running.metric("aqstore_tier_evicted_files_total") == 1)
        assert running.metric("aqstore_compaction_runs_total", result="ok") == 1
        assert running.end()[0] == aq.DONE
    assert any(name.startswith("nightly/data/") for name in bucket.objects())
    assert answers(store) == before


# ---- as a command ----


def test_a_held_lock_is_exit_4_and_a_second_run_has_nothing_to_do(tmp_path):
    store = make_store(tmp_path)
    set_last_run(store, hours_ago=1)
    with lock_held(store):
        refused = store.run("compact", code=aq.CONFLICT)
        assert "another process holds this lock" in refused.message and not refused.out
    done = store.compact()
    assert (done["segments"], done["archives_written"], done["rows"], done["new_rows"]) == (1, 1, 3000, 3000)
    assert done["write_amplification"] == 1
    again = store.run("compact")
    assert again.text == "nothing to compact\n"
    assert store.compact()["write_amplification"] == 0
    add_rows(store, tmp_path, 3000, 1000)
    more = store.compact()  # of older rows as many as the plan says
    assert more["new_rows"] == 1000 and more["write_amplification"] == more["rows"] / 1000


def test_gc_runs_after_it(tmp_path):
    store = make_store(tmp_path)
    orphan = leave_orphan(store)
    lines = store.run("--json", "compact", "--gc").text.splitlines()
    compacted, collected = map(json.loads, lines)
    assert compacted["archives_written"] == 1 and collected["files_removed"] >= 1
    assert not orphan.exists()
    assert store.value("SELECT count(*) FROM air") == 3000


def stat_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def io_priority_of(pid):
    asked = subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def test_a_rate_limit_holds_it_back_behind_others(tmp_path):
    store = make_store(tmp_path, rows=60_000)
    size = store.bytes()
    rate = size // 3
    begun = time.monotonic()
    with store.start("compact", "--rate-limit", f"{rate}B") as process:
        wait_for("its low priority", lambda: process.poll() is not None or stat_of(process.pid)[16] == "10")
        assert process.poll() is None, "it ended at once"
        if shutil.which("ionice"):
            wait_for("its low priority on disks", lambda: io_priority_of(process.pid) == "best-effort: prio 7")
        out, err = process.communicate()
    assert process.returncode == aq.DONE, (out, err)
    # Reading alone takes three seconds, less the quarter that may come at once.
    assert time.monotonic() - begun > 2.7
    assert store.value("SELECT count(*) FROM air") == 60_000
    bad = store.run("compact", "--rate-limit", "fast", code=aq.USAGE)
    assert "bytes a second like 50MiB" in bad.message


def test_a_signal_ends_it_while_it_waits(tmp_path):
    store = make_store(tmp_path, rows=60_000)
    with store.start("compact", "--rate-limit", "64KiB") as process:
        wait_for("the wait", lambda: process.poll() is not None or stat_of(process.pid)[16] == "10")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode in (143, -signal.SIGTERM), err
    assert store.value("SELECT count(*) FROM air") == 60_000
    assert store.compact()["rows"] == 60_000


def test_a_terminal_sees_phases_and_time_left(tmp_path):
    store = make_store(tmp_path, rows=60_000)
    master, slave = pty.openpty()
    command = [aq.BINARY, *store.arguments(), "compact", "--rate-limit", f"{store.bytes() // 3}B"]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    seen = b""
    with contextlib.suppress(OSError):  # of a terminal whose other end has gone
        while chunk := os.read(master, 4096):
            seen += chunk
    os.close(master)
    assert process.wait() == aq.DONE
    text = seen.decode(errors="replace")
    assert re.search(r"(read|merge|write|verify|commit) (air)?.*%", text), text[-1000:]
    assert "rows/s" in text
