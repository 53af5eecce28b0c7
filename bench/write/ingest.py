"""JSON messages to durable rows: how many a second, where the time goes, what the disk has to take.

    make bench-ingest                                            some 100 MB of each kind of message: two minutes
    build/venv/bin/python bench/write/ingest.py --bytes 2000000 --rounds 1   a look at it

One shard imports NDJSON: up to four threads decode, one reads, routes and encodes, a segment writer has four frames in flight,
each acked when it is durable, and the segments are sealed.
The messages are real ones, over and over: Wikipedia edits (435 bytes, 20 columns) and answers of AQICN in a producer's
envelope (2,440 bytes; with six paths named, and with all the rest kept as JSON besides). Beside it, simdjson parses the same
lines and does nothing else (bench/write/validate.cc). Best of the rounds. `rows/s` is wall time of the whole process, `CPU` user and
system time of all its threads, `written` what the kernel counts as written for it, zeros ahead included, over the bytes of
the segments. Two shards: two processes, a dataset each, on one home, in the same time.

The profile counts instructions (valgrind --tool=callgrind), since those do not depend on who else uses the machine; each line
is a step with all that it calls. valgrind's processor lacks instructions that simdjson would use: the share of decoding is an
upper bound.
"""

import argparse
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system/support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import aq  # noqa: E402
import sets  # noqa: E402
from run import print_table  # noqa: E402

VALIDATE = aq.PROJECT / "build/release/bench/write/validate"
AQICN = "aqicn-hanoi-danang-messages-2025-02.ndjson.xz"
REST = "      extra: {type: json, from: \"*\"}\n"
SHARE_GOAL, ROWS_GOAL = 0.6, 1_000_000
AQICN_CONFIG = """\
datasets:
  aqicn:
    key: city
    time: ts
    slot: day
    series: [station]
    columns:
      city: {type: text, from: city, required: true}
      station: {type: bigint, from: payload.idx}
      ts: {type: timestamptz, from: [payload.time.iso, "{payload.time.s}{payload.time.tz}"], required: true}
      aqi: {type: integer, from: payload.aqi, null_values: ["-"]}
      pm25: {type: double, from: payload.iaqi.pm25.v}
      url: {type: text, from: "payload.attributions[0].url"}
"""
STEPS = (
    ("decode: JSON to columns", ("aq_json_decode",)),
    ("routing: rows to partitions", ("aq_route_section",)),
    ("encoding: columns to a frame", ("aq_frame_encode",)),
    ("write: to the kernel, and waiting", ("aq_io_submit", "aq_io_wait", "aq_segment_blocks_write")),
    ("reading: the file, its lines, its hash", ("aq_stream_fill", "aq_splitter_next_held")),
)


