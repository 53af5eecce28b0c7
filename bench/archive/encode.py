"""Writing compressed columns beside DuckDB, Vortex and pyarrow: the same sorted rows, one thread each, in one run.

    make bench-encode                                    the Beijing air quality: 420,768 rows
    build/venv/bin/python bench/archive/encode.py --small        a small input made on the spot

Measured is processor time, of all threads, from rows in memory to coded bytes: aqstore codes the tiles of its own archive again, with
their statistics and checksums, in both profiles; the peers write a table of theirs, sorted by station and time. The best of --repeat.
Every file is read by DuckDB or by aqstore; the hashes of an answer must be equal.

The second table is of the frames that the import had written, each coded again from its columns, in order of arrival, as the write path
does it (bench/archive/encode_frames.c): what comes out is compared with what was written.

The last table says what aqstore's part is spent on: instructions (valgrind --tool=callgrind, whose processor has AVX2), by the
source of the code that runs, not by its caller: hashes of a tile's rows, and of strings for dictionaries, count as checksums.
"""

import datetime
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import duckdb  # noqa: E402
import pyarrow.parquet  # noqa: E402
import run  # noqa: E402

try:
    import vortex
except ModuleNotFoundError:  # it is no dependency of the tests
    vortex = None

ENCODE = run.aq.PROJECT / "build/release/bench/archive/encode"
FRAMES = ENCODE.with_name("encode_frames")
QUERY = run.QUERIES["whole table"]
RAW_GOAL, SIZE_GOAL = 1.5, 2.5
LARGE_FRAMES = "ingest: {commit_size: 16MiB, commit_interval: 10s}\n"  # of rows in memory: a frame a file

# What is spent in which files, functions or libraries; the first that fits counts.
STEPS = (
    ("choose", r"/encode/choose/|:look_|:surprise_"),
    ("repeats", r"/encode/nodes/repeat\.c"),
    ("dictionary", r"/encode/(nodes/dict|number)\.c"),
    ("followers", r"/archive/follow_write\.c"),
    ("decimals", r"/encode/nodes/decimal\.c|:to_decimals_"),
    ("delta, runs, planes", r"/encode/nodes/(delta|run|byteplane)\.|:split_"),
    ("pack", r"/encode/nodes/bitpack\.c"),
    ("entropy", r"/encode/(ans/|words\.)|:ans_|:tokens_"),
    ("zstd", r"libzstd"),
    ("statistics", r"/(stats|run_stats|exact_sum)\.[ch]"),
    ("checksum", r"XXH|xxh|/checksum\.c|/content_hash\.c"),
    ("memory", r"mem(move|cpy|set)|malloc|/arena\.c"),
    ("other", r""),
)


def least(repeat, work):
    """Seconds of processor time of the fastest call."""
    found = []
    for _ in range(repeat):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


