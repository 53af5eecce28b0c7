"""Reads catalog edits and checkpoints from docs/catalog-format.md alone.

`Edit(bytes)` verifies one and holds its `records`, each a tuple that begins with its name. `open_catalog(folder)` is the state of
a store: that of the hint's checkpoint and of the edits behind it. Whatever is not as documented raises Damaged.
"""

import json
import re
import sys
from collections import namedtuple

import schema
from catalog_state import State
from cursor import Cursor, Damaged, Unsupported, checked, must, preamble

HEADER, EDIT_MAX = 80, 1 << 30
CHECKPOINT = 1  # flag
DATASETS_MAX, VERSIONS_MAX, INCARNATIONS_MAX, PARTITIONS_MAX = 1 << 32, 1 << 32, 1 << 32, 1 << 31

Entry = namedtuple("Entry", "dataset version rows span")
Hint = namedtuple("Hint", "head checkpoint")

Store = namedtuple("Store", "id incarnation")
Dataset = namedtuple("Dataset", "schema")
View = namedtuple("View", "name sql")
Open = namedtuple("Open", "file epoch")
Close = namedtuple("Close", "file frames valid_bytes file_bytes checksum entries")
Archive = namedtuple("Archive", "file bytes hash entry root")
Remove = namedtuple("Remove", "file")
Feed = namedtuple("Feed", "feed dataset source name cluster partition incarnation stamp")
Position = namedtuple("Position", "feed next offset hash stamp rows rejects passed_over finished")
Claim = namedtuple("Claim", "feed ordinal epoch file")
Mask = namedtuple("Mask", "file feed ordinal")
Tombstone = namedtuple("Tombstone", "dataset keys begin until edit")
Counters = namedtuple("Counters", "file feed epoch dataset")
Lost = namedtuple("Lost", "feed begin next")
Place = namedtuple("Place", "file name hash")
Evict = namedtuple("Evict", "file")
Complete = namedtuple("Complete", "dataset time")
Since = namedtuple("Since", "file edit")
Hold = namedtuple("Hold", "file")


def below(value, limit, cursor):
    must(value < limit, f"{cursor.what}: {value}, which should be below {limit}")
    return value


def flag(cursor):
    return bool(below(cursor.u8(), 2, cursor))


def dataset_id(cursor):
    return below(cursor.varint(), DATASETS_MAX, cursor)


def read_entry(cursor):
    dataset, version, rows = dataset_id(cursor), below(cursor.varint(), VERSIONS_MAX, cursor), cursor.varint()
    span = (cursor.signed(), cursor.signed()) if flag(cursor) else None
    must(span is None or span[0] <= span[1], f"{cursor.what}: a span of time")
    return Entry(dataset, version, rows, span)


def read_close(cursor):
    fixed = cursor.varint(), cursor.varint(), cursor.varint(), cursor.varint(), cursor.u64()
    return Close(*fixed, [read_entry(cursor) for _ in range(cursor.varint())])


def read_archive(cursor):
    file, size = cursor.varint(), cursor.varint()
    low, high, rows = cursor.u64(), cursor.u64(), cursor.varint()
    return Archive(file, size, f"{high:016x}{low:016x}:{rows}", read_entry(cursor), cursor.slice())


def read_feed(cursor):
    feed, dataset = cursor.varint(), dataset_id(cursor)
    source, name, cluster = (cursor.slice().decode() for _ in range(3))
    partition = cursor.signed()
    must(-1 <= partition < PARTITIONS_MAX, f"{cursor.what}: partition {partition}")
    return Feed(feed, dataset, source, name, cluster, partition, below(cursor.varint(), INCARNATIONS_MAX, cursor), cursor.signed())


def read_position(cursor):
    return Position(cursor.varint(), cursor.varint(), cursor.varint(), cursor.take(16), cursor.signed(), cursor.varint(),
                    cursor.varint(), cursor.varint(), flag(cursor))


def read_tombstone(cursor):
    dataset = dataset_id(cursor)
    keys = [cursor.slice() for _ in range(cursor.varint())]
    return Tombstone(dataset, keys, cursor.signed(), cursor.signed(), cursor.varint())


