"""What a Kafka message may be beside JSON: bytes, CSV, without key or value, with headers; and what of it `when:` takes."""

import datetime
import time

import pytest
from confluent_kafka import Producer

import aq
from kafka_feeds import ingest_once

CONFIG = """\
datasets:
  things:
    columns:
      k_offset: {{type: bigint, from: kafka.offset, required: true}}
{columns}sources:
  things:
    kafka: {{brokers: "{brokers}", topics: [{topic}], group: {group}}}
    dataset: things
    format: {format}
{more}"""


@pytest.fixture
def things(kafka, tmp_path):
    """things(format, columns, messages, more="") -> the store that has read these (key, value, headers[, timestamp])."""

    def send(topic, messages):
        producer = Producer({"bootstrap.servers": kafka.brokers})
        for key, value, headers, *timestamp in messages:
            producer.produce(topic, value, key, headers=headers, **({"timestamp": timestamp[0]} if timestamp else {}))
        assert producer.flush(30) == 0

    def stored(form, columns, messages, more=""):
        topic = kafka.create(kafka.name("things"), 1)
        send(topic, messages)
        config = tmp_path / "aqstore.yaml"
        config.write_text(CONFIG.format(
            columns="".join(f"      {name}: {column}\n" for name, column in columns.items()), brokers=kafka.brokers,
            topic=topic, group=kafka.name("group"), format=form, more=more))
        store = aq.Store(tmp_path / "store", config)
        store.send = lambda messages: send(topic, messages)
        ingest_once(store)
        return store

    return stored


def test_raw_values_keep_every_byte(things, rng):
    """Also none, and a null: those are two things."""
    values = [rng.randbytes(rng.randrange(1, 5000)) for _ in range(200)] + [bytes(range(256)), b"", None, b"\x00", None]
    messages = [(rng.choice((None, b"", b"key", b"\xff\x00")), value, [("kind", str(n % 3).encode()), ("void", None)])
                for n, value in enumerate(values)]
    store = things("raw", {
        "value": "{type: bytea}", "name": "{type: bytea, from: kafka.key}",
        "kind": "{type: integer, from: kafka.headers.kind}", "void": "{type: text, from: kafka.headers.void}",
        "absent": "{type: text, from: kafka.headers.absent}",
    }, messages)
    for _ in ("hot", "compacted"):
        rows = store.rows("SELECT value, name, kind, void, absent FROM things ORDER BY k_offset")
        as_bytes = [[None if part is None else bytes.fromhex(part[2:]) for part in row[:2]] + row[2:] for row in rows]
        assert as_bytes == [[value, key, n % 3, None, None] for n, (key, value, _) in enumerate(messages)]
        store.compact()


def test_csv_values_are_one_record_each(things):
    """With a header line of their own or without one, in the order of the columns; anything else is a reject."""
    messages = [(None, value, []) for value in (
        b"hanoi,57,1.5", b'"a, b",58,', b"aqi,city,pm\n59,hue,2", b"too,few", b"hanoi,many,1", b"x,1,2\ny,2,3", None)]
    store = things("csv", {"city": "{type: text}", "aqi": "{type: integer}", "pm": "{type: double}"}, messages)
    rows = store.rows("SELECT k_offset, city, aqi, pm FROM things ORDER BY k_offset")
    assert rows == [[0, "hanoi", 57, 1.5], [1, "a, b", 58, None], [2, "hue", 59, 2.0]]
    refused = store.rows('SELECT "offset", bytes FROM things_rejects ORDER BY "offset"')
    assert [(offset, bytes.fromhex(data[2:])) for offset, data in refused] == [
        (offset, messages[offset][1]) for offset in (3, 4, 5)]


def test_conditions_choose_messages(things):
    messages = [(None, value, []) for value in (
        b'{"type": "edit", "bot": false, "n": 1}', b'{"type": "log", "bot": false, "n": 2}', b'{"bot": true, "n": 3}',
        b'{"type": "edit", "bot": true, "n": 4}', b'{"type": "new", "bot": false, "n": 5}', b"not JSON", b'{"type": 7, "n": 6}')]
    store = things("json", {"n": "{type: integer}"}, messages,
                   """    when: "type in ('edit', 'new') and bot = false"\n""")
    assert store.rows("SELECT k_offset, n FROM things ORDER BY k_offset") == [[0, 1], [4, 5]]
    assert store.rows('SELECT "offset" FROM things_rejects') == [[5]]
    (feed,) = aq.json.loads(store.run("--json", "sources").text)["sources"]
    assert (feed["rows"], feed["rejects"], feed["passed"], feed["next_message"]) == (2, 1, 4, 7)


def numbered(numbers, begun):
    return [(None, b'{"n": %d}' % n, [], begun + 1000 * n) for n in numbers]


@pytest.mark.parametrize("start", ("earliest", "latest", "time", "late"))
def test_where_to_begin(start, things):
    """Only where the store has no position yet; a time is that of the messages."""
    begun = int(time.time()) * 1000 - 60_000
    moment = datetime.datetime.fromtimestamp(begun / 1000 + (4 if start == "time" else 3600), datetime.timezone.utc)
    word = start if start in ("earliest", "latest") else moment.isoformat()
    store = things("json", {"n": "{type: integer}"}, numbered(range(8), begun), f"    start: {word}\n")
    first = {"earliest": 0, "latest": 8, "time": 4, "late": 8}[start]
    assert store.rows("SELECT n FROM things ORDER BY n") == [[n] for n in range(first, 8)]
    store.send(numbered(range(8, 12), begun))
    ingest_once(store)
    assert store.rows("SELECT n FROM things ORDER BY n") == [[n] for n in range(first, 12)]
