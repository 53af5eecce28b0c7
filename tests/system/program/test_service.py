"""`ingest` as a service: sources side by side, draining, HTTP, logs, the service manager, secrets."""

import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from confluent_kafka import Producer

import aq
from running import Feeder, Ingest, Manager, wait_for

HELPERS = aq.PROJECT / "tests/system/helpers"
PROMTOOL = aq.PROJECT / "tests/services/promtool"
DRAIN_S = 10
TRY_AGAIN = 75  # exit code
CONFIG = """\
store: ./home
datasets:
  air:
    time: ts
    columns:
      n: {type: bigint, required: true}
      ts: {type: timestamptz, format: epoch_s, required: true}
  water:
    time: ts
    columns:
      n: {type: bigint, required: true}
      ts: {type: timestamptz, format: epoch_s, required: true}
sources:
  slow: {files: [slow.fifo], dataset: air, format: ndjson}
  quick: {files: ["*.ndjson"], dataset: water}
http: {listen: "127.0.0.1:0"}
ingest: {commit_interval: 50ms, commit_size: 16KiB, segment_size: 1MiB}
"""


def line(n):
    return json.dumps({"n": n, "ts": 1_700_000_000 + n}) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "aqstore.yaml").write_text(CONFIG)
    os.mkfifo(tmp_path / "slow.fifo")
    (tmp_path / "quick.ndjson").write_text("".join(map(line, range(1000))) + '{"n": "x"}\n{"ts": 1}\nno json\n')
    return tmp_path


def ingest(folder, *args, **options):
    return Ingest(folder, folder / "aqstore.yaml", *args, **options)


def numbers(folder, dataset="air"):
    """The n of every row, in order."""
    rows = aq.Store(folder / "home").rows(f"SELECT n FROM {dataset} ORDER BY n")
    return [n for (n,) in rows]


# ---- signals ----


def test_a_drain_under_load_keeps_every_row_and_the_next_run_goes_on(folder, rng):
    lines = [line(n) for n in range(60_000)]
    feeder = Feeder(folder / "slow.fifo", lines, batch=200, pause_s=0.005)
    with ingest(folder, "slow") as running:
        least = rng.randrange(1, 3000)
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="slow") >= least)
        code, seconds = running.end(signal.SIGTERM)
        assert code == aq.DONE, str(running)
        assert seconds < DRAIN_S
        assert "stopped by a signal" in running.messages
    feeder.stop()
    kept = numbers(folder)
    assert kept == list(range(len(kept))) and least <= len(kept) < len(lines)
    feeder = Feeder(folder / "slow.fifo", lines, batch=1000)
    with ingest(folder, "slow") as running:
        assert running.process.wait(60) == aq.DONE, str(running)
    feeder.stop()
    assert numbers(folder) == list(range(len(lines)))
    aq.Store(folder / "home").run("verify", "--deep")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_no_harm(folder, second):
    feeder = Feeder(folder / "slow.fifo", [line(n) for n in range(100_000)], batch=100, pause_s=0.005)
    with ingest(folder, "slow") as running:
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="slow") > 0)
        code, seconds = running.end(signal.SIGINT, second, second)
        assert code == aq.DONE and seconds < DRAIN_S, str(running)
    feeder.stop()
    kept = numbers(folder)
    assert kept == list(range(len(kept))) and kept


def test_a_signal_ends_the_wait_for_a_pipe_that_nobody_writes(folder):
    with ingest(folder) as running:
        assert running.sources()["slow"]["state"] == "running"
        code, seconds = running.end()
        assert code == aq.DONE and seconds < 5, str(running)


