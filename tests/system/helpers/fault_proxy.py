"""An HTTP proxy on loopback that spoils answers: cuts, resets, delays, refusals, lies.

    with FaultProxy("http://127.0.0.1:8080", plan) as proxy:   proxy.address
    plan(request) -> None, or one of the faults below, called as fault(request, client)

Requests go to the server one by one, each over its own connection; the client's connection is kept while nothing is
spoiled. `Host` is passed on as it came, so signatures still fit."""

import socket
import struct
import threading
import time
from dataclasses import dataclass


@dataclass
class Request:
    number: int  # from 0, over all connections
    method: str
    target: str
    head: bytes
    body: bytes
    server: tuple

    @property
    def is_object(self):
        """An object's bytes are asked for, which may be anything."""
        return self.method == "GET" and "?" not in self.target

    def forward(self, body=None):
        """The server's whole answer, as bytes."""
        body = self.body if body is None else body
        with socket.create_connection(self.server, timeout=60) as server:
            server.sendall(self.head + b"Connection: close\r\n\r\n" + body)
            answer = b""
            while piece := server.recv(1 << 16):
                answer += piece
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        names = {line.split(b":")[0].lower() for line in lines}
        if rest and not names & {b"content-length", b"transfer-encoding"}:
            lines.append(b"Content-Length: %d" % len(rest))
        return b"\r\n".join(lines) + b"\r\n\r\n" + rest


class Broken(Exception):
    """The client's connection is not to be used again."""


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Broken


# Faults.


def reset_before(request, client):
    """The server never sees it."""
    reset(client)


def reset_after(request, client):
    """It is carried out, and nobody hears of it."""
    request.forward()
    reset(client)


def silent_after(seconds):
    """It is carried out; the answer does not come in time."""

    def fault(request, client):
        request.forward()
        time.sleep(seconds)
        raise Broken

    return fault


def late(seconds):
    def fault(request, client):
        answer = request.forward()
        time.sleep(seconds)
        client.sendall(answer)

    return fault


def stalled(seconds):
    """Half of the answer, then nothing for long."""

    def fault(request, client):
        answer = request.forward()
        client.sendall(answer[: len(answer) // 2])
        time.sleep(seconds)
        raise Broken

    return fault


def cut(count, hard=False):
    """The first `count` bytes of the answer, then the end, or a reset if `hard`."""

    def fault(request, client):
        client.sendall(request.forward()[:count])
        if hard:
            time.sleep(0.01)
            reset(client)
        raise Broken

    return fault


def cut_half(request, client):
    answer = request.forward()
    client.sendall(answer[: len(answer) // 2])
    raise Broken


ERROR = "<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{}</Code><Message>as planned</Message></Error>"


def answer_of(status, body, extra=""):
    return f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def refusal(status, code, carried_out=False, extra=""):
    """An error of S3's, with or without having done what was asked."""

    def fault(request, client):
        if carried_out:
            request.forward()
        body = "" if request.method == "HEAD" else ERROR.format(code)
        client.sendall(answer_of(f"{status} as planned", body, extra))

    return fault


def error_in_200(carried_out=False):
    """<Error> under a 200; of an object's bytes nobody could tell that."""

    def fault(request, client):
        if request.is_object and b"\r\nrange:" not in request.head.lower():
            return refusal(500, "InternalError")(request, client)
        if carried_out:
            request.forward()
        client.sendall(answer_of("200 OK", ERROR.format("InternalError")))

    return fault


def portal(request, client):
    """What a captive portal or a misled balancer says."""
    if request.is_object and b"\r\nrange:" not in request.head.lower():
        return cut(0)(request, client)
    client.sendall(answer_of("200 OK", "<html><body>Welcome!</body></html>"))


def not_http(request, client):
    client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    raise Broken


def other_range(request, client):
    """Bytes of another part of the object, honestly named."""
    answer = request.forward()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"content-range: bytes " not in head.lower():
        return client.sendall(answer)
    lines = []
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-range: bytes "):
            first, rest = line[len(b"content-range: bytes ") :].split(b"-", 1)
            last, total = rest.split(b"/")
            line = b"Content-Range: bytes %d-%d/%d" % (int(first) + 1, int(last) + 1, int(total) + 1)
        lines.append(line)
    return client.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)


def short_range(request, client):
    """Fewer bytes than were asked for, with a head that fits them."""
    answer = request.forward()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 206") or len(body) < 2:
        return client.sendall(answer)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    lines.append(b"Content-Length: %d" % (len(body) - 1))
    return client.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body[:-1])


def altered_upload(request, client):
    """One bit of the body flips on its way to the server."""
    if not request.body:
        return client.sendall(request.forward())
    body = bytearray(request.body)
    body[len(body) // 2] ^= 4
    return client.sendall(request.forward(bytes(body)))


class FaultProxy:
    """`tls`: an ssl.SSLContext, to speak TLS with clients."""

    def __init__(self, server, plan=lambda request: None, tls=None):
        host, port = server.removeprefix("http://").split(":")
        self.server, self.plan, self.tls = (host, int(port)), plan, tls
        self.lock, self.count, self.targets = threading.Lock(), 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = True

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.open = False
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        client.settimeout(60)
        try:
            client = self.tls.wrap_socket(client, server_side=True) if self.tls else client
        except OSError:
            return client.close()
        with client:
            buffer = b""
            try:
                while self.open:
                    request, buffer = self.read(client, buffer)
                    if request is None:
                        return
                    fault = self.plan(request)
                    if fault is None:
                        client.sendall(request.forward())
                    else:
                        fault(request, client)
            except (Broken, OSError):
                return

    def read(self, client, buffer):
        while b"\r\n\r\n" not in buffer:
            piece = client.recv(1 << 16)
            if not piece:
                return None, b""
            buffer += piece
        head, _, body = buffer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length, expects, kept = 0, False, [lines[0]]
        for line in lines[1:]:
            name = line.split(b":")[0].lower()
            if name == b"content-length":
                length = int(line.split(b":")[1])
            expects = expects or name == b"expect"
            if name not in (b"expect", b"connection"):
                kept.append(line)
        if expects:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        pieces, have = [body], len(body)
        while have < length:
            piece = client.recv(1 << 20)
            if not piece:
                return None, b""
            pieces.append(piece)
            have += len(piece)
        body = b"".join(pieces)
        method, target, _ = lines[0].decode().split(" ", 2)
        with self.lock:
            number, self.count = self.count, self.count + 1
            self.targets.append(f"{method} {target}")
        request = Request(number, method, target, b"\r\n".join(kept) + b"\r\n", body[:length], self.server)
        return request, body[length:]
