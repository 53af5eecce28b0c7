"""Exactly once from a real broker: whatever is killed, restarted, joined, left or frozen, every message that the broker
acknowledged is in the store once, as a row, as a reject, or counted as passed over; and the contents equal those of one
clean run, to the byte."""

import signal
import time

import pytest

import aq
import kafka_ledger
import sets
from kafka_feeds import EDITS, Consumer, Feeds, ingest_once, until, until_all_is_there
from kafka_ledger import Background, Ledger, assert_holds

DATASETS = ("edits", "aqicn", "changes", "documents")


def assert_as_clean(ledger, store, feeds, folder, **options):
    """The ledger holds, and another store that read the topics in one go has the same contents."""
    counted = assert_holds(ledger, store, feeds.shapes, **options)
    store.run("verify", "--deep")
    clean = aq.Store(folder / "clean", feeds.config(folder / "clean.yaml", group=feeds.group + "-clean"))
    ingest_once(clean)
    for ours, theirs in zip(*(kafka_ledger.contents(one, feeds.shapes) for one in (store, clean))):
        assert ours == theirs
    return counted


@pytest.mark.timeout(600)
def test_every_shared_message_once(kafka, unpacked, tmp_path, rng):
    """All shared JSON through four producers over three topics of three partitions, garbage among it."""
    feeds, ledger = Feeds(kafka), Ledger()
    store = aq.Store(tmp_path / "store", feeds.config(tmp_path / "aqstore.yaml"))
    messages = feeds.mix(rng, unpacked)
    ledger.produce(kafka, messages)
    assert len(ledger.messages) == len(messages) > (39_244 if sets.shared_folder() else 8_000)
    ingest_once(store)
    counted = assert_holds(ledger, store, feeds.shapes)
    before = kafka_ledger.contents(store, feeds.shapes)
    ingest_once(store)
    store.compact()
    assert store.files("archives")
    assert kafka_ledger.contents(store, feeds.shapes) == before
    assert assert_holds(ledger, store, feeds.shapes) == counted
    print(f"{len(messages)} messages: {dict(counted)}")


@pytest.mark.timeout(1800)
def test_killed_consumers(kafka, unpacked, tmp_path, rng, long):
    feeds, ledger = Feeds(kafka), Ledger()
    store = aq.Store(tmp_path / "store", feeds.config(tmp_path / "aqstore.yaml"))
    kills = 50 if long else 5
    messages = feeds.mix(rng, unpacked, None if long else 8000)
    seen = 0
    with Background(ledger, kafka, messages, rate=len(messages) / (kills * 3)):
        for _ in range(kills):
            with Consumer(store, tmp_path) as consumer:
                time.sleep(rng.uniform(0, 5))
                consumer.kill()
            rows = aq.run(*store.arguments(), "query", "--format", "ndjson", "SELECT count(*) AS n FROM edits", code=None)
            count = kafka_ledger.json.loads(rows.text)["n"] if rows.code == aq.DONE else 0
            assert count >= seen, "rows that a query saw are gone"
            seen = count
    assert seen > 0, "no consumer lived long enough to store a row"
    ingest_once(store)
    print(f"{kills} kills, {seen} rows before the last run: {dict(assert_as_clean(ledger, store, feeds, tmp_path))}")


def test_once_reads_what_dead_members_hold(kafka, unpacked, tmp_path):
    """Two killed in a row: the group takes the second one for alive, as it was just joining, and gives it partitions
    until its session ends. `--once` is not done before these are read, too."""
    feeds, ledger = Feeds(kafka), Ledger()
    config = feeds.config(tmp_path / "aqstore.yaml", sources=["edits"], session_timeout_ms=4000)
    store = aq.Store(tmp_path / "store", config)
    ledger.produce(kafka, feeds.plain(unpacked, 1000))
    with Consumer(store, tmp_path) as first:
        until_all_is_there(ledger, store, ["edits"], [first])
        first.kill()
    ledger.produce(kafka, feeds.plain(unpacked, 1000, 1000))
    with Consumer(store, tmp_path) as second:
        time.sleep(1.2)
        second.kill()
    ingest_once(store)
    assert_holds(ledger, store, {(EDITS, feeds.edits): "edits"})


