"""Runs the aqstore binary: stores, imports, queries, exports, kills, and stores in the five states."""

import json
import os
import pathlib
import signal
import subprocess
import time
from dataclasses import dataclass

PROJECT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("AQSTORE", PROJECT / "build/release/aqstore")).resolve()
CONFIGS = PROJECT / "tests/system/configs"
TIMEOUT_S = 300  # of one command; a hang is a failure

# Exit codes, as the interface promises them.
DONE, FAILED, USAGE, CORRUPT, CONFLICT = 0, 1, 2, 3, 4


@dataclass
class Result:
    """What a command left behind."""

    command: list
    code: int
    out: bytes
    err: bytes

    @property
    def text(self):
        return self.out.decode()

    @property
    def message(self):
        return self.err.decode(errors="replace")

    def __str__(self):
        out = self.out[-2000:].decode(errors="replace")
        return f"{' '.join(map(str, self.command))}\nexit {self.code}\nstdout: {out}\nstderr: {self.message[-4000:]}"


def run(*args, code=DONE, stdin=None, env=None, cwd=None, timeout=TIMEOUT_S, launcher=()):
    """Run aqstore with `args`; assert its exit code (None: any but death by a signal)."""
    __tracebackhide__ = True
    command = [*launcher, str(BINARY), *map(str, args)]
    done = subprocess.run(
        command,
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=timeout,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=False,
    )
    result = Result(command, done.returncode, done.stdout, done.stderr)
    assert done.returncode >= 0, f"died by signal {-done.returncode}: {result}"
    if code is not None:
        assert done.returncode == code, str(result)
    return result


def start(*args, env=None, launcher=(), stdin=subprocess.DEVNULL):
    """Start aqstore in the background."""
    return subprocess.Popen(
        [*launcher, str(BINARY), *map(str, args)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )


def parse_rows(ndjson):
    """Rows as lists of values; splits at newlines only, as a text may hold other line separators."""
    return [list(json.loads(line).values()) for line in ndjson.decode().split("\n") if line]


@dataclass
class Store:
    """A store's home and the config that feeds it."""

    home: pathlib.Path
    config: pathlib.Path = None
    io: str = None
    env: dict = None
    launcher: tuple = ()

    def arguments(self):
        args = ["--store", self.home]
        if self.config:
            args += ["--config", self.config]
        if self.io:
            args += ["--io", self.io]
        return args

    def run(self, *args, **options):
        options.setdefault("env", self.env)
        options.setdefault("launcher", self.launcher)
        return run(*self.arguments(), *args, **options)

    def start(self, *args, **options):
        return start(*self.arguments(), *args, env=self.env, launcher=self.launcher, **options)

    def load(self, dataset, *files, code=DONE, **options):
        """Import files; gives the report (empty after a failure)."""
        extra = ["--format", options.pop("format")] if "format" in options else []
        result = self.run("--json", "import", "--dataset", dataset, *extra, *files, code=code, **options)
        return json.loads(result.text) if result.code == DONE else {}

    def compact(self):
        return json.loads(self.run("--json", "compact").text)

    def ndjson(self, sql, timezone=None, **options):
        """The rows of a query as the bytes that were printed."""
        zone = ["--timezone", timezone] if timezone else []
        return self.run("query", *zone, "--format", "ndjson", sql, **options).out

    def rows(self, sql, timezone=None, **options):
        """The rows of a query as lists of values."""
        return parse_rows(self.ndjson(sql, timezone, **options))

    def value(self, sql, **options):
        """The one value of a query with one row and one column."""
        ((value,),) = self.rows(sql, **options)
        return value

    def export(self, dataset, form, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.run("export", "--dataset", dataset, "--format", form, "--to", folder)
        (file,) = folder.glob(f"{dataset}.{form}")
        return file

    def files(self, kind):
        """Data files by kind: "segments", "archives" or "catalog"."""
        return sorted(path for path in (self.home / kind).rglob("*") if path.is_file())

    def bytes(self, kind="segments"):
        total = 0
        for path in (self.home / kind).rglob("*") if (self.home / kind).exists() else ():
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                pass
        return total


def kill_import(store, dataset, files, at_bytes):
    """Start an import, SIGKILL it once its segments hold `at_bytes`; True if the kill came in time."""
    process = store.start("import", "--dataset", dataset, *files)
    while process.poll() is None and store.bytes() < at_bytes:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def split(files, folder):
    """Two halves of the input: of the list of files, or of the lines of a single one."""
    if len(files) > 1:
        return files[: len(files) // 2], files[len(files) // 2 :]
    (file,) = files
    folder.mkdir(parents=True, exist_ok=True)
    lines = file.read_bytes().splitlines(keepends=True)
    header = [] if file.suffix == ".ndjson" else lines[:1]
    lines = lines[len(header) :]
    halves = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    names = [folder / f"{file.stem}-{part}{file.suffix}" for part in (1, 2)]
    for name, half in zip(names, halves):
        name.write_bytes(b"".join(header + half))
    return names[:1], names[1:]


STATES = ("hot", "half", "compacted", "restarted", "posix")


def build(state, folder, config, dataset, files):
    """A store holding `files` in one of the five states, whose answers must be equal to the bit."""
    store = Store(folder / state, config, io="posix" if state == "posix" else None)
    if state == "half":
        first, second = split(files, folder / "halves")
        store.load(dataset, *first)
        store.compact()
        store.load(dataset, *second)
    elif state == "restarted":
        limit = max(store_size(folder / "hot") // 3, 1)
        kill_import(store, dataset, files, limit)
        store.load(dataset, *files)
    else:
        store.load(dataset, *files)
    if state == "compacted":
        store.compact()
        assert store.files("archives"), "compaction made no archive"
    return store


def store_size(home):
    return Store(home).bytes() if home.exists() else 0
