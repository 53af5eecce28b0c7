"""Kafka by TLS and a user; and his password, wherever it comes from, is shown nowhere."""

import subprocess
import urllib.request

import pytest
from confluent_kafka import Producer

import aq
import services
from kafka_feeds import Consumer, ingest_once, until

WRONG = "wrong-secret-never-printed"
CONFIG = """\
datasets:
  notes:
    columns:
      n: {{type: integer}}
sources:
  notes:
    kafka:
      brokers: "{brokers}"
      topics: [{topic}]
      group: {topic}
      security: sasl_ssl
      mechanism: PLAIN
      username: {user}
      {password}
      {ca}
    dataset: notes
http: {{listen: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def secured(kafka, tmp_path):
    """secured(password, ca=...) -> a store whose source speaks to the broker's TLS listener."""
    topic = kafka.create(kafka.name("secret"))
    producer = Producer({"bootstrap.servers": kafka.brokers})
    for number in range(50):
        producer.produce(topic, b'{"n": %d}' % number)
    assert producer.flush(30) == 0
    port = subprocess.run(["python3", services.SCRIPTS / "ports.py", "free", "1"], check=True, capture_output=True,
                          text=True).stdout.strip()

    def store(password, ca=f"ca_file: {kafka.ca_file}"):
        config = tmp_path / "aqstore.yaml"
        config.write_text(CONFIG.format(brokers=kafka.secure_brokers, topic=topic, user=kafka.USER, password=password,
                                        ca=ca, port=port))
        made = aq.Store(tmp_path / "store", config)
        made.url = f"http://127.0.0.1:{port}"
        return made

    return store


def password_file(folder, secret):
    file = folder / "password"
    file.write_text(secret + "\n")
    file.chmod(0o600)
    return f"password_file: {file}"


def shown_by(store, consumer):
    """All that a running process lets anybody see of itself."""
    process = f"/proc/{consumer.process.pid}"
    pages = [urllib.request.urlopen(f"{store.url}/{page}").read() for page in ("metrics", "healthz", "readyz")]
    with open(f"{process}/cmdline", "rb") as command:
        return [command.read(), consumer.text().encode(), *pages]


@pytest.mark.parametrize("by", ("environment", "file"))
def test_a_password_is_used_and_never_shown(by, secured, kafka, tmp_path):
    env = {"KAFKA_PASSWORD": kafka.PASSWORD} if by == "environment" else {}
    store = secured('password: "${KAFKA_PASSWORD}"' if env else password_file(tmp_path, kafka.PASSWORD))
    store.env = env
    seen = []
    with Consumer(store, tmp_path, ("--verbose", "--log-format", "json"), **env) as consumer:
        until(lambda: store.run("query", "SELECT count(*) AS n FROM notes", code=None).text.count("50"), 30, "50 rows",
              [consumer])
        seen += shown_by(store, consumer)
        consumer.drain()
        seen.append(consumer.text().encode())
    for command in (["config", "show"], ["config", "check"], ["--json", "sources"], ["inspect"], ["ingest", "--once"]):
        result = store.run(*command)
        seen += [result.out, result.err]
    for path in store.home.rglob("*"):
        if path.is_file():
            seen.append(path.read_bytes())
    assert any(seen) and not [text for text in seen if kafka.PASSWORD.encode() in text]


def test_a_wrong_password_is_told_without_it(secured, tmp_path):
    store = secured(password_file(tmp_path, WRONG))
    result = ingest_once(store, code=None)
    assert result.code in (aq.FAILED, 75), str(result)
    assert "uthentication" in result.message and WRONG not in result.message, str(result)


def test_a_certificate_that_nobody_vouches_for_is_refused(secured, kafka, tmp_path):
    store = secured(password_file(tmp_path, kafka.PASSWORD), ca="")
    result = ingest_once(store, code=None)
    assert result.code in (aq.FAILED, 75), str(result)
    assert "certificate" in result.message and kafka.PASSWORD not in result.message, str(result)
