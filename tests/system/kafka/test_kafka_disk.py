"""A disk that fills up under a Kafka source: it waits and says so, queries go on, and with more room it goes on by itself."""

import base64
import json
import os

import pytest

import aq
from disk import make_room, tmpfs
from kafka_ledger import ROW, Ledger, Message
from running import Ingest

COUNT = 4_000
VALUE_BYTES = 6_000  # of random bytes each: more than 16 MiB however they are coded
SUMS = "SELECT count(*) AS n, count(DISTINCT n) AS different, coalesce(sum(n), 0) AS added FROM noise"
CONFIG = """\
store: {store}
http: {{listen: '127.0.0.1:0'}}
datasets:
  noise:
    time: ts
    columns:
      n: {{type: bigint, required: true}}
      ts: {{type: timestamptz, from: kafka.timestamp, required: true}}
      noise: {{type: text, required: true}}
sources:
  noise:
    kafka: {{brokers: "{brokers}", topics: [{topic}], group: {group}, options: {{session.timeout.ms: 3000, heartbeat.interval.ms: 500}}}}
    dataset: noise
    format: json
ingest: {{commit_interval: 20ms, commit_size: 256KiB, segment_size: 4MiB}}
"""


def waits_for_room(running):
    """What /readyz says once the source waits for the disk: (code, message); None before."""
    code, body = running.get("/readyz")
    (source,) = json.loads(body)["sources"]
    full = source["state"] == "waiting" and "space" in source["message"].lower()
    return (code, source["message"]) if full else None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_kafka_source_waits_for_room_and_goes_on(kafka, tmp_path, rng):
    topic = kafka.create(kafka.name("noise"), 3)
    ledger = Ledger()
    values = [json.dumps({"n": n, "noise": base64.b64encode(rng.randbytes(VALUE_BYTES)).decode()}).encode() for n in range(COUNT)]
    ledger.produce(kafka, [Message(topic, b"%d" % n, value, {"noise": ROW}) for n, value in enumerate(values)])
    with tmpfs(tmp_path / "disk", "16m") as disk:
        config = tmp_path / "aqstore.yaml"
        config.write_text(CONFIG.format(store=disk / "store", brokers=kafka.brokers, topic=topic, group=kafka.name("group")))
        store = aq.Store(disk / "store")
        with Ingest(tmp_path, config) as running:
            code, message = running.wait_for("the full disk", lambda: waits_for_room(running))
            assert code == 503 and str(disk) in message and "goes on by itself" in message, message
            assert "nothing is lost" in running.messages
            ((kept, different, _),) = store.rows(SUMS)
            assert 0 < kept == different < COUNT, "the disk was not filled, nothing was kept, or something twice"
            make_room(disk)
            running.wait_for("all messages", lambda: store.rows("SELECT count(*) AS n FROM noise")[0][0] >= COUNT)
            running.wait_for("readiness", lambda: running.get("/readyz")[0] == 200)
            assert running.end()[0] == aq.DONE, str(running)
        assert store.rows(SUMS) == [[COUNT, COUNT, COUNT * (COUNT - 1) // 2]]
        assert store.value("SELECT count(*) AS n FROM noise_rejects") == 0
        store.run("verify", "--deep")
