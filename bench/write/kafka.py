"""Kafka to durable rows, beside consumers that keep nothing, in one run.

    make bench-kafka                                  the Wikipedia edits, ten times over
    build/venv/bin/python bench/write/kafka.py --copies 1   once: as a test

The same messages are read from a broker on this machine by `aqstore ingest --once`, by a librdkafka consumer that throws
them away (bench/write/discard.c) and by kcat to /dev/null, and from a file by `aqstore import`. Counted is the CPU time of the
process that reads, user and system: the broker shares the cores, so wall time says little. The goal: what ingest needs
beyond the consumer that throws away is at most 1.5 times what import needs for the same rows. A hash of each store's
content stands in the table: both must hold the same rows, or the run fails.
"""

import argparse
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system/support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import aq  # noqa: E402
import services  # noqa: E402
import sets  # noqa: E402
from confluent_kafka import Producer  # noqa: E402
from run import print_table  # noqa: E402

DATA = sets.WIKIPEDIA
TOPIC, PARTITIONS, GOAL = "edits", 3, 1.5
DISCARD = aq.PROJECT / "build/release/bench/write/discard"
CONTENT = "SELECT channel, count(*) AS n, count(DISTINCT page) AS pages, sum(delta) AS net, max(ts) AS newest FROM edits GROUP BY 1 ORDER BY 1"
SOURCE = """
sources:
  live:
    kafka: {{brokers: "{brokers}", topics: [{topic}], group: bench-{number}}}
    dataset: edits
    format: json
"""


def produce(brokers, lines, copies):
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000, "log_level": 0})
    for number in range(copies * len(lines)):
        while True:
            try:
                producer.produce(TOPIC, lines[number % len(lines)], partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0, "not everything was taken by the broker"


def most_memory(pid):
    """The process's peak so far in MiB; 0 when it has ended. (The peak that wait4 gives begins with the parent's.)"""
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) / 1024 if found else 0


def measured(*command):
    """Run a command to its end: CPU seconds, wall seconds, most memory in MiB."""
    with tempfile.TemporaryFile() as messages:
        begin = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=messages)
        memory, ended = 0, 0
        while not ended:
            memory = max(memory, most_memory(process.pid))
            time.sleep(0.005)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        wall = time.perf_counter() - begin
        if os.waitstatus_to_exitcode(status) != 0:
            messages.seek(0)
            sys.exit(f"bench: {command[0]}: {messages.read().decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime, wall, memory


def best(repeat, action):
    """The run with the least CPU time."""
    return min(action(number) for number in range(repeat))


def content(store):
    return hashlib.sha256(store.ndjson(CONTENT, timezone="UTC")).hexdigest()[:12]


def kafka_store(brokers, folder, number):
    """A store that reads the topic with a group of its own: a group belongs to one store."""
    config = folder / f"kafka-{number}.yaml"
    config.write_text(DATA.config_file.read_text() + SOURCE.format(brokers=brokers, topic=TOPIC, number=number))
    return aq.Store(folder / f"kafka-{number}", config)


def measure(brokers, folder, file, repeat):
    """Figures and content by name."""
    kafka = [kafka_store(brokers, folder, number) for number in range(repeat)]
    files = [aq.Store(folder / f"file-{number}", DATA.config_file) for number in range(repeat)]
    figures = {
        "aqstore ingest": best(repeat, lambda i: measured(aq.BINARY, *kafka[i].arguments(), "ingest", "--once")),
        "librdkafka, thrown away": best(repeat, lambda i: measured(DISCARD, brokers, TOPIC, PARTITIONS)),
        "kcat to /dev/null": best(repeat, lambda i: measured("kcat", "-C", "-q", "-e", "-b", brokers, "-t", TOPIC, "-o", "beginning")),
        "aqstore import of a file": best(
            repeat, lambda i: measured(aq.BINARY, *files[i].arguments(), "--quiet", "import", "--dataset", DATA.dataset, file)
        ),
    }
    return figures, {"aqstore ingest": content(kafka[-1]), "aqstore import of a file": content(files[-1])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=10, help="how often each message is sent")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measurement; the best counts")
    parser.add_argument("--kafka", default=services.KAFKA_VERSIONS[0], help="the broker's version")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aqstore-bench-") as name:
        folder = pathlib.Path(name)
        if sets.shared_folder() is None:
            sys.exit("bench: the Wikipedia edits are not here: set AQSTORE_DATA to the folder that has them")
        (source,) = sets.unpack(DATA.source, folder).glob(DATA.pattern)
        lines = source.read_bytes().splitlines()
        file = folder / "edits.ndjson"
        file.write_bytes((b"\n".join(lines) + b"\n") * options.copies)
        broker = services.Kafka(folder / "broker", options.kafka)
        try:
            broker.create(TOPIC, PARTITIONS)
            produce(broker.brokers, lines, options.copies)
            figures, contents = measure(broker.brokers, folder, file, options.repeat)
        finally:
            broker.stop()
    rows = options.copies * len(lines)
    mebibytes = options.copies * sum(map(len, lines)) / 2**20
    print(f"{rows:,} messages, {mebibytes:.0f} MiB, {PARTITIONS} partitions; Kafka {options.kafka}, {os.cpu_count()} cores\n")
    table = [["", "CPU, us/row", "rows/s", "memory, MiB", "content"]]
    for name, (cpu, wall, memory) in figures.items():
        table.append([name, f"{cpu / rows * 1e6:.2f}", f"{rows / wall:,.0f}", f"{memory:.0f}", contents.get(name, "")])
    print_table(table)
    beyond = figures["aqstore ingest"][0] - figures["librdkafka, thrown away"][0]
    ratio = beyond / figures["aqstore import of a file"][0]
    print(f"\ningest beyond the consumer that throws away, over import: {ratio:.2f} (goal: {GOAL} at most)")
    if len(set(contents.values())) != 1:
        sys.exit("bench: the stores differ")


if __name__ == "__main__":
    main()
