"""`aqstore replay`: what a file's records are as messages, at what pace they come, and what it says when they cannot."""

import json
import signal
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

import aq

RECORDS = [
    {"city": "hanoi", "payload": {"idx": 1}, "text": "a \"quoted\"\nline"},
    {"city": None, "payload": {"idx": 2}},
    {"city": "huế", "payload": {}},
]
LINES = [json.dumps(record, ensure_ascii=False) for record in RECORDS]


@pytest.fixture
def topic(kafka):
    return kafka.create(kafka.name("replay"), 1)


def messages(kafka, topic, count):
    """The first `count` messages of a topic of one partition, as (key, value), and that there are no more."""
    consumer = Consumer({"bootstrap.servers": kafka.brokers, "group.id": "replay", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while True:
        message = consumer.poll(30)
        assert message is not None
        if message.error():
            break
        found.append(tuple(part and part.decode() for part in (message.key(), message.value())))
    consumer.close()
    assert len(found) == count
    return found


def replay(kafka, topic, *args, **options):
    return aq.run("replay", "--brokers", kafka.brokers, "--topic", topic, *args, **options)


@pytest.mark.parametrize("form", ["ndjson", "json", "stdin"])
def test_json_values_are_sent_as_they_are(kafka, topic, tmp_path, form):
    file = tmp_path / f"a.{form}"
    file.write_text("\n".join(LINES) + "\n" if form != "json" else "[" + ", ".join(LINES) + "]")
    if form == "stdin":
        replay(kafka, topic, "--key", "city", "--format", "ndjson", "-", stdin=file.read_bytes())
    else:
        replay(kafka, topic, "--key", "city", file)
    assert messages(kafka, topic, 3) == [(record["city"], line) for record, line in zip(RECORDS, LINES)]


def test_csv_records_as_objects_and_as_csv(kafka, topic, tmp_path):
    """A record that has too many fields is no message, and is counted."""
    file = tmp_path / "a.csv"
    file.write_text('id,PM2.5,note\n1,10.5,"a ""b"""\n2,1,2,3\n3,,x\n')
    done = json.loads(replay(kafka, topic, "--json", "--key", "id", file).text)
    assert (done["messages"], done["skipped"]) == (2, 1)
    replay(kafka, topic, "--as", "csv", "--partition", "0", file)
    found = messages(kafka, topic, 5)
    assert [(key, json.loads(value)) for key, value in found[:2]] == [
        ("1", {"id": "1", "PM2.5": "10.5", "note": 'a "b"'}), ("3", {"id": "3", "PM2.5": None, "note": "x"})]
    assert found[2:] == [(None, "id,PM2.5,note\n" + record) for record in ('1,10.5,"a ""b"""', "2,1,2,3", "3,,x")]


def test_a_rate_is_kept(kafka, topic, tmp_path):
    file = tmp_path / "a.ndjson"
    file.write_text("{}\n" * 40)
    begin = time.monotonic()
    replay(kafka, topic, "--rate", "20", file)
    assert 1.9 < time.monotonic() - begin < 10
    messages(kafka, topic, 40)


def test_a_loop_ends_by_a_signal_and_loses_nothing(kafka, topic, tmp_path):
    file = tmp_path / "a.ndjson"
    file.write_text("{}\n" * 7)
    process = aq.start("replay", "--brokers", kafka.brokers, "--topic", topic, "--loop", "--rate", "500", "--json", file)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    count = json.loads(out)["messages"]
    assert count > 7
    messages(kafka, topic, count)


def test_faults_are_named(kafka, topic, tmp_path):
    file = tmp_path / "a.ndjson"
    file.write_text("{}\n")
    other = tmp_path / "a.csv"
    other.write_text("a,b\n1,2\n")
    for args, code, word in (
        (["--partition", "7", file], 1, "not 7"),
        (["--rate", "0", file], 2, "messages a second"),
        (["--key", "a..b", file], 2, "expected a name"),
        (["--key", "c", other], 2, "it has: a, b"),
        (["--loop", "-"], 2, "only once"),
        ([tmp_path / "none.csv"], 1, "No such file"),
        ([], 2, "no file given"),
    ):
        assert word in replay(kafka, topic, *args, code=code).message
    assert "no answer from 127.0.0.1:1" in aq.run("replay", "--brokers", "127.0.0.1:1", "--topic", "t", file, code=75).message
    config = tmp_path / "aqstore.yaml"
    config.write_text("store: s\n")
    assert "no kafka source" in aq.run("--config", config, "replay", "--topic", "t", file, code=2).message
    messages(kafka, topic, 0)


def test_the_connection_is_the_configs(kafka, topic, tmp_path):
    """With TLS and a user, as the first source has them."""
    file = tmp_path / "a.ndjson"
    file.write_text("{}\n")
    config = tmp_path / "aqstore.yaml"
    config.write_text(
        "datasets: {d: {columns: {a: {type: text}}}}\n"
        f"sources: {{s: {{dataset: d, kafka: {{brokers: '{kafka.secure_brokers}', topics: t, security: sasl_ssl,\n"
        f" mechanism: PLAIN, username: {kafka.USER}, password: {kafka.PASSWORD}, ca_file: {kafka.ca_file},\n"
        " options: {fetch.min.bytes: 1}}}}\n")
    aq.run("--config", config, "replay", "--topic", topic, file)
    messages(kafka, topic, 1)
