"""The program as its users meet it: exit codes, help, messages with positions, refusals, pipes, forms of output."""

import json
import re
import shutil
import subprocess

import pytest

import aq

COMMANDS = ("ingest", "import", "query", "compact", "gc", "inspect", "verify", "export", "rejects", "sources", "config")
CONFIG = """\
store: ./home
datasets:
  air:
    key: city
    time: ts
    columns:
      city: {type: text, required: true}
      ts: {type: timestamptz, required: true}
      pm25: {type: double}
      n: {type: integer}
sources:
  files:
    files: ["data/*.ndjson"]
    dataset: air
    format: ndjson
views:
  worst: SELECT city, max(pm25) AS pm25 FROM air GROUP BY city
"""


def message(n, city="hanoi"):
    when = f"2025-02-{1 + n // 24:02d}T{n % 24:02d}:00:00+07:00"
    return json.dumps({"city": city, "ts": when, "pm25": n * 0.5, "n": n})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "aqstore.yaml").write_text(CONFIG)
    (tmp_path / "data").mkdir()
    rows = [message(n, city) for n in range(200) for city in ("hanoi", "hue")]
    (tmp_path / "data/a.ndjson").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def store(folder):
    store = aq.Store(folder / "home", folder / "aqstore.yaml")
    store.load("air", folder / "data/a.ndjson")
    return store


# ---- help, usage, exit codes ----


def test_help_names_every_command():
    text = aq.run("--help").text
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\b", text, re.M), command
        own = aq.run(command, "--help").text
        assert command in own and "--" in own


def test_version():
    assert re.fullmatch(r"aqstore \d+\.\d+\.\d+\S*\n", aq.run("--version").text)