def make_input(path, source, size):
    """Whole copies of the messages, at least `size` bytes."""
    text = lzma.decompress((sets.shared_folder() / source).read_bytes())
    text = text if text.endswith(b"\n") else text + b"\n"
    with path.open("wb") as out:
        for _ in range(-(-size // len(text))):
            out.write(text)
    return path


def configs():
    """(name, source, dataset, config) of each kind of message."""
    wikipedia = sets.WIKIPEDIA.config_file.read_text()
    yield "wikipedia", sets.WIKIPEDIA.source, "edits", wikipedia
    yield "aqicn, six paths", AQICN, "aqicn", AQICN_CONFIG
    yield "aqicn, and the rest", AQICN, "aqicn", AQICN_CONFIG + REST


def command(home, config, dataset, file):
    return [aq.BINARY, "--config", config, "--store", home, "import", "--dataset", dataset, "--format", "ndjson", "--json", file]


def measure(arguments):
    """Run it: its report, with wall and CPU seconds and what was written for it."""
    begin = time.monotonic()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"exit code {process.returncode}")
    report = json.loads(output)
    return {**report, "wall": time.monotonic() - begin, "cpu": usage.ru_utime + usage.ru_stime, "written": usage.ru_oublock * 512}


def one_shard(folder, config, dataset, file, rounds):
    best = None
    for _ in range(rounds):
        shutil.rmtree(folder / "store", ignore_errors=True)
        result = measure(command(folder / "store", config, dataset, file))
        best = result if best is None or result["wall"] < best["wall"] else best
    return best


def two_shards(folder, config, dataset, file, rounds):
    """Rows a second of two processes together: two datasets of the same columns."""
    text = config.read_text()
    body = text[text.index(f"  {dataset}:\n") + len(f"  {dataset}:\n"):]
    both = folder / "both.yaml"
    both.write_text(f"datasets:\n  left:\n{body}  right:\n{body}")
    best = 0
    for _ in range(rounds):
        shutil.rmtree(folder / "store", ignore_errors=True)
        subprocess.run(command(folder / "store", both, "left", "/dev/null"), stdout=subprocess.DEVNULL, check=True)  # the home is there
        begin = time.monotonic()
        shards = [subprocess.Popen(command(folder / "store", both, name, file), stdout=subprocess.PIPE) for name in ("left", "right")]
        rows = sum(json.loads(shard.communicate()[0])["rows"] for shard in shards)
        best = max(best, rows / (time.monotonic() - begin))
    return best


def validate(file, rounds):
    """CPU seconds that simdjson needs for a message."""
    results = [json.loads(subprocess.run([VALIDATE, file], stdout=subprocess.PIPE, check=True).stdout) for _ in range(rounds)]
    return min(result["seconds"] / result["messages"] for result in results)


def profile(folder, config, dataset, file):
    """Instructions a row: of everything, and of each step."""
    out = folder / "callgrind.out"
    shutil.rmtree(folder / "store", ignore_errors=True)
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--separate-threads=no"]
    result = subprocess.run([*valgrind, *command(folder / "store", config, dataset, file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    rows = json.loads(result.stdout)["rows"]
    text = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", out], stdout=subprocess.PIPE, check=True, text=True).stdout
    counts = {}
    for line in text.splitlines():
        found = re.match(r"\s*([\d,]+) \([^)]*\)\s+\S+:(\w+)", line) or re.match(r"\s*([\d,]+) \([^)]*\)\s+(PROGRAM TOTALS)", line)
        if found and found[2] not in counts:
            counts[found[2]] = int(found[1].replace(",", ""))
    steps = [sum(counts.get(name, 0) for name in names) / rows for _, names in STEPS]
    return counts["PROGRAM TOTALS"] / rows, steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=100_000_000, help="of each kind of message")
    parser.add_argument("--profile-bytes", type=int, default=8_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=pathlib.Path, help="on the disk to measure; default: build/")
    options = parser.parse_args()
    speed = [["messages", "bytes", "rows/s", "MB/s", "CPU us/row", "simdjson us/row", "rate / simdjson", "two shards, rows/s", "segment bytes/row", "written / segments"]]
    steps = [["instructions a row", *(label for label, _ in STEPS), "all"]]
    with tempfile.TemporaryDirectory(dir=options.folder or aq.PROJECT / "build") as name:
        folder = pathlib.Path(name)
        for label, source, dataset, text in configs():
            config = folder / "config.yaml"
            config.write_text(text)
            file = make_input(folder / "messages.ndjson", source, options.bytes)
            best = one_shard(folder, config, dataset, file, options.rounds)
            alone = validate(file, options.rounds)
            both = two_shards(folder, config, dataset, file, options.rounds)
            per_row = best["cpu"] / best["rows"]
            rate = best["rows"] / best["wall"]
            speed.append([
                label, f"{best['input_bytes'] / best['rows']:.0f}", f"{rate:,.0f}", f"{best['input_bytes'] / best['wall'] / 1e6:.0f}",
                f"{per_row * 1e6:.2f}", f"{alone * 1e6:.2f}", f"{alone / per_row:.2f}", f"{both:,.0f}",
                f"{best['segment_bytes'] / best['rows']:.1f}", f"{best['written'] / best['segment_bytes']:.2f}",
            ])  # fmt: skip
            make_input(folder / "few.ndjson", source, options.profile_bytes)
            total, parts = profile(folder, config, dataset, folder / "few.ndjson")
            steps.append([label, *(f"{part:,.0f} ({100 * part / total:.0f}%)" for part in parts), f"{total:,.0f}"])
    print_table(speed)
    print(f"\nGoals: Wikipedia at least {ROWS_GOAL:,} rows/s; AQICN at least {SHARE_GOAL} of simdjson's rate.\n")
    print_table(steps)


if __name__ == "__main__":
    main()
