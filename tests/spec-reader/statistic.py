"""Reads statistics and holds them against the values they speak of."""

from dataclasses import dataclass
from decimal import Decimal

from coded_column import CLASSES, DOUBLES, INTEGERS, coded
from cursor import must, zigzag

BOUNDS, EXACT, SUM = 1, 2, 4
BIGINT, NUMBERS = 3, (2, 3, 4, 5)


@dataclass
class Statistic:
    flags: int
    rows: int
    nulls: int
    least: object = None
    greatest: object = None
    sum: int = None


def read(cursor, kind):
    flags, rows, nulls = cursor.u8(), cursor.varint(), cursor.varint()
    must(flags <= 7 and nulls <= rows, f"{cursor.what}: statistics")
    statistic = Statistic(flags, rows, nulls)
    if flags & BOUNDS:
        of = CLASSES[kind]
        one = cursor.signed if of == INTEGERS else (lambda: cursor.unpack("d")[0]) if of == DOUBLES else cursor.slice
        statistic.least, statistic.greatest = one(), one()
    if flags & SUM:
        statistic.sum = zigzag(cursor.varint() | cursor.varint() << 64)
    return statistic


def read_runs(cursor, kind, lengths):
    """Statistics of runs of so many rows."""
    def field(of, otherwise=None):
        raw = cursor.slice()
        must(raw or otherwise is not None, f"{cursor.what}: an empty slice")
        return coded(raw, of, cursor.what, len(lengths)) if raw else otherwise
    nulls = field(BIGINT, [0] * len(lengths))
    least = field(kind)
    greatest = field(kind, least)
    sums = [None] * len(lengths)
    if kind in NUMBERS:
        multiple = cursor.varint()
        sums = [value and value * multiple for value in field(BIGINT)]
    must([one is None for one in least] == [one is None for one in greatest], f"{cursor.what}: half of the bounds")
    must(all(0 <= count <= rows for count, rows in zip(nulls, lengths)), f"{cursor.what}: nulls")
    return [Statistic((0 if low is None else BOUNDS | EXACT) | (0 if total is None else SUM), rows, count, low, high, total)
            for rows, count, low, high, total in zip(lengths, nulls, least, greatest, sums)]


def order(value):
    """PostgreSQL's order: NaN above all numbers."""
    return (value != value, 0.0 if value != value else value) if isinstance(value, float) else value


def check(statistic, values, what):
    there = [value for value in values if value is not None]
    must(statistic.rows == len(values) and statistic.nulls == len(values) - len(there), f"{what}: rows or nulls")
    if statistic.flags & BOUNDS and there:
        bounds = order(statistic.least), order(statistic.greatest)
        found = min(map(order, there)), max(map(order, there))
        must(bounds[0] <= found[0] and found[1] <= bounds[1], f"{what}: a value out of bounds")
        must(not statistic.flags & EXACT or bounds == found, f"{what}: bounds that do not occur")
    if statistic.flags & SUM:
        must(statistic.sum == sum(map(units, there)), f"{what}: the sum")


def units(value):
    """Integers as they are; doubles, as the decimal they stand for, in units of 10^-9."""
    return value if isinstance(value, int) else int(Decimal(repr(value)).scaleb(9))
