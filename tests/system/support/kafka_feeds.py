"""What the Kafka tests send and declare: shared JSON over three topics, four datasets, configs that consume them."""

import datetime
import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import time
from dataclasses import dataclass

import aq
import sets
from judge import instant
from kafka_ledger import PASSED, REJECT, ROW, Message

KAFKA_COLUMNS = """\
      k_topic: {type: text, from: kafka.headers.topic}
      k_partition: {type: integer, from: kafka.partition, required: true}
      k_offset: {type: bigint, from: kafka.offset, required: true}
      k_key: {type: text, from: kafka.key}
      k_time: {type: timestamptz, from: kafka.timestamp, required: true}
      rest: {type: json, from: "*"}
"""


def kept(rest):
    """What "*" keeps of a message, in one form; nothing and an empty object are the same."""
    return {} if rest is None else sets.prune(rest)


@dataclass(frozen=True)
class Shape:
    """A dataset: some members of its messages are columns, the rest is kept as JSON."""

    dataset: str
    declared: str  # YAML of key, time and columns
    paths: tuple  # (column, path)
    time_paths: tuple = ()
    time: object = None  # message -> microseconds; None: the time is Kafka's

    def of_message(self, message):
        rest = json.loads(json.dumps(message))
        for path in (*(path for _, path in self.paths), *self.time_paths):
            parent = sets.reach(rest, path[:-1])
            if isinstance(parent, dict):
                parent.pop(path[-1], None)
        named = {column: sets.reach(message, path) for column, path in self.paths}
        return [named, self.time(message) if self.time else None, kept(rest)]

    def of_row(self, row):
        named = {column: row[column] for column, _ in self.paths}
        return [named, instant(row["ts"]) if self.time else None, kept(row["rest"])]

    def is_reject_of(self, message, data, reason):
        return data == message.value and reason != ""

    def yaml(self):
        return f"  {self.dataset}:\n{self.declared}{KAFKA_COLUMNS}"


EDITS = Shape(
    "edits",
    """\
    key: channel
    time: ts
    columns:
      channel: {type: text, required: true}
      ts: {type: timestamptz, from: time, required: true}
      page: {type: text}
      delta: {type: bigint}
""",
    (("channel", ("channel",)), ("page", ("page",)), ("delta", ("delta",))),
    (("time",),),
    lambda message: instant(message["time"]),
)
AQICN = Shape(
    "aqicn",
    """\
    key: city
    time: ts
    series: [station]
    columns:
      city: {type: text, required: true}
      station: {type: bigint, from: payload.idx}
      ts: {type: timestamptz, from: [payload.time.iso, "{payload.time.s}{payload.time.tz}"], required: true}
      aqi: {type: integer, from: payload.aqi, null_values: ["-"]}
""",
    (("city", ("city",)), ("station", ("payload", "idx")), ("aqi", ("payload", "aqi"))),
    sets.TIME_PATHS["aqicn"],
    lambda message: instant(message["payload"]["time"]["iso"]),
)
CHANGES = Shape(
    "changes",
    """\
    key: wiki
    time: ts
    columns:
      wiki: {type: text, required: true}
      ts: {type: timestamptz, from: timestamp, format: epoch_s, required: true}
      title: {type: text}
""",
    (("wiki", ("wiki",)), ("title", ("title",))),
    sets.TIME_PATHS["changes"],
    lambda message: message["timestamp"] * 1_000_000,
)
DOCUMENTS = Shape(
    "documents",
    """\
    time: k_time
    columns:
""",
    (),
)


def lines(unpacked, data_set):
    if sets.shared_folder() is None and data_set.sample is None:
        return MADE[data_set.name]()
    (file,) = unpacked(data_set)
    return [line for line in file.read_bytes().split(b"\n") if line]


def edits(unpacked, count=None):
    return lines(unpacked, sets.WIKIPEDIA)[:count]


