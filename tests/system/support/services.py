"""Real servers for the tests: Kafka brokers, S3 servers, PostgreSQL, as fixtures that live as long as the session."""

import itertools
import os
import pathlib
import subprocess
import time
from dataclasses import dataclass

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import aq
import judge

SCRIPTS = aq.PROJECT / "tests/services"
NOT_INSTALLED = 77  # of their exit codes
KAFKA_VERSIONS = ("3.9.1", "4.1.0")  # the first one alone in the short run
WAIT_S = 30  # for an answer of a broker


class Service:
    """A server that one of the scripts runs: started on creation, the test is skipped where it cannot be installed."""

    def __init__(self, script, state, **env):
        self.script, self.state = SCRIPTS / script, state
        self.env = {**os.environ, **env}
        self.address = self.start()

    def call(self, action):
        done = subprocess.run(
            [self.script, action, self.state], env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode == NOT_INSTALLED:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, f"{self.script} {action}: {done.stderr}"
        return done.stdout.strip()

    def start(self):
        """Start, or go on with what is there after `kill`; gives the address."""
        return self.call("start")

    def kill(self):
        """SIGKILL; what it wrote stays."""
        self.call("kill")

    def stop(self):
        self.call("stop")

    @property
    def home(self):
        return pathlib.Path(self.state.read_text().strip())


def create_topic(brokers, topic, partitions, **settings):
    config = {name.replace("_", "."): str(value) for name, value in settings.items()}
    admin = AdminClient({"bootstrap.servers": brokers})  # lives until the answer is there
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(WAIT_S)
    return topic


class Kafka(Service):
    """A broker, and what administrators do to topics."""

    USER, PASSWORD = "aqstore", "kafka-secret-never-printed"
    names = itertools.count(1)

    def __init__(self, state, version):
        super().__init__("kafka", state, AQSTORE_KAFKA_VERSION=version, AQSTORE_KAFKA_PASSWORD=self.PASSWORD)
        self.version = version
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    @property
    def brokers(self):
        return self.address

    @property
    def secure_brokers(self):
        """By TLS, for USER with PASSWORD."""
        return (self.home / "secure").read_text().strip()

    @property
    def ca_file(self):
        return self.home / "ca.pem"

    def name(self, word):
        """A name for a topic or a group that no other test has."""
        return f"{word}-{os.getpid()}-{next(self.names)}"

    def create(self, topic, partitions=3, **settings):
        """Make a topic; settings such as max_message_bytes=33554432."""
        return create_topic(self.brokers, topic, partitions, **settings)

    def delete(self, topic):
        """Delete a topic; on return it is gone."""
        self.wait(self.admin.delete_topics([topic], operation_timeout=WAIT_S))
        for _ in range(WAIT_S * 20):
            if topic not in self.admin.list_topics(timeout=WAIT_S).topics:
                return
            time.sleep(0.05)
        raise AssertionError(f"topic {topic} is still there {WAIT_S} s after its deletion")

    def delete_before(self, topic, offsets):
        """Make the broker forget what is below the given offsets ({partition: offset}), as retention does."""
        parts = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        self.wait(self.admin.delete_records(parts))

    def set_offsets(self, group, topic, offsets):
        """Move a group that has no members: {partition: offset}."""
        parts = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        self.wait(self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, parts)]))

    def committed(self, group, topic):
        """The offsets that a group has committed: {partition: TopicPartition}, with their metadata."""
        answer = self.wait(self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
        return {part.partition: part for part in answer[group].topic_partitions if part.topic == topic}

    @staticmethod
    def wait(futures):
        return {name: future.result(WAIT_S) for name, future in futures.items()}


@dataclass
class Bucket:
    """A bucket that is empty at first, and the keys for it."""

    endpoint: str
    name: str
    folder: pathlib.Path  # where the server keeps its objects, as files
    access_key: str
    secret_key: str

    @property
    def env(self):
        """Keys as S3 tools take them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def objects(self):
        """{key: bytes} as the server keeps them; parts of unfinished uploads excluded."""
        return {
            str(path.relative_to(self.folder)): path.stat().st_size
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not path.relative_to(self.folder).parts[0].startswith(".")
        }


class S3(Service):
    """An S3 server, each of whose buckets is a folder."""

    ACCESS_KEY, SECRET_KEY = "tests-access-key", "tests-secret-never-printed"
    numbers = itertools.count(1)

    def __init__(self, script, state):
        super().__init__(script, state, AWS_ACCESS_KEY_ID=self.ACCESS_KEY, AWS_SECRET_ACCESS_KEY=self.SECRET_KEY)

    def bucket(self):
        name = f"bucket{next(self.numbers)}"
        folder = self.home / "objects" / name
        folder.mkdir()
        return Bucket(self.address, name, folder, self.ACCESS_KEY, self.SECRET_KEY)


def pytest_generate_tests(metafunc):
    """Versions and servers are parameters: the first in the short run, all with --long."""
    every = metafunc.config.option.long
    if "kafka" in metafunc.fixturenames:
        metafunc.parametrize("kafka", KAFKA_VERSIONS if every else KAFKA_VERSIONS[:1], indirect=True, scope="session")
    if "bucket" in metafunc.fixturenames:
        servers = ("s3proxy", "versitygw") if every else ("s3proxy",)
        metafunc.parametrize("bucket", servers, indirect=True)


@pytest.fixture(scope="session")
def service_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="session")
def kafka(request, service_folder):
    """A broker; topics of other tests are there too, so take names from kafka.name()."""
    service = Kafka(service_folder / f"kafka-{request.param}", request.param)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def s3_servers(service_folder):
    """s3_servers(script) -> the server, started when it is first asked for."""
    running = {}

    def server(script):
        if script not in running:
            running[script] = S3(script, service_folder / script)
        return running[script]

    yield server
    for service in running.values():
        service.stop()


@pytest.fixture
def s3proxy(s3_servers):
    """A new bucket on S3Proxy."""
    return s3_servers("s3proxy").bucket()


@pytest.fixture
def versitygw(s3_servers):
    """A new bucket on the Versity gateway; skipped where Go is missing."""
    return s3_servers("versitygw").bucket()


@pytest.fixture
def bucket(request, s3_servers):
    """A new bucket: on S3Proxy, with --long also on the Versity gateway."""
    return s3_servers(request.param).bucket()


@pytest.fixture(scope="session")
def postgres(service_folder):
    """postgres(name) -> a judge with a new database, in a server of the session."""
    service = Service("postgres", service_folder / "postgres")

    def database(name):
        judge.create_database(service.address, name)
        return judge.Postgres(f"{service.address} dbname={name}")

    yield database
    service.stop()
