"""The readers in Python that were written from the documents alone, and a store read by nothing but them."""

import collections
import json
import struct
import sys

import aq
from judge import instant

sys.path.insert(0, str(aq.PROJECT / "tests/spec-reader"))

import catalog  # noqa: E402
import segment  # noqa: E402
from archive import Archive  # noqa: E402
from coded_column import content_hash  # noqa: E402
from cursor import Damaged, Unsupported  # noqa: E402

V1 = aq.PROJECT / "tests/golden/v1"
LISTED = [line.split() for line in (V1 / "manifest.txt").read_text().splitlines()]
REFUSED = {"corrupt": Damaged, "unsupported": Unsupported}  # what the manifest says of bad files
BOOLEAN, REAL, DOUBLE, BYTEA, JSON, TIME = 1, 4, 5, 7, 8, 10


def listed(*kinds):
    """(kind, type, name, result) of golden files of version 1."""
    return [(kind, int(number), name, result) for kind, number, name, _, result in LISTED if kind in kinds]


def flips(data, rng):
    """The bytes with one bit flipped, once for each byte."""
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.randrange(8)
        yield bytes(flipped)


def read(value, column):
    """A value of the readers as a comparable one."""
    if value is None:
        return None
    if column.type in (REAL, DOUBLE):
        return struct.pack("<d", value)
    if column.type == BOOLEAN:
        return bool(value)
    if column.type == JSON:
        return json.dumps(json.loads(value), sort_keys=True)
    if column.type == BYTEA:
        return "\\x" + value.hex()
    return value.decode() if isinstance(value, bytes) else value


def exported(value, column):
    """The same of a value that aqstore printed."""
    if value is None:
        return None
    if column.type in (REAL, DOUBLE):
        return struct.pack("<d", float(value))
    if column.type == TIME:
        return instant(value)
    return json.dumps(value, sort_keys=True) if column.type == JSON else value


def export(store, schema, folder):
    """The rows that a store exports, each as often as it does."""
    rows = (json.loads(line) for line in store.export(schema.name, "ndjson", folder).read_bytes().split(b"\n") if line)
    return collections.Counter(tuple(exported(row[column.name], column) for column in shown(schema)) for row in rows)


def shown(schema):
    return [column for column in schema.columns if not column.hidden]


class Store:
    """A store's home as the documents describe it; `schemas` are the newest declarations by name."""

    def __init__(self, home):
        self.home = home
        self.state = catalog.open_catalog(home / "catalog")
        newest = [versions[max(versions)] for versions in self.state.schemas.values()]
        self.schemas = {schema.name: schema for schema in newest}
        self.rejects_of = {schema.dataset: schema.rejects_of for schema in newest if schema.rejects_of}

    def path(self, number):
        is_segment = self.state.files[number].kind == "segment"
        return self.home / (f"segments/{number:020}.seg" if is_segment else f"archives/{number:020}.aqa")

    def frames(self, number):
        """A segment's frames that count, verified whole and held against the catalog."""
        file, found = self.state.files[number], segment.Segment(self.path(number).read_bytes())
        assert (found.store, found.id, found.epoch) == (self.state.store, number, file.epoch)
        if file.edit is None:
            frames, _ = found.prefix()
        else:
            frames = found.sealed() if file.bytes else found.frames(file.valid_bytes)
            assert (len(frames), frames[-1].checksum) == (file.frames, file.checksum)
            assert len(found.data) == file.bytes or not file.bytes
        for frame in frames:
            frame.check(self.rejects_of, self.state.schemas)
        return frames

    def rows(self, name):
        """The rows of a dataset that count."""
        schema, rows = self.schemas[name], collections.Counter()
        for number, file in self.state.files.items():
            if not file.held:
                rows.update(self.rows_of(number, schema))
        return rows

    def rows_of(self, number, schema):
        """Those of them that a file has."""
        columns = shown(schema)
        key, time = (None if at is None else schema.columns[at] for at in (schema.key, schema.time))
        for lists, feeds, ordinals in self._units(number, schema, columns):
            for row, feed, ordinal in zip(zip(*lists), feeds, ordinals):
                values = dict(zip((column.id for column in columns), row))
                place = key and values[key.id], time and values[time.id]
                if self.state.counts(number, schema.dataset, feed, ordinal, *place):
                    yield tuple(read(value, column) for value, column in zip(row, columns))

    def _units(self, number, schema, columns):
        """(columns, feeds, ordinals) of a segment's sections, or of an archive whole, whose rows have no feed."""
        if self.state.files[number].kind == "archive":
            if self.state.files[number].entries[0].dataset != schema.dataset:
                return
            archive = Archive(self.path(number).read_bytes())
            found = {declared.id: values for declared, values in zip(archive.schema.stored, archive.columns().values())}
            nothing = [None] * archive.rows
            yield [found.get(column.id, nothing) for column in columns], nothing, nothing
            return
        for frame in self.frames(number):
            for section in frame.sections:
                if section.dataset == schema.dataset:
                    found, nothing = frame.read(section).columns, [None] * section.rows
                    yield [found.get(column.id, nothing) for column in columns], found[segment.FEED], found[segment.ORDINAL]

    def check_archives(self):
        """The catalog says of each archive what the file does: its size, content, rows, times and root."""
        for number in [number for number, file in self.state.files.items() if file.kind == "archive"]:
            file, data = self.state.files[number], self.path(number).read_bytes()
            archive = Archive(data)
            values = archive.columns()
            typed = [(column.type, values[column.name]) for column in archive.schema.stored]
            assert (file.bytes, file.hash) == (len(data), content_hash(typed))
            assert file.root == data[archive.root_at : -64]
            (entry,) = file.entries
            assert (entry.dataset, entry.version, entry.rows) == (archive.schema.dataset, archive.schema.version, archive.rows)
            times = [time for time in values[archive.schema.columns[archive.schema.time].name] if time is not None]
            assert entry.span == (min(times), max(times))
