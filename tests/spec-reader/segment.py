"""Reads segments from docs/segment-format.md alone: the header, frames and their sections, and what a sealed one ends with.

`Segment(bytes)` verifies the header. `frames(end)` are those of a closed one, `sealed()` those of a sealed one, whose index must
say the same, `prefix()` those of one that was being written. `Frame.read(section)` gives the section's rows. Whatever is not as
documented raises Damaged.
"""

import datetime
import json
import struct
import sys
from dataclasses import dataclass

import xxhash

from coded_column import coded
from cursor import Cursor, Damaged, checked, must, preamble, sealed

UNIT, BLOCK, PREFIX = 64, 4096, 128
FRAME_MAX, ROWS_MAX, COLUMNS_MAX = 1 << 30, 1 << 22, 1027
FEED, ORDINAL, STAMP = 0xFFFFFFF0, 0xFFFFFFF1, 0xFFFFFFF2
TEXTS, HOUR, DAY, MONTH = (6, 7, 8), 1, 2, 3
EPOCH = datetime.datetime(1970, 1, 1)
SYSTEM_TYPES = {FEED: 3, ORDINAL: 3, STAMP: 10}


@dataclass
class Range:
    """What a frame takes from a feed."""

    feed: int
    first: int
    next: int
    offset: int
    hash: bytes
    stamp: int
    rows: int
    rejects: int
    passed_over: int
    finished: bool


@dataclass(frozen=True)
class Section:
    """An entry of a frame's table; `span` is None without event times."""

    dataset: int
    version: int
    rows: int
    at: int
    size: int
    checksum: int
    span: tuple


@dataclass
class Rows:
    partitions: list  # (key, begin of the slot, rows)
    columns: dict  # id -> values
    types: dict  # id -> type


def read_range(cursor):
    one = Range(*cursor.unpack("QQQQ"), cursor.take(16), *cursor.unpack("qQQQ"), cursor.u64())
    must(one.first <= one.next, f"{cursor.what}: a range that ends before it begins")
    must(one.finished <= 1, f"{cursor.what}: flags of a range")
    one.finished = bool(one.finished)
    return one


def read_section(cursor):
    dataset, version, rows, flags, at, size, checksum, earliest, latest = cursor.unpack("IIIIQQQqq")
    must(flags <= 1 and rows <= ROWS_MAX, f"{cursor.what}: flags or rows of a section")
    must(earliest <= latest if flags else earliest == latest == 0, f"{cursor.what}: a section's span of time")
    return Section(dataset, version, rows, at, size, checksum, (earliest, latest) if flags else None)