@pytest.mark.parametrize(
    "arguments, word",
    [
        ([], "--help"),
        (["qurey", "SELECT 1"], "query"),
        (["query", "--formt", "csv", "SELECT 1"], "--format"),
        (["query", "--format", "xml", "SELECT 1"], "json"),
        (["import", "x.csv"], "--dataset"),
        (["import", "--dataset"], "--dataset"),
        (["--store"], "--store"),
        (["config", "chekc"], "check"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_exit_2_with_the_right_word(arguments, word, tmp_path):
    result = aq.run(*arguments, code=aq.USAGE, cwd=tmp_path)
    assert word in result.message and result.out == b""


def test_a_store_that_is_not_there(tmp_path):
    result = aq.run("--store", tmp_path / "none", "query", "SELECT 1", code=aq.FAILED)
    assert str(tmp_path / "none") in result.message
    assert not (tmp_path / "none").exists(), "a query made a store"


def test_an_unknown_dataset_is_named(store):
    result = store.run("import", "--dataset", "aer", "x.csv", code=aq.USAGE)
    assert "aer" in result.message and "air" in result.message


def test_a_missing_file_is_named(store, folder):
    result = store.run("import", "--dataset", "air", folder / "nothing.csv", code=aq.FAILED)
    assert "nothing.csv" in result.message
    assert store.value("SELECT count(*) AS n FROM air") == 400


def test_the_form_of_an_error(store):
    text = store.run("query", "SELECT nothing FROM air", code=aq.USAGE).message
    assert text.startswith("aqstore: ") and text.count("\n") == 1


COMPLETIONS = {
    "aqstore im": {"import"},
    "aqstore --log-format ": {"text", "json"},
    "aqstore query --format ": {"table", "csv", "json", "ndjson", "markdown", "parquet", "arrow"},
    "aqstore import --format ": {"csv", "ndjson", "json", "parquet"},
    "aqstore --quiet ingest --on": {"--once"},
    "aqstore config ": {"check", "show"},
}


def test_bash_completes_the_command_line():
    script = aq.run("completion", "bash").text
    for text, wanted in COMPLETIONS.items():
        words = text + "''" if text.endswith(" ") else text
        ask = f"{script}\nCOMP_WORDS=({words})\nCOMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n_aqstore\n"
        ask += "printf '%s\\n' \"${COMPREPLY[@]}\""
        done = subprocess.run(["bash", "-eu"], input=ask, capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) == wanted, text


def test_fish_completes_the_command_line():
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    script = aq.run("completion", "fish").text
    for text, wanted in COMPLETIONS.items():
        ask = f"{script}\ncomplete -C '{text}'\n"
        done = subprocess.run(["fish", "--no-config"], input=ask, capture_output=True, text=True, check=True)
        assert {line.split("\t")[0] for line in done.stdout.splitlines()} == wanted, text


def test_zsh_takes_the_completion():
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    subprocess.run(["zsh", "-n"], input=aq.run("completion", "zsh").out, check=True)


def test_the_man_page_names_every_command_and_option():
    page = aq.run("completion", "man").text.replace("\\-", "-")
    for command in COMMANDS:
        assert f".SS {command}\n" in page
        lines = re.findall(r"^ {2,6}(?:-\w, )?(--[a-z-]+)(.*)$", aq.run(command, "--help").text, re.M)
        listed = [option for option, _ in lines]
        assert "--help" in listed
        for option in listed:
            assert f"\\fB{option}\\fR" in page, option


def test_what_is_not_yet_there_is_refused_by_name(store):
    result = store.run("serve", code=aq.USAGE)
    assert "not yet" in result.message, str(result)


# ---- config ----


def test_config_check_and_show(folder):
    aq.run("config", "check", cwd=folder)
    shown = aq.run("config", "show", cwd=folder, env={"SECRET": "x"}).text
    for word in ("air", "timestamptz", "slot: day", "commit_interval", "segment_size"):
        assert word in shown
    (folder / "shown.yaml").write_text(shown)
    again = aq.run("--config", "shown.yaml", "config", "show", cwd=folder).text
    assert again == shown, "config show is not a config that means the same"


@pytest.mark.parametrize(
    "old, new, line, column, word",
    [
        ("    key: city", "    kye: city", 4, 5, "key"),
        ("type: double", "type: duoble", 9, 20, "double"),
        ("    key: city", "    key: town", 4, 10, "city"),
        ("    time: ts", "    time: pm25", 5, 11, "timestamptz"),
        ("    dataset: air", "    dataset: aer", 14, 14, "air"),
        ("datasets:", "datasest:", 2, 1, "datasets"),
        ("    key: city", "    key: city\n    slot: week", 5, 11, "month"),
        ("    key: city", "    key: city\n    series: [station]", 5, 14, "station"),
        ("{type: integer}", "{type: integer, from: 'a[0'}", 10, 32, "a[0"),
        ("{type: integer}", "{type: integer, form: n}", 10, 26, "from"),
        ("store: ./home", "store: ./home\ningest: {commit_size: 1MB5}", 2, 23, "1MB5"),
        ("views:", "views: [", 17, None, ""),
    ],
    ids=lambda value: value.strip() if isinstance(value, str) else None,
)
def test_a_wrong_config_is_located(folder, old, new, line, column, word):
    assert old in CONFIG
    (folder / "aqstore.yaml").write_text(CONFIG.replace(old, new, 1))
    result = aq.run("config", "check", cwd=folder, code=aq.USAGE)
    place = re.search(r"aqstore\.yaml:(\d+):(\d+)", result.message)
    assert place, f"no file:line:column: {result}"
    if column is not None:
        assert (int(place[1]), int(place[2])) == (line, column), str(result)
    assert word in result.message, str(result)


def test_a_bucket_that_cannot_be_is_found_without_asking_it(folder):
    for bucket, word in (("s3://x/air", "3 to 63"), ("s3://air/a b", "prefix"), ("s3://air/cold", None)):
        (folder / "aqstore.yaml").write_text(CONFIG + f"tier: {{to: '{bucket}'}}\n")
        result = aq.run("config", "check", cwd=folder, code=aq.USAGE if word else aq.DONE)
        assert word is None or ("aqstore.yaml" in result.message and word in result.message), str(result)


def test_environment_in_the_config(folder):
    text = CONFIG.replace("./home", "${AQ_TEST_HOME:./elsewhere}")
    (folder / "aqstore.yaml").write_text(text)
    aq.run("ingest", "--once", cwd=folder)
    assert (folder / "elsewhere").is_dir()
    aq.run("ingest", "--once", cwd=folder, env={"AQ_TEST_HOME": str(folder / "named")})
    assert (folder / "named").is_dir()
    (folder / "aqstore.yaml").write_text(CONFIG.replace("./home", "${AQ_TEST_UNSET}"))
    assert "AQ_TEST_UNSET" in aq.run("config", "check", cwd=folder, code=aq.USAGE).message


def test_ingest_once_runs_the_sources(folder):
    aq.run("ingest", "--once", cwd=folder)
    count = "SELECT count(*) AS n FROM air"
    assert json.loads(aq.run("query", "--format", "ndjson", count, cwd=folder).text) == {"n": 400}
    (folder / "data/b.ndjson").write_text(message(300) + "\n")
    aq.run("ingest", "--once", cwd=folder)
    assert json.loads(aq.run("query", "--format", "ndjson", count, cwd=folder).text) == {"n": 401}


def test_a_changed_type_is_refused_and_a_new_column_taken(store, folder):
    (folder / "aqstore.yaml").write_text(CONFIG.replace("n: {type: integer}", "n: {type: text}"))
    result = store.run("import", "--dataset", "air", folder / "data/a.ndjson", code=aq.USAGE)
    assert "n" in result.message and "integer" in result.message, str(result)
    wider = CONFIG.replace("n: {type: integer}", "n: {type: integer}\n      o3: {type: double}")
    (folder / "aqstore.yaml").write_text(wider)
    (folder / "data/o3.ndjson").write_text('{"city": "hue", "ts": "2025-03-01T00:00:00Z", "o3": 7.5}\n')
    store.load("air", folder / "data/o3.ndjson")
    for _ in range(2):
        assert store.rows("SELECT count(*) AS n, count(o3) AS o3, max(o3) AS most FROM air") == [[401, 1, 7.5]]
        store.compact()


# ---- queries ----


@pytest.mark.parametrize(
    "sql, place, word",
    [
        ("SELECT pm52 FROM air", "1:8", "pm25"),
        ("SELECT pm25\nFROM aer", "2:6", "air"),
        ("SELECT pm25 FROM air WHERE", "1:", ""),
        ("SELECT pm25 FORM air", "1:", "air"),
        ("SELECT median(pm25) FROM air", "1:8", "median"),
        ("SELECT city + 1 FROM air", "1:", "text"),
        ("SELECT city, max(pm25) FROM air", "1:8", "GROUP BY"),
        ("SELECT row_number() OVER (ORDER BY ts) FROM air", "1:8", "window"),
        ("SELECT 1 FROM air a JOIN air b ON a.n = b.n", "1:", "JOIN"),
        ("SELECT pm25::numeric FROM air", "1:", "numeric"),
        ("DELETE FROM air", "1:", "DELETE"),
        ("UPDATE air SET n = 1", "1:", "UPDATE"),
        ("SELECT 1; SELECT 2", "1:", ""),
        ("SELECT pm25 FROM air; DROP TABLE air", "1:", "one"),
        ("SELECT n FROM air TABLESAMPLE SYSTEM (1)", "1:", "TABLESAMPLE"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else None,
)
def test_what_is_wrong_or_unsupported_is_located(store, sql, place, word):
    result = store.run("query", sql, code=aq.USAGE)
    assert re.search(rf"line {place}", result.message), str(result)
    assert word.lower() in result.message.lower(), str(result)
    assert result.out == b""


def test_a_clause_without_a_place_is_refused_by_name(store):
    assert "FOR UPDATE" in store.run("query", "SELECT * FROM air FOR UPDATE", code=aq.USAGE).message


def test_forms_of_output(store, tmp_path):
    sql = "SELECT city, n, pm25, ts FROM air WHERE n < 2 ORDER BY n, city"
    rows = [["hanoi", 0, 0], ["hue", 0, 0], ["hanoi", 1, 0.5], ["hue", 1, 0.5]]
    table = store.run("query", sql).text
    assert all(word in table for word in ("city", "hanoi", "2025-01-31 17:00:00+00")) and "\x1b" not in table
    csv = store.run("query", "--format", "csv", sql).text
    assert csv.splitlines()[:2] == ["city,n,pm25,ts", "hanoi,0,0,2025-01-31 17:00:00+00"]
    whole = json.loads(store.run("query", "--format", "json", sql).text)
    assert [[row["city"], row["n"], row["pm25"]] for row in whole] == rows
    assert [row[:3] for row in store.rows(sql)] == rows
    assert "| hanoi" in store.run("query", "--format", "markdown", sql).text
    store.run("query", "-o", tmp_path / "out.csv", sql)
    assert (tmp_path / "out.csv").read_text() == csv
    (tmp_path / "q.sql").write_text(sql + "\n")
    assert store.run("query", "--format", "csv", "-f", tmp_path / "q.sql").text == csv
    local = store.run("query", "--format", "csv", "--timezone", "+07:00", sql).text
    assert "hanoi,0,0,2025-02-01 00:00:00+07" in local


def test_an_empty_answer_has_a_header(store):
    sql = "SELECT city, n FROM air WHERE n < 0"
    assert store.run("query", "--format", "csv", sql).text == "city,n\n"
    assert json.loads(store.run("query", "--format", "json", sql).text) == []
    assert store.run("query", "--format", "ndjson", sql).text == ""


def test_errors_at_run_time_leave_no_partial_answer_unnoticed(store):
    for sql in ("SELECT 1 / (n - 150) AS x FROM air", "SELECT n * 2147483647 AS x FROM air WHERE n > 10"):
        result = store.run("query", "--format", "csv", sql, code=None)
        assert result.code != aq.DONE and result.message, str(result)


def test_explain(store):
    plan = store.run("query", "EXPLAIN SELECT city, max(pm25) FROM air WHERE city = 'hue' GROUP BY city").text
    assert "air" in plan
    ran = store.run("query", "EXPLAIN ANALYZE SELECT city, max(pm25) FROM air WHERE city = 'hue' GROUP BY city").text
    assert re.search(r"\d", ran) and "rows" in ran


def test_views(folder):
    aq.run("ingest", "--once", cwd=folder)
    rows = aq.run("query", "--format", "csv", "SELECT * FROM worst ORDER BY city", cwd=folder, code=None)
    assert rows.code == aq.DONE and rows.text == "city,pm25\nhanoi,99.5\nhue,99.5\n", str(rows)


def test_plot(store):
    plot = store.run("query", "--plot", "SELECT ts, pm25, city FROM air ORDER BY ts").text
    assert len(plot.splitlines()) > 5 and "hanoi" in plot
    bars = store.run("query", "--plot", "SELECT city, max(pm25) AS worst FROM air GROUP BY city").text
    assert "hue" in bars and "99.5" in bars


def test_a_closed_pipe_is_no_crash(store):
    process = subprocess.Popen(
        [str(aq.BINARY), *map(str, store.arguments()), "query", "--format", "csv",
         "SELECT city, ts, pm25, n FROM air ORDER BY n"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read().decode()
    assert process.wait() in (0, 1, 141, -13) and "Sanitizer" not in error


def test_stdin_import_through_a_pipe(store, folder):
    command = f"cat '{folder}/data/a.ndjson' | sed 's/hue/vinh/' | '{aq.BINARY}' --store '{store.home}' --config "
    command += f"'{store.config}' import --dataset air --format ndjson -"
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert store.value("SELECT count(*) AS n FROM air WHERE city = 'vinh'") == 200


# ---- the other commands ----


def test_json_everywhere(store, folder):
    for arguments in (
        ("compact", "--dry-run"), ("compact",), ("gc", "--dry-run"), ("gc",), ("inspect",), ("inspect", "air"),
        ("verify",), ("verify", "--deep"), ("sources",), ("rejects", "list"),
        ("import", "--dataset", "air", folder / "data/a.ndjson"), ("query", "SELECT 1 AS x FROM air LIMIT 1"),
    ):
        result = store.run("--json", *arguments)
        assert json.loads(result.text) is not None, str(result)


def test_compact_twice_does_nothing_the_second_time(store):
    first, second = store.compact(), store.compact()
    assert first["rows"] == 400 and second["rows"] == 0, (first, second)
    assert not store.run("compact", "--dry-run", code=aq.DONE).err.startswith(b"aqstore: error")


def test_dry_runs_change_nothing(store):
    def listing():
        files = [path for path in store.home.rglob("*") if path.is_file() and path.parent.name != "locks"]
        return sorted((str(path), path.read_bytes()) for path in files)

    before = listing()
    store.run("compact", "--dry-run")
    assert listing() == before
    store.compact()
    before = listing()
    store.run("gc", "--dry-run")
    assert listing() == before


def test_gc_removes_what_compaction_replaced(store):
    store.compact()
    assert store.files("segments")
    store.run("gc", "--age", "0s")
    assert not store.files("segments")
    assert store.value("SELECT count(*) AS n FROM air") == 400


def test_inspect_files(store):
    store.compact()
    for path in store.files("archives"):
        text = store.run("inspect", path).text
        assert "pm25" in text and "city" in text and "shape: 1 x " in text and "chunks:" not in text
        deeper = store.run("inspect", "--vectors", path).text
        assert deeper.startswith(text.rstrip()) and "runs:" in deeper and "chunks:" in deeper
        seen = json.loads(store.run("--json", "inspect", path).text)
        columns = {column["column"]: column for column in seen["columns"]}
        assert sum(column["bytes"] for column in columns.values()) == sum(chunk["bytes"] for chunk in seen["chunks"])
        rest = seen["bytes"] - sum(column["bytes"] for column in columns.values())
        assert seen["bytes_beside_columns"] == rest > 0 and f"beside columns: {rest} B, " in text
        answer = store.value("SELECT min(pm25)::text || ' ' || max(city) AS n FROM air")
        assert f"{columns['pm25']['min']} {columns['city']['max']}" == answer
        assert sum(run["rows"] for run in seen["runs"]) == seen["rows"] == 400


def test_inspect_of_no_file(store, tmp_path):
    elsewhere = tmp_path / "without a config"
    elsewhere.mkdir()
    assert "there is no such file" in aq.run("inspect", "none.aqa", cwd=elsewhere, code=aq.USAGE).message
    assert "no store: give" in aq.run("inspect", "air", cwd=elsewhere, code=aq.USAGE).message
    assert "neither a file nor a dataset" in store.run("inspect", "none.aqa", code=aq.FAILED).message


SHAPES = {  # rows as (city, seconds), and what is said of their tiles
    "a reading a day of 10,000": (
        ((f"city {city:05d}", day * 86400) for day in range(8) for city in range(10_000)),
        "2 x 40000 rows: 5000.0 runs of one (key, series) side by side, 8 rows each; short series fill a tile",
    ),
    "ten readings a second of 3": (
        ((city, tenth / 10) for tenth in range(30_000) for city in "abc"),
        "2 x 45000 rows: 3.0 runs of one (key, series) side by side, 15000 rows each; neighbours share a tile",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_inspect_explains_the_shape(name, folder):
    rows, expected = SHAPES[name]
    store = aq.Store(folder / "home", folder / "aqstore.yaml")
    store.config.write_text(CONFIG.replace("{type: timestamptz,", "{type: timestamptz, format: epoch_s,"))
    text = "".join(f"{city},{1_700_000_000 + seconds},{seconds % 7}\n" for city, seconds in rows)
    (folder / "rows.csv").write_text("city,ts,pm25\n" + text)
    store.load("air", folder / "rows.csv")
    store.compact()
    (path,) = store.files("archives")
    seen = json.loads(store.run("--json", "inspect", path).text)
    assert seen["shape"].startswith(expected)
    assert all(tile["rows"] <= 65_536 for tile in seen["tiles"])


def test_inspect_prints_doubles_as_queries_do(store, folder):
    (folder / "b.ndjson").write_text(json.dumps({"city": "hue", "ts": "2025-02-14T00:00:00Z", "pm25": 500}) + "\n")
    store.load("air", folder / "b.ndjson")
    store.compact()
    (path,) = store.files("archives")
    columns = json.loads(store.run("--json", "inspect", path).text)["columns"]
    assert [column["max"] for column in columns if column["column"] == "pm25"] == ["500"]


def test_compact_takes_the_profile_of_the_config(store, folder):
    rows = [{"city": "hue", "ts": f"2025-03-{1 + n // 24:02d}T{n % 24:02d}:00:00Z", "n": n % 3 + (n * 7919 % 50000 if n % 9 == 0 else 0)} for n in range(600)]
    (folder / "b.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    store.load("air", folder / "b.ndjson")
    store.config.write_text(CONFIG + "compaction:\n  profile: fast\n")
    store.compact()
    archives = [json.loads(store.run("--json", "inspect", path).text) for path in store.files("archives")]
    encodings = {column["largest_encoding"] for seen in archives for column in seen["columns"] if column["column"] == "n"}
    assert "bitpack 16" in encodings, "an archive of the other profile has a dictionary and zstd here"


def test_rejects_are_shown(store, folder):
    (folder / "bad.ndjson").write_text('{"city": "hue"}\nnot json\n')
    report = store.load("air", folder / "bad.ndjson")
    assert (report["rows"], report["rejects"]) == (0, 2)
    assert "air" in store.run("rejects", "list").text
    shown = store.run("rejects", "show", "--dataset", "air").text
    assert "not json" in shown and "ts" in shown


def test_a_store_needs_no_config(store, tmp_path):
    bare = aq.Store(store.home)
    assert bare.value("SELECT count(*) AS n FROM air", cwd=tmp_path) == 400
    bare.run("compact", cwd=tmp_path)
    bare.run("verify", "--deep", cwd=tmp_path)


def test_export_with_a_condition(store, tmp_path):
    store.run("export", "--dataset", "air", "--format", "csv", "--where", "n >= 198", "--to", tmp_path / "out")
    assert len((tmp_path / "out/air.csv").read_text().splitlines()) == 1 + 4


def test_quiet_says_nothing(store, folder):
    (folder / "data/c.ndjson").write_text(message(400) + "\n")
    result = store.run("--quiet", "import", "--dataset", "air", folder / "data/c.ndjson")
    assert result.err == b""