def made_edits():
    """Where the real ones are not: 8,000 in their form, the same every time."""
    chance = random.Random(1)
    begun = datetime.datetime(2015, 9, 12, tzinfo=datetime.timezone.utc)
    return [
        json.dumps({
            "time": (begun + datetime.timedelta(milliseconds=10_800 * n)).isoformat(), "isMinor": chance.random() < 0.3,
            "channel": f"#{chance.choice(('en', 'de', 'vi', 'fr', 'ja'))}.wikipedia", "page": f"Trang \u1ea1 {n // 3}",
            "comment": chance.choice((None, "", "\u2026", "r\u00e9vision " * 20)), "delta": chance.randrange(-900, 4000),
            "cityName": chance.choice((None, "H\u00e0 N\u1ed9i")), "geo": {"at": [chance.random(), None, {}], "ok": True},
        }, ensure_ascii=n % 2 == 0).encode()
        for n in range(8000)
    ]


def made_changes():
    return [
        json.dumps({"meta": {"uri": f"https://example.org/{n}", "id": str(n)}, "wiki": f"wiki{n % 5}", "title": f"T{n}",
                    "timestamp": 1_690_588_800 + n, "length": {"old": n, "new": None}, "html": "<b>\u200e</b>"}).encode()
        for n in range(100)
    ]


MADE = {"wikipedia": made_edits, "changes": made_changes}
MADE_SUITE = {
    ROW: (b"{}", b'{"a": 1, "a": 2}', b'[1, [2, {"b": null}]]', b'"text"', b"-0.5e-3", b"null", b' {"\\u0000": "\\ud83d\\ude00"} '),
    REJECT: (b"{", b'{"a" 1}', b"[1,]", b"nul", b"01", b'"\x00"', b"\xef\xbb", b'{"a": 1} x', b"'a'", b"[NaN]"),
}


GARBAGE = {
    "edits": (b"not JSON", b'{"channel": "#x", "time"', b'{"channel": "#x"}', b'{"time": "2015-09-12T00:00:00Z"}',
              b'{"channel": "#x", "time": "yesterday"}', b"[1, 2]", b"", b'{"channel": "\xff\xfe", "time": 1}',
              b'{"channel": "#x", "time": "2015-09-12T00:00:00Z", "delta": "many"}', b"\x00\x01\x02"),
    "messages": (b"not JSON", b'{"city": "hanoi"', b"\xff\xfe", b""),
    "documents": (b"not JSON", b'{"a":', b"[1, 2", b"'x'", b""),
}


