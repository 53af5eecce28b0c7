"""`verify --deep` of a lone archive recomputes what is said about its rows: lies are found though every checksum is right."""

import random
import struct

import pytest
import xxhash

import aq

GOLDEN = aq.PROJECT / "tests/golden"
# Where chunks and the directory begin, and the root: of docs/archive-format.md's worked examples.
PLAIN = "archive.bin", (0x40, 0x80, 0xC0, 0x100, 0x1C0)
RUNS = "archive-runs.bin", (0x40, 0x80, 0xC0, 0xD00, 0xE00)


def checksum(data):
    return struct.pack("<Q", xxhash.xxh3_64_intdigest(data))


def forge(data, begins, changes):
    """The file with other bytes at some places, and the checksums of what holds them made right."""
    root, end = begins[-1], len(data) - 64
    units = [slice(begin, then) for begin, then in zip(begins, begins[1:])]
    true = [checksum(data[unit]) for unit in units]
    made = bytearray(data)
    for at, new in changes.items():
        made[at : at + len(new)] = new
    for unit, old in zip(units, true):
        assert made.count(old) == 1
        made = made.replace(old, checksum(made[unit]))
    made[end - 8 : end] = checksum(made[root : end - 8])
    return bytes(made)


LIES = {
    "nothing": (PLAIN, {}, None),
    "a sum": (PLAIN, {0x154: b"\x82", 0x27A: b"\x82"}, "pm25: its statistics are not those of its values"),
    "a least value": (PLAIN, {0x149: b"\x28", 0x270: b"\x28"}, "pm25: its statistics are not those of its values"),
    "the file's sum": (PLAIN, {0x27A: b"\x82"}, "pm25: the file's statistics are not those of its tiles"),
    "a value": (PLAIN, {0xD5: b"\xe4"}, "pm25: its statistics are not those of its values"),
    "the order of rows": (PLAIN, {0x90: b"\x81"}, "rows 0 and 1 are out of order"),
    "a run's key": (PLAIN, {0x16F: b"h"}, "a run's key is not that of its rows"),
    "runs' rows": (PLAIN, {0x161: b"\x05"}, "a run's key is not that of its rows"),
    "a tile's greatest key": (PLAIN, {0x246: b"d"}, "a run's key is outside the tile's bounds"),
    "a tile's latest time": (PLAIN, {0x239: b"\x8f"}, "a run's times are outside the tile's bounds"),
    "a run's sum": (RUNS, {0xDD7: b"\x98"}, "pm25: a run's statistics are not those of its values"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_said_of_the_rows(lie, tmp_path):
    (name, begins), changes, expected = LIES[lie]
    file = tmp_path / "forged.aqa"
    file.write_bytes(forge((GOLDEN / name).read_bytes(), begins, changes))
    done = aq.run("verify", "--deep", file, code=aq.CORRUPT if expected else aq.DONE)
    assert done.text.startswith("ok: ") if expected is None else expected in done.text
    if expected:
        assert str(file) in done.text and "checksum" not in done.text


def test_keys_longer_than_bounds_are_no_fault(tmp_path):
    """A run's key is whole, whatever the length that bounds of statistics are cut to."""
    config = tmp_path / "c.yaml"
    config.write_text(
        "datasets: {d: {key: k, time: ts, slot: month, columns:"
        " {k: {type: text}, ts: {type: timestamptz}, x: {type: double}}}}\n"
    )
    rng = random.Random(1)
    for lengths in ((1, 64, 65, 200), (90,)):  # some runs a tile, and one
        store = aq.Store(tmp_path / str(len(lengths)), config)
        rows = "".join(
            f"{'k' * size},2024-01-{1 + i // 1440:02}T{i // 60 % 24:02}:{i % 60:02}:00Z,{rng.random()}\n"
            for size in lengths for i in range(1500)
        )
        file = tmp_path / "rows.csv"
        file.write_text("k,ts,x\n" + rows)
        store.load("d", file)
        store.run("compact", "--now", "2025-01-01T00:00:00Z")
        assert store.files("archives")
        assert store.run("verify", "--deep").text.startswith("ok: ")