def test_a_pipe_that_pauses_has_its_rows_committed_in_time(folder):
    """In the middle of a line, too; the first kilobyte goes into telling what is in the pipe."""
    with ingest(folder, "slow") as running, open(folder / "slow.fifo", "w", encoding="utf-8") as pipe:
        written = 0
        for count in (100, 103, 110):
            pipe.write("".join(line(n) for n in range(written, count)) + line(count)[:5])
            pipe.flush()
            running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="slow") == count)
            assert numbers(folder) == list(range(count))
            assert running.metric("aqstore_queue_messages") == 0
            pipe.write(line(count)[5:])
            written = count + 1
        pipe.flush()
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="slow") == written)
        assert running.end()[0] == aq.DONE, str(running)
    assert numbers(folder) == list(range(111))
    (folder / "slow.txt").write_text("".join(line(n) for n in range(150)))
    store = aq.Store(folder / "home", folder / "aqstore.yaml")
    report = store.load("air", folder / "slow.txt", format="ndjson")
    assert report["rows"] == 39 and report["resumed_files"] == 1, "the file goes on where the pipe stopped"
    assert numbers(folder) == list(range(150))


def test_what_is_stuck_is_named_and_left(folder, long):
    if not long:
        pytest.skip("waits out the whole drain: --long")
    compiler = shutil.which("cc") or pytest.skip("no C compiler for the helper")
    preload, source = folder / "preload.so", HELPERS / "stuck_open_preload.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", preload, source], check=True)
    (folder / "aqstore.yaml").write_text(CONFIG.replace("slow.fifo", "never-opens.ndjson"))
    (folder / "never-opens.ndjson").write_text(line(1))
    with ingest(folder, "slow", env={"LD_PRELOAD": str(preload)}) as running:
        running.wait_for("it to run", lambda: running.sources()["slow"]["state"] == "running")
        code, seconds = running.end()
        assert code == aq.FAILED and DRAIN_S <= seconds < DRAIN_S + 3, str(running)
        assert "still busy after 10 s: files (slow)" in running.messages
    aq.Store(folder / "home").run("verify", "--deep")


# ---- sources side by side ----


def test_a_stopped_source_shows_and_holds_up_no_other(folder):
    first = "sources:\n  first: {files: [gone.csv], dataset: air}"
    (folder / "aqstore.yaml").write_text(CONFIG.replace("sources:", first))
    feeder = Feeder(folder / "slow.fifo", [line(n) for n in range(100_000)], batch=10, pause_s=0.01)
    with ingest(folder) as running:
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="slow") > 100)
        code, _ = running.get("/readyz")
        first = running.sources()["first"]
        assert code == 503 and first["state"] == "stopped" and "gone.csv" in first["message"]
        assert running.metric("aqstore_source_state", source="first", state="stopped") == 1
        assert running.metric("aqstore_source_state", source="slow", state="running") == 1
        before = running.metric("aqstore_rows_total", source="slow")
        running.wait_for("more rows", lambda: running.metric("aqstore_rows_total", source="slow") > before)
        assert re.search(r"^aqstore: first: ingest: .*gone\.csv: ", running.messages, re.M)
        assert running.end()[0] == aq.DONE, str(running)
    feeder.stop()


def test_one_failure_among_several_sources_is_the_exit_code(folder):
    (folder / "aqstore.yaml").write_text(CONFIG.replace("slow.fifo", "gone.csv"))
    result = aq.run("ingest", "--once", cwd=folder, code=aq.FAILED)
    assert re.search(r"^aqstore: slow: ingest: .*gone\.csv: ", result.message, re.M)
    assert "not all sources" in result.message
    assert numbers(folder, "water") == list(range(1000))


def test_two_sources_of_one_dataset_and_a_name_given_twice(folder):
    more = "slow: {files: [more.csv], dataset: water}"
    config = "\n".join("  " + more if "slow:" in text else text for text in CONFIG.splitlines())
    (folder / "aqstore.yaml").write_text(config)
    (folder / "more.csv").write_text("n,ts\n5000,1700000000\n")
    aq.run("ingest", "quick", "slow", "quick", cwd=folder)
    assert numbers(folder, "water") == [*range(1000), 5000]


# ---- HTTP ----


