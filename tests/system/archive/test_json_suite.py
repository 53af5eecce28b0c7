"""Hostile JSON: all that must be accepted is, all that must be refused is; naughty strings keep every byte."""

import concurrent.futures
import csv
import json
import os

import pytest

import aq
import sets

TEXT = aq.CONFIGS / "text.yaml"


def suite(unpacked, prefix):
    files = [path for path in unpacked(sets.JSON_SUITE) if path.name.startswith(prefix)]
    assert files
    return files


def loaded(path, folder):
    """Import one file as one JSON value or array; (rows, reasons of rejects)."""
    store = aq.Store(folder / path.stem, TEXT)
    report = store.load("documents", path, format="json")
    reasons = store.rows("SELECT reason FROM documents_rejects") if report["rejects"] else []
    assert len(reasons) == report["rejects"]
    return report["rows"], [reason for (reason,) in reasons]


def outcomes(files, folder):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(files, pool.map(lambda path: loaded(path, folder), files)))


def test_what_must_be_accepted(unpacked, tmp_path):
    """A value that is not an object has no columns: it may be refused as such, never as bad JSON."""
    for path, (rows, reasons) in outcomes(suite(unpacked, "y_"), tmp_path).items():
        value = json.loads(path.read_bytes())
        messages = value if isinstance(value, list) else [value]
        assert rows + len(reasons) == len(messages), (path.name, rows, reasons)
        assert rows >= sum(isinstance(message, dict) for message in messages), (path.name, reasons)
        assert all("object" in reason for reason in reasons), (path.name, reasons)


def test_what_must_be_refused(unpacked, tmp_path):
    for path, (rows, reasons) in outcomes(suite(unpacked, "n_"), tmp_path).items():
        if path.stat().st_size == 0:
            continue  # no message at all
        assert rows == 0 and len(reasons) == 1, (path.name, rows, reasons)


def naughty(unpacked):
    (file,) = unpacked(sets.NAUGHTY)
    strings = json.loads(file.read_text(encoding="utf-8"))
    extra = ["\x00"[:0], "\t", "\\", '"', "'", "\x7f", "\u2028", "\U0010ffff", "\r\n", "a,b", " pad ", "\\N", "\\.", "NULL"]
    return [*strings, *extra, "x" * 100_000]


def assert_come_back(store, strings, folder):
    for step in ("hot", "compacted"):
        with store.export("strings", "csv", folder / step).open(encoding="utf-8", newline="") as file:
            rows = {int(row["n"]): row["value"] for row in csv.DictReader(file)}
        assert [rows[n].encode() for n in range(len(strings))] == [text.encode() for text in strings], step
        lines = store.export("strings", "ndjson", folder / step).read_text(encoding="utf-8").split("\n")
        objects = {row["n"]: row["value"] for row in map(json.loads, filter(None, lines))}
        assert [objects[n].encode() for n in range(len(strings))] == [text.encode() for text in strings], step
        assert store.value("SELECT count(DISTINCT value) AS n FROM strings") == len(set(strings))
        store.compact()


@pytest.mark.parametrize("ascii_only", (False, True), ids=("raw", "escaped"))
def test_naughty_strings_from_ndjson(ascii_only, unpacked, tmp_path):
    strings = naughty(unpacked)
    file = tmp_path / "strings.ndjson"
    lines = [json.dumps({"n": n, "value": text}, ensure_ascii=ascii_only) for n, text in enumerate(strings)]
    file.write_text("\n".join(lines), encoding="utf-8", newline="")
    store = aq.Store(tmp_path / "store", TEXT)
    report = store.load("strings", file)
    assert (report["rows"], report["rejects"]) == (len(strings), 0)
    assert_come_back(store, strings, tmp_path)


def test_naughty_strings_from_csv(unpacked, tmp_path):
    strings = naughty(unpacked)
    file = tmp_path / "strings.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerows([("n", "value"), *enumerate(strings)])
    store = aq.Store(tmp_path / "store", TEXT)
    report = store.load("strings", file)
    assert (report["rows"], report["rejects"]) == (len(strings), 0)
    assert_come_back(store, strings, tmp_path)


def test_the_last_of_duplicate_keys_wins_and_whole_values_are_validated(tmp_path):
    file = tmp_path / "x.ndjson"
    file.write_text('{"n": 1, "value": "a", "value": "b"}\n{"n": 2, "value": "c", "rest": {"x": [1, 2}}\n')
    store = aq.Store(tmp_path / "store", TEXT)
    report = store.load("strings", file)
    assert (report["rows"], report["rejects"]) == (1, 1)
    assert store.rows("SELECT n, value FROM strings") == [[1, "b"]]


def test_numbers_keep_their_value(tmp_path):
    """A number that does not fit its column is a reject, never a rounded or wrapped value."""
    config = tmp_path / "numbers.yaml"
    config.write_text("datasets:\n  numbers: {columns: {i: {type: integer}, b: {type: bigint}, d: {type: double}}}\n")
    good = ['{"i": 2147483647, "b": 9223372036854775807, "d": 1.7976931348623157e308}',
            '{"i": -2147483648, "b": -9223372036854775808, "d": 5e-324}', '{"i": 0, "b": 7, "d": -0.0}', "{}"]
    bad = ['{"i": 2147483648}', '{"b": 9223372036854775808}', '{"i": 1.5}', '{"d": "one"}', '{"i": true}', '{"d": 1e999}']
    file = tmp_path / "n.ndjson"
    file.write_text("\n".join(good + bad) + "\n")
    store = aq.Store(tmp_path / "store", config)
    report = store.load("numbers", file)
    assert (report["rows"], report["rejects"]) == (len(good), len(bad)), store.rows("SELECT reason FROM numbers_rejects")
    rows = store.rows("SELECT i, b, d FROM numbers ORDER BY b NULLS LAST")
    assert rows[0][:2] == [-2147483648, -9223372036854775808] and rows[0][2] == 5e-324
    assert rows[2] == [2147483647, 9223372036854775807, 1.7976931348623157e308]
    assert rows[3] == [None, None, None]
