"""What happens to a log under its reader: groups rewound, messages expired, topics made anew, transactions aborted,
messages without a value or too large. The store's positions decide, and what is lost is said."""

import json
import shutil
import time

import pytest
import xxhash
from confluent_kafka import Producer

import aq
import kafka_ledger
from kafka_feeds import EDITS, Consumer, Feeds, counts, ingest_once, until
from kafka_ledger import PASSED, REJECT, ROW, Ledger, Message, assert_holds

MESSAGE_BYTES_MAX = 16 << 20


class Edits:
    """One topic of edits, a ledger and a store that reads it."""

    def __init__(self, kafka, unpacked, folder, **settings):
        self.kafka, self.unpacked = kafka, unpacked
        self.feeds, self.ledger = Feeds(kafka), Ledger()
        if settings:
            kafka.delete(self.topic)
            kafka.create(self.topic, **settings)
        self.store = aq.Store(folder / "store", self.feeds.config(folder / "aqstore.yaml", sources=["edits"]))
        self.sent = 0

    @property
    def topic(self):
        return self.feeds.edits

    def send(self, count, **options):
        messages = self.feeds.plain(self.unpacked, count, self.sent)
        self.sent += count
        self.ledger.produce(self.kafka, messages, **options)
        return messages

    def holds(self, **options):
        return assert_holds(self.ledger, self.store, {(EDITS, self.topic): "edits"}, **options)

    def contents(self):
        return kafka_ledger.contents(self.store, {(EDITS, self.topic): "edits"})

    def ends(self):
        ends = {}
        for message in self.ledger.messages:
            ends[message.partition] = max(ends.get(message.partition, 0), message.offset + 1)
        return ends


@pytest.fixture
def edits(kafka, unpacked, tmp_path):
    return Edits(kafka, unpacked, tmp_path)


def sources(store):
    return json.loads(store.run("--json", "sources").text)["sources"]


def test_a_rewound_group_reads_nothing_twice(edits, kafka):
    """The broker's offsets are information only: the store knows where it stands."""
    edits.send(3000)
    ingest_once(edits.store)
    before = edits.contents()
    committed = kafka.committed(edits.feeds.group, edits.topic)
    assert {number: part.offset for number, part in committed.items()} == edits.ends()
    kafka.set_offsets(edits.feeds.group, edits.topic, {0: 0, 1: 0, 2: 0})
    ingest_once(edits.store)
    assert edits.contents() == before
    edits.holds()
    edits.send(500)
    ingest_once(edits.store)
    assert edits.holds()[ROW] == 3500


def test_a_group_belongs_to_one_store(edits, tmp_path):
    """Two stores in one group would each get half of the messages: the second one is refused."""
    edits.send(300)
    ingest_once(edits.store)
    other = aq.Store(tmp_path / "other", edits.store.config)
    result = ingest_once(other, code=aq.CONFLICT)
    assert edits.feeds.group in result.message and "group:" in result.message, str(result)
    edits.send(30)
    ingest_once(edits.store)
    assert edits.holds()[ROW] == 330


def test_a_home_that_went_back_in_time_says_so(edits, tmp_path):
    """A copy of the home from before: what was acked since is said to be missing, and read again from its position."""
    edits.send(600)
    ingest_once(edits.store)
    shutil.copytree(edits.store.home, tmp_path / "copy")
    edits.send(600)
    ingest_once(edits.store)
    edits.store.home = tmp_path / "copy"
    result = ingest_once(edits.store)
    assert "missing here" in result.message, str(result)
    assert edits.holds()[ROW] == 1200


