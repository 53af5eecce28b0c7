"""What README.md says under "With Kafka and S3" happens, command by command, and prints what stands there."""

import os
import re
import subprocess

import aq
import services

# Speeds, sizes and addresses differ from run to run.
VARYING = (
    (re.compile(r"\b[\d.,]+ (?=(s|KiB|MiB|bytes/row)\b)"), "N "),
    (re.compile(r"\bedit \d+"), "edit N"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
)


def steady(text):
    for varying, word in VARYING:
        text = varying.sub(word, text)
    return [line.rstrip() for line in text.strip().splitlines()]


def commands(section):
    """(command, what is printed) of the lines behind "$ " in its blocks; those that never end are left out."""
    for block in re.findall(r"^```\n(.*?)^```$", section, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.splitlines()
            quotes = 0
            for end, line in enumerate(lines, 1):
                quotes += line.count('"')
                if quotes % 2 == 0:
                    break
            command = "\n".join(lines[:end])
            if "--loop" not in command and "curl" not in command:
                yield command, "\n".join(lines[end:])


def test_with_kafka_and_s3(kafka, s3proxy, tmp_path):
    (tmp_path / "samples").symlink_to(aq.PROJECT / "samples")
    (tmp_path / "build/release").mkdir(parents=True)
    (tmp_path / "build/release/aqstore").symlink_to(aq.BINARY)
    port = subprocess.run(["python3", services.SCRIPTS / "ports.py", "free", "1"], check=True, capture_output=True, text=True)
    env = {**os.environ, **s3proxy.env, "KAFKA_BROKERS": kafka.brokers, "S3_BUCKET": s3proxy.name,
           "S3_ENDPOINT": s3proxy.endpoint, "AQSTORE_HTTP_PORT": port.stdout.strip()}
    section = re.search(r"^## With Kafka and S3$(.*?)^## ", (aq.PROJECT / "README.md").read_text(), re.M | re.S)[1]
    exports = ""
    done = 0
    for command, printed in commands(section):
        command = command.replace("s3://aqstore/", f"s3://{s3proxy.name}/")
        if command.startswith("export"):
            if "AWS_" not in command:  # the keys are the test's
                exports += command + "\n"
            continue
        result = subprocess.run(["sh", "-euc", exports + command], cwd=tmp_path, env=env, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        assert result.returncode == 0, f"{command}\n{result.stdout}"
        if printed.strip():
            assert steady(result.stdout) == steady(printed), command
        done += 1
    assert done == 9
