"""The oracle for Kafka sources: producers write down every message, and what a store holds is compared with that.

Each message that a broker has acknowledged must be in each dataset that its topic feeds exactly once: as a row with equal
values, as a reject with equal bytes, or counted as passed over; and nothing else may be there. Messages are told apart by
(topic, partition, offset); values are compared by a hash of all that the row keeps of the message: key, timestamp, columns,
and what no column names.
"""

import collections
import hashlib
import json
import logging
import threading
import time
from dataclasses import dataclass, field

from confluent_kafka import Producer

from judge import instant

ROW, REJECT, PASSED = "row", "reject", "passed"
SHOWN = 5  # differences in a message
SILENT = logging.getLogger("librdkafka")  # brokers are killed here on purpose
SILENT.setLevel(logging.CRITICAL)
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


def digest(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(eq=False)
class Message:
    """A message, what each dataset must make of it (dataset -> kind), and where it went."""

    topic: str
    key: bytes
    value: bytes
    kinds: dict
    partition: int = None
    offset: int = None
    timestamp: int = None  # milliseconds
    headers: list = field(default_factory=list)

    def __post_init__(self):
        self.headers = [("topic", self.topic.encode()), *self.headers]


class Ledger:
    """What has been acknowledged, by producers in several threads."""

    def __init__(self):
        self.messages, self.lock, self.errors = [], threading.Lock(), []

    def note(self, message, error, delivered):
        with self.lock:
            if error is not None:
                self.errors.append(str(error))
                return
            message.partition, message.offset = delivered.partition(), delivered.offset()
            if message.timestamp is None:
                message.timestamp = delivered.timestamp()[1]
            self.messages.append(message)

    def of(self, dataset, topic):
        """{(partition, offset): [message]} of one topic that feeds a dataset; several where the topic was made anew."""
        found = collections.defaultdict(list)
        for message in self.messages:
            if message.topic == topic and dataset in message.kinds:
                found[message.partition, message.offset].append(message)
        return found

    def counts(self, dataset):
        """(rows, rejects) that a dataset must have in the end."""
        kinds = collections.Counter(message.kinds.get(dataset) for message in self.messages)
        return kinds[ROW], kinds[REJECT]

    def produce(self, kafka, messages, producers=4, rate=None, **options):
        """Send through several producers at once, each its share in order; `rate`: messages a second in all."""
        failed = []

        def run(share):
            try:
                self._send(kafka, share, rate and rate / producers, options)
            except Exception as error:  # pylint: disable=broad-except
                failed.append(error)

        threads = [threading.Thread(target=run, args=(messages[n::producers],)) for n in range(producers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed
        assert not self.errors, self.errors[:SHOWN]

    def _send(self, kafka, messages, rate, options):
        producer = Producer(
            {"bootstrap.servers": kafka.brokers, "enable.idempotence": True, "linger.ms": 5, **options}, logger=SILENT
        )
        begun = time.monotonic()
        for number, message in enumerate(messages):
            if rate:
                producer.poll(max(0, begun + number / rate - time.monotonic()))
            self.submit(producer, message)
        producer.flush(120)

    def submit(self, producer, message, partition=-1):
        def delivered(error, record, message=message):
            self.note(message, error, record)

        # The producer's own word: of a batch that it sent twice, a broker reports the newest message's time for all.
        message.timestamp = time.time_ns() // 1_000_000

        while True:
            try:
                producer.produce(message.topic, message.value, message.key, partition=partition,
                                 headers=message.headers, timestamp=message.timestamp, on_delivery=delivered)
                return
            except BufferError:
                producer.poll(0.1)


class Background:
    """A ledger's produce() in a thread; `with` waits for its end and passes its failure on."""

    def __init__(self, ledger, *args, **options):
        self.failure = None
        self.thread = threading.Thread(target=self._run, args=(ledger, args, options))
        self.thread.start()

    def _run(self, ledger, args, options):
        try:
            ledger.produce(*args, **options)
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.thread.join()
        if self.failure and kind is None:
            raise self.failure

    def running(self):
        return self.thread.is_alive()


def found_rows(store, shape):
    """{topic: {(partition, offset): [hash]}} of a dataset's rows."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in store.ndjson(f"SELECT * FROM {shape.dataset}").split(b"\n"):
        if line:
            row = json.loads(line)
            place = (row["k_partition"], row["k_offset"])
            found[row["k_topic"]][place].append(digest(row["k_key"], instant(row["k_time"]), shape.of_row(row)))
    return found


def found_rejects(store, dataset):
    """{source or topic: {(partition, offset): [(bytes, reason)]}}."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    sql = f'SELECT source, "partition", "offset", bytes, reason FROM {dataset}_rejects'
    for source, partition, offset, data, reason in store.rows(sql):
        found[source][partition, offset].append((bytes.fromhex(data[2:]), reason))
    return found


def expected_row(message, shape):
    return digest(message.key.decode(), message.timestamp * 1000, shape.of_message(json.loads(message.value)))


def feeds(store):
    """What `sources` says, by dataset and topic: {(dataset, topic): [feed]}."""
    by_topic = collections.defaultdict(list)
    for feed in json.loads(store.run("--json", "sources").text)["sources"]:
        by_topic[feed["dataset"], feed["name"]].append(feed)
    return by_topic


def missing(want, got):
    """(what is not in `got`, what is in `got` beyond it)."""
    want, got = collections.Counter(want), collections.Counter(got)
    return list((want - got).elements()), list((got - want).elements())


def compare(sent, rows, rejects, shape, is_lost):
    """What is wrong at one place in a feed, as texts, and counts by kind."""
    kinds = collections.Counter()
    wrong = []
    expected = [(expected_row(message, shape), message) for message in sent if message.kinds[shape.dataset] == ROW]
    absent, invented = missing([row for row, _ in expected], rows)
    for row, message in expected:
        if row not in absent:
            kinds[ROW] += 1
        elif is_lost(message):
            kinds["lost"] += 1
        else:
            wrong.append(f"no such row: {message.value!r:.200}")
    wrong += ["a row that is no message's" for _ in invented]
    left = list(rejects)
    for message in sent:
        kind = message.kinds[shape.dataset]
        if kind == PASSED:
            kinds["lost" if is_lost(message) else PASSED] += 1
        if kind != REJECT:
            continue
        found = next((reject for reject in left if shape.is_reject_of(message, *reject)), None)
        if found:
            left.remove(found)
            kinds[REJECT] += 1
        elif is_lost(message):
            kinds["lost"] += 1
        else:
            wrong.append(f"no such reject: {message.value!r:.200}")
    wrong += [f"a reject that is no message's: {reject!r:.200}" for reject in left]
    return wrong, kinds


def differences(ledger, store, shape, topic, source, is_lost):
    """What is wrong with one dataset's feed from one topic, as texts; counts by kind."""
    sent = ledger.of(shape.dataset, topic)
    rows, rejects = found_rows(store, shape)[topic], found_rejects(store, shape.dataset)
    rejects = {**rejects[topic], **rejects[source]}
    wrong, counts = [], collections.Counter()
    for place in sorted(sent.keys() | rows.keys() | rejects.keys()):
        faults, kinds = compare(sent.get(place, ()), rows.get(place, ()), rejects.get(place, ()), shape, is_lost)
        wrong += [f"{place}: {fault}" for fault in faults]
        counts += kinds
    return wrong, counts


def assert_holds(ledger, store, shapes, is_lost=lambda message: False):
    """Every message of the ledger is in every dataset once, and the counts of `sources` say the same.

    shapes: {(dataset's shape, topic): source's name}. Gives the counts by kind."""
    total = collections.Counter()
    reported = feeds(store)
    for (shape, topic), source in shapes.items():
        where = f"{shape.dataset} from {topic}"
        wrong, counts = differences(ledger, store, shape, topic, source, is_lost)
        assert not wrong, f"{where}: {len(wrong)} differences:\n  " + "\n  ".join(wrong[:SHOWN])
        said = reported[shape.dataset, topic]
        for kind, name in ((ROW, "rows"), (REJECT, "rejects"), (PASSED, "passed")):
            have = sum(feed[name] for feed in said)
            assert have == counts[kind], f"{where}: sources says {have} {name}, sent {counts[kind]}: {said}"
        total += counts
    return total


def contents(store, shapes):
    """The bytes of everything that the datasets hold, in the order of positions: equal for equal contents."""
    return [
        store.ndjson(f'SELECT * FROM {name} ORDER BY {order}')
        for dataset in sorted({shape.dataset for shape, _ in shapes})
        for name, order in (
            (dataset, "k_topic, k_partition, k_offset"),
            (dataset + "_rejects", 'source, "partition", "offset"'),
        )
    ]
