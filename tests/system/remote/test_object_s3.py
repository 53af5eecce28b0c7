"""The object API on real S3 servers: one suite for every driver and server, then again with a proxy that spoils answers.

The suite is the unit test test_object_s3, which runs against the server that its environment names."""

import datetime
import hashlib
import hmac
import http.server
import itertools
import json
import os
import ssl
import subprocess
import threading

import pytest

import aq
from helpers import fault_proxy as faults
from helpers.fault_proxy import FaultProxy

SUITE = aq.BINARY.parent / "unit/test_object_s3"


def run_suite(bucket, filter="object_s3/*", endpoint=None, jobs=2, keys=True, **env):
    """Run the tests that `filter` names; what they print."""
    if not SUITE.exists():
        pytest.skip(f"{SUITE} is missing: make unit-binaries")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AQ_TEST_"))}
    environment |= {
        "AQ_TEST_S3_ENDPOINT": endpoint or bucket.endpoint,
        "AQ_TEST_S3_URL": f"s3://{bucket.name}/suite",
        "AWS_EC2_METADATA_DISABLED": "true",
        **(bucket.env if keys else {}),
        **env,
    }
    command = [SUITE, "--verbose", "--filter", filter, "--jobs", str(jobs), "--timeout", "250"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert "Tested: 0" not in text, f"nothing was tested: {text}"
    assert "Sanitizer" not in text, text
    assert bucket.secret_key not in text
    return text


def test_curl(bucket):
    run_suite(bucket)
    assert not [name for name in bucket.objects() if "probe/" in name or "many/" in name]


def test_libs3(s3proxy):
    run_suite(s3proxy, AQ_TEST_S3_DRIVER="libs3")


# Faults: right results or a clean "temporary", never wrong bytes.

FAULTS = {
    "reset before": faults.reset_before,
    "reset after": faults.reset_after,
    "cut in half": faults.cut_half,
    "500": faults.refusal(500, "InternalError"),
    "500 after": faults.refusal(500, "InternalError", carried_out=True),
    "502": faults.refusal(502, "BadGateway"),
    "503": faults.refusal(503, "SlowDown"),
    "504 after": faults.refusal(504, "GatewayTimeout", carried_out=True),
    "409": faults.refusal(409, "ConditionalRequestConflict"),
    "429": faults.refusal(429, "SlowDown", extra="Retry-After: 1\r\n"),
    "200 with error": faults.error_in_200(),
    "200 with error after": faults.error_in_200(carried_out=True),
    "portal": faults.portal,
    "not HTTP": faults.not_http,
    "other range": faults.other_range,
    "short range": faults.short_range,
    "altered upload": faults.altered_upload,
}
SLOW = {
    "silent after": faults.silent_after(3),
    "late": faults.late(3),
    "stalled": faults.stalled(3),
}


def run_faults(bucket, plan, filter, rounds):
    with FaultProxy(bucket.endpoint, plan) as proxy:
        run_suite(
            bucket,
            f"object_s3_faults/{filter}",
            proxy.address,
            jobs=1,
            AQ_TEST_S3_DIRECT=bucket.endpoint,
            AQ_TEST_S3_ROUNDS=str(rounds),
        )
        return proxy


OPERATIONS = ["conditional_puts", "reads", "lists_and_deletes", "files_in_parts"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_faults_of_all_kinds(bucket, operation, rng, long):
    some = list(FAULTS.values()) + (list(SLOW.values()) if long else [])

    def plan(request):
        return rng.choice(some) if rng.random() < 0.3 else None

    run_faults(bucket, plan, operation, 40 if long else 5)


@pytest.mark.parametrize("fault", FAULTS | SLOW)
def test_one_fault_again_and_again(s3proxy, fault, long):
    spoil = (FAULTS | SLOW)[fault]
    short = ["reads" if "range" in fault else "conditional_puts"]
    for operation in OPERATIONS if long else short:
        proxy = run_faults(s3proxy, lambda request: spoil if request.number % 3 == 0 else None, operation, 8 if long else 1)
        assert proxy.count > 0


def test_an_answer_that_is_cut_at_every_byte(s3proxy, long):
    """Head and body of a get and of a ranged get; every second request is cut, one byte later each time."""
    longest, step = 420, 1 if long else 21

    def plan(request):
        turn = request.number // 2
        return faults.cut(turn * step, hard=turn % 4 >= 2) if request.number % 2 == 0 else None

    rounds = longest // step
    proxy = run_faults(s3proxy, plan, "every_cut", rounds)
    assert proxy.count >= 1.5 * rounds


# Refusals that no test server gives by itself.


def only_puts(fault):
    return lambda request: fault if request.method == "PUT" else None


@pytest.mark.parametrize(
    ("status", "code", "extra", "result", "message"),
    [
        (403, "AccessDenied", "", "I/O error", "access is denied"),
        (200, "AccessDenied", "", "I/O error", "access is denied"),
        (403, "RequestTimeTooSkewed", "Date: Tue, 01 Jan 2019 00:00:00 GMT\r\n", "I/O error", "it is off by 2"),
        (400, "ExpiredToken", "", "I/O error", "session token has expired"),
        (400, "AuthorizationHeaderMalformed", "x-amz-bucket-region: eu-north-1\r\n", "I/O error", "region is eu-north-1"),
        (301, "PermanentRedirect", "x-amz-bucket-region: eu-north-1\r\n", "I/O error", "region is eu-north-1"),
        (400, "InvalidStorageClass", "", "I/O error", "storage class"),
        (501, "NotImplemented", "", "unsupported", "does not know this kind of request"),
        (418, "Teapot", "", "I/O error", "418 Teapot: as planned"),
        (503, "SlowDown", "", "temporary failure", "asks to slow down"),
        (503, "SlowDown", "Retry-After: 100\r\n", "temporary failure", "given up after 1 tries"),
        (409, "ConditionalRequestConflict", "", "temporary failure", "another writer"),
    ],
)
def test_refusals_say_what_to_do(s3proxy, status, code, extra, result, message):
    with FaultProxy(s3proxy.endpoint, only_puts(faults.refusal(status, code, extra=extra))) as proxy:
        run_suite(
            s3proxy, "object_s3_refusals/put", proxy.address, AQ_TEST_S3_STATUS=result, AQ_TEST_S3_MESSAGE=message
        )


def lie(request, client):
    """A server that ignores the condition: whatever it says, the answer is yes."""
    answer = request.forward()
    if answer.startswith(b"HTTP/1.1 412"):
        tag = 'ETag: "0"\r\n' if request.method == "PUT" else ""
        body = "" if tag else "<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>"
        answer = faults.answer_of("200 OK", body, tag)
    client.sendall(answer)


@pytest.mark.parametrize("how", ["ignored", "refused"])
def test_a_bucket_without_conditions(s3proxy, how):
    def plan(request):
        conditional = b"\r\nif-none-match:" in request.head.lower()
        fault = lie if how == "ignored" else faults.refusal(501, "NotImplemented")
        return fault if conditional else None

    with FaultProxy(s3proxy.endpoint, plan) as proxy:
        run_suite(s3proxy, "object_s3_refusals/no_conditions", proxy.address, AQ_TEST_S3_NO_CONDITIONS=how)


def test_uploads_that_got_stuck(bucket):
    aborts = itertools.count()

    def plan(request):
        stuck = request.method == "DELETE" and "uploadId=" in request.target and next(aborts) == 0
        return faults.refusal(403, "AccessDenied") if stuck else None

    with FaultProxy(bucket.endpoint, plan) as proxy:
        run_suite(bucket, "object_s3_refusals/stale_uploads", proxy.address, AQ_TEST_S3_STALE="1")
    assert next(aborts) == 2


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """tls(name) -> (context of a server with a certificate for that name, file of the authority)."""
    folder = tmp_path_factory.mktemp("certificates")

    def make(name):
        key, chain = folder / f"{name}.key", folder / f"{name}.pem"
        kind = "IP" if name[0].isdigit() else "DNS"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", chain]
        command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}"]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        return context, chain

    return make


def test_tls_with_an_authority_of_ones_own(s3proxy, certificate):
    context, authority = certificate("127.0.0.1")
    with FaultProxy(s3proxy.endpoint, tls=context) as proxy:
        run_suite(s3proxy, "object_s3/put_get_replace_delete", proxy.address, AWS_CA_BUNDLE=str(authority))
        run_suite(s3proxy, "object_s3_tls/*", proxy.address, AQ_TEST_S3_UNTRUSTED="1")


def test_tls_with_a_certificate_of_another_host(s3proxy, certificate):
    context, authority = certificate("example.com")
    with FaultProxy(s3proxy.endpoint, tls=context) as proxy:
        run_suite(
            s3proxy, "object_s3_tls/*", proxy.address, AQ_TEST_S3_UNTRUSTED="1", AWS_CA_BUNDLE=str(authority)
        )


# Keys of the instance's metadata.


class Metadata:
    """The instance metadata service, version 2, on loopback."""

    ROLE = "/latest/meta-data/iam/security-credentials/"

    def __init__(self, bucket, lifetime_s=3600, **wrong):
        self.bucket, self.lifetime_s, self.wrong, self.requests = bucket, lifetime_s, wrong, []
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self):
                stub.requests.append(f"{self.command} {self.path}")
                text = stub.text(self.command, self.path, self.headers)
                self.send_response(200 if text is not None else 404)
                self.send_header("Content-Length", str(len(text or "")))
                self.end_headers()
                self.wfile.write((text or "").encode())

            do_GET = do_PUT = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def text(self, method, path, headers):
        if (method, path) in self.wrong.get("answers", {}):
            return self.wrong["answers"][method, path]
        if (method, path) == ("PUT", "/latest/api/token"):
            return "token-1" if headers["X-aws-ec2-metadata-token-ttl-seconds"] else None
        if headers["X-aws-ec2-metadata-token"] != "token-1":
            return None
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.lifetime_s)
        keys = {
            "Code": "Success",
            "AccessKeyId": self.bucket.access_key,
            "SecretAccessKey": self.bucket.secret_key,
            "Token": "a-session-token",
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return {("GET", self.ROLE): "archive-role\n", ("GET", self.ROLE + "archive-role"): json.dumps(keys)}.get((method, path))

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def env(self):
        return {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.address,
            "AWS_EC2_METADATA_DISABLED": "false",
            "HOME": "/nonexistent",
        }


def signature(request, secret_key, region="us-east-1"):
    """(the request's SigV4 signature, the right one), by Amazon's description of it."""
    headers = {}
    for line in request.head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    fields = dict(field.strip().split("=", 1) for field in headers["authorization"].split(" ", 1)[1].split(","))
    path, _, query = request.target.partition("?")
    signed = fields["SignedHeaders"].split(";")
    lines = [request.method, path, query, *[f"{name}:{headers[name]}" for name in signed], "", ";".join(signed)]
    canonical = "\n".join([*lines, hashlib.sha256(request.body).hexdigest()])
    date = headers["x-amz-date"]
    scope = f"{date[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for word in [*scope.split("/"), text]:
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    assert "x-amz-security-token" in signed and headers["x-amz-security-token"] == "a-session-token"
    return fields["Signature"], key.hex()


@pytest.mark.parametrize(("lifetime_s", "fetches"), [(3600, 1), (200, 5)])
def test_keys_of_the_instance(s3proxy, lifetime_s, fetches):
    """Five puts: keys that live long are fetched once, those that end within five minutes every time. S3Proxy takes no
    session tokens, so it is only asked whether the signature is right."""
    signatures = []

    def take(request, client):
        signatures.append(signature(request, s3proxy.secret_key))
        client.sendall(faults.answer_of("200 OK", "", 'ETag: "0"\r\n'))

    with Metadata(s3proxy, lifetime_s) as stub, FaultProxy(s3proxy.endpoint, lambda request: take) as proxy:
        run_suite(s3proxy, "object_s3_metadata/keys_are_renewed_in_time", proxy.address, keys=False, **stub.env)
    assert stub.requests.count("PUT /latest/api/token") == fetches
    assert len(stub.requests) == 3 * fetches
    assert len(signatures) == 5
    assert all(theirs == ours for theirs, ours in signatures)


TOKEN = ("PUT", "/latest/api/token")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({TOKEN: None}, "metadata service"),  # version 1 alone, which is not asked
        ({TOKEN: "x" * 20000}, "metadata service"),
        ({TOKEN: "two\nlines: x"}, "metadata service"),
        ({("GET", Metadata.ROLE): ""}, "role"),
        ({("GET", Metadata.ROLE + "archive-role"): "{"}, "cannot be read"),
    ],
)
def test_metadata_that_give_no_keys(s3proxy, answers, message):
    with Metadata(s3proxy, answers=answers) as stub:
        run_suite(
            s3proxy, "object_s3_metadata/none_to_be_had", keys=False, AQ_TEST_S3_NO_KEYS=message, **stub.env
        )
    assert not [request for request in stub.requests if request.startswith("GET") and TOKEN in answers and answers[TOKEN] is None]


def test_no_metadata_service(s3proxy):
    run_suite(
        s3proxy,
        "object_s3_metadata/none_to_be_had",
        keys=False,
        AQ_TEST_S3_NO_KEYS="set AWS_ACCESS_KEY_ID",
        AWS_EC2_METADATA_DISABLED="false",
        AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:1",
        HOME="/nonexistent",
    )
