"""Reads a dataset's declaration, as archives and the catalog hold it."""

from dataclasses import dataclass

from cursor import must

BIGINT, TIMESTAMPTZ = 3, 10


@dataclass
class Column:
    name: str
    type: int
    id: int
    required: bool
    hidden: bool


ARRIVAL = [Column("(stamp)", TIMESTAMPTZ, 0xFFFFFFF2, False, False), Column("(ordinal)", BIGINT, 0xFFFFFFF1, False, False)]


@dataclass
class Schema:
    dataset: int
    version: int
    name: str
    rejects_of: int  # id of the dataset whose rejects these are, or 0
    columns: list
    key: int  # index, or None
    time: int
    slot: int  # 0 none, 1 hour, 2 day, 3 month
    unique: list  # indices
    version_column: int

    @property
    def stored(self):
        """The columns that archives hold: the declared ones, and when rows arrived where `unique` needs it."""
        return self.columns + (ARRIVAL if self.unique and self.version_column is None else [])


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
    rejects_of = cursor.varint()
    columns = [read_column(cursor) for _ in range(cursor.varint())]
    must(len({column.name for column in columns}) == len({column.id for column in columns}) == len(columns),
         f"{cursor.what}: columns of one name or id")
    key, time = read_index(cursor, columns), read_index(cursor, columns)
    must(time is None or columns[time].type == TIMESTAMPTZ, f"{cursor.what}: the time is no timestamptz")
    slot = cursor.u8()
    must(slot <= 3, f"{cursor.what}: slot {slot}")
    series, unique = ([cursor.varint() for _ in range(cursor.varint())] for _ in ("series", "unique"))
    must(all(index < len(columns) for index in series + unique), f"{cursor.what}: a column's index")
    must(cursor.u8() <= 1, f"{cursor.what}: keep")
    version_column = read_index(cursor, columns)
    cursor.signed()  # retention
    return Schema(dataset, version, name, rejects_of, columns, key, time, slot, unique, version_column)
