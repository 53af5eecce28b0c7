"""The tier on a real S3 server: the same answers from the bucket and after a restore, refusals that leave the home as it was,
a kill at every request."""

import json
import os
import shutil
import signal
import subprocess

import pytest

import aq
from helpers.fault_proxy import Broken, FaultProxy, refusal
from tiered import Tiered, restore

QUERIES = (
    "SELECT count(*), sum(pm25), min(ts), max(ts) FROM air",
    "SELECT city, station, count(*), avg(pm25) FROM air GROUP BY city, station ORDER BY city, station",
    "SELECT * FROM air WHERE city = 'oslo' AND ts < '2024-01-02' ORDER BY ts, station",
    "SELECT * FROM dirty ORDER BY city",
    "SELECT count(*) FROM air_rejects",
)


def answers(store, **options):
    return [store.ndjson(sql, **options) for sql in QUERIES]


def tree(folder, ignore=("locks",)):
    """{name: bytes} of a home."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in ignore
    }


def test_answers_do_not_notice_the_tier(bucket, tmp_path):
    store = Tiered(tmp_path, bucket).fill()
    expected = answers(store)
    planned = store.tier("--dry-run")
    assert planned["uploaded"] == 3 and planned["evicted"] == 1, planned
    assert not store.data()
    done = store.tier()
    assert (done["uploaded"], done["evicted"], done["mirrored"]) == (3, 1, True), done  # refused messages are of today
    assert len(store.files("archives")) == 1, "gc left what had moved out"
    assert len(store.data()) == 3
    assert answers(store) == expected
    # Its own note of the bucket is enough.
    bare = aq.Store(store.home, env=store.env)
    assert answers(bare) == expected
    again = store.tier()
    assert (again["uploaded"], again["evicted"]) == (0, 0), again
    verified = json.loads(store.run("--json", "verify", "--deep").text)
    assert verified["objects"] == 3 and verified["ok"]
    shallow = json.loads(store.run("--json", "verify").text)
    assert shallow["unchecked"] == 1 and shallow["ok"]


def test_a_note_that_says_nothing_is_named(tmp_path):
    store = aq.Store(tmp_path / "home")
    (tmp_path / "data.ndjson").write_text('{"a": 1}\n')
    config = tmp_path / "aqstore.yaml"
    config.write_text("store: ./home\ndatasets:\n  d: {columns: {a: {type: bigint}}}\n")
    aq.run("--config", config, "import", "-d", "d", tmp_path / "data.ndjson")
    (store.home / "bucket").write_bytes(b"to: nowhere\nendpoint: \xff\x00" + b"x" * 2000)
    refused = store.run("query", "SELECT count(*) FROM d", code=aq.CORRUPT)
    assert "does not say where the bucket is" in refused.message
    (store.home / "bucket").write_text("a later version: writes more\nto: s3://bucket/prefix\n")
    assert store.value("SELECT count(*) FROM d") == 1


def test_a_lost_home_comes_back_and_the_old_one_stops(bucket, tmp_path):
    store = Tiered(tmp_path, bucket).fill()
    expected = answers(store)
    store.tier()
    store.run("gc", "--age", "0s")
    restored, report = restore(store, tmp_path / "restored")
    assert report["incarnation"] == 2 and report["files"] == 3 and report["incomplete_datasets"] == 0
    assert answers(restored) == expected
    restored.run("restore", "--from", store.url, code=aq.FAILED)  # it holds a store
    assert "is no bucket" in restored.run("restore", "--from", "nowhere", code=aq.USAGE).message
    before = tree(store.home)
    for command in (["tier"], ["gc", "--age", "0s"]):
        refused = store.run(*command, code=aq.CONFLICT)
        assert "superseded by a restore" in refused.message
    assert tree(store.home) == before
    # Files that were imported before are known, new ones are not; both homes' objects are told apart.
    assert restored.run("--config", store.config, "import", "-d", "air", tmp_path / "part0.ndjson")
    assert answers(restored) == expected
    restored.run("compact", "--tier")
    restored.run("gc", "--age", "0s")
    assert answers(restored) == expected
    again, report = restore(store, tmp_path / "again")
    assert report["incarnation"] == 3
    assert answers(again) == expected


def broken_bucket(kind, store, make_proxy):
    """Something is wrong with the bucket; gives the words that the message must have."""
    if kind == "wrong secret":
        store.env["AWS_SECRET_ACCESS_KEY"] = "another-secret-never-printed"
        return "secret key"
    if kind == "missing bucket":
        store.bucket.name = "nobody-has-this-bucket"
        store.point(store.bucket.endpoint)
        return "bucket"
    if kind == "read-only bucket":
        changes = ("PUT", "POST", "DELETE")
        store.point(make_proxy(lambda request: refusal(403, "AccessDenied") if request.method in changes else None))
        return "AccessDenied"
    store.point(make_proxy(ignoring_conditions(store.bucket)))
    return "If-None-Match"


def ignoring_conditions(bucket):
    """As servers that do not know If-None-Match: what is there is replaced."""

    def fault(request, client):
        path = request.target.split("?")[0].removeprefix(f"/{bucket.name}/")
        (bucket.folder / path).unlink(missing_ok=True)
        client.sendall(request.forward())

    return lambda request: fault if b"\r\nif-none-match:" in request.head.lower() else None


@pytest.fixture
def make_proxy(s3proxy):
    """make_proxy(plan) -> the address of a proxy before the bucket's server."""
    proxies = []

    def make(plan):
        proxies.append(FaultProxy(s3proxy.endpoint, plan))
        return proxies[-1].__enter__().address

    yield make
    for proxy in proxies:
        proxy.__exit__(None, None, None)


