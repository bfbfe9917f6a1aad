"""``/live``, ``/ready`` and ``/metrics`` over HTTP, for whoever restarts workers, sends them work, or measures them.

Never asks the broker.

Served from the lifeline, so that a task that blocks the event loop does not make its worker look dead.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from naq.exceptions import ConfigurationError
from naq.worker.service import Service
from naq.worker.vitals import Numbers, Report

#: Seconds that a client may take to say what it wants, and bytes it may take for that.
PATIENCE, LONGEST = 5.0, 8192
_BACKLOG: Final = 16


def listen(address: str) -> socket.socket:
    """A socket that listens at `address`: ``PORT`` (on every interface; 0 for any free one) or ``HOST:PORT``.

    Raises:
        ConfigurationError: it is no address, or somebody listens there already.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"health port {address!r}: write it as 8081 or 127.0.0.1:8081")
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(("", int(port)), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen at {address} for health checks: {error.strerror or error}; choose another --health-port"
        ) from error


class HealthServer(Service):
    """Answers with what `report` says: 200 for yes, 503 for no, and why as JSON; and with what `numbers` says.

    Attributes:
        port: where.
    """

    def __init__(
        self, listening: socket.socket, report: Callable[[], Report], numbers: Callable[[], Mapping[str, Numbers]]
    ) -> None:
        super().__init__("health", interval=1.0)
        self.port: int = listening.getsockname()[1]
        self._socket = listening
        self._report = report
        self._numbers = numbers

    async def run_once(self) -> int:
        """Serve until it is stopped."""
        server = await asyncio.start_server(self._serve, sock=self._socket.dup(), limit=LONGEST)
        try:
            await server.serve_forever()
        finally:
            server.close()
        return 0

    async def stop(self) -> None:
        """See `Service.stop`; the port is free afterwards."""
        await super().stop()
        self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(respond(head, self._report, self._numbers))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return  # a client that says nothing sensible hears nothing
        finally:
            writer.close()


def respond(head: bytes, report: Callable[[], Report], numbers: Callable[[], Mapping[str, Numbers]]) -> bytes:
    """The whole response to a request whose head (request line and headers) is `head`."""
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0].rstrip(b"/")
    if method not in {b"GET", b"HEAD"}:
        return _response(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "use GET"}, body=True)
    if path == b"/metrics":
        return _metrics(numbers, body=method == b"GET")
    if path not in {b"/live", b"/ready"}:
        there = "there are /live, /ready and /metrics"
        return _response(HTTPStatus.NOT_FOUND, {"error": there}, body=method == b"GET")
    now = report()
    good = now.live if path == b"/live" else now.ready
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    said = {"live": now.live, "ready": now.ready, "detail": now.detail, **now.facts}
    return _response(status, said, body=method == b"GET")


def _metrics(numbers: Callable[[], Mapping[str, Numbers]], *, body: bool) -> bytes:
    from naq import measures
    from naq.worker import metrics

    try:
        text = metrics.render(numbers())
    except ImportError:
        return _response(HTTPStatus.NOT_IMPLEMENTED, {"error": metrics.MISSING}, body=body)
    return _whole(HTTPStatus.OK, text, measures.CONTENT_TYPE, body=body)


def _response(status: HTTPStatus, said: Mapping[str, object], *, body: bool) -> bytes:
    return _whole(status, msgspec.json.encode(said), "application/json", body=body)


def _whole(status: HTTPStatus, data: bytes, kind: str, *, body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {kind}\r\n"
        "Cache-Control: no-store\r\n"
        f"Content-Length: {len(data)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (data if body else b"")
