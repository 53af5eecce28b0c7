"""What `inspect --vectors` says of nodes, held against their chunks, and of bit-packed vectors, against the values that queries give."""

import itertools
import json
import random
import re

import pytest

import aq

COLUMNS = {
    "city": "{type: text, required: true}",
    "ts": "{type: timestamptz, required: true}",
    "n": "{type: integer}",
    "day": "{type: date}",
    "pm25": "{type: double}",
    "wind": "{type: text}",
    "steps": "{type: bigint}",
}
ROWS = 3000  # of a city
PACKED = ("n", "day", "pm25", "wind", "steps")


def line(draw, row, city):
    time = f"2025-01-{1 + row // 144:02}T{row // 6 % 24:02}:{row % 6}0:00Z"
    n = row // 1024 * 1000 + draw.randrange(300)
    day = f"{2000 + draw.randrange(20)}-{1 + draw.randrange(12):02}-{1 + draw.randrange(28):02}"
    pm25 = "" if draw.random() < 0.02 else draw.randrange(2000 + row) / 10
    return f"{city},{time},{n},{day},{pm25},{draw.choice('NESW')},{row * 1_000_000 + draw.randrange(100)}\n"


def make_store(folder, profile):
    draw = random.Random(7)
    lines = [line(draw, row, city) for row in range(ROWS) for city in ("hanoi", "hue")]
    (folder / "a.csv").write_text(",".join(COLUMNS) + "\n" + "".join(lines))
    declared = "".join(f"      {name}: {text}\n" for name, text in COLUMNS.items())
    (folder / "config.yaml").write_text(
        f"datasets:\n  air:\n    key: city\n    time: ts\n    columns:\n{declared}compaction:\n  profile: {profile}\n"
    )
    store = aq.Store(folder / "home", folder / "config.yaml")
    store.load("air", folder / "a.csv")
    store.compact()
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("fast"), "fast")


def inspect(store, *options):
    (file,) = store.files("archives")
    return aq.run("inspect", *options, file).text


def vectors_of(store, *options):
    seen = json.loads(inspect(store, "--json", "--vectors", *options))
    by_column = {}
    for vector in seen["vectors"]:
        by_column.setdefault(vector["column"], []).append(vector)
    return seen, by_column


def values_of(store, column):
    """In the order of the archive, whose only tile they are."""
    return [value for (value,) in store.rows(f"SELECT {column} FROM air ORDER BY city, ts")]


def test_vectors_are_where_rows_are_packed(store):
    seen, by_column = vectors_of(store)
    chunks = {chunk["column"]: chunk for chunk in seen["chunks"]}
    assert set(by_column) == set(PACKED) and len(seen["tiles"]) == 1
    assert seen["vector_count"] == len(seen["vectors"]) == 6 * len(PACKED)
    assert chunks["wind"]["encoding"].startswith("dict(") and chunks["steps"]["encoding"].startswith("delta(")
    for column, vectors in by_column.items():
        first = 1 if column == "steps" else 0  # the first difference is the second row's
        assert [vector["first_row"] for vector in vectors] == [first + 1024 * i for i in range(6)]
        assert sum(vector["rows"] for vector in vectors) == 2 * ROWS - first
        for vector in vectors:
            header = vector["bytes"] - (vector["rows"] * vector["width_bits"] + 7) // 8
            assert 2 <= header <= 11, vector
        packed = sum(vector["bytes"] for vector in vectors)
        assert chunks[column]["bytes"] * 0.8 < packed < chunks[column]["bytes"]


@pytest.mark.parametrize("column", ("n", "day", "pm25"))
def test_bounds_hold_the_values(store, column):
    seen, by_column = vectors_of(store)
    values = values_of(store, column)
    plain = str if column == "day" else float
    for vector in by_column[column]:
        own = [value for value in values[vector["first_row"] :][: vector["rows"]] if value is not None]
        least, most = plain(vector["min"]), plain(vector["max"])
        assert least <= min(own) and max(own) <= most, vector
        if column == "day":
            assert least == min(own)
            continue
        unit = 10 if column == "pm25" else 1
        assert round((most - least) * unit) == 2 ** vector["width_bits"] - 1
        if column == "n":
            assert least == min(own) and max(own) - least >= 2 ** (vector["width_bits"] - 1)
    (chunk,) = [chunk for chunk in seen["chunks"] if chunk["column"] == column]
    known = [value for value in values if value is not None]
    assert (plain(chunk["min"]), plain(chunk["max"])) == (min(known), max(known))