def check_metrics(text):
    """Prometheus's own checker has nothing to say."""
    subprocess.run([PROMTOOL, "--version"], capture_output=True, check=False)  # the first call of all downloads it, and says so
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    if checked.returncode == 77:
        pytest.skip(checked.stderr)
    assert checked.returncode == 0 and not checked.stdout + checked.stderr, checked.stdout + checked.stderr


def test_health_readiness_and_metrics(folder):
    feeder = Feeder(folder / "slow.fifo", [line(n) for n in range(100_000)], batch=100, pause_s=0.01)
    # The files come first: file sources are read one after the other, as the config has them.
    slow = next(text for text in CONFIG.splitlines() if "slow:" in text) + "\n"
    (folder / "aqstore.yaml").write_text(CONFIG.replace(slow, "").replace("http:", slow + "http:"))
    with ingest(folder) as running:
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="slow") >= 300)
        assert running.get("/healthz") == (200, "ok\n")
        code, body = running.get("/readyz")
        ready = json.loads(body)
        assert code == 200 and ready["ready"] and not ready["draining"]
        quick = running.sources()["quick"]
        assert (quick["state"], quick["rows"], quick["rejects"], quick["kind"]) == ("done", 1000, 3, "files")
        assert 0 <= quick["seconds_since_message"] < 60
        for reason, count in {"type": 1, "required": 1, "syntax": 1, "size": 0}.items():
            assert running.metric("aqstore_rejects_total", source="quick", reason=reason) == count
        assert running.metric("aqstore_input_bytes_total", source="quick") == (folder / "quick.ndjson").stat().st_size
        assert running.metric("aqstore_segments_sealed_total") == 1
        assert running.metric("aqstore_open_segment_bytes") > 0
        assert 0 < running.metric("aqstore_open_segment_age_seconds") < 60
        count = running.metric("aqstore_commit_latency_seconds_count")
        assert count >= 2 and running.metric("aqstore_commit_latency_seconds_bucket", le="+Inf") == count
        assert running.metric("process_open_fds") > 3
        check_metrics(running.get("/metrics")[1])
        assert running.get("/")[0] == 404
        assert running.get("/metrics", method="POST")[0] == 405
        assert running.end()[0] == aq.DONE, str(running)
    feeder.stop()


def test_without_the_section_nothing_listens(folder):
    (folder / "aqstore.yaml").write_text(CONFIG.replace('http: {listen: "127.0.0.1:0"}\n', ""))
    with ingest(folder) as running:
        wait_for("it to run", lambda: (folder / "home/segments").exists())
        time.sleep(0.2)
        pid = running.process.pid
        sockets = {os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
        assert not any(name.startswith("socket:") for name in sockets)
        assert "listening" not in running.messages
        assert running.end()[0] == aq.DONE


def test_an_address_that_is_taken_is_said(folder):
    with ingest(folder, "slow") as running:
        taken = running.url.removeprefix("http://")
        (folder / "aqstore.yaml").write_text(CONFIG.replace("127.0.0.1:0", taken))
        result = aq.run("ingest", "quick", cwd=folder, code=aq.FAILED)
        assert f"cannot listen on {taken}: Address already in use" in result.message


# ---- Kafka ----


def kafka_source(name, dataset, brokers, topic, group):
    return f"  {name}: {{dataset: {dataset}, kafka: {{brokers: '{brokers}', topics: ['{topic}'], group: '{group}'}}}}\n"


def kafka_config(*sources):
    """The config with these sources instead of files."""
    lines = [text for text in CONFIG.splitlines(keepends=True) if not text.startswith(("  slow:", "  quick:"))]
    return "".join(lines).replace("sources:\n", "sources:\n" + "".join(sources))


def produce(kafka, topic, ns):
    producer = Producer({"bootstrap.servers": kafka.brokers, "linger.ms": 5})
    for n in ns:
        producer.produce(topic, line(n).encode())
        producer.poll(0)
        if n % 1000 == 0:
            producer.flush()
    assert producer.flush(30) == 0


def test_a_kafka_drain_under_load_and_going_on(folder, kafka, rng):
    topic, group = kafka.create(kafka.name("drain")), kafka.name("group")
    (folder / "aqstore.yaml").write_text(kafka_config(kafka_source("live", "air", kafka.brokers, topic, group)))
    count = 40_000
    producing = threading.Thread(target=produce, args=(kafka, topic, range(count)), daemon=True)
    producing.start()
    with ingest(folder) as running:
        least = rng.randrange(1, 5000)
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="live") >= least)
        code, seconds = running.end(signal.SIGTERM, signal.SIGTERM)
        assert code == aq.DONE and seconds < DRAIN_S, str(running)
    producing.join()
    kept = numbers(folder)
    assert len(kept) == len(set(kept)) >= least
    # Another member of the group may still be on its way out; `--once` waits for its own assignment.
    report = json.loads(aq.run("--json", "ingest", "--once", cwd=folder).text)
    assert report["source"] == "live" and report["rows"] == count - len(kept) and report["lost"] == 0
    assert numbers(folder) == list(range(count))


