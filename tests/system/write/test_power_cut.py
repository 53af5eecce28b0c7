"""Power cuts of a real file system under a real import, and a disk that fails under `ingest`: what the writer had reported as durable is
there afterwards, each row once."""

import json
import os
import random
import re
import shutil
import struct
import time

import pytest

import aq
from disk import Disk
from running import Feeder, Ingest

ROWS = 150_000
FAILING_ROWS = 60_000  # written more slowly
CONFIG = """\
datasets:
  noise:
    time: ts
    columns:
      n: {type: bigint, required: true}
      ts: {type: timestamptz, format: epoch_s, required: true}
      a: {type: bigint}
ingest: {commit_interval: 5ms, commit_size: 16KiB, segment_size: 1MiB}
"""
FORGOTTEN = "nobody called fsync"
FAILED_DISK = "Input/output error|Read-only file system"  # the second is what ext4 may say to a sync
PAGE = struct.Struct("<Q" + "QQQQQ" * 2)  # engine/store/segment/publish.c
PAGE_MAGIC = 0x3230425550514100


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A CSV whose rows are known by their number, and its config."""
    folder = tmp_path_factory.mktemp("noise")
    numbers = random.Random(16)
    lines = (f"{n},{1700000000 + n},{numbers.getrandbits(63)}\n" for n in range(ROWS))
    (folder / "noise.csv").write_text("n,ts,a\n" + "".join(lines))
    (folder / "noise.yaml").write_text(CONFIG)
    return folder / "noise.csv", folder / "noise.yaml"


def published(store):
    """How many bytes of its newest segment the writer says are durable: (file, bytes)."""
    for page in reversed(sorted((store.home / "segments").glob("*.pub"))):
        try:
            lock, *fields = PAGE.unpack(page.read_bytes()[: PAGE.size])
        except (FileNotFoundError, struct.error):
            continue  # sealed meanwhile, or just begun
        magic, _, durable, _, _ = fields[5 * (lock % 2) :][:5]
        if magic == PAGE_MAGIC:
            return page.with_suffix(".seg"), durable
    return None, 0


def frames_end(file):
    frames = json.loads(aq.run("--json", "inspect", file).text)["frames"]
    return max((frame["offset"] + frame["bytes"] for frame in frames), default=0)


def prefix_length(store, truth):
    """Rows that are there: the first of the input, each once, with its values."""
    rows = store.rows("SELECT n, a FROM noise ORDER BY n")
    assert [n for n, _ in rows] == list(range(len(rows)))
    assert [a for _, a in rows] == truth[: len(rows)]
    return len(rows)


class Cutter:
    """One store after the other on one disk, cut again and again."""

    def __init__(self, disk, noise, rng):
        self.disk, self.rng = disk, rng
        self.file, self.config = noise
        self.truth = [int(line.split(",")[2]) for line in self.file.read_text().splitlines()[1:]]
        self.store_count = self.cut_count = self.under_load = self.forgotten = 0
        self.begin()

    def begin(self):
        if self.store_count > 0:  # the disk is small
            shutil.rmtree(self.store.home)
        self.store_count += 1
        self.store, self.rows = aq.Store(self.disk.root / f"store{self.store_count}", self.config), 0

    def cut_after(self, delay, *command):
        """Cut while `command` runs; True when it was still running."""
        process = self.store.start(*command)
        time.sleep(delay)
        unsynced = self.disk.root / "unsynced"
        unsynced.write_text(FORGOTTEN)
        running = process.poll() is None
        segment, durable = published(self.store)
        self.disk.cut()
        _, message = process.communicate(timeout=aq.TIMEOUT_S)
        self.cut_count += 1
        self.under_load += running
        assert process.returncode in (aq.DONE, aq.FAILED), message.decode()
        if process.returncode == aq.FAILED:  # it names the file, and does not try again
            assert re.search(FAILED_DISK.encode(), message) and (bytes(self.disk.root) in message or b"archives/" in message), message.decode()
        self.disk.restart()
        self.forgotten += not unsynced.exists() or unsynced.read_text() != FORGOTTEN
        unsynced.unlink(missing_ok=True)
        return segment, durable

    def judge(self, segment, durable):
        """As a reader sees it, before anybody recovers it; the next command does."""
        known = self.store.run("query", "SELECT count(*) FROM noise", code=None)
        if known.code != aq.DONE:  # cut before the dataset was declared
            assert durable == 0 and self.rows == 0, str(known)
            return
        if segment is not None and segment.exists():
            assert durable == 0 or frames_end(segment) >= durable, f"{segment.name}: {durable} bytes were durable"
        self.store.run("verify", "--deep")
        rows = prefix_length(self.store, self.truth)
        assert rows >= self.rows
        self.rows = rows

    def cut(self):
        if self.rows == ROWS:
            self.judge(*self.cut_after(self.rng.uniform(0, 0.1), "compact"))
            self.begin()
        else:
            self.judge(*self.cut_after(self.rng.uniform(0, 0.35), "import", "--dataset", "noise", self.file))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ("ext4", "xfs"))
def test_cuts_lose_and_double_nothing(kind, noise, tmp_path, rng, long):
    with Disk(tmp_path, kind) as disk:
        cutter = Cutter(disk, noise, rng)
        for _ in range(200 if long else 4):
            cutter.cut()
        cutter.store.load("noise", cutter.file)
        assert prefix_length(cutter.store, cutter.truth) == ROWS
        assert cutter.forgotten > cutter.cut_count / 2, "the cuts lost nothing that was not synced: they are none"
        print(f"{cutter.cut_count} cuts, {cutter.under_load} under load, {cutter.store_count} stores")


@pytest.mark.parametrize("io", ("posix", "auto"))
def test_a_failing_disk_ends_ingest(io, noise, tmp_path):
    """EIO in the middle of writing: it stops and says so, with exit code 1; what had been reported is there at the next start."""
    lines, config = noise[0].read_text().splitlines(keepends=True)[: FAILING_ROWS + 1], noise[1]
    fifo, file = tmp_path / "noise.fifo", tmp_path / "noise.csv"
    file.write_text("".join(lines))
    os.mkfifo(fifo)
    with Disk(tmp_path, "ext4") as disk:
        text = config.read_text() + f"store: {disk.root}/store\nhttp: {{listen: '127.0.0.1:0'}}\n"
        (tmp_path / "aqstore.yaml").write_text(text + f"sources:\n  noise: {{files: ['{fifo}'], dataset: noise, format: csv}}\n")
        feeder = Feeder(fifo, lines, batch=50, pause_s=0.002)
        with Ingest(tmp_path, tmp_path / "aqstore.yaml", options=("--io", io)) as running:
            running.wait_for("rows", lambda: running.metric("aqstore_rows_total") > 1000)
            reported = int(running.metric("aqstore_rows_total"))
            disk.cut()
            code = running.process.wait(aq.TIMEOUT_S)
            assert feeder.written < FAILING_ROWS, "the disk failed when everything was written"
            assert code == aq.FAILED, str(running)
            failures = re.findall(FAILED_DISK, running.messages)
            assert 1 <= len(failures) <= 3 and str(disk.root) in running.messages, str(running)
        feeder.stop()
        disk.restart()
        store = aq.Store(disk.root / "store", config)
        truth = [int(line.split(",")[2]) for line in lines[1:]]
        found = prefix_length(store, truth)
        assert reported <= found < FAILING_ROWS
        assert store.load("noise", file)["rows"] == FAILING_ROWS - found
        store.run("verify", "--deep")
        assert prefix_length(store, truth) == FAILING_ROWS
