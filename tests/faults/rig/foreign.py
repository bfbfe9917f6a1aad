"""A producer that is not naq: NATS's own protocol over a socket, and whatever bytes it likes."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

TIMEOUT: Final = 10.0  # seconds for an answer on loopback


class Foreign:
    """One connection. Everything published has reached the server when `flush` returns."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lines = connection.makefile("rb")
        assert self._lines.readline().startswith(b"INFO ")
        self._socket.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n')
        self.flush()

    def close(self) -> None:
        """Let the connection be closed."""
        self._lines.close()

    def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send one message."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode() if headers else b""
        sizes = f"{len(head)} {len(head) + len(payload)}" if headers else f"{len(payload)}"
        verb = "HPUB" if headers else "PUB"
        self._socket.sendall(f"{verb} {subject} {sizes}\r\n".encode() + head + payload + b"\r\n")

    def flush(self) -> None:
        """Wait until the server has read everything."""
        self._socket.sendall(b"PING\r\n")
        line = self._lines.readline()
        while line.strip() != b"PONG":
            assert line, "the server closed the connection"
            assert not line.startswith(b"-ERR"), line
            line = self._lines.readline()

    def ask(self, subject: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A request to the JetStream API, and its answer."""
        self._socket.sendall(b"SUB foreign.answer 1\r\nUNSUB 1 1\r\n")
        payload = b"" if body is None else json.dumps(body).encode()
        self._socket.sendall(f"PUB {subject} foreign.answer {len(payload)}\r\n".encode() + payload + b"\r\n")
        while not (line := self._lines.readline()).startswith(b"MSG "):
            assert line, "the server closed the connection"
        answer = self._lines.read(int(line.split()[-1]) + 2)
        return json.loads(answer)


@contextmanager
def foreign(url: str) -> Generator[Foreign]:
    """A connection to the server at `url`."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), TIMEOUT) as connection:
        client = Foreign(connection)
        try:
            yield client
        finally:
            client.close()