@pytest.mark.timeout(1800)
def test_stopped_at_any_moment(kafka, unpacked, tmp_path, rng, long):
    """SIGTERM while it connects, joins the group, is given partitions, reads: each time a drain, and no partition is held."""
    feeds, ledger = Feeds(kafka), Ledger()
    store = aq.Store(tmp_path / "store", feeds.config(tmp_path / "aqstore.yaml"))
    ledger.produce(kafka, feeds.mix(rng, unpacked, 2000))
    for _ in range(60 if long else 8):
        with Consumer(store, tmp_path) as consumer:
            time.sleep(rng.choice((0.05, 0.3, 1)) + rng.uniform(0, 0.3))
            consumer.drain()
    ingest_once(store)
    assert_holds(ledger, store, feeds.shapes)


@pytest.mark.timeout(1800)
def test_broker_restarts(kafka, unpacked, tmp_path, rng, long):
    """A killed broker is waited for, without a busy loop, and nothing is lost or doubled when it comes back."""
    feeds, ledger = Feeds(kafka), Ledger()
    store = aq.Store(tmp_path / "store", feeds.config(tmp_path / "aqstore.yaml"))
    restarts = 10 if long else 1
    messages = feeds.mix(rng, unpacked, None if long else 6000)
    with Consumer(store, tmp_path) as consumer:
        with Background(ledger, kafka, messages, rate=len(messages) / (restarts * 8)):
            for _ in range(restarts):
                time.sleep(rng.uniform(1, 4))
                kafka.kill()
                before, begun = consumer.cpu_seconds(), time.monotonic()
                time.sleep(2)
                busy = (consumer.cpu_seconds() - before) / (time.monotonic() - begun)
                assert busy < 0.25, f"{busy:.0%} of a processor while the broker is down"
                kafka.start()
        until_all_is_there(ledger, store, DATASETS, [consumer])
        consumer.drain()
    assert_as_clean(ledger, store, feeds, tmp_path)


@pytest.mark.timeout(1800)
def test_a_second_process_joins_and_leaves(kafka, unpacked, tmp_path, rng, long):
    feeds, ledger = Feeds(kafka), Ledger()
    store = aq.Store(tmp_path / "store", feeds.config(tmp_path / "aqstore.yaml"))
    rounds = 10 if long else 1
    messages = feeds.mix(rng, unpacked, None if long else 6000)
    with Consumer(store, tmp_path) as first:
        with Background(ledger, kafka, messages, rate=len(messages) / (rounds * 8)):
            for number in range(rounds):
                time.sleep(rng.uniform(0.5, 2))
                with Consumer(store, tmp_path) as second:
                    time.sleep(rng.uniform(1, 5))
                    if number % 3 == 2:
                        second.kill()
                    else:
                        second.drain()
        until_all_is_there(ledger, store, DATASETS, [first])
        first.drain()
    assert_as_clean(ledger, store, feeds, tmp_path)


@pytest.mark.timeout(1800)
def test_a_frozen_process_wakes_up(kafka, unpacked, tmp_path, rng, long):
    """Stopped past its poll interval with messages in its hands: what it writes when it wakes does not count, since
    another has taken its partitions over; then both go on."""
    feeds, ledger = Feeds(kafka), Ledger()
    config = feeds.config(tmp_path / "aqstore.yaml", session_timeout_ms=2000, max_poll_interval_ms=2500)
    store = aq.Store(tmp_path / "store", config)
    rounds = 10 if long else 1
    messages = feeds.mix(rng, unpacked, None if long else 6000)
    share = len(messages) // rounds
    with Consumer(store, tmp_path) as first, Consumer(store, tmp_path) as second:
        for number in range(rounds):
            part = messages[number * share :] if number == rounds - 1 else messages[number * share : (number + 1) * share]
            frozen, other = rng.sample((first, second), 2)
            with Background(ledger, kafka, part, rate=len(part) / 3):
                time.sleep(rng.uniform(0.5, 2.5))
                frozen.signal(signal.SIGSTOP)
            try:
                until_all_is_there(ledger, store, DATASETS, [other])
            finally:
                frozen.signal(signal.SIGCONT)
            time.sleep(rng.uniform(0, 2))
        until_all_is_there(ledger, store, DATASETS, [first, second])
        first.drain()
        second.drain()
    assert_as_clean(ledger, store, feeds, tmp_path)
