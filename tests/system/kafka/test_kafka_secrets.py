"""Kafka by TLS and a user; and his password, wherever it comes from, is shown nowhere."""

import concurrent.futures
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

    def store(password, ca=f"ca_file: {kafka.ca_file}", name="store"):
        port = subprocess.run(["python3", services.SCRIPTS / "ports.py", "free", "1"], check=True, capture_output=True,
                              text=True).stdout.strip()
        config = tmp_path / f"{name}.yaml"
        config.write_text(CONFIG.format(brokers=kafka.secure_brokers, topic=topic, user=kafka.USER, password=password,
                                        ca=ca, port=port))
        made = aq.Store(tmp_path / name, config)
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


def test_what_is_refused_is_told_without_the_password(secured, kafka, tmp_path):
    """A wrong password, and a certificate that nobody vouches for; each is tried for a while, so both at once."""
    refused = {
        "uthentication": secured(password_file(tmp_path, WRONG)),
        "certificate": secured(f'password: "{kafka.PASSWORD}"', ca="", name="other"),
    }
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = dict(zip(refused, pool.map(lambda store: ingest_once(store, code=None), refused.values())))
    for word, result in results.items():
        assert result.code in (aq.FAILED, 75), str(result)
        assert word in result.message, str(result)
        assert WRONG not in result.message and kafka.PASSWORD not in result.message, str(result)
