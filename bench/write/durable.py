"""How fast rows become durable, beside what else one could write with, in one run.

    make bench-durable                                             three rounds of 2 s each: 10 minutes, 2 GB of disk
    build/venv/bin/python bench/write/durable.py --seconds 0.2 --rounds 1   a look at it

A commit is one frame of about 4 KiB, 64 KiB or 1 MiB, of the same rows for every engine (bench/write/durable.c): a number, a
time, 416 random bytes. aqstore's segment writer encodes and checksums them, keeps 1, 4 or 16 frames in flight, rolls and
seals segments of 64 MiB and zeroes the next ones, all inside the time. append is write and fdatasync of as many bytes,
RocksDB a synced batch (of several threads its group commit makes one), SQLite a transaction in WAL mode with
synchronous=FULL, in a database a shard. fio writes blocks of that size past the cache with O_DSYNC, as many in flight, into
files that were zeroed before: what the disk gives to one who has nothing else to do. Engines take turns; each figure is
the median of the rounds. The rows are counted in the end, or the run fails.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from run import print_table  # noqa: E402

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "build/release/bench/write/durable"
FRAMES = {"4 KiB": 4 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20}
SHARDS = (1, 4)
DEPTHS = (1, 4, 16)
FIO_FILE_BYTES = 256 << 20


def empty(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def run_engine(engine, folder, frame, depth, shards, seconds):
    empty(folder)
    result = subprocess.run([PROGRAM, engine, folder, str(frame), str(depth), str(shards), str(seconds)], stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def zero_files(folder, shards):
    """Files for fio that the disk has seen; made once for all its runs."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        path = folder / f"zeroed.{number}"
        if not path.exists():
            subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={FIO_FILE_BYTES >> 20}", "conv=fsync", "status=none"], check=True)


def run_fio(folder, frame, depth, shards, seconds):
    zero_files(folder, shards)
    command = ["fio", "--name=zeroed", f"--directory={folder}", "--filename_format=zeroed.$jobnum", f"--numjobs={shards}"]
    command += [f"--size={FIO_FILE_BYTES}", "--rw=write", f"--bs={frame}", f"--iodepth={depth}", "--ioengine=io_uring", "--direct=1"]
    command += ["--sync=dsync", "--overwrite=1", "--time_based", f"--runtime={max(1, round(seconds))}", "--thread", "--group_reporting"]
    result = subprocess.run([*command, "--output-format=json"], stdout=subprocess.PIPE, check=True)
    write = json.loads(result.stdout)["jobs"][0]["write"]
    percentiles = write["clat_ns"].get("percentile", {})
    times = {name: percentiles.get(f"{at}", 0) / 1000 for name, at in (("p50_us", "50.000000"), ("p99_us", "99.000000"), ("p999_us", "99.900000"))}
    return {"commits": write["total_ios"], "bytes": write["io_bytes"], "rows": 0, "seconds": write["runtime"] / 1000, "direct": 0, **times}


def shapes():
    """(engine, depth) of each run of a round."""
    yield "append", 1
    for depth in DEPTHS:
        yield "aqstore", depth
        yield "fio", depth
    yield "rocksdb", 1
    yield "sqlite", 1


def measure(options):
    """(frame, shards, engine, depth) -> results of the rounds, taken in turns."""
    results = {}
    for number in range(options.rounds):
        for name, frame in FRAMES.items():
            for shards in SHARDS:
                for engine, depth in shapes():
                    print(f"round {number + 1}: {name}, {shards} shards, {engine}, depth {depth}        ", end="\r", file=sys.stderr)
                    if engine == "fio":
                        result = run_fio(options.folder / "fio", frame, depth, shards, options.seconds)
                    else:
                        result = run_engine(engine, options.folder / "run", frame, depth, shards, options.seconds)
                    results.setdefault((name, shards, engine, depth), []).append(result)
    print(" " * 70, end="\r", file=sys.stderr)
    return results


def rate(results, what):
    return statistics.median(result[what] / result["seconds"] for result in results)


def milliseconds(results, what):
    return f"{statistics.median(result[what] for result in results) / 1000:.2f}"


def table(results):
    rows = [["frame", "shards", "engine", "in flight", "commits/s", "MB/s", "rows/s", "p50 ms", "p99 ms", "p99.9 ms", "MB/s / append"]]
    for (name, shards, engine, depth), runs in results.items():
        append = rate(results[name, shards, "append", 1], "bytes")
        rows.append([
            name, str(shards), engine, str(depth), f"{rate(runs, 'commits'):,.0f}", f"{rate(runs, 'bytes') / 1e6:.1f}",
            f"{rate(runs, 'rows'):,.0f}" if engine != "fio" else "", milliseconds(runs, "p50_us"), milliseconds(runs, "p99_us"),
            milliseconds(runs, "p999_us"), f"{rate(runs, 'bytes') / append:.2f}",
        ])  # fmt: skip
    return rows


def against(results, name, shards, depth):
    """aqstore over append, over the better peer in rows, over fio at the same depth."""
    aqstore = results[name, shards, "aqstore", depth]
    peer = max(rate(results[name, shards, engine, 1], "rows") for engine in ("rocksdb", "sqlite"))
    fio = rate(results[name, shards, "fio", depth], "bytes")
    append = rate(results[name, shards, "append", 1], "bytes")
    return rate(aqstore, "bytes") / append, rate(aqstore, "rows") / peer, rate(aqstore, "bytes") / fio


def goals(results):
    rows = [["frame", "shards", "in flight", "MB/s / append", "rows/s / better peer", "MB/s / fio", "direct"]]
    for name in FRAMES:
        for shards in SHARDS:
            for depth in DEPTHS:
                runs = results[name, shards, "aqstore", depth]
                direct = sum(result["direct"] for result in runs) / max(1, sum(result["commits"] for result in runs))
                ratios = [f"{ratio:.2f}" for ratio in against(results, name, shards, depth)]
                rows.append([name, str(shards), str(depth), *ratios, f"{100 * direct:.0f}%"])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, default=PROJECT / "build/bench-durable", help="on the disk to measure")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    try:
        results = measure(options)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    print_table(table(results))
    print("\nGoals: 64 KiB in one shard at least 3.5 times append with 4 in flight, 4 times with any; 3 times the better peer in rows/s; 0.9 of fio.\n")
    print_table(goals(results))


if __name__ == "__main__":
    main()
