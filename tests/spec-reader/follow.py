"""Columns that follow another, by docs/archive-format.md, "Columns that follow another"."""

import struct

from coded_column import coded
from cursor import Cursor, must

BIGINT = 3


def bits(value):
    """What values are told apart by."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def read(data, kind, leader, what):
    """Values of a column that follows `leader`, a list of values."""
    body = Cursor(data, what)
    exceptions = coded(body.slice(), BIGINT, f"{what}: rows of exceptions")
    values = coded(body.take(len(data) - body.at), kind, f"{what}: values")
    numbers = {}
    followed = [numbers.setdefault(bits(value), len(numbers)) for value in leader]
    must(len(values) == len(numbers) + len(exceptions), f"{what}: {len(values)} values")
    must(None not in exceptions and exceptions == sorted(set(exceptions)), f"{what}: rows of exceptions out of order")
    must(all(0 <= row < len(leader) for row in exceptions), f"{what}: exceptions beyond the last row")
    rows = [values[number] for number in followed]
    for row, value in zip(exceptions, values[len(numbers):]):
        rows[row] = value
    return rows