KINDS = ("wrong secret", "missing bucket", "read-only bucket", "bucket without conditions")


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_leaves_the_home_as_it_was(kind, s3proxy, make_proxy, tmp_path):
    store = Tiered(tmp_path, s3proxy).fill()
    expected, before = answers(store), tree(store.home)
    words = broken_bucket(kind, store, make_proxy)
    refused = store.run("tier", code=None)
    assert refused.code in (aq.FAILED, aq.USAGE), str(refused)
    assert words in refused.message, str(refused)
    assert "never-printed" not in refused.message + refused.text
    assert tree(store.home) == before
    assert not s3proxy.objects(), "something was left in the bucket"
    assert answers(store) == expected


def test_a_bucket_without_conditions_may_hold_data(s3proxy, make_proxy, tmp_path):
    store = Tiered(tmp_path, s3proxy).fill()
    expected = answers(store)
    store.point(make_proxy(ignoring_conditions(s3proxy)), protect="0s")
    result = store.run("tier")
    assert "no copy of the catalog" in result.message
    assert answers(store) == expected and len(store.data()) == 1
    assert not [name for name in s3proxy.objects() if "incarnations" in name or "mirror" in name]
    refused = aq.run("--store", tmp_path / "new", "restore", "--from", store.url, code=None,
                     env={**store.env, "AWS_ENDPOINT_URL": s3proxy.endpoint})
    assert refused.code == aq.FAILED and "holds no store" in refused.message


class Killer:
    """SIGKILLs a process at one of its requests, before or after it is carried out."""

    def __init__(self, number, after):
        self.number, self.after, self.process, self.seen = number, after, None, 0

    def __call__(self, request):
        self.seen += 1
        return self.kill if self.seen == self.number + 1 else None

    def kill(self, request, client):
        if self.after:
            request.forward()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        raise Broken


def run_killed(store, arguments, killer, make_proxy):
    """Start a command behind a proxy that kills it; False when it ended before."""
    store.point(make_proxy(killer))
    # It waits for a word, as the proxy may see its first request before it is known here.
    command = ["sh", "-c", 'read _; exec "$@"', "sh", aq.BINARY, *store.arguments(), *arguments]
    killer.process = subprocess.Popen(
        list(map(str, command)), env={**os.environ, **store.env}, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    _, message = killer.process.communicate(b"go\n", timeout=60)
    store.point(store.bucket.endpoint)
    assert killer.process.returncode in (0, -signal.SIGKILL), message
    return killer.process.returncode != 0


def test_a_kill_at_any_request_loses_nothing(s3proxy, make_proxy, tmp_path, rng, long):
    template = Tiered(tmp_path / "template", s3proxy, prefix="template").fill()
    expected = answers(template)
    whole = Killer(-1, False)
    first = Tiered(tmp_path / "whole", s3proxy, prefix="whole", endpoint=make_proxy(whole))
    shutil.copytree(template.home, first.home)
    first.tier()
    moments = [(number, after) for number in range(whole.seen) for after in (False, True)]
    for number, after in moments if long else rng.sample(moments, 6):
        prefix = f"killed-{number}-{after}"
        store = Tiered(tmp_path / prefix, s3proxy, prefix=prefix)
        shutil.copytree(template.home, store.home)
        assert run_killed(store, ["tier"], Killer(number, after), make_proxy), f"{number} of {whole.seen}"
        assert answers(store) == expected
        store.tier()
        assert answers(store) == expected
        assert json.loads(store.run("--json", "verify", "--deep").text)["objects"] == 3
        orphans = store.orphans()
        assert len(store.data() - orphans) == 3, f"{store.data()} without {orphans}"
        store.run("gc", "--age", "0s")
        assert len(store.data()) == 3
        restored, _ = restore(store, tmp_path / prefix / "restored")
        assert answers(restored) == expected
        shutil.rmtree(tmp_path / prefix)


def test_two_runs_at_once(bucket, tmp_path):
    store = Tiered(tmp_path, bucket).fill()
    expected = answers(store)
    runs = [store.start("tier") for _ in range(3)]
    codes = sorted(run.wait(60) for run in runs)
    for run in runs:
        run.communicate()
    assert codes[0] == aq.DONE and set(codes) <= {aq.DONE, aq.CONFLICT}, codes
    assert answers(store) == expected and len(store.data()) == 3
