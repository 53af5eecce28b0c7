"""Everything at once on one home, in real processes: four shards that ingest and seal, one to three processes of them that
are killed, stopped, joined and replaced; compaction, tiering and gc without a pause; readers all the while.

Every partition of every topic counts: 0, 1, 2, ... So of each such counter a snapshot must hold the beginning without a
hole and without a repetition, n rows whose sum is n(n-1)/2, and never fewer than any query before it has seen.

AQ_SOAK_MINUTES=60: for so long. Worth it in the build for ThreadSanitizer (make MODE=tsan all):
AQSTORE=build/tsan/aqstore; a report fails the test, whichever process made it.
"""

import collections
import itertools
import json
import os
import signal
import threading
import time

import pytest
from confluent_kafka import Producer

import aq
from kafka_feeds import Consumer, ingest_once

SHARDS, PARTITIONS, READERS = 4, 3, 4
SHORT_S, LONG_MINUTES, SESSION_S = 4, 10, 3
PATIENCE_S = 3000  # compaction stands back behind everything else on the machine; only a hang takes that long
MINUTES = float(os.environ.get("AQ_SOAK_MINUTES", LONG_MINUTES))
RATE, RATE_LONG = 400, 120  # messages a second, of all topics
CONFIG = """\
store: {home}
datasets:
  counts:
    key: topic
    time: ts
    columns:
      topic: {{type: text, required: true}}
      part: {{type: integer, required: true}}
      n: {{type: bigint, required: true}}
      ts: {{type: timestamptz, format: epoch_s, required: true}}
      value: {{type: double}}
      note: {{type: text}}
  latest:
    key: topic
    time: ts
    unique: [topic, part, n, ts]
    columns:
      topic: {{type: text, required: true}}
      part: {{type: integer, required: true}}
      n: {{type: bigint, required: true}}
      ts: {{type: timestamptz, format: epoch_s, required: true}}
      value: {{type: double}}
sources:
{sources}
ingest: {{commit_interval: 50ms, commit_size: 32KiB, segment_size: 1MiB, segment_age: 2s}}
compaction: {{target_size: 1MiB, memory: 64MiB, schedule: 1m}}
tier: {{to: "s3://{bucket.name}/soak", endpoint: "{bucket.endpoint}", after: 60d, keep_home: 90d, protect: 5s}}
"""
SOURCE = """\
  {dataset}{number}:
    dataset: {dataset}
    when: {when}
    kafka:
      {{brokers: "{brokers}", topics: [{topic}], group: {topic}-group,
       options: {{session.timeout.ms: {session_ms}, heartbeat.interval.ms: 500}}}}
"""
WHEN = {"counts": "again is null", "latest": "topic is not null"}
OLD, DAY = 1_704_067_200, 86_400  # 2024-01-01