class Prefix:
    """The first 128 bytes of a frame."""

    def __init__(self, data, what="frame"):
        self.what = what
        must(len(data) >= PREFIX, f"{what}: {len(data)} bytes")
        prefix = sealed(data[:PREFIX], f"{what}: prefix")
        preamble(prefix, b"AQFRAME\n")
        self.size, self.header_size, self.range_count, self.section_count, zero = prefix.unpack("QIIII")
        self.store = prefix.take(16)
        self.segment, self.epoch, self.sequence, self.before, self.durable = prefix.unpack("5Q")
        must(zero == 0 == prefix.u64(), f"{what}: what must be zero is not")
        self.checksum = prefix.u64()
        must(self.size % UNIT == 0 and self.size <= FRAME_MAX, f"{what}: a size of {self.size}")
        must(self.durable <= self.sequence and (self.sequence or not self.before), f"{what}: its place")
        needed = PREFIX + 88 * self.range_count + 56 * self.section_count
        if self.section_count:
            must(self.header_size == -(-needed // UNIT) * UNIT < self.size, f"{what}: its header's size")
        else:
            must(self.header_size == self.size >= needed, f"{what}: its header's size")


class Frame(Prefix):
    """The frame that `data` begins with; its header is verified."""

    def __init__(self, data, what="frame"):
        super().__init__(data, what)
        must(self.size <= len(data), f"{what}: it goes beyond the end")
        self.data = bytes(data[: self.size])
        self._read_header()

    def _read_header(self):
        rest = self.data[PREFIX : self.header_size]
        seed = xxhash.xxh3_64_intdigest(self.data[:112])
        must(xxhash.xxh3_64_intdigest(rest, seed) == self.checksum, f"{self.what}: header's checksum")
        cursor = Cursor(rest, f"{self.what}: header")
        self.ranges = [read_range(cursor) for _ in range(self.range_count)]
        self.sections = [read_section(cursor) for _ in range(self.section_count)]
        cursor.padding(UNIT if self.sections else BLOCK)
        at = self.header_size
        for section in self.sections:
            must(section.at == at and section.size % UNIT == 0 and section.size, f"{self.what}: a section's place")
            at += section.size
        must(at == self.size, f"{self.what}: sections do not fill it")

    def read(self, section):
        """The rows of one of `sections`, verified."""
        what = f"{self.what}: dataset {section.dataset}"
        cursor = Cursor(checked(self.data[section.at : section.at + section.size], section.checksum, what), what)
        partitions = [(cursor.slice(), cursor.signed(), cursor.varint()) for _ in range(cursor.varint())]
        must(sum(rows for _, _, rows in partitions) == section.rows, f"{what}: partitions do not add up")
        count = cursor.varint()
        must(count <= COLUMNS_MAX, f"{what}: {count} columns")
        listed = [(cursor.varint(), cursor.u8(), cursor.varint()) for _ in range(count)]
        rows = Rows(partitions, {}, {})
        for number, kind, size in listed:
            must(1 <= kind <= 10 and SYSTEM_TYPES.get(number, kind) == kind, f"{what}: type {kind} of column {number}")
            values = coded(cursor.take(size), kind, f"{what}: column {number}", section.rows)
            if number not in rows.columns:
                rows.columns[number], rows.types[number] = values, kind
        cursor.padding(BLOCK if section is self.sections[-1] else UNIT)
        return rows

    def check(self, rejects_of, schemas):
        """Reads all, holds ranges against the rows, and sections against what is declared: `rejects_of` {dataset of rejects: its
        dataset}, `schemas` {dataset: {version: schema}}."""
        found = {}  # (feed, is a reject) -> ordinals
        for section in self.sections:
            rows = self.read(section)
            check_rows(self.what, rows, section, schemas[section.dataset][section.version])
            for feed, ordinal in zip(rows.columns[FEED], rows.columns[ORDINAL]):
                found.setdefault((feed, section.dataset in rejects_of), []).append(ordinal)
        for one in self.ranges:
            for count, is_reject in ((one.rows, False), (one.rejects, True)):
                ordinals = found.pop((one.feed, is_reject), [])
                must(len(ordinals) == count, f"{self.what}: rows of feed {one.feed}")
                must(all(one.first <= at < one.next for at in ordinals), f"{self.what}: a row outside its range")
        must(not found, f"{self.what}: rows of no range")


def check_rows(what, rows, section, schema):
    """Types, partitions and span are those of the declaration and of the values."""
    declared = {column.id: column.type for column in schema.columns}
    must({**declared, **SYSTEM_TYPES} == rows.types, f"{what}: columns that are not declared so")
    key, time = (None if at is None else rows.columns[schema.columns[at].id] for at in (schema.key, schema.time))
    there = [at for at in time or [] if at is not None]
    must(section.span == ((min(there), max(there)) if there else None), f"{what}: a section's span of time")
    at = 0
    for name, slot, count in rows.partitions:
        if key is None or schema.columns[schema.key].type in TEXTS:
            must(all((key[row] if key else b"") == name for row in range(at, at + count)), f"{what}: a partition's key")
        must(all(slot_of(time and time[row], schema.slot) == slot for row in range(at, at + count)), f"{what}: a partition's slot")
        at += count


def slot_of(time, slot):
    """When the slot begins that an event time is in; 0 without slots or time."""
    if time is None or slot == 0:
        return 0
    when = EPOCH + datetime.timedelta(microseconds=time)
    when = when.replace(minute=0, second=0, microsecond=0)
    begin = {HOUR: when, DAY: when.replace(hour=0), MONTH: when.replace(hour=0, day=1)}[slot]
    return (begin - EPOCH) // datetime.timedelta(microseconds=1)


class Segment:
    """A segment's file; `id`, `epoch` and `store` are its header's."""

    def __init__(self, data):
        self.data = bytes(data)
        header = sealed(self.data[:UNIT], "segment header")
        preamble(header, b"AQSEGMNT")
        self.store = header.take(16)
        self.id, self.epoch = header.unpack("QQ")
        header.end()

    def next_frame(self, frames, at, end):
        """The frame at `at` of a file of which `end` bytes count, behind `frames`."""
        frame = Frame(self.data[at:end], f"frame at {at}")
        must(self.is_ours(frame) and frame.sequence == len(frames), f"{frame.what}: of another place")
        must(frame.before == (frames[-1].checksum if frames else 0), f"{frame.what}: another frame was before it")
        return frame

    def is_ours(self, frame):
        return (frame.store, frame.segment, frame.epoch) == (self.store, self.id, self.epoch)

    def frames(self, end):
        """The frames of a closed segment, of which `end` bytes count."""
        frames, at = [], UNIT
        while at < end:
            frames.append(self.next_frame(frames, at, end))
            at += frames[-1].size
        must(at == end <= len(self.data), "segment: its frames do not end where the catalog says")
        check_ranges(frames)
        return frames

    def sealed(self):
        """The frames of a sealed segment, held against its index."""
        trailer = read_trailer(self.data[-UNIT:], self.id)
        must(trailer.index_at + trailer.index_size + UNIT == len(self.data), "trailer: the file's size")
        frames = self.frames(trailer.index_at)
        raw = checked(self.data[trailer.index_at : -UNIT], trailer.checksum, "index")
        must(read_index(raw) == [entry_of(frame) for frame in frames], "index: it says what the frames do not")
        return frames

    def prefix(self, published=64):
        """(frames, where they end) of a segment that was being written: its valid prefix. What is behind may be torn."""
        frames, at = [], UNIT
        while at < len(self.data):
            try:
                frame = self.next_frame(frames, at, len(self.data))
                for section in frame.sections:
                    frame.read(section)
            except Damaged:
                break
            frames.append(frame)
            at += frame.size
        check_ranges(frames)
        was_durable = published > at or any(self.is_ours(later) and later.durable > len(frames) for later in self.prefixes(at))
        must(not was_durable, f"segment: what was durable at {at} is gone")
        return frames, at

    def prefixes(self, begin):
        """All that may be a frame's from there on."""
        for at in range(begin, len(self.data) - PREFIX + 1, UNIT):
            try:
                yield Prefix(self.data[at : at + PREFIX])
            except Damaged:
                pass


def read_page(data, epoch):
    """(offset of the end, number of frames) of what is durable, as the page beside an open segment says; None if it says nothing."""
    lock, *fields = struct.unpack("<11Q", data[:88])
    copy = fields[:5] if lock % 2 == 0 else fields[5:]
    raw = struct.pack("<4Q", *copy[:4])
    is_whole = len(data) == BLOCK and raw[:8] == b"\0AQPUB02" and xxhash.xxh3_64_intdigest(raw) == copy[4]
    return tuple(copy[2:4]) if is_whole and copy[1] == epoch else None


def check_ranges(frames):
    """Ranges of a feed follow each other."""
    ends = {}
    for frame in frames:
        for one in frame.ranges:
            must(one.first >= ends.get(one.feed, 0), f"{frame.what}: feed {one.feed} goes back")
            ends[one.feed] = one.next


@dataclass
class Trailer:
    index_at: int
    index_size: int
    checksum: int


def read_trailer(data, segment):
    trailer = sealed(data, "trailer")
    preamble(trailer, b"AQSEGEND")
    must(trailer.u64() == segment, "trailer: the segment's id")
    found = Trailer(*trailer.unpack("QQQ"))
    trailer.end()
    must(found.index_at % UNIT == found.index_size % UNIT == 0, "trailer: the index's place")
    return found


def read_index(data):
    """[(size, header checksum, [(dataset, version, rows, size, checksum, span)])] of the frames."""
    cursor, frames = Cursor(data, "index"), []
    for _ in range(cursor.varint()):
        size, checksum = cursor.varint() * UNIT, cursor.u64()
        frames.append((size, checksum, [read_entry(cursor) for _ in range(cursor.varint())]))
    cursor.padding()
    return frames


def read_entry(cursor):
    entry = cursor.varint(), cursor.varint(), cursor.varint(), cursor.varint() * UNIT, cursor.u64()
    has_span = cursor.u8()
    must(has_span <= 1, "index: a section's span")
    return (*entry, (cursor.signed(), cursor.signed()) if has_span else None)


def entry_of(frame):
    sections = [(one.dataset, one.version, one.rows, one.size, one.checksum, one.span) for one in frame.sections]
    return frame.size, frame.checksum, sections


def main(paths):
    for path in paths:
        try:
            with open(path, "rb") as file:
                frames, _ = Segment(file.read()).prefix()
            for frame in frames:
                for section in frame.sections:
                    for row in zip(*frame.read(section).columns.values()):
                        print(json.dumps([value.decode(errors="replace") if isinstance(value, bytes) else value for value in row]))
        except Damaged as error:
            sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