class Feeds:
    """Three topics of a test, its consumer group, and the sources that read them into four datasets."""

    def __init__(self, kafka, partitions=3):
        self.kafka, self.group = kafka, kafka.name("group")
        self.edits, self.messages, self.documents = (
            kafka.create(kafka.name(word), partitions) for word in ("edits", "messages", "documents")
        )
        self.shapes = {
            (EDITS, self.edits): "edits",
            (AQICN, self.messages): "aqicn",
            (CHANGES, self.messages): "changes",
            (DOCUMENTS, self.documents): "documents",
        }

    WHEN = {"aqicn": "payload is not null", "changes": "meta is not null"}

    def config(self, path, group=None, ingest="{commit_interval: 20ms, commit_size: 64KiB, segment_size: 1MiB}",
               sources=None, **options):
        """Write a config: all datasets, and the sources named (all of them)."""
        given = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500, **{
            name.replace("_", "."): value for name, value in options.items()}}
        flow = ", ".join(f"{name}: {value}" for name, value in given.items())
        text = "datasets:\n" + "".join(shape.yaml() for shape, _ in self.shapes) + "sources:\n"
        for (shape, topic), name in self.shapes.items():
            if sources is None or name in sources:
                text += (
                    f"  {name}:\n    kafka: {{brokers: \"{self.kafka.brokers}\", topics: [{topic}], "
                    f"group: {group or self.group}, options: {{{flow}}}}}\n"
                    f"    dataset: {shape.dataset}\n    format: json\n"
                )
                if name in self.WHEN:
                    text += f'    when: "{self.WHEN[name]}"\n'
        path.write_text(text + f"ingest: {ingest}\n")
        return path

    def mix(self, rng, unpacked, edit_count=None, garbage=0.01):
        """The shared messages, for all three topics, in random order, with garbage among them."""
        sent = [(self.edits, line, {"edits": ROW}) for line in edits(unpacked, edit_count)]
        both = {"aqicn": PASSED, "changes": PASSED}
        for name in ("aqicn", "changes"):
            sent += [(self.messages, line, {**both, name: ROW}) for line in lines(unpacked, sets.MESSAGES[name])]
        sent += [(self.documents, value, {"documents": kind}) for value, kind in self.suite(unpacked)]
        for _ in range(int(len(sent) * garbage)):
            word, datasets = rng.choice((("edits", ("edits",)), ("messages", ("aqicn", "changes")),
                                         ("documents", ("documents",))))
            value = rng.choice(GARBAGE[word])
            sent.append((getattr(self, word), value, dict.fromkeys(datasets, REJECT)))
        rng.shuffle(sent)
        return [Message(topic, f"key {n}".encode(), value, kinds) for n, (topic, value, kinds) in enumerate(sent)]

    @staticmethod
    def suite(unpacked):
        """The files of the JSON suite with a standard's verdict, and the naughty strings: (value, kind). Values that are
        no objects are rows, too, since no column of this dataset leads into them."""
        if sets.shared_folder() is None:
            yield from ((value, kind) for kind, values in MADE_SUITE.items() for value in values)
            return
        for path in unpacked(sets.JSON_SUITE):
            if path.name.startswith(("y_", "n_")):
                yield path.read_bytes(), ROW if path.name.startswith("y_") else REJECT
        (file,) = unpacked(sets.NAUGHTY)
        for number, text in enumerate(json.loads(file.read_text(encoding="utf-8"))):
            yield json.dumps({"n": number, "value": text}, ensure_ascii=number % 2 == 0).encode(), ROW

    def plain(self, unpacked, count, start=0):
        """Edits only, from `start` on: rows all."""
        return [
            Message(self.edits, f"key {start + n}".encode(), line, {"edits": ROW})
            for n, line in enumerate(edits(unpacked)[start : start + count])
        ]


class Consumer:
    """A running `aqstore ingest`; what it writes goes to a file."""

    def __init__(self, store, folder, options=(), **env):
        self.log = folder / f"ingest-{next(NUMBERS)}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [aq.BINARY, *map(str, store.arguments()), *options, "ingest"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **env},
            )

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            print(f"{self.log}:\n{self.text()[-4000:]}")
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def text(self):
        return self.log.read_text(errors="replace")

    def assert_running(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.text()[-4000:]}"

    def signal(self, number):
        self.assert_running()
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def drain(self):
        """SIGTERM: it must end within 10 s, and well."""
        self.signal(signal.SIGTERM)
        begun = time.monotonic()
        code = self.process.wait(60)
        assert code == 0, f"SIGTERM: exit {code}: {self.text()[-4000:]}"
        assert time.monotonic() - begun < 10, "a drain took more than 10 s"

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


NUMBERS = itertools.count(1)


def ingest_once(store, *sources, **options):
    return store.run("ingest", "--once", *sources, **options)


def counts(store, dataset):
    """(rows, rejects), or None where there is no such dataset yet."""
    found = []
    for table in (dataset, dataset + "_rejects"):
        result = store.run("query", "--format", "ndjson", f"SELECT count(*) AS n FROM {table}", code=None)
        if result.code != aq.DONE:
            return None
        found.append(json.loads(result.text)["n"])
    return tuple(found)


def until(condition, seconds, what, consumers=()):
    """Wait until condition() holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        for consumer in consumers:
            consumer.assert_running()
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def until_all_is_there(ledger, store, datasets, consumers=(), seconds=60):
    """Wait until the running consumers have stored all that was acknowledged."""
    for dataset in datasets:
        want = ledger.counts(dataset)
        until(lambda: counts(store, dataset) == want, seconds,  # pylint: disable=cell-var-from-loop
              f"{want} rows and rejects in {dataset}; there are {counts(store, dataset)}", consumers)
