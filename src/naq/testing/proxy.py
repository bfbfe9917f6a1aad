"""A TCP proxy that breaks connections on purpose, in a thread of its own, so that a blocked test cannot stop it.

::

    with FaultProxy(server.url) as proxy:
        connect(proxy.url)
        proxy.stall()                       # connections stay open, nothing moves
        proxy.heal()                        # what was held back flows on
        proxy.drop(DOWN); ...; proxy.reset()

Each call has taken effect when it returns, for the connections that exist and for those to come, until `heal`.
`UP` is from client to server, `DOWN` from server to client; where no direction is given, both are meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

UP: Final = "up"
DOWN: Final = "down"
BOTH: Final = (UP, DOWN)

_CHUNK: Final = 65_536  # bytes read at once
_DELAYED_CHUNKS: Final = 256  # under way in one direction at most: 16 MiB
_CONNECT_TIMEOUT: Final = 5.0  # seconds for the server to accept
_TICK: Final = 0.05  # seconds between pieces when the rate is limited

T = TypeVar("T")
_UnderWay = asyncio.Queue[tuple[float, bytes]]  # when a chunk is due at the other end, and the chunk; empty at its end


class _Direction:
    """What happens to bytes of one direction, on all connections."""

    def __init__(self) -> None:
        self.flowing = asyncio.Event()
        self.heal()
        self.passed = 0

    def heal(self) -> None:
        self.dropping = False
        self.delay = 0.0
        self.rate = 0.0  # bytes a second; 0 is unlimited
        self.corrupt = 0  # chunks still to be spoilt
        self.cut_after = -1  # bytes until the connection is reset; -1 never
        self.flowing.set()


class _Link:
    """One client's connection, its connection to the server, and the task that carries bytes between them."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = {UP: server, DOWN: client}  # where bytes of a direction go
        self.task = asyncio.current_task()
        self.abandoned = False

    def abort(self) -> None:
        for writer in self.ends.values():
            _reset(writer)
        if self.task is not None:
            self.task.cancel()