def test_expired_messages_are_a_lost_range(edits, kafka):
    """What the broker forgets while nobody reads is reported with its positions, and reading goes on behind it."""
    edits.send(1000)
    ingest_once(edits.store)
    stored = edits.ends()
    edits.send(1000)
    gone = {partition: (edits.ends()[partition] + stored[partition]) // 2 for partition in (0, 1)}
    kafka.delete_before(edits.topic, gone)
    edits.send(200)

    def is_lost(message):
        return stored[message.partition] <= message.offset < gone.get(message.partition, 0)

    result = ingest_once(edits.store)
    counted = edits.holds(is_lost=is_lost)
    assert counted["lost"] == sum(gone[partition] - stored[partition] for partition in gone)
    assert counted[ROW] == 2200 - counted["lost"]
    told = {feed["partition"]: feed["lost"] for feed in sources(edits.store)}
    assert told == {0: gone[0] - stored[0], 1: gone[1] - stored[1], 2: 0}
    for partition, until_offset in gone.items():
        assert f"{stored[partition]}" in result.message and f"{until_offset - 1}" in result.message, str(result)
    before = edits.contents()
    again = ingest_once(edits.store)
    assert "lost" not in again.message, "told again, though it is recorded"
    assert edits.contents() == before


def test_a_topic_made_anew_is_a_new_incarnation(edits, kafka):
    """All its messages are newer than what is stored: taken from its beginning, never for duplicates."""
    edits.send(900)
    ingest_once(edits.store)
    kafka.delete(edits.topic)
    kafka.create(edits.topic)
    time.sleep(0.01)
    edits.send(1200)
    ingest_once(edits.store)
    assert edits.holds()[ROW] == 2100
    ingest_once(edits.store)
    assert edits.holds()[ROW] == 2100


def send_dated(edits, count, milliseconds):
    """Messages that say they are of an earlier time."""
    messages = edits.feeds.plain(edits.unpacked, count, edits.sent)
    edits.sent += count
    producer = Producer({"bootstrap.servers": edits.kafka.brokers})
    for message in messages:
        def noted(error, record, message=message):
            edits.ledger.note(message, error, record)
        producer.produce(message.topic, message.value, message.key, headers=message.headers,
                         timestamp=milliseconds, on_delivery=noted)
    assert producer.flush(30) == 0


def test_an_older_topic_in_its_place_needs_a_word(edits, kafka):
    """What is there now is older than what is stored: it might be anything. The source stops and says what to do."""
    edits.send(600)
    ingest_once(edits.store)
    kafka.delete(edits.topic)
    kafka.create(edits.topic)
    send_dated(edits, 900, int(time.time() * 1000) - 86_400_000)
    before = edits.contents()
    result = ingest_once(edits.store, code=aq.FAILED)
    assert f"sources accept edits {edits.topic}" in result.message, str(result)
    assert edits.contents() == before
    accept = ("sources", "accept", "edits", edits.topic, "--from")
    assert "'yesterday' is neither earliest" in edits.store.run(*accept, "yesterday", code=aq.USAGE).message
    edits.store.run(*accept, "earliest")
    assert "nothing to accept" in edits.store.run(*accept, "earliest").message
    assert "--from" in edits.store.run(*accept, "yesterday", code=aq.USAGE).message  # also where there is nothing
    ingest_once(edits.store)
    assert edits.holds()[ROW] == 1500


def test_a_log_cut_below_the_position_needs_a_word(edits, kafka):
    """A topic that is shorter than what was read of it, and empty: nothing says that it goes on from there."""
    edits.send(600)
    ingest_once(edits.store)
    kafka.delete(edits.topic)
    kafka.create(edits.topic)
    ingest_once(edits.store, code=None)
    edits.holds()
    edits.send(30)
    ingest_once(edits.store)
    assert edits.holds()[ROW] == 630


def transaction(edits, producer, count, commit, partitions=3):
    """Send `count` messages in one transaction; only committed ones are in the ledger."""
    messages = edits.feeds.plain(edits.unpacked, count, edits.sent)
    edits.sent += count
    delivered, faults = [], []

    def noted(error, record, message):
        (faults if error else delivered).append(error or (message, record))

    producer.begin_transaction()
    for number, message in enumerate(messages):
        producer.produce(message.topic, message.value, message.key, number % partitions, headers=message.headers,
                         on_delivery=lambda error, record, message=message: noted(error, record, message))
        if number % 100 == 0:
            producer.poll(0)
    assert producer.flush(30) == 0 and not faults, faults[:3]
    if commit:
        producer.commit_transaction()
        for message, record in delivered:
            edits.ledger.note(message, None, record)
    else:
        producer.abort_transaction()


def test_only_committed_transactions_count(edits, kafka, rng):
    """Sparse offsets: aborted messages and the markers of transactions are no messages, and nobody waits for them."""
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": kafka.name("writer")})
    producer.init_transactions(30)
    for number in range(12):
        transaction(edits, producer, rng.randrange(1, 300), commit=number not in (2, 3, 7, 11))
    ingest_once(edits.store)
    stored = edits.holds()[ROW]
    assert 0 < stored == len(edits.ledger.messages)
    for _ in range(3):
        transaction(edits, producer, 50, commit=False)
    ingest_once(edits.store)
    assert edits.holds()[ROW] == stored
    producer.begin_transaction()  # and one that is still open: what is behind it cannot be read yet
    for message in edits.feeds.plain(edits.unpacked, 10, edits.sent):
        producer.produce(message.topic, message.value, message.key, headers=message.headers)
    assert producer.flush(30) == 0
    ingest_once(edits.store)
    assert edits.holds()[ROW] == stored
    producer.abort_transaction()
    transaction(edits, producer, 70, commit=True)
    ingest_once(edits.store)
    assert edits.holds()[ROW] == stored + 70


def test_once_beside_a_process_that_goes_on(edits, kafka, tmp_path):
    """It waits for what the other has yet to store; but not for ever where the log's end holds no messages, as here."""
    producer = Producer({"bootstrap.servers": kafka.brokers, "transactional.id": kafka.name("writer")})
    producer.init_transactions(30)
    transaction(edits, producer, 300, commit=True)
    transaction(edits, producer, 30, commit=False)
    with Consumer(edits.store, tmp_path) as other:
        until(lambda: counts(edits.store, "edits") == (300, 0), 30, "300 rows", [other])
        begun = time.monotonic()
        ingest_once(edits.store, timeout=60)
        assert time.monotonic() - begun < 30
        other.drain()
    assert edits.holds() == {ROW: 300}


def test_tombstones_are_passed_over(edits, kafka):
    """A message without a value is no row; it is counted, and the position goes past it, also at the log's end."""
    messages = edits.feeds.plain(edits.unpacked, 300)
    nothing = [Message(edits.topic, f"gone {number}".encode(), None, {"edits": PASSED}) for number in range(60)]
    edits.ledger.produce(kafka, messages[:150] + nothing[:30] + messages[150:] + nothing[30:])
    ingest_once(edits.store)
    assert edits.holds() == {ROW: 300, PASSED: 60}
    assert {feed["partition"]: feed["next_message"] for feed in sources(edits.store)} == edits.ends()
    assert {feed["state"] for feed in sources(edits.store)} == {"open"}
    ingest_once(edits.store)
    assert edits.holds() == {ROW: 300, PASSED: 60}




def test_a_message_above_the_limit_is_a_reject(kafka, unpacked, tmp_path):
    """Its first 64 KiB, its size (with key and headers) and its value's hash are kept; messages around it are rows, also
    one just below the limit."""
    edits = Edits(kafka, unpacked, tmp_path, max_message_bytes=64 << 20)
    head = b'{"channel": "#x", "time": "2015-09-12T00:00:00Z", "page": "'
    fits = head + b"x" * (MESSAGE_BYTES_MAX - 1024) + b'"}'
    over = head + b"y" * (MESSAGE_BYTES_MAX - len(head) - 1) + b'"}'
    far = head + b"z" * (2 * MESSAGE_BYTES_MAX) + b'"}'
    special = [
        Message(edits.topic, b"fits", fits, {"edits": ROW}),
        Message(edits.topic, b"over", over, {"edits": REJECT}),
        Message(edits.topic, b"far", far, {"edits": REJECT}),
    ]
    plain = edits.feeds.plain(unpacked, 200)
    edits.ledger.produce(kafka, plain[:100] + special + plain[100:], producers=1, **{"message.max.bytes": 64 << 20})
    ingest_once(edits.store)
    rows, rejects = kafka_ledger.found_rows(edits.store, EDITS), kafka_ledger.found_rejects(edits.store, "edits")
    rejects = {**rejects[edits.topic], **rejects["edits"]}
    for message in special[1:]:
        ((data, reason),) = rejects[message.partition, message.offset]
        assert data == message.value[: 64 << 10]
        size = len(message.value) + len(message.key) + sum(len(name) + len(value) for name, value in message.headers)
        assert str(size) in reason and xxhash.xxh3_128_hexdigest(message.value) in reason, reason
    assert sum(map(len, rejects.values())) == 2
    assert sum(map(len, rows[edits.topic].values())) == 201
    assert rows[edits.topic][special[0].partition, special[0].offset] == [kafka_ledger.expected_row(special[0], EDITS)]


def test_a_topic_that_appears_is_taken_by_its_pattern(kafka, unpacked, tmp_path):
    """A running source with a pattern takes a new topic from its beginning, not only what comes after it noticed."""
    feeds, ledger = Feeds(kafka), Ledger()
    stem = kafka.name("pattern")
    feeds.shapes = {(EDITS, f"'^{stem}[.].*'"): "edits"}
    store = aq.Store(tmp_path / "store",
                     feeds.config(tmp_path / "aqstore.yaml", topic_metadata_refresh_interval_ms=500))
    names = [kafka.create(f"{stem}.{word}") for word in ("first", "second")]
    with Consumer(store, tmp_path) as consumer:
        for number, name in enumerate([*names, f"{stem}.late"]):
            if name not in names:
                kafka.create(name)
            messages = feeds.plain(unpacked, 200, 200 * number)
            for message in messages:
                message.topic, message.headers = name, [("topic", name.encode())]
            ledger.produce(kafka, messages)
            until(lambda: kafka_ledger.json.loads(store.run(  # pylint: disable=cell-var-from-loop
                "query", "--format", "ndjson", "SELECT count(*) AS n FROM edits", code=None).text or '{"n": 0}')["n"]
                == len(ledger.messages), 30, f"{len(ledger.messages)} rows", [consumer])
        consumer.drain()
    for name in {message.topic for message in ledger.messages}:
        assert_holds(ledger, store, {(EDITS, name): "edits"})