def test_a_broker_that_is_down_holds_up_no_other(folder, kafka):
    topic = kafka.create(kafka.name("up"))
    produce(kafka, topic, range(2000))
    (folder / "aqstore.yaml").write_text(
        kafka_config(
            kafka_source("down", "water", "127.0.0.1:1", topic, kafka.name("group")),
            kafka_source("up", "air", kafka.brokers, topic, kafka.name("group")),
        )
    )
    with ingest(folder, options=["--log-format", "json"]) as running:
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="up") == 2000)
        sources = running.wait_for(
            "the trouble", lambda: (sources := running.sources())["down"]["state"] == "waiting" and sources
        )
        assert "127.0.0.1:1" in sources["down"]["message"]
        assert sources["up"]["state"] == "running"
        running.wait_for("no lag", lambda: (up := running.sources()["up"])["partitions"] == 3 and up["lag"] == 0)
        assert running.get("/readyz")[0] == 503
        assert running.metric("aqstore_lag_messages", source="up", topic=topic, partition="2") == 0
        check_metrics(running.get("/metrics")[1])
        code, seconds = running.end()
        assert code == aq.DONE and seconds < DRAIN_S, str(running)
        said = [json.loads(text) for text in running.messages.splitlines()]
    assert any(message.get("source") == "down" and "127.0.0.1:1" in message["message"] for message in said)
    told = aq.run("query", "--format", "ndjson", "SELECT source, position, lag FROM aqstore_sources", cwd=folder)
    feeds = aq.parse_rows(told.out)
    assert [feed[0] for feed in feeds] == ["up"] * 3 and [feed[2] for feed in feeds] == [0] * 3
    assert sum(feed[1] for feed in feeds) == 2000


def test_once_with_a_broker_that_is_down_says_try_again(folder):
    (folder / "aqstore.yaml").write_text(kafka_config(kafka_source("down", "air", "127.0.0.1:1", "topic", "group")))
    assert "127.0.0.1:1" in aq.run("ingest", "--once", cwd=folder, code=TRY_AGAIN).message


def test_files_and_topics_side_by_side(folder, kafka):
    """Both write into one home, and into one dataset."""
    topic = kafka.create(kafka.name("beside"))
    produce(kafka, topic, range(100_000, 110_000))
    source = kafka_source("live", "water", kafka.brokers, topic, kafka.name("group"))
    slow = next(text for text in CONFIG.splitlines() if "slow:" in text)
    (folder / "aqstore.yaml").write_text(CONFIG.replace(slow, slow + "\n" + source.rstrip("\n")))
    feeder = Feeder(folder / "slow.fifo", [line(n) for n in range(20_000)], batch=200, pause_s=0.01)
    aq.run("ingest", "--once", cwd=folder)
    feeder.stop()
    assert numbers(folder, "air") == list(range(20_000))
    assert numbers(folder, "water") == [*range(1000), *range(100_000, 110_000)]
    aq.Store(folder / "home").run("verify", "--deep")


