"""Ports for the service scripts.

ports.py free COUNT        print COUNT ports on 127.0.0.1 that nobody listens on
ports.py answers PORT      succeeds if PORT accepts a connection
"""

import random
import socket
import sys

BELOW_OUTGOING = range(20000, 32768)  # Linux takes the ports of outgoing connections from 32768 up


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free(count):
    candidates = random.sample(BELOW_OUTGOING, len(BELOW_OUTGOING))
    found = (port for port in candidates if is_free(port))
    print(*(next(found) for _ in range(count)))
    return 0


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit({"free": free, "answers": answers}[sys.argv[1]](int(sys.argv[2])))
