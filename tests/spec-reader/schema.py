"""Reads a dataset's declaration, as archives and the catalog hold it."""

from dataclasses import dataclass

from cursor import must

TIMESTAMPTZ = 10


@dataclass
class Column:
    name: str
    type: int
    id: int
    required: bool
    hidden: bool


@dataclass
class Schema:
    dataset: int
    version: int
    name: str
    columns: list
    key: int  # index, or None
    time: int


def read_name(cursor):
    raw = cursor.slice()
    must(1 <= len(raw) <= 128 and b"\0" not in raw, f"{cursor.what}: a name of {len(raw)} bytes")
    return raw.decode()


def read_column(cursor):
    name, kind, number, flags = read_name(cursor), cursor.u8(), cursor.varint(), cursor.u8()
    must(1 <= kind <= 10 and number <= 0xFFFFFFEF and flags <= 3, f"{cursor.what}: column {name}")
    return Column(name, kind, number, bool(flags & 1), bool(flags & 2))


def read_index(cursor, columns):
    index = cursor.varint()
    must(index <= len(columns), f"{cursor.what}: a column's index")
    return index - 1 if index else None


def read(cursor):
    dataset, version, name = cursor.varint(), cursor.varint(), read_name(cursor)
    cursor.varint()  # the dataset whose rejects these are
    columns = [read_column(cursor) for _ in range(cursor.varint())]
    must(len({column.name for column in columns}) == len({column.id for column in columns}) == len(columns),
         f"{cursor.what}: columns of one name or id")
    key, time = read_index(cursor, columns), read_index(cursor, columns)
    must(time is None or columns[time].type == TIMESTAMPTZ, f"{cursor.what}: the time is no timestamptz")
    must(cursor.u8() <= 3, f"{cursor.what}: slot")
    for _ in ("series", "unique"):
        indices = [cursor.varint() for _ in range(cursor.varint())]
        must(all(index < len(columns) for index in indices), f"{cursor.what}: a column's index")
    must(cursor.u8() <= 1, f"{cursor.what}: keep")
    read_index(cursor, columns)  # version column
    cursor.signed()  # retention
    return Schema(dataset, version, name, columns, key, time)