def test_a_terminal_gets_a_status_line(folder, kafka):
    topic = kafka.create(kafka.name("line"))
    produce(kafka, topic, range(100))
    (folder / "aqstore.yaml").write_text(
        kafka_config(kafka_source("live", "air", kafka.brokers, topic, kafka.name("group")))
    )
    master, slave = pty.openpty()
    with ingest(folder, stderr=slave) as running:
        os.close(slave)
        shown = b""
        while b"live running" not in shown or b"lag 0" not in shown:
            shown += os.read(master, 65536)
        assert running.end()[0] == aq.DONE
    while chunk := read_terminal(master):
        shown += chunk
    os.close(master)
    assert re.search(r"live running \| [\d.]+ ?k? rows/s \| lag 0 \| commit .* \| segment ", shown.decode())
    assert "rows/s" not in shown.decode().rpartition("\x1b[K")[2], "the line is wiped at the end"


TIER = """
tier: {{to: "s3://{bucket}/home", endpoint: "{endpoint}", access_key: "{key}", secret_key: "{secret}", protect: 1s}}
"""


def tiered(bucket, kafka, topic, endpoint=None):
    """A Kafka source whose segments are closed after a second, and a bucket to copy them to."""
    source = kafka_source("live", "air", kafka.brokers, topic, kafka.name("group"))
    tier = TIER.format(
        bucket=bucket.name, endpoint=endpoint or bucket.endpoint, key=bucket.access_key, secret=bucket.secret_key
    )
    return kafka_config(source).replace("segment_size: 1MiB", "segment_size: 1MiB, segment_age: 1s") + tier


def test_closed_files_go_to_the_bucket_while_sources_run(folder, kafka, bucket):
    topic = kafka.create(kafka.name("tiered"))
    (folder / "aqstore.yaml").write_text(tiered(bucket, kafka, topic))
    produce(kafka, topic, range(1000))
    with ingest(folder) as running:
        running.wait_for("copies", lambda: running.metric("aqstore_tier_uploaded_files_total") > 0)
        produce(kafka, topic, range(1000, 2000))
        running.wait_for("a mirror", lambda: running.metric("aqstore_tier_mirrored_edit") > 0)
        running.wait_for("more copies", lambda: running.metric("aqstore_tier_uploaded_files_total") > 1)
        assert running.metric("aqstore_tier_runs_total", result="ok") >= 2
        assert running.metric("aqstore_tier_runs_total", result="failed") == 0, running.messages
        assert time.time() - running.metric("aqstore_tier_last_success_timestamp_seconds") < 60
        check_metrics(running.get("/metrics")[1])
        code, seconds = running.end()
        assert code == aq.DONE and seconds < DRAIN_S, str(running)
    assert bucket.objects()
    assert numbers(folder) == list(range(2000))


def test_a_home_that_was_restored_elsewhere_ends(folder, kafka, s3proxy):
    topic = kafka.create(kafka.name("superseded"))
    (folder / "aqstore.yaml").write_text(tiered(s3proxy, kafka, topic))
    produce(kafka, topic, range(1000))
    with ingest(folder) as running:
        running.wait_for("a mirror", lambda: running.metric("aqstore_tier_uploaded_files_total") > 0)
        restored = aq.Store(folder / "restored", env={**s3proxy.env, "AWS_ENDPOINT_URL": s3proxy.endpoint})
        restored.run("restore", "--from", f"s3://{s3proxy.name}/home")
        assert running.process.wait(30) == aq.CONFLICT, str(running)
        assert "superseded by a restore elsewhere" in running.messages
    # What the old home had on top is read again.
    config = (folder / "aqstore.yaml").read_text().replace("store: ./home", "store: ./restored")
    (folder / "restored.yaml").write_text(config)
    aq.run("--config", folder / "restored.yaml", "ingest", "--once", env=s3proxy.env)
    rows = restored.rows("SELECT n FROM air ORDER BY n")
    assert [n for (n,) in rows] == list(range(1000))


