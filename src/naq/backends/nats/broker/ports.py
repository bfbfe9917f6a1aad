"""Ports on loopback that a server can be started on, and later started on again."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from typing import Final

from naq.exceptions import ConfigurationError

# Below the range from which kernels give ports to outgoing connections (32768 on Linux, 49152 elsewhere): a client that
# keeps trying to reconnect to a dead server would otherwise sometimes be given the server's own port, and keep it.
FIRST: Final = 15_000
LAST: Final = 32_000
_TRIES: Final = 200
LOOPBACK: Final = "127.0.0.1"


def free_ports(count: int, *, rng: random.Random | None = None) -> list[int]:
    """`count` different ports on which nobody listens now. Somebody else may take one before you do: be ready to retry.

    Raises:
        ConfigurationError: hardly any was free.
    """
    rng = rng or random.Random()  # not the shared one: tests seed that, and would all be given the same ports
    found: list[int] = []
    with ExitStack() as held:
        for _ in range(_TRIES + count):
            port = rng.randrange(FIRST, LAST)
            if (sock := _listen(port)) is not None:
                held.enter_context(sock)
                found.append(port)
            if len(found) == count:
                return found
    raise ConfigurationError(
        f"no {count} free TCP ports between {FIRST} and {LAST} on {LOOPBACK}: something holds nearly all of them"
    )


def _listen(port: int) -> socket.socket | None:
    sock = socket.socket()
    try:
        # As nats-server itself does: a port whose last connections are still in TIME_WAIT is free.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
        sock.listen()
    except OSError:
        sock.close()
        return None
    return sock
