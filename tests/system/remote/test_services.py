"""The servers that other tests rely on: each answers, a killed broker goes on with what it had, none outlives its owner."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, Producer

import services


def read_all(kafka, topic, count):
    consumer = Consumer({"bootstrap.servers": kafka.brokers, "group.id": kafka.name("reader"), "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    messages, deadline = [], time.monotonic() + 30
    while len(messages) < count and time.monotonic() < deadline:
        messages += consumer.consume(count, timeout=0.5)
    consumer.close()
    return sorted(message.value() for message in messages)


def test_a_killed_broker_goes_on_with_what_it_had(kafka):
    topic = kafka.create(kafka.name("service"))
    sent = [f"message {number}".encode() for number in range(100)]
    producer = Producer({"bootstrap.servers": kafka.brokers})
    for value in sent:
        producer.produce(topic, value)
    assert producer.flush(30) == 0
    kafka.kill()
    assert kafka.start() == kafka.brokers
    assert read_all(kafka, topic, len(sent)) == sorted(sent)


def test_a_bucket_takes_what_curl_signs(bucket, tmp_path):
    """curl 7.88's signer is the one that aqstore has to live with."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(1000))
    config = tmp_path / "curlrc"  # keys never in arguments
    config.write_text(
        f'user = "{bucket.access_key}:{bucket.secret_key}"\naws-sigv4 = "aws:amz:us-east-1:s3"\n'
        'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"\nsilent\nfail\n'
    )
    url = f"{bucket.endpoint}/{bucket.name}/a/file"
    subprocess.run(["curl", "-K", config, "-T", file, url], check=True)
    got = subprocess.run(["curl", "-K", config, url], check=True, capture_output=True)
    assert got.stdout == file.read_bytes()
    assert bucket.objects() == {"a/file": 1000}
    assert subprocess.run(["curl", "-s", "-f", url], check=False).returncode != 0, "an unsigned request was served"


OWNER = """
import subprocess, sys, time
subprocess.run([sys.argv[1], "start", sys.argv[2]], check=True, stdout=subprocess.DEVNULL)
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("script", ["postgres", "s3proxy"])
def test_nothing_is_left_when_the_owner_is_killed(script, tmp_path):
    state = tmp_path / "state"
    services.Service(script, tmp_path / "first").stop()  # installs it, or skips
    owner = subprocess.Popen([sys.executable, "-c", OWNER, services.SCRIPTS / script, state], stdout=subprocess.PIPE)
    assert owner.stdout.readline() == b"started\n"
    home = pathlib.Path(state.read_text().strip())
    pid = int((home / "pid").read_text())
    os.kill(pid, 0)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 20
    while home.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not home.exists(), "its folder is still there"
    assert not os.path.exists(f"/proc/{pid}/cmdline") or not open(f"/proc/{pid}/cmdline", "rb").read()