def test_a_bucket_that_is_down_holds_up_nothing(folder, kafka, s3proxy):
    topic = kafka.create(kafka.name("untiered"))
    (folder / "aqstore.yaml").write_text(tiered(s3proxy, kafka, topic, endpoint="http://127.0.0.1:1"))
    with ingest(folder) as running:
        produce(kafka, topic, range(1000))
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="live") == 1000)
        assert running.get("/readyz")[0] == 200
        code, seconds = running.end()
        assert code == aq.DONE and seconds < DRAIN_S, str(running)
        assert s3proxy.secret_key not in running.messages
    assert numbers(folder) == list(range(1000))


def test_a_bucket_that_refuses_is_said_and_counted(folder, kafka, s3proxy):
    topic = kafka.create(kafka.name("refused"))
    s3proxy.secret_key = "WRONG-SECRET-9931"
    (folder / "aqstore.yaml").write_text(tiered(s3proxy, kafka, topic))
    with ingest(folder) as running:
        running.wait_for("failures", lambda: running.metric("aqstore_tier_runs_total", result="failed") >= 2)
        produce(kafka, topic, range(1000))
        running.wait_for("rows", lambda: running.metric("aqstore_rows_total", source="live") == 1000)
        assert running.get("/readyz")[0] == 200
        assert running.end()[0] == aq.DONE, str(running)
        first = [text for text in running.messages.splitlines() if s3proxy.name in text or "S3" in text]
        assert first and not any(s3proxy.secret_key in text for text in first), running.messages
        assert "said 1 more time" in running.messages or "more times: " in running.messages
    assert numbers(folder) == list(range(1000))


def read_terminal(master):
    """What is left; a terminal whose other side is closed is an error to read."""
    try:
        return os.read(master, 65536)
    except OSError:
        return b""


# ---- messages ----


def test_json_messages_are_one_object_a_line(folder):
    (folder / "aqstore.yaml").write_text(CONFIG.replace("slow.fifo", 'gone"x.csv'))
    with ingest(folder, options=["--log-format", "json", "--verbose"]) as running:
        assert running.process.wait(60) == aq.FAILED
        messages = [json.loads(text) for text in running.messages.splitlines()]
    for message in messages:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["time"])
        assert message["level"] in ("error", "notice", "detail") and message["message"]
    error = next(message for message in messages if message.get("source") == "slow")
    assert error["level"] == "error" and error["status"] == "not found" and 'gone"x.csv' in error["path"]
    assert messages[-1]["level"] == "error"


def test_quiet_says_errors_only(folder):
    with ingest(folder, "quick", options=["--quiet"]) as running:
        assert running.process.wait(60) == aq.DONE
        assert running.messages == ""


# ---- the service manager ----


@pytest.mark.parametrize("form", ["path", "abstract"])
def test_the_service_manager_is_told(folder, form):
    manager = Manager(str(folder / "notify") if form == "path" else f"\0aqstore-test-{os.getpid()}")
    env = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "300000"}
    with ingest(folder, env=env) as running:
        running.wait_for("READY=1", lambda: "READY=1" in manager.listen())
        running.wait_for("the watchdog", lambda: manager.listen().count("WATCHDOG=1") >= 10)
        begun, count = time.monotonic(), manager.listen().count("WATCHDOG=1")
        time.sleep(1)
        assert manager.listen().count("WATCHDOG=1") - count >= (time.monotonic() - begun) / 0.3 - 1
        assert any(text.startswith("STATUS=") and "slow" in text for text in manager.heard)
        assert "STOPPING=1" not in manager.heard
        assert running.end()[0] == aq.DONE
    assert "STOPPING=1" in manager.listen()
    assert manager.heard.index("STOPPING=1") > manager.heard.index("READY=1")
    manager.close()


