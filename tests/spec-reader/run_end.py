"""Reads the first and last values of runs and holds them against the rows of the earliest and latest time."""

import struct

import statistic
from coded_column import coded
from cursor import must

BIGINT = 3
MISSING = object()  # not given


def read(cursor, kind, known):
    """(first, last) of each run, whose statistics are `known`."""
    if cursor.at_end():
        return [(least(one), least(one)) for one in known]
    firsts = coded(cursor.slice(), kind, cursor.what, len(known))
    raw = cursor.slice()
    lasts = coded(raw, kind, cursor.what, len(known)) if raw else firsts
    raw = cursor.slice()
    missing = coded(raw, BIGINT, cursor.what, len(known)) if raw else [0] * len(known)
    cursor.end()
    must(all(number in (0, 1, 2, 3) for number in missing), f"{cursor.what}: what is not given")
    return [(MISSING if number & 1 else first, MISSING if number & 2 else last)
            for first, last, number in zip(firsts, lasts, missing)]


def least(known):
    if known.nulls == known.rows:
        return None
    return known.least if known.flags & statistic.EXACT else MISSING


def check(ends, values, times, what):
    """The ends of a run with these rows."""
    must(None not in times or ends == (MISSING, MISSING), f"{what}: given without times")
    for end, time in zip(ends, (times[0], times[-1])):
        there = {bits(value) for value, at in zip(values, times) if at == time}
        must(end is MISSING or there == {bits(end)}, f"{what}: a run's first or last value")


def bits(value):
    return struct.pack("<d", value) if isinstance(value, float) else value