RECORDS = {
    1: lambda cursor: Store(cursor.take(16), cursor.varint()),
    2: lambda cursor: Dataset(schema.read(cursor)),
    3: lambda cursor: View(cursor.slice().decode(), cursor.slice().decode()),
    4: lambda cursor: Open(cursor.varint(), cursor.varint()),
    5: read_close,
    6: read_archive,
    7: lambda cursor: Remove(cursor.varint()),
    8: read_feed,
    9: read_position,
    10: lambda cursor: Claim(cursor.varint(), cursor.varint(), cursor.varint(), cursor.varint()),
    11: lambda cursor: Mask(cursor.varint(), cursor.varint(), cursor.varint()),
    12: read_tombstone,
    13: lambda cursor: Counters(cursor.varint(), cursor.varint(), cursor.varint(), cursor.varint()),
    14: lambda cursor: Lost(cursor.varint(), cursor.varint(), cursor.varint()),
    15: lambda cursor: Place(cursor.varint(), cursor.slice().decode(), cursor.take(16)),
    16: lambda cursor: Evict(cursor.varint()),
    17: lambda cursor: Complete(dataset_id(cursor), cursor.signed()),
    18: lambda cursor: Since(cursor.varint(), cursor.varint()),
    19: lambda cursor: Hold(cursor.varint()),
}
CHECKPOINTS_ONLY = (Counters, Complete, Since)


class Edit:
    """An edit or a checkpoint; `checksum` is what the next edit names."""

    def __init__(self, data, what="edit"):
        must(HEADER + 8 <= len(data) <= EDIT_MAX, f"{what}: {len(data)} bytes")
        self.checksum = int.from_bytes(data[-8:], "little")
        cursor = Cursor(checked(data[:-8], self.checksum, what), what)
        preamble(cursor, b"AQCATEDT")
        self.number, self.before = cursor.unpack("QQ")
        self.nonce = cursor.take(16)
        self.time, flags, count, size = cursor.unpack("qIIQ")
        if flags & ~CHECKPOINT:
            raise Unsupported(f"{what}: flags {flags}")
        self.is_checkpoint = bool(flags & CHECKPOINT)
        must(size == len(data) - HEADER - 8, f"{what}: the records' size")
        must(self.number > 0 and (self.number > 1 or self.is_checkpoint or not self.before), f"{what}: its number")
        self.records = [self._read(cursor) for _ in range(count)]
        cursor.end()

    def _read(self, cursor):
        tag = cursor.varint()
        payload = Cursor(cursor.slice(), f"{cursor.what}: a record of tag {tag}")
        if tag not in RECORDS:
            raise Unsupported(f"{cursor.what}: unknown records of tag {tag}")
        record = RECORDS[tag](payload)
        payload.end()
        must(self.is_checkpoint or not isinstance(record, CHECKPOINTS_ONLY), f"{payload.what}: it is for checkpoints")
        return record


def read_hint(text):
    match = re.fullmatch(rb"(aqstore catalog (\d{20}) (\d{20})) ([0-9a-f]{16})\n?", text)
    must(match, "the hint is not a line as documented")
    checked(match[1], int(match[4], 16), "hint")
    return Hint(int(match[2]), int(match[3]))


def edits_from(folder, number):
    while (path := folder / f"{number:020}").exists():
        yield Edit(path.read_bytes(), path.name)
        number += 1


def open_catalog(folder, checkpoint=None):
    """The state of the folder `catalog`, from the hint's checkpoint or from the given one (0: from edit 1)."""
    hint = read_hint((folder / "latest").read_bytes())
    checkpoint = hint.checkpoint if checkpoint is None else checkpoint
    state = State()
    if checkpoint:
        state.apply(Edit((folder / f"checkpoint-{checkpoint:020}").read_bytes(), f"checkpoint {checkpoint}"))
    for edit in edits_from(folder, checkpoint + 1):
        state.apply(edit)
    must(state.number >= hint.head, f"edits behind {state.number} are gone: the hint names {hint.head}")
    return state


def main(paths):
    for path in paths:
        try:
            with open(path, "rb") as file:
                edit = Edit(file.read(), path)
            for record in edit.records:
                print(edit.number, type(record).__name__.lower(), json.dumps(record._asdict(), default=lambda one: one.hex() if isinstance(one, bytes) else str(one)))
        except Damaged as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
