"""Reads an archive of aqstore from docs/archive-format.md alone: checksums first, then the columns.

`Archive(bytes)` verifies header, trailer and root; `columns()` reads every tile, verifies its directory, chunks,
runs and statistics, and gives {name: values}. Whatever is not as documented raises Damaged.
"""

import itertools
import json
import sys

import run_end
import schema
import statistic
from coded_column import coded
from cursor import Cursor, Damaged, checked, must, preamble, sealed

UNIT, BIGINT, TEXT, BYTEA = 64, 3, 6, 7
SECTIONS, ANS32, MULTIPLE = 1, 2, 8  # incompatible features of the root
RUN_STATISTICS, RUN_ENDS = 1, 2  # sections of a directory
# What is simple of the text forms of keys; those of doubles and times are not made here.
TEXT_FORMS = {1: lambda value: b"true" if value else b"false", 2: b"%d".__mod__, 3: b"%d".__mod__,
              6: bytes, 7: bytes, 8: bytes}


def sections(cursor):
    """{id: bytes} of the sections that a body ends with."""
    found = {}
    while not cursor.at_end():
        number = cursor.varint()
        must(number > max(found, default=0), f"{cursor.what}: sections out of order")
        found[number] = cursor.slice()
    return found


class Archive:
    def __init__(self, data):
        self.data = bytes(data)
        header = sealed(self.data[:UNIT], "header")
        preamble(header, b"AQARCHIV")
        self.store = header.take(16)
        header.padding()
        trailer = sealed(self.data[-UNIT:], "trailer")
        preamble(trailer, b"AQAREND.")
        self.root_at, root_size = trailer.u64(), trailer.u32()
        trailer.padding()
        must(self.root_at + root_size + UNIT == len(self.data), "trailer: the file's size")
        must(self.root_at % UNIT == root_size % UNIT == 0 and root_size <= 65536, "trailer: the root's place")
        self._read_root(self.data[self.root_at : self.root_at + root_size])

    def _read_root(self, data):
        root = sealed(data, "root")
        self.has_sections = preamble(root, b"AQARROOT", SECTIONS | ANS32 | MULTIPLE) & SECTIONS
        must(root.take(16) == self.store, "root: the store's id")
        size, self.rows, body_size = root.unpack("QQI")
        must(size == len(self.data), "root: the file's size")
        body = Cursor(root.take(body_size), "root's body")
        root.padding()
        declaration = Cursor(body.slice(), "schema")
        self.schema = schema.read(declaration)
        declaration.end()
        self.tiles = [self._read_tile(body) for _ in range(body.varint())]
        self.statistics = [statistic.read(body, column.type) for column in self.schema.stored]
        if self.has_sections:
            sections(body)
        body.end()
        must(sum(tile["rows"] for tile in self.tiles) == self.rows, "root: tiles' rows")
        end = UNIT + sum(tile["chunks"] + tile["directory"] for tile in self.tiles)
        must(end == self.root_at, "root: the tiles do not end where it begins")

    def _read_tile(self, body):
        tile = {"chunks": body.varint() * UNIT, "directory": body.varint() * UNIT, "checksum": body.u64(),
                "rows": body.varint(), "span": None, "keys": None}
        must(1 <= tile["rows"] <= 65536, "root: a tile's rows")
        has_span = body.u8()
        must(has_span <= 1, "root: a tile's span")
        if has_span:
            first = body.signed()
            tile["span"] = first, first + body.varint()
        if self.schema.key is not None:
            tile["keys"] = body.slice(), body.slice()
        return tile

    def columns(self):
        """{name: values} of all rows; texts are bytes, times microseconds, nulls None."""
        columns = [[] for _ in self.schema.stored]
        at = UNIT
        for number, tile in enumerate(self.tiles):
            for column, values in zip(columns, self._tile_columns(number, tile, at)):
                column += values
            at += tile["chunks"] + tile["directory"]
        for declared, known, values in zip(self.schema.stored, self.statistics, columns):
            statistic.check(known, values, f"root: {declared.name}")
        return {declared.name: values for declared, values in zip(self.schema.stored, columns)}

    def _tile_columns(self, number, tile, at):
        what = f"tile {number}"
        begin = at + tile["chunks"]
        unit = checked(self.data[begin : begin + tile["directory"]], tile["checksum"], f"{what}: directory")
        outer = Cursor(unit, f"{what}: directory")
        directory = Cursor(outer.take(outer.u32()), f"{what}: directory")
        outer.padding()
        must(directory.varint() == tile["rows"], f"{what}: rows")
        columns, statistics = [], []
        for column in self.schema.stored:
            name = f"{what}: {column.name}"
            size, checksum = directory.varint() * UNIT, directory.u64()
            known = statistic.read(directory, column.type)
            must(at + size <= begin, f"{name}: its chunk goes into the directory")
            chunk = Cursor(checked(self.data[at : at + size], checksum, name), name)
            columns.append(coded(chunk.take(chunk.u32()), column.type, name, tile["rows"]))
            chunk.padding()
            statistic.check(known, columns[-1], name)
            statistics.append(known)
            must(not column.required or None not in columns[-1], f"{name}: null though required")
            at += size
        must(at == begin, f"{what}: chunks do not end where the directory begins")
        self._check_runs(directory, tile, columns, statistics, what)
        return columns

    def _check_runs(self, directory, tile, columns, known, what):
        runs = directory.varint()
        must(1 <= runs <= tile["rows"], f"{what}: {runs} runs")
        lengths = coded(directory.slice(), BIGINT, f"{what}: runs", runs)
        must(all(length and length > 0 for length in lengths) and sum(lengths) == tile["rows"], f"{what}: runs' rows")
        begins = list(itertools.accumulate(lengths, initial=0))[:-1]
        if self.schema.key is not None:
            self._check_keys(directory, tile, columns, begins, what)
        if self.schema.time is not None:
            self._check_times(directory, tile, columns, list(zip(begins, lengths)), what)
        if self.has_sections:
            self._check_sections(sections(directory), known, columns, list(zip(begins, lengths)), what)
        directory.end()

    def _check_sections(self, found, known, columns, runs, what):
        """`known`: statistics of the tile's columns."""
        rows_min, of_runs = None, [[one] for one in known]
        if RUN_STATISTICS in found:
            section = Cursor(found[RUN_STATISTICS], f"{what}: statistics of runs")
            rows_min = section.varint()
            of_runs = self._check_run_statistics(section, columns, [run for run in runs if run[1] >= rows_min])
            must(rows_min, f"{section.what}: of runs without rows")
        if RUN_ENDS in found:
            must(rows_min or len(runs) == 1, f"{what}: first and last values without statistics of runs")
            section = Cursor(found[RUN_ENDS], f"{what}: first and last values")
            self._check_run_ends(section, columns, [run for run in runs if run[1] >= (rows_min or 0)], rows_min or 1, of_runs)

    def _is_listed(self, index):
        """Whether the list of runs says all that there is to say."""
        return index == self.schema.time or (index == self.schema.key and self.schema.stored[index].type == TEXT)

    def _check_run_statistics(self, section, columns, runs):
        must(runs, f"{section.what}: of no run")
        of_runs = []
        for index, (column, values) in enumerate(zip(self.schema.stored, columns)):
            if self._is_listed(index):
                of_runs.append([None] * len(runs))
                continue
            own = Cursor(section.slice(), f"{section.what}: {column.name}")
            of_runs.append(statistic.read_runs(own, column.type, [length for _, length in runs]))
            own.end()
            for one, (begin, length) in zip(of_runs[-1], runs):
                statistic.check(one, values[begin : begin + length], own.what)
        section.end()
        return of_runs

    def _check_run_ends(self, section, columns, runs, known_from, of_runs):
        rows_min = section.varint()
        long = [at for at, (_, length) in enumerate(runs) if length >= rows_min]
        must(self.schema.time is not None and rows_min >= known_from and long, f"{section.what}: of no run")
        times = columns[self.schema.time]
        for index, column in enumerate(self.schema.columns):
            if self._is_listed(index):
                continue
            own = Cursor(section.slice(), f"{section.what}: {column.name}")
            for at, ends in zip(long, run_end.read(own, column.type, [of_runs[index][at] for at in long])):
                rows = slice(runs[at][0], sum(runs[at]))
                run_end.check(ends, columns[index][rows], times[rows], own.what)
        section.end()

    def _check_keys(self, directory, tile, columns, begins, what):
        keys = coded(directory.slice(), BYTEA, f"{what}: keys", len(begins))
        low, high = tile["keys"]
        must(all(key is not None and low <= key <= high for key in keys), f"{what}: a key out of bounds")
        form = TEXT_FORMS.get(self.schema.columns[self.schema.key].type)
        if form:
            own = [form(columns[self.schema.key][begin]) for begin in begins]
            must(keys == own, f"{what}: a run's key")

    def _check_times(self, directory, tile, columns, runs, what):
        kind = self.schema.columns[self.schema.time].type
        firsts = coded(directory.slice(), kind, f"{what}: first times", len(runs))
        spans = coded(directory.slice(), BIGINT, f"{what}: durations", len(runs))
        times = columns[self.schema.time]
        for (begin, length), first, span in zip(runs, firsts, spans):
            there = [time for time in times[begin : begin + length] if time is not None]
            must(first == (min(there) if there else None), f"{what}: a run's first time")
            must(not there or (max(there) - first - span) % (1 << 64) == 0, f"{what}: a run's duration")
        there = [time for time in times if time is not None]
        must(tile["span"] == ((min(there), max(there)) if there else None), f"{what}: its span of time")


def main(paths):
    for path in paths:
        try:
            with open(path, "rb") as file:
                archive = Archive(file.read())
            for row in zip(*archive.columns().values()):
                print(json.dumps([value.decode(errors="replace") if isinstance(value, bytes) else value for value in row]))
        except Damaged as error:
            sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