def test_codes_and_differences_have_a_width_and_no_bounds(store):
    _, by_column = vectors_of(store)
    winds, steps = values_of(store, "wind"), values_of(store, "steps")
    assert {vector["width_bits"] for vector in by_column["wind"]} == {2} and len(set(winds)) == 4
    for vector in by_column["steps"]:
        rows = range(vector["first_row"], vector["first_row"] + vector["rows"])
        own = [steps[row] - steps[row - 1] for row in rows]
        assert vector["width_bits"] == (max(own) - min(own)).bit_length()
    assert all(vector["min"] is vector["max"] is None for vector in by_column["wind"] + by_column["steps"])


def children(nodes, place):
    """The nodes right within one."""
    depth = nodes[place]["depth"]
    within = itertools.takewhile(lambda node: node["depth"] > depth, nodes[place + 1 :])
    return [node for node in within if node["depth"] == depth + 1]


@pytest.mark.parametrize("profile", ("fast", "archive"))
def test_nodes_make_up_their_chunks(profile, store, tmp_path):
    store = store if profile == "fast" else make_store(tmp_path, profile)
    seen, _ = vectors_of(store)
    assert seen["node_count"] == len(seen["nodes"])
    for chunk in seen["chunks"]:
        nodes = [node for node in seen["nodes"] if node["column"] == chunk["column"]]
        assert [node["node"] for node in nodes] == re.findall(r"\b(?!zstd|nulls|scales)[a-z]+[0-9]*", re.sub(r" [0-9x^-]+", "", chunk["encoding"]))
        tops = [node for node in nodes if node["depth"] == 0]
        assert [node["of"] for node in tops] == (["nulls"] if chunk["nulls"] else []) + ["values"]
        assert {node["values"] for node in tops} == {2 * ROWS}
        assert 0 <= chunk["bytes"] - sum(node["bytes"] for node in tops) < 64 + 4 + 3
        for place, node in enumerate(nodes):
            assert sum(child["bytes"] for child in children(nodes, place)) < node["bytes"]
    (codes,) = [node for node in seen["nodes"] if node["column"] == "wind" and (node["depth"], node["values"]) == (1, 2 * ROWS)]
    (texts,) = [node for node in seen["nodes"] if node["column"] == "wind" and node["node"] == "text"]
    assert texts["values"] == len(set(values_of(store, "wind"))) and codes["bits_per_value"] < 2.1


def test_output_is_limited(store):
    text = inspect(store, "--vectors")
    table = text.split("\nvectors:\n")[1].splitlines()
    assert len(table) == 2 + 6 * len(PACKED)
    cut = inspect(store, "--vectors", "-n", 4)
    heading = f"\nvectors, the first 4 of {6 * len(PACKED)} (--limit):\n"
    assert [line.split() for line in cut.split(heading)[1].splitlines()[2:]] == [line.split() for line in table[2:6]]
    head, nodes = cut.split(heading)[0].split("\nnodes, the first 4 of ")
    assert text.startswith(head) and nodes.split("|")[0].endswith(" (--limit):\n tile ") and len(nodes.splitlines()) == 7
    seen, _ = vectors_of(store, "-n", 4)
    assert len(seen["nodes"]) == len(seen["vectors"]) == 4 and seen["vector_count"] == 6 * len(PACKED)
    assert "vector_count" not in json.loads(inspect(store, "--json"))


def test_what_is_coded_as_a_whole_has_none(tmp_path):
    store = make_store(tmp_path, "archive")
    seen, by_column = vectors_of(store)
    encodings = {chunk["column"]: chunk["encoding"] for chunk in seen["chunks"]}
    assert "ans" in encodings["n"] and "n" not in by_column, encodings
    assert {"city", "ts"}.isdisjoint(by_column)