class Counters:
    """What all readers have seen: of each dataset and (topic, partition) the most rows. Any thread."""

    def __init__(self):
        self.seen, self.lock = {"counts": {}, "latest": {}}, threading.Lock()

    def floor(self, dataset):
        """What a query that begins now must find at least."""
        with self.lock:
            return dict(self.seen[dataset])

    def take(self, dataset, rows, floor):
        """rows: (topic, part, count, sum, least, greatest, different) of each counter in one snapshot."""
        found = {}
        for topic, part, count, total, least, greatest, different in rows:
            whole = (count, total, least, greatest) == (different, count * (count - 1) // 2, 0, count - 1)
            assert whole, f"{dataset}: {topic}/{part}: {count} rows of {different} numbers {least}..{greatest}, sum {total}"
            found[topic, part] = count
        fell = {place: (count, found.get(place, 0)) for place, count in floor.items() if found.get(place, 0) < count}
        assert not fell, f"{dataset}: (before, now) of what fell: {fell}"
        with self.lock:
            seen = self.seen[dataset]
            seen.update({place: max(count, seen.get(place, 0)) for place, count in found.items()})

    def take_numbers(self, dataset, numbers, floor):
        """numbers: {(topic, part): the n of each row}."""
        self.take(dataset, [(*place, len(ns), sum(ns), min(ns), max(ns), len(set(ns))) for place, ns in numbers.items()], floor)


class Soak:
    """A store, what is sent to it, and everybody who works on it."""

    def __init__(self, kafka, bucket, folder, rng, rate):
        self.folder, self.rng, self.rate = folder, rng, rate
        self.topics = [kafka.create(kafka.name("soak"), PARTITIONS) for _ in range(SHARDS)]
        self.bases = [OLD, OLD + 300 * DAY, int(time.time()) - 85 * DAY, int(time.time()) - 20 * DAY]
        self.brokers = kafka.brokers
        config = folder / "aqstore.yaml"
        config.write_text(CONFIG.format(home=folder / "home", bucket=bucket, sources="".join(
            SOURCE.format(number=number, dataset=dataset, when=when, brokers=kafka.brokers, topic=topic,
                          session_ms=1000 * SESSION_S)
            for number, topic in enumerate(self.topics) for dataset, when in WHEN.items())))
        tsan = f"{os.environ.get('TSAN_OPTIONS', '')}:log_path={folder}/race"
        self.store = aq.Store(folder / "home", config, env={**bucket.env, "TSAN_OPTIONS": tsan})
        self.ending, self.faults, self.lock = threading.Event(), [], threading.Lock()
        self.sent = collections.Counter()  # (topic, partition) -> messages that the broker has
        self.counters = Counters()
        self.done = collections.Counter()  # what was done, for the report

    # ---- all sides ----

    def fault(self, text):
        with self.lock:
            self.faults.append(text)
        self.ending.set()

    def side(self, work, pause_s=0.0):
        """A thread that repeats `work` to the end; its failure is the test's, and ends all others."""

        def repeat():
            try:
                while not self.ending.is_set():
                    work()
                    self.ending.wait(pause_s)
            except BaseException as failure:  # pylint: disable=broad-except
                self.fault(f"{getattr(work, '__name__', work)}: {failure!r:.4000}")

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        return thread

    def races(self):
        return sorted(self.folder.glob("race*"))

    def check(self):
        assert not self.races(), self.races()[0].read_text()[:8000]
        assert not self.faults, self.faults[0]

    # ---- writing ----

    def message(self, number, count):
        """What the topic's counters say at `count`."""
        step = 600 if number % 2 == 0 else 60
        late = 40 * DAY if count % 97 == 0 else 0
        return {"topic": self.topics[number], "n": count, "ts": self.bases[number] + count * step - late,
                "value": count / 7, "note": f"note {count % 1000} " * (count % 5)}

    def delivered(self, again):
        def note(error, message):
            if error is not None:
                self.fault(f"the broker refused: {error}")
            elif not again:
                self.sent[message.topic(), message.partition()] += 1

        return note

    def produce(self):
        """In each place the next number, now and then a former one again."""
        producer = Producer({"bootstrap.servers": self.brokers, "linger.ms": 5, "enable.idempotence": True, "log_level": 0})
        next_of = collections.Counter()
        places = [(number, part) for number in range(SHARDS) for part in range(PARTITIONS)]
        try:
            while not self.ending.wait(0.1):
                for _ in range(self.rate // 10):
                    number, part = place = self.rng.choice(places)
                    again = next_of[place] > 0 and self.rng.random() < 0.1
                    count = self.rng.randrange(max(0, next_of[place] - 500), next_of[place]) if again else next_of[place]
                    next_of[place] += not again
                    value = {**self.message(number, count), "part": part, **({"again": 1} if again else {})}
                    producer.produce(self.topics[number], json.dumps(value).encode(), partition=part,
                                     on_delivery=self.delivered(again))
                producer.poll(0)
        except BaseException as failure:  # pylint: disable=broad-except
            self.fault(f"producing: {failure!r}")
        if producer.flush(60) != 0:
            self.fault("the broker does not take what was sent")

    def consumer(self):
        self.done["processes"] += 1
        return Consumer(self.store, self.folder, **self.store.env)

    def leave(self, consumer, killed):
        """A drain is cut short after 10 s, which a sanitizer on a busy machine may need, and a process that has hardly
        been started does not drain at all; neither costs anything durable."""
        if killed:
            consumer.kill()
            self.done["kills"] += 1
            return
        consumer.signal(signal.SIGTERM)
        code = consumer.process.wait(60)
        if code == -signal.SIGTERM and consumer.text() == "":
            self.done["kills"] += 1
            return
        in_time = "still busy after 10 s" not in consumer.text()
        assert code == (aq.DONE if in_time else aq.FAILED), f"SIGTERM: exit {code}: {consumer.text()[-4000:]}"
        self.done["drains" if in_time else "drains cut short"] += 1

    def freeze(self, consumer):
        """Until its group has given its partitions away: what it still writes of them then must not count."""
        consumer.signal(signal.SIGSTOP)
        try:
            self.ending.wait(self.rng.uniform(SESSION_S + 1, SESSION_S + 4))
        finally:
            consumer.signal(signal.SIGCONT)
        self.done["freezes"] += 1

    def change(self, running, freezes):
        chosen = self.rng.randrange(len(running))
        if len(running) < 3 and self.rng.random() < 0.5:
            running.append(self.consumer())
        elif freezes and self.rng.random() < 0.5:
            self.freeze(running[chosen])
        else:
            self.leave(running.pop(chosen), self.rng.random() < 0.5)
            if not running:
                running.append(self.consumer())

    def consume(self, change_every, freezes):
        """One process always, at times more; who leaves is drained or killed."""
        running = [self.consumer()]
        try:
            while not self.ending.wait(self.rng.uniform(*change_every)):
                for consumer in running:
                    consumer.assert_running()
                self.change(running, freezes)
            for consumer in running:
                self.leave(consumer, False)
        except BaseException as failure:  # pylint: disable=broad-except
            self.fault(f"ingest: {failure!r:.4000}")
        finally:
            for consumer in running:
                if consumer.process.poll() is None:
                    consumer.process.kill()
                    consumer.process.wait()

    # ---- maintenance ----

    def maintain(self, *command):
        result = self.store.run("--json", *command, code=None, timeout=PATIENCE_S)
        assert result.code in (aq.DONE, aq.CONFLICT), str(result)
        self.done[command[0] + (" (taken)" if result.code == aq.CONFLICT else "")] += 1

    # ---- reading ----

    def read_counts(self, dataset):
        floor = self.counters.floor(dataset)
        self.counters.take(dataset, self.store.rows(
            "SELECT topic, part, count(*) AS c, sum(n) AS s, min(n) AS a, max(n) AS z, count(DISTINCT n) AS d "
            f"FROM {dataset} GROUP BY topic, part"), floor)

    def read_rows(self, dataset):
        """One topic's rows themselves, in order; their times and values are those that were sent."""
        number = self.rng.randrange(SHARDS)
        topic = self.topics[number]
        floor = {place: count for place, count in self.counters.floor(dataset).items() if place[0] == topic}
        numbers = collections.defaultdict(list)
        columns = "part, n, extract(epoch FROM ts)::bigint AS t, value"
        sql = f"SELECT {columns} FROM {dataset} WHERE topic = '{topic}' ORDER BY part, n"
        for part, n, ts, value in self.store.rows(sql):
            sent = self.message(number, n)
            assert (ts, value) == (sent["ts"], sent["value"]), f"{dataset}: {topic}/{part}: {n}: {ts}, {value}"
            numbers[topic, part].append(n)
        self.counters.take_numbers(dataset, numbers, floor)

    def read_slowly(self, dataset):
        """A reader that stands still with its snapshot open, while files are merged, moved and removed."""
        floor = self.counters.floor(dataset)
        reader = self.store.start("query", "--format", "csv", f"SELECT topic, part, n FROM {dataset}")
        begin = os.read(reader.stdout.fileno(), 1000)
        self.ending.wait(self.rng.uniform(1, 20))
        out, err = reader.communicate(timeout=PATIENCE_S)
        assert reader.returncode == aq.DONE, f"a slow reader: exit {reader.returncode}: {err.decode()[-4000:]}"
        numbers = collections.defaultdict(list)
        for line in (begin + out).decode().splitlines()[1:]:
            topic, part, n = line.split(",")
            numbers[topic, int(part)].append(int(n))
        self.counters.take_numbers(dataset, numbers, floor)

    def read_partitions(self, _dataset):
        floor = self.counters.floor("counts")
        sql = "SELECT key, sum(rows) AS n FROM aqstore_partitions WHERE dataset = 'counts' GROUP BY key"
        found = dict(self.store.rows(sql))
        for topic, places in itertools.groupby(sorted(floor.items()), key=lambda item: item[0][0]):
            least = sum(count for _, count in places)
            assert found.get(topic, 0) >= least, f"aqstore_partitions: {topic}: {found.get(topic)} rows after {least}"

    def read(self):
        dataset = self.rng.choice(("counts", "latest"))
        reads = (self.read_counts, self.read_counts, self.read_rows, self.read_slowly, self.read_partitions)
        work = self.rng.choice(reads)
        work(dataset)
        self.done[work.__name__] += 1

    # ---- the run, and what must be there in the end ----

    def run(self, seconds, maintenance):
        producer = threading.Thread(target=self.produce, daemon=True)
        producer.start()
        life = ((1, 2), False) if seconds < 60 else ((2, 15), True)
        consumer = threading.Thread(target=self.consume, args=life, daemon=True)
        consumer.start()
        self.wait_for_rows()
        sides = [self.side(self.read, 0.05) for _ in range(READERS)]
        for command in maintenance:
            sides.append(self.side(lambda command=command: self.maintain(*command), 0.2))
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.ending.wait(1) and not self.races():
            pass
        self.ending.set()
        for thread in (producer, consumer, *sides):
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "somebody does not end"
        self.check()

    def wait_for_rows(self):
        """The datasets are there once a row is."""
        until = time.monotonic() + 60
        while self.store.run("query", "SELECT count(*) FROM latest", code=None).code != aq.DONE:
            assert time.monotonic() < until and not self.ending.wait(0.1), f"no row came: {self.faults}"

    def assert_few_files(self):
        """docs/decisions/roll-up.md: closed months by size; up to three archives a day of the present one, and what its last
        day has gathered since eight were merged; the future by eights, whatever its time."""
        month = "date_trunc('month', now())"
        files = collections.Counter(dict(self.store.rows(
            f"SELECT CASE WHEN newest < {month} THEN 'past' WHEN oldest < {month} + INTERVAL '1 month' THEN 'present' ELSE 'future' END AS w, "
            "count(DISTINCT name) AS n FROM aqstore_files GROUP BY 1")))
        days = 2 * time.gmtime().tm_mday
        bounds = {"past": 20 + sum(self.sent.values()) // 20_000, "present": 2 * 8 + 3 * days, "future": 2 * 2 * 8}
        assert all(files[when] <= most for when, most in bounds.items()), f"{files}, at most {bounds}"

    def assert_whole(self):
        """What was sent is there; no file that nobody needs, and few of the others."""
        ingest_once(self.store, env=self.store.env)
        self.store.run("compact", timeout=PATIENCE_S)
        self.store.run("tier", timeout=PATIENCE_S)
        self.store.run("gc", "--age", "0s")
        for dataset in ("counts", "latest"):
            self.read_counts(dataset)
            assert self.counters.floor(dataset) == dict(self.sent), f"{dataset} has other counts than what was sent"
        at_home = {path.name for kind in ("segments", "archives") for path in self.store.files(kind)}
        named = self.store.rows("SELECT DISTINCT name, tier FROM aqstore_files")
        assert at_home == {name.rpartition("/")[2] for name, tier in named if tier != "s3"}, "an orphan, or a file is missing"
        self.assert_few_files()
        self.done["files in the end"] = len(named)
        self.store.run("verify", "--deep")
        self.check()


SEEN = {("a", 0): [0, 1, 2, 3], ("a", 1): [0, 1]}
FAULTS = {
    "a hole": {**SEEN, ("a", 1): [0, 1, 2, 4]},
    "a beginning that is missing": {**SEEN, ("a", 0): [1, 2, 3, 4]},
    "a row twice": {**SEEN, ("a", 1): [0, 1, 2, 2]},
    "a row twice in place of another": {**SEEN, ("a", 0): [0, 1, 1, 2, 5, 6]},
    "a count that fell": {**SEEN, ("a", 0): [0, 1, 2]},
    "a counter that is gone": {("a", 0): [0, 1, 2, 3, 4]},
}


@pytest.mark.parametrize("numbers", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_noticed(numbers):
    counters = Counters()
    counters.take_numbers("counts", SEEN, counters.floor("counts"))
    counters.take_numbers("counts", {**SEEN, ("a", 1): [0, 1, 2]}, counters.floor("counts"))
    with pytest.raises(AssertionError):
        counters.take_numbers("counts", numbers, counters.floor("counts"))


EVERYTHING = (("compact",), ("compact",), ("gc", "--age", "0s"), ("tier",))


@pytest.mark.timeout(MINUTES * 60 + PATIENCE_S)
@pytest.mark.parametrize("maintenance", ((), EVERYTHING), ids=("ingest-and-read", "everything-at-once"))
def test_readers_beside_everybody(maintenance, kafka, s3proxy, tmp_path, rng, long):
    if not long and not maintenance:
        pytest.skip("a part of the other one: --long")
    wanted = long or "AQ_SOAK_MINUTES" in os.environ
    soak = Soak(kafka, s3proxy, tmp_path, rng, RATE_LONG if wanted else RATE)
    soak.run(MINUTES * 60 if wanted else SHORT_S, maintenance)
    soak.assert_whole()
    print(f"{sum(soak.sent.values())} messages; {dict(soak.done)}")