class Ours:
    def __init__(self, files, folder):
        config = folder / "aqstore.yaml"
        config.write_text(run.DATA.config_file.read_text() + LARGE_FRAMES)
        self.store = run.aq.Store(folder / "store", config)
        self.store.load(run.DATA.dataset, *files)
        self.segments = [shutil.copy(path, folder) for path in self.store.files("segments")]
        self.store.compact()
        self.archives = [path for path in self.store.files("archives") if self.holds_rows(path)]
        self.answer = run.result_hash(run.aq.parse_rows(self.store.ndjson(QUERY.format(table=run.DATA.dataset))))

    @staticmethod
    def holds_rows(path):
        return json.loads(run.aq.run("--json", "inspect", path).text)["dataset"] == run.DATA.dataset

    def measure(self, profile, repeat):
        """(us/row, bytes/row)."""
        made = [subprocess.run([ENCODE, "--one", profile, *self.archives], check=True, capture_output=True, text=True).stdout for _ in range(repeat)]
        return min(tuple(float(part) for part in line.split()) for line in made)

    def measure_frames(self, repeat):
        """(us/row, bytes/row, GB/s of raw columns, bytes of a frame, rows)."""
        made = [subprocess.run([FRAMES, self.archives[0], *self.segments], check=True, capture_output=True, text=True).stdout for _ in range(repeat)]
        return min(tuple(float(part) for part in line.split()) for line in made)

    def profile(self, profile, folder):
        """Instructions of each step, in all."""
        out = folder / f"callgrind.{profile}"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=aq_archive_writer_tile"]
        subprocess.run([*valgrind, ENCODE, "--one", profile, *self.archives], check=True, capture_output=True)
        text = subprocess.run(["callgrind_annotate", "--threshold=100", out], check=True, capture_output=True, text=True).stdout
        counts = dict.fromkeys((name for name, _ in STEPS), 0)
        for found in re.finditer(r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+(\S+:\S.*)$", text, re.MULTILINE):
            step = next(name for name, pattern in STEPS if re.search(pattern, found[2]))
            counts[step] += int(found[1].replace(",", ""))
        return counts


def measure_peers(connection, folder, repeat):
    """name -> (seconds, bytes, hash)."""
    def answer(table):
        return run.result_hash(connection.execute(QUERY.format(table=table)).fetchall())

    def parquet():
        connection.execute(f"COPY sorted TO '{folder}/duckdb.parquet' (FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL 3)")

    rows = connection.sql("SELECT * FROM sorted").to_arrow_table()
    results = {}
    seconds = least(repeat, parquet)
    results["DuckDB Parquet zstd(3)"] = seconds, (folder / "duckdb.parquet").stat().st_size, answer(f"'{folder}/duckdb.parquet'")
    seconds = least(repeat, lambda: pyarrow.parquet.write_table(rows, folder / "arrow.parquet", compression="zstd", compression_level=3))
    results["pyarrow Parquet zstd(3)"] = seconds, (folder / "arrow.parquet").stat().st_size, answer(f"'{folder}/arrow.parquet'")
    for name in ("default", "compact") if vortex is not None else ():
        path = str(folder / f"{name}.vortex")
        options = getattr(vortex.io.VortexWriteOptions, name)()
        seconds = least(repeat, lambda options=options, path=path: options.write(rows, path))
        back = vortex.open(path).to_arrow().read_all()
        connection.register("back", back)
        results[f"Vortex {name}"] = seconds, pathlib.Path(path).stat().st_size, answer("back")
        connection.unregister("back")
    return results


def main():
    options, repeat = run.arguments(run.parser_of(__doc__, 5))
    with run.workplace(options.small) as (folder, files):
        ours = Ours(files, folder)
        with duckdb.connect() as connection:
            connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
            connection.execute(f"CREATE TABLE sorted AS SELECT * FROM ({run.DATA.truth(files)}) ORDER BY station, ts")
            count = connection.execute("SELECT count(*) FROM sorted").fetchall()[0][0]
            peers = measure_peers(connection, folder, repeat)
        frames = ours.measure_frames(repeat)
        found = {profile: ours.measure(profile, repeat) for profile in ("archive", "fast")}
        steps = {profile: ours.profile(profile, folder) for profile in found} if shutil.which("valgrind") else {}
    versions = f"DuckDB {duckdb.__version__}, pyarrow {pyarrow.__version__}"
    print(f"{count:,} rows, {datetime.date.today()}; {versions}; processor time\n")
    table = [["", "us/row", "rows/s and core", "bytes/row", "archive / it", "fast / it", "hash of the answer"]]
    for profile, (spent, size) in found.items():
        table.append([f"aqstore {profile}", f"{spent:.3f}", f"{1e6 / spent:,.0f}", f"{size:.2f}", "", "", ours.answer if profile == "archive" else ""])
    for name, (seconds, size, answer) in peers.items():
        spent = seconds * 1e6 / count
        table.append([name, f"{spent:.3f}", f"{1e6 / spent:,.0f}", f"{size / count:.2f}", f"{found['archive'][0] / spent:.2f}", f"{found['fast'][0] / spent:.2f}", answer])
    run.print_table(table)
    print(f"\nFrames; raw are 8 bytes a number or time and the bytes of texts, of declared columns. Goals: {RAW_GOAL} GB/s, {SIZE_GOAL} times the archive\n")
    spent, size, speed, frame_bytes, rows = frames
    if rows != count:
        sys.exit(f"bench: {rows:.0f} rows in frames, not {count}")
    run.print_table([
        ["", "us/row", "raw GB/s and core", "raw bytes/row", "bytes/row", "bytes / archive's", "KiB a frame"],
        ["aqstore frames", f"{spent:.3f}", f"{speed:.2f}", f"{speed * spent * 1e3:.1f}", f"{size:.2f}", f"{size / found['archive'][1]:.2f}", f"{frame_bytes / 1024:.0f}"],
    ])  # fmt: skip
    if steps:
        print("\nInstructions, share of each step\n")
        rows = [[f"aqstore {profile}", *(f"{100 * part / sum(parts.values()):.1f} %" for part in parts.values())] for profile, parts in steps.items()]
        run.print_table([["", *(name for name, _ in STEPS)], *rows])
    else:
        print("\nThe share of each step needs valgrind.")
    if {ours.answer} != {answer for _, _, answer in peers.values()}:
        sys.exit("bench: the answers differ")


if __name__ == "__main__":
    main()
