"""Reads an archive of aqstore from docs/archive-format.md alone: checksums first, then the columns.

`Archive(bytes)` verifies header, trailer and root; `columns()` reads every tile, verifies its directory, chunks,
runs and statistics, and gives {name: values}. Whatever is not as documented raises Damaged.
"""

import itertools
import json
import sys

import follow
import run_end
import schema
import statistic
from coded_column import coded
from cursor import Cursor, Damaged, checked, must, preamble, sealed

UNIT, BIGINT, TEXT, BYTEA = 64, 3, 6, 7
SECTIONS, ANS32, FOLLOWERS, MULTIPLE = 1, 2, 4, 8  # incompatible features of the root
RUN_STATISTICS, RUN_ENDS, FOLLOW = 1, 2, 3  # sections of a directory
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
        features = preamble(root, b"AQARROOT", SECTIONS | ANS32 | FOLLOWERS | MULTIPLE)
        self.has_sections, self.has_followers = features & SECTIONS, features & FOLLOWERS
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
        chunks, statistics = [], []
        for column in self.schema.stored:
            name = f"{what}: {column.name}"
            size, checksum = directory.varint() * UNIT, directory.u64()
            known = statistic.read(directory, column.type)
            must(at + size <= begin, f"{name}: its chunk goes into the directory")
            chunk = Cursor(checked(self.data[at : at + size], checksum, name), name)
            chunks.append(chunk.take(chunk.u32()))
            chunk.padding()
            statistics.append(known)
            at += size
        must(at == begin, f"{what}: chunks do not end where the directory begins")
        runs, found = self._read_runs(directory, tile, what)
        columns = self._decode(chunks, self._leaders(found, what), tile["rows"], what)
        for column, values, known in zip(self.schema.stored, columns, statistics):
            statistic.check(known, values, f"{what}: {column.name}")
            must(not column.required or None not in values, f"{what}: {column.name}: null though required")
        self._check_runs(runs, found, tile, columns, statistics, what)
        return columns

    def _leaders(self, found, what):
        """{column: the one that it follows}, by their numbers."""
        if FOLLOW not in found:
            return {}
        must(self.has_followers, f"{what}: followers that the root does not announce")
        section, leaders, count = Cursor(found[FOLLOW], f"{what}: followers"), {}, len(self.schema.stored)
        for _ in range(section.varint()):
            follower, leader = section.varint(), section.varint()
            must(max(leaders, default=-1) < follower < count and leader < count, f"{section.what}: a column that is not there")
            leaders[follower] = leader
        section.end()
        must(leaders and not set(leaders.values()) & set(leaders), f"{section.what}: one follows a follower")
        return leaders

    def _decode(self, chunks, leaders, rows, what):
        columns = [None] * len(chunks)
        for index in sorted(range(len(chunks)), key=lambda index: index in leaders):
            column = self.schema.stored[index]
            name = f"{what}: {column.name}"
            if index in leaders:
                columns[index] = follow.read(chunks[index], column.type, columns[leaders[index]], name)
            else:
                columns[index] = coded(chunks[index], column.type, name, rows)
        return columns

    def _read_runs(self, directory, tile, what):
        """(coded columns of the runs, {id: bytes} of sections)."""
        runs = {"count": directory.varint()}
        must(1 <= runs["count"] <= tile["rows"], f"{what}: {runs['count']} runs")
        runs["lengths"] = directory.slice()
        if self.schema.key is not None:
            runs["keys"] = directory.slice()
        if self.schema.time is not None:
            runs["firsts"], runs["spans"] = directory.slice(), directory.slice()
        found = sections(directory) if self.has_sections else {}
        directory.end()
        return runs, found

    def _check_runs(self, coded_runs, found, tile, columns, known, what):
        runs = coded_runs["count"]
        lengths = coded(coded_runs["lengths"], BIGINT, f"{what}: runs", runs)
        must(all(length and length > 0 for length in lengths) and sum(lengths) == tile["rows"], f"{what}: runs' rows")
        begins = list(itertools.accumulate(lengths, initial=0))[:-1]
        if self.schema.key is not None:
            self._check_keys(coded_runs, tile, columns, begins, what)
        if self.schema.time is not None:
            self._check_times(coded_runs, tile, columns, list(zip(begins, lengths)), what)
        self._check_sections(found, known, columns, list(zip(begins, lengths)), what)

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

    def _check_keys(self, coded_runs, tile, columns, begins, what):
        keys = coded(coded_runs["keys"], BYTEA, f"{what}: keys", len(begins))
        low, high = tile["keys"]
        must(all(key is not None and low <= key <= high for key in keys), f"{what}: a key out of bounds")
        form = TEXT_FORMS.get(self.schema.columns[self.schema.key].type)
        if form:
            own = [form(columns[self.schema.key][begin]) for begin in begins]
            must(keys == own, f"{what}: a run's key")

    def _check_times(self, coded_runs, tile, columns, runs, what):
        kind = self.schema.columns[self.schema.time].type
        firsts = coded(coded_runs["firsts"], kind, f"{what}: first times", len(runs))
        spans = coded(coded_runs["spans"], BIGINT, f"{what}: durations", len(runs))
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
