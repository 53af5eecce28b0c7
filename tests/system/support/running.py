"""A running `aqstore ingest`: its output in files, its HTTP address, its end."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import aq

WAIT_S = 30  # for anything that should happen soon


def wait_for(what, check, seconds=WAIT_S):
    """check() until it gives something; that."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def timed_kill(process, delay):
    """Kill after `delay` seconds; True if the process was still running."""
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(min(0.002, max(deadline - time.monotonic(), 0)))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


class Ingest:
    """Started on creation; a context manager that kills what is still there."""

    def __init__(self, folder, config, *args, options=(), env=None, launcher=(), stderr=None):
        self.out, self.err = folder / "ingest.out", folder / "ingest.err"
        command = [*launcher, aq.BINARY, "--config", config, *options, "ingest", *args]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=stderr or err,
                env={**os.environ, **(env or {})},
                cwd=folder,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def messages(self):
        return self.err.read_text(errors="replace")

    def wait_for(self, what, check, seconds=WAIT_S):
        def alive_or_done():
            found = check()
            assert found or self.process.poll() is None, f"it ended, {self.process.returncode}, without {what}: {self}"
            return found

        return wait_for(what, alive_or_done, seconds)

    @property
    def url(self):
        notice = re.compile(r"listening on (http://[^\s\"]+)")
        return self.wait_for("the HTTP address", lambda: notice.search(self.messages)).group(1)

    def get(self, path, token=None, method="GET"):
        """(code, body)"""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def sources(self, token=None):
        """What /readyz says of each source."""
        return {source["source"]: source for source in json.loads(self.get("/readyz", token)[1])["sources"]}

    def metric(self, name, token=None, **labels):
        """The value of one sample."""
        for line in self.get("/metrics", token)[1].splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.split("{")[0] == name and all(f'{key}="{text}"' in sample for key, text in labels.items()):
                return float(value)
        raise AssertionError(f"no {name} {labels}")

    def end(self, *signals, seconds=WAIT_S):
        """Send the signals, wait; (exit code, seconds it took)."""
        begun = time.monotonic()
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        return code, time.monotonic() - begun

    def __str__(self):
        return f"exit {self.process.poll()}\nstdout: {self.out.read_text()[-2000:]}\nstderr: {self.messages[-4000:]}"


class Feeder(threading.Thread):
    """Writes lines into a FIFO, with a pause after each `batch`, until they are all written or the reader has gone."""

    def __init__(self, fifo, lines, batch=1, pause_s=0.0):
        super().__init__(daemon=True)
        self.fifo, self.lines, self.batch, self.pause_s = fifo, lines, batch, pause_s
        self.written = 0
        self.ended = threading.Event()
        self.start()

    def run(self):
        try:
            with open(self.fifo, "w", encoding="utf-8") as out:
                for first in range(0, len(self.lines), self.batch):
                    chunk = self.lines[first : first + self.batch]
                    out.write("".join(chunk))
                    out.flush()
                    self.written += len(chunk)
                    if self.pause_s and self.ended.wait(self.pause_s):
                        return
        except BrokenPipeError:
            pass

    def stop(self):
        self.ended.set()
        self.join(WAIT_S)


class Manager:
    """A service manager's notify socket."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(0.05)
        self.name = "@" + address[1:] if address.startswith("\0") else address
        self.heard = []

    def listen(self):
        """All that has come so far, as NAME=VALUE texts."""
        try:
            while True:
                self.heard += self.socket.recv(65536).decode().split("\n")
        except TimeoutError:
            return self.heard

    def close(self):
        self.socket.close()