class FaultProxy:
    """Listens on a free loopback port and forwards to `target` ("nats://host:port" or "host:port").

    Attributes:
        port: where it listens. It stays the same while the server behind it is restarted.
        accepted: how many connections there have been.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target if "://" in target else f"//{target}")
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{target!r} names no host and port: use nats://host:port")
        self._target = (parts.hostname, parts.port)
        self.scheme = parts.scheme or "nats"
        self.port = 0
        self.accepted = 0
        self._links: set[_Link] = set()
        self._refusing = False
        self._loop = asyncio.SelectorEventLoop()  # whatever the policy is: the same behaviour everywhere
        self._lines: dict[str, _Direction] = {}
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="naq-fault-proxy", daemon=True)

    @property
    def url(self) -> str:
        """What a client connects to instead of the server."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._links)

    def passed(self, direction: str) -> int:
        """Bytes that reached their end in `direction`, over all connections."""
        return self._lines[direction].passed

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def heal(self) -> None:
        """Pass everything again, and accept connections. What was stalled flows on; what was dropped is gone."""

        def act() -> None:
            self._refusing = False
            for line in self._lines.values():
                line.heal()

        self._do(act)

    def stall(self, *directions: str) -> None:
        """Hold bytes back, as a peer that is frozen or unreachable: the sender's buffers fill, then it blocks."""
        self._each(directions, lambda line: line.flowing.clear())

    def drop(self, *directions: str) -> None:
        """Swallow bytes. The protocol is broken afterwards: end with `reset` before `heal`."""
        self._each(directions, lambda line: setattr(line, "dropping", True))

    def delay(self, seconds: float, *directions: str) -> None:
        """Add latency; throughput stays."""
        self._each(directions, lambda line: setattr(line, "delay", seconds))

    def trickle(self, bytes_per_second: float, *directions: str) -> None:
        """Limit the rate, down to a byte a second."""
        self._each(directions, lambda line: setattr(line, "rate", bytes_per_second))

    def corrupt(self, *directions: str, chunks: int = 1) -> None:
        """Invert every bit of the first byte of the next `chunks` chunks."""
        self._each(directions, lambda line: setattr(line, "corrupt", chunks))

    def cut_after(self, count: int, *directions: str) -> None:
        """Let `count` more bytes through, over all connections, and then reset: mid-message if need be."""
        self._each(directions, lambda line: setattr(line, "cut_after", count))

    def reset(self) -> None:
        """End the open connections with a TCP reset. New ones are accepted."""
        self._do(self._abort_all)

    def refuse(self) -> None:
        """Reset the open connections and every new one at once, as a host without the server would."""

        def act() -> None:
            self._refusing = True
            self._abort_all()

        self._do(act)

    def half_close(self, direction: str) -> None:
        """Say end-of-file in `direction` on the open connections; the other direction goes on."""

        def act() -> None:
            for link in self._links:
                link.ends[direction].write_eof()

        self._do(act)

    def abandon_server(self) -> None:
        """Half-open: the server's side is reset and the client is told nothing, as after a power cut of the server."""

        def act() -> None:
            self._lines[DOWN].flowing.clear()
            for link in self._links:
                link.abandoned = True
                _reset(link.ends[UP])

        self._do(act)

    def _each(self, directions: tuple[str, ...], act: Callable[[_Direction], None]) -> None:
        self._do(lambda: [act(self._lines[direction]) for direction in directions or BOTH])

    def _do(self, act: Callable[[], object]) -> None:
        async def run() -> None:
            act()
            await asyncio.sleep(0)  # a reset socket is closed in the loop's next round

        self._run(run())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        self._lines = {UP: _Direction(), DOWN: _Direction()}
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        self._abort_all()
        for task in tasks:  # also those that are still connecting
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _abort_all(self) -> None:
        for link in self._links:
            link.abort()

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._refusing:
            _reset(client)
            return
        try:
            from_server, server = await asyncio.wait_for(asyncio.open_connection(*self._target), _CONNECT_TIMEOUT)
        except (OSError, TimeoutError):  # nobody listens behind us: nor do we
            _reset(client)
            return
        link = _Link(client, server)
        self._links.add(link)
        with contextlib.suppress(asyncio.CancelledError):  # ours, by abort
            await self._carry(link, {UP: reader, DOWN: from_server})
        self._links.discard(link)
        for writer in link.ends.values():
            writer.close()

    async def _carry(self, link: _Link, readers: dict[str, asyncio.StreamReader]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for direction, reader in readers.items():
                    under_way = _UnderWay(_DELAYED_CHUNKS)
                    group.create_task(self._take(self._lines[direction], reader, under_way))
                    group.create_task(self._give(self._lines[direction], under_way, link.ends[direction]))
        except* OSError:  # one end is gone, or was cut: so is the other, unless it must not know
            if link.abandoned:
                await self._lines[DOWN].flowing.wait()
            for writer in link.ends.values():
                _reset(writer)

    async def _take(self, line: _Direction, reader: asyncio.StreamReader, under_way: _UnderWay) -> None:
        data = b"-"
        while data:
            await line.flowing.wait()
            data = await reader.read(_CHUNK)
            await under_way.put((self._loop.time() + line.delay, data))
            if line.rate:  # or we would read far ahead, and the sender would notice nothing
                await under_way.join()

    async def _give(self, line: _Direction, under_way: _UnderWay, writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await under_way.get()
            if (early := due - self._loop.time()) > 0:
                await asyncio.sleep(early)
            await line.flowing.wait()
            if not data:
                writer.write_eof()
                return
            if not line.dropping:
                await self._write(line, data, writer)
            under_way.task_done()

    async def _write(self, line: _Direction, data: bytes, writer: asyncio.StreamWriter) -> None:
        if line.corrupt > 0:
            line.corrupt -= 1
            data = bytes((data[0] ^ 0xFF,)) + data[1:]
        cut = 0 <= line.cut_after <= len(data)
        if line.cut_after >= 0:
            data = data[: line.cut_after]
            line.cut_after -= len(data)
        while data:
            size = max(1, int(line.rate * _TICK)) if line.rate else len(data)
            piece, data = data[:size], data[size:]
            writer.write(piece)
            await writer.drain()
            line.passed += len(piece)
            if line.rate:
                await asyncio.sleep(len(piece) / line.rate)
        if cut:
            line.cut_after = -1
            raise ConnectionResetError("cut as asked")


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # closed by the other side meanwhile
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close = RST
    writer.transport.abort()