def test_another_process_is_watched(folder):
    manager = Manager(str(folder / "notify"))
    env = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    with ingest(folder, env=env) as running:
        running.wait_for("READY=1", lambda: "READY=1" in manager.listen())
        time.sleep(0.5)
        assert "WATCHDOG=1" not in manager.listen()
        assert running.end()[0] == aq.DONE
    manager.close()


# ---- secrets ----

SECRETS = {
    "token": "HTTP-TOKEN-c9a1",
    "kafka": "KAFKA-PASSWORD-77e2",
    "access": "TIER-ACCESS-1f60",
    "secret": "TIER-SECRET-5b3d",
}
SECRET_CONFIG = """
http: {listen: "127.0.0.1:0", HTTP}
tier: {to: "s3://bucket/prefix", endpoint: "http://127.0.0.1:1", protect: 1h, TIER}
"""
WAYS = {
    "environment": (
        "token: '${T_TOKEN}'",
        "password: '${T_KAFKA}'",
        "access_key: '${T_ACCESS}', secret_key: '${T_SECRET}'",
    ),
    "files": (
        "token_file: token",
        "password_file: kafka",
        "access_key_file: access, secret_key_file: secret",
    ),
}


def secret_config(way):
    http, kafka, tier = WAYS[way]
    source = (
        "  broker: {dataset: air, kafka: {brokers: '127.0.0.1:1', topics: [t], security: sasl_plaintext, "
        f"mechanism: PLAIN, username: user, {kafka}}}}}\n"
    )
    text = CONFIG.replace('http: {listen: "127.0.0.1:0"}\n', source)
    return text + SECRET_CONFIG.replace("HTTP", http).replace("TIER", tier)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_appear_nowhere(folder, way, form):
    env = {f"T_{name.upper()}": secret for name, secret in SECRETS.items()} if way == "environment" else {}
    if way == "files":
        for name, secret in SECRETS.items():
            (folder / name).write_text(secret + "\n")
    (folder / "aqstore.yaml").write_text(secret_config(way))
    token = SECRETS["token"]
    shown = []
    with ingest(folder, options=["--log-format", form, "--verbose"], env=env) as running:
        running.wait_for("the broker's trouble", lambda: running.sources(token)["broker"]["message"])
        assert running.get("/metrics")[0] == 401 and running.get("/readyz", token + "x")[0] == 401
        for path in ("/healthz", "/readyz", "/metrics", "/nope"):
            assert running.get(path)[0] == 401
            shown.append(running.get(path, token)[1])
        shown.append(pathlib.Path(f"/proc/{running.process.pid}/cmdline").read_text())
        assert running.end()[0] == aq.DONE, str(running)
        shown += [running.messages, running.out.read_text()]
    shown.append(str(aq.run("config", "show", cwd=folder, env=env)))
    shown.append(str(aq.run("inspect", cwd=folder, env=env)))
    for path in (folder / "home").rglob("*"):
        shown.append(path.read_bytes().decode("latin-1") if path.is_file() else path.name)
    for text in shown:
        for secret in SECRETS.values():
            assert secret not in text, text


def dies_with_core(folder):
    """Whether a process that gets SIGSEGV in the middle of its work is dumped."""
    with ingest(folder, "slow", launcher=("sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh")) as running:
        running.get("/healthz", SECRETS["token"])
        os.kill(running.process.pid, signal.SIGSEGV)
        _, status = os.waitpid(running.process.pid, 0)
        running.process.returncode = -signal.SIGSEGV
    return os.WCOREDUMP(status)


def test_secrets_are_in_no_core_file(folder):
    if b"__asan_init" in aq.BINARY.read_bytes() or not dies_with_core(folder):
        pytest.skip("no process leaves a core file here")
    (folder / "token").write_text(SECRETS["token"])
    (folder / "aqstore.yaml").write_text(CONFIG.replace(":0\"}", ":0\", token_file: token}"))
    assert not dies_with_core(folder)
