"""The oracle of the Kafka tests notices what it is there for: without a broker, on stores that are made up."""

import datetime
import json
import types

import pytest

from kafka_feeds import EDITS
from kafka_ledger import PASSED, REJECT, ROW, Ledger, Message, assert_holds

TOPIC, SHAPES = "topic", {(EDITS, "topic"): "edits"}


class MadeUp:
    """Answers what the ledger asks of a store."""

    def __init__(self, rows, rejects, feed):
        self.kept, self.refused, self.feed = rows, rejects, feed

    def ndjson(self, _sql):
        return b"\n".join(json.dumps(row).encode() for row in self.kept)

    def rows(self, _sql):
        return self.refused

    def run(self, *_args):
        return types.SimpleNamespace(text=json.dumps({"sources": [self.feed]}))


def sent():
    ledger = Ledger()
    values = [(json.dumps({"channel": "#en", "time": "2015-09-12T00:47:00Z", "n": n}).encode(), ROW) for n in range(5)]
    for offset, (value, kind) in enumerate([*values, (b"garbage", REJECT), (None, PASSED)]):
        message = Message(TOPIC, b"key", value, {"edits": kind})
        message.partition, message.offset, message.timestamp = 0, offset, 1_700_000_000_000
        ledger.messages.append(message)
    return ledger


def row(offset, n):
    at = datetime.datetime.fromtimestamp(1_700_000_000, datetime.timezone.utc).isoformat()
    return {"k_topic": TOPIC, "k_partition": 0, "k_offset": offset, "k_key": "key", "k_time": at, "channel": "#en",
            "page": None, "delta": None, "ts": "2015-09-12T00:47:00+00:00", "rest": {"n": n}}


@pytest.fixture
def whole():
    feed = {"dataset": "edits", "name": TOPIC, "partition": 0, "rows": 5, "rejects": 1, "passed": 1}
    return MadeUp([row(n, n) for n in range(5)], [["edits", 0, 5, r"\x" + b"garbage".hex(), "why"]], feed)


def test_a_store_that_has_all_is_accepted(whole):
    assert assert_holds(sent(), whole, SHAPES) == {ROW: 5, REJECT: 1, PASSED: 1}


FAULTS = {
    "a lost row": lambda store: store.kept.pop(),
    "a doubled row": lambda store: store.kept.append(store.kept[0]),
    "an invented row": lambda store: store.kept.append(row(99, 1)),
    "another value": lambda store: store.kept.__setitem__(2, row(2, 3)),
    "a value at another's place": lambda store: store.kept.__setitem__(2, row(3, 2)),
    "a row of a tombstone": lambda store: store.kept.append(row(6, 6)),
    "a lost reject": lambda store: store.refused.pop(),
    "a doubled reject": lambda store: store.refused.append(store.refused[0]),
    "a reject of other bytes": lambda store: store.refused[0].__setitem__(3, r"\x00"),
    "a reject without a reason": lambda store: store.refused[0].__setitem__(4, ""),
    "a row that became a reject": lambda store: store.refused.append(["edits", 0, 4, store.kept.pop() and r"\x00", "why"]),
    "a miscounted row": lambda store: store.feed.__setitem__("rows", 6),
    "a message passed over in silence": lambda store: store.feed.__setitem__("passed", 0),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_noticed(fault, whole):
    fault(whole)
    with pytest.raises(AssertionError):
        assert_holds(sent(), whole, SHAPES)


def test_only_what_was_lost_may_be_absent(whole):
    whole.kept.pop()
    whole.feed["rows"] = 4
    assert assert_holds(sent(), whole, SHAPES, is_lost=lambda message: message.offset == 4)["lost"] == 1
    with pytest.raises(AssertionError):
        assert_holds(sent(), whole, SHAPES, is_lost=lambda message: message.offset == 3)
