"""All faults in one run: consumers are killed, frozen and joined, the broker is restarted, the group is rewound, messages
expire and a topic is made anew, while producers go on; one ledger, one store, and in the end one clean run beside it."""

import signal
import time

import pytest

import aq
import kafka_ledger
from kafka_feeds import AQICN, CHANGES, DOCUMENTS, EDITS, Consumer, Feeds, ingest_once
from kafka_ledger import Background, Ledger, assert_holds

TIMEOUTS = {"session_timeout_ms": 2000, "max_poll_interval_ms": 2500}


class Storm:
    """One store under one ledger, and the faults that befall it."""

    def __init__(self, kafka, unpacked, folder, rng):
        self.kafka, self.folder, self.rng = kafka, folder, rng
        self.feeds, self.ledger = Feeds(kafka), Ledger()
        self.store = aq.Store(folder / "store", self.feeds.config(folder / "aqstore.yaml", **TIMEOUTS))
        mixed = self.feeds.mix(rng, unpacked)
        self.expiring = [message for message in mixed if message.topic == self.feeds.messages][::2]
        self.messages = [message for message in mixed if message not in self.expiring]
        self.gone = {}  # of the topic `messages`: partition -> what is below it has expired
        self.stored = {}  # where the store stood then
        self.renewed_ms = 0  # when the topic `documents` was made anew

    def ends(self, topic):
        ends = dict.fromkeys(range(3), 0)
        for message in self.ledger.messages:
            if message.topic == topic:
                ends[message.partition] = max(ends[message.partition], message.offset + 1)
        return ends

    def is_lost(self, message):
        return (message.topic == self.feeds.messages and
                self.stored.get(message.partition, 0) <= message.offset < self.gone.get(message.partition, 0))

    # Each fault is given a share of the messages to be sent meanwhile, and leaves no consumer behind.

    def kill(self, share):
        with Background(self.ledger, self.kafka, share, rate=len(share) / 2):
            with Consumer(self.store, self.folder) as consumer:
                time.sleep(self.rng.uniform(0, 4))
                consumer.kill()

    def restart_broker(self, share):
        with Consumer(self.store, self.folder) as consumer:
            with Background(self.ledger, self.kafka, share, rate=len(share) / 3):
                time.sleep(self.rng.uniform(0.5, 2))
                self.kafka.kill()
                time.sleep(self.rng.uniform(0, 1))
                self.kafka.start()
            consumer.drain()

    def join(self, share):
        with Consumer(self.store, self.folder) as first:
            with Background(self.ledger, self.kafka, share, rate=len(share) / 4):
                time.sleep(self.rng.uniform(0.5, 2))
                with Consumer(self.store, self.folder) as second:
                    time.sleep(self.rng.uniform(0.5, 4))
                    self.rng.choice((second.kill, second.drain))()
            first.drain()

    def freeze(self, share):
        with Consumer(self.store, self.folder) as first, Consumer(self.store, self.folder) as second:
            frozen, other = self.rng.sample((first, second), 2)
            with Background(self.ledger, self.kafka, share, rate=len(share) / 3):
                time.sleep(self.rng.uniform(1, 4))
                frozen.signal(signal.SIGSTOP)
            try:
                time.sleep(self.rng.uniform(4, 6))
                other.assert_running()
            finally:
                frozen.signal(signal.SIGCONT)
            time.sleep(self.rng.uniform(0, 2))
            first.drain()
            second.drain()

    def rewind(self, share):
        self.ledger.produce(self.kafka, share)
        for topic in (self.feeds.edits, self.feeds.messages, self.feeds.documents):
            self.kafka.set_offsets(self.feeds.group, topic, {0: 0, 1: 0, 2: 0})

    def expire(self, share):
        """What is sent now expires, half of it, before anybody reads it."""
        ingest_once(self.store)
        self.stored = self.ends(self.feeds.messages)
        self.ledger.produce(self.kafka, share + self.expiring)
        ends = self.ends(self.feeds.messages)
        self.gone = {partition: (ends[partition] + self.stored[partition] + 1) // 2 for partition in ends}
        self.kafka.delete_before(self.feeds.messages, self.gone)

    def renew(self, share):
        self.ledger.produce(self.kafka, [message for message in share if message.topic == self.feeds.documents])
        ingest_once(self.store)
        self.kafka.delete(self.feeds.documents)
        self.kafka.create(self.feeds.documents)
        time.sleep(2)  # so that whole seconds tell old from new
        self.renewed_ms = int(time.time() * 1000)
        self.ledger.produce(self.kafka, [message for message in share if message.topic != self.feeds.documents])

    def run(self, counts):
        faults = [fault for fault, count in counts.items() for _ in range(count)]
        self.rng.shuffle(faults)
        size = len(self.messages) // (len(faults) + 1)
        for number, fault in enumerate(faults):
            fault(self.messages[number * size : (number + 1) * size])
        self.ledger.produce(self.kafka, self.messages[len(faults) * size :])

    def clean_run(self):
        clean = aq.Store(self.folder / "clean", self.feeds.config(self.folder / "clean.yaml", self.feeds.group + "-clean"))
        ingest_once(clean)
        return clean

    def readable(self, store):
        """What is in a store of the messages that the broker still has: equal for all stores that read them."""
        parts = " OR ".join(f"k_partition = {number} AND k_offset >= {self.gone.get(number, 0)}" for number in range(3))
        since = f"k_time >= '{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(self.renewed_ms / 1000))}Z'"
        where = {EDITS: "true", AQICN: parts, CHANGES: parts, DOCUMENTS: since}
        return {
            shape.dataset: store.ndjson(
                f"SELECT * FROM {shape.dataset} WHERE {where[shape]} ORDER BY k_topic, k_partition, k_offset, k_time"
            )
            for shape, _ in self.feeds.shapes
        }


@pytest.mark.timeout(3600)
def test_all_faults_in_one_run(kafka, unpacked, tmp_path, rng, long):
    if not long:
        pytest.skip("the faults one by one are in test_kafka_once.py and test_kafka_log.py")
    storm = Storm(kafka, unpacked, tmp_path, rng)
    storm.run({
        storm.kill: 50, storm.restart_broker: 10, storm.join: 10, storm.freeze: 10, storm.rewind: 1, storm.expire: 1,
        storm.renew: 1,
    })
    ingest_once(storm.store)
    with Consumer(storm.store, tmp_path) as consumer:
        time.sleep(3)
        consumer.drain()
    counted = assert_holds(storm.ledger, storm.store, storm.feeds.shapes, is_lost=storm.is_lost)
    assert counted["lost"] > 0 and len(storm.ledger.messages) == len(storm.messages) + len(storm.expiring)
    before = storm.readable(storm.store)
    assert all(before.values())
    assert storm.readable(storm.clean_run()) == before
    storm.store.run("verify", "--deep")
    storm.store.compact()
    assert storm.readable(storm.store) == before
    print(f"{len(storm.ledger.messages)} messages: {dict(counted)}")
