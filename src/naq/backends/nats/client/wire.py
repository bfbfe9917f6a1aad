"""One connection: the protocol of NATS, from the bytes of the socket to handlers, in the turn in which they came.

A worker handles two messages a job, so there is nothing between: no tasks, no queues, no copies of headers. Why this is
not nats-py: docs/adr/0019. What it is held to: `tests/jetstream/test_wire.py` and `test_link.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, Final

import msgspec

from naq import clock
from naq.exceptions import NaqConnectionError

Handler = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with subject, reply subject, payload and raw header block (each may be empty); must not block."""

_log = logging.getLogger("naq.nats")
_CRLF: Final = b"\r\n"
_MSG: Final = ord("M")
_HMSG: Final = ord("H")
MAX_CONTROL_LINE: Final = 1024 * 1024  # bytes; messages have at most 4096, a cluster's INFO may have far more
_decode_info: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Wire(asyncio.Protocol):
    """A connection to one server; its messages are dispatched by subscription id.

    Attributes:
        handlers: by subscription id, as the bytes that stand in the protocol.
        info: what the server last said of itself.
        is_known: whether the server has taken our CONNECT; set by `dial`.
        said: the error that the server named, or "".
        heard_at: monotonic seconds at which the server was last heard of.
        on_end: called when the connection is over, whoever ended it.
        fenced_at: monotonic seconds after which the server sent whatever is read now. Bytes may have lain in the
            socket for as long as this process was frozen, so the time of reading says nothing; but what follows a
            PONG was sent after the PING.
    """

    def __init__(self) -> None:
        self.handlers: dict[bytes, Handler] = {}
        self.on_end: Callable[[], None] = lambda: None
        self.info: dict[str, Any] = {}
        self.is_known = False
        self.said = ""
        self.heard_at = self.fenced_at = clock.monotonic()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._over = ""  # why it has ended
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._greeting: asyncio.Future[None] = self._loop.create_future()
        self._last_sid = 0
        self._rest = bytearray()
        self._needed = 0  # bytes that must be there before another look is worth it
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._due = False
        self._calm = True  # hardly anything is sent in a turn of the loop
        self._muted: deque[tuple[float, int]] = deque()
        self._pongs: deque[asyncio.Future[None] | float] = deque()  # who waits for one, or when a probe was sent
        self._probing = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket's transport."""
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - what a Protocol gets is a Transport
        if self._over:  # nobody waits for it any more
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Take what the socket gave; what is no NATS ends the connection."""
        self.heard_at = clock.monotonic()
        try:
            self._take(data)
        except (ValueError, IndexError, msgspec.DecodeError) as error:
            self._end(f"the broker sent what is no NATS: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait."""
        self._end(str(exc) if exc is not None else "the broker closed the connection")
        self._pending.clear()
        self._pending_size = 0
        if not self._ended.done():
            self._ended.set_result(None)
        waiting = [self._greeting, *(each for each in self._pongs if isinstance(each, asyncio.Future))]
        self._pongs.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(NaqConnectionError(self.why))
                future.exception()  # seen: whoever waited may have gone

    # What comes in.

    def _take(self, data: bytes) -> None:
        """Dispatch every whole message, and keep the rest."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
        position, end = 0, len(data)
        self._needed = 0
        handlers = self.handlers
        while position < end:
            eol = data.find(_CRLF, position)
            if eol < 0:
                if end - position > MAX_CONTROL_LINE:
                    raise ValueError("a line without an end")
                break
            kind = data[position]
            if kind == _HMSG:
                words = data[position + 5 : eol].split(b" ")
                header_size, size = int(words[-2]), int(words[-1])
                reply = words[2] if len(words) == 5 else b""
            elif kind == _MSG:
                words = data[position + 4 : eol].split(b" ")
                header_size, size = 0, int(words[-1])
                reply = words[2] if len(words) == 4 else b""
            else:
                self._obey(data[position:eol])
                position = eol + 2
                continue
            start = eol + 2
            stop = start + size
            if not 0 <= header_size <= size:
                raise ValueError("a size below zero")
            if stop + 2 > end:
                self._needed = stop + 2 - position
                break
            handler = handlers.get(words[1])
            if handler is not None:
                body = start + header_size
                try:
                    handler(words[0], reply, data[body:stop], data[start:body])
                except Exception:  # noqa: BLE001 - a handler's bug is no reason to lose what the others wait for
                    _log.exception("a handler for %s failed", words[0][:200])
            position = stop + 2
        self._rest = bytearray(data[position:]) if position < end else bytearray()

    def _obey(self, line: bytes) -> None:
        """What a line says that is no message."""
        word, _, text = line.partition(b" ")
        match word:
            case b"PING":
                self.send(b"PONG\r\n")
            case b"PONG":
                self._answered()
            case b"INFO":
                self.info |= _decode_info(text)
                if not self._greeting.done():
                    self._greeting.set_result(None)
            case b"-ERR":
                self._refused(text.decode(errors="replace").strip().strip("'"))
            case b"+OK":
                pass
            case _:
                raise ValueError(f"{line[:40]!r}")

    def _answered(self) -> None:
        if not self._pongs:
            return
        asked = self._pongs.popleft()
        if not isinstance(asked, asyncio.Future):
            self.fenced_at, self._probing = asked, False
        elif not asked.done():
            asked.set_result(None)

    def _refused(self, text: str) -> None:
        self.said = text
        _log.debug("the broker says: %s", text)
        if not text.lower().startswith("permissions violation"):  # that is of one subject; all else ends the connection
            self._end(text)

    # What goes out.

    def listen(self, subject: str, handler: Handler, *, group: str = "") -> int:
        """Subscribe `handler` to `subject`; returns the subscription id for `unlisten`."""
        self._last_sid += 1
        sid = self._last_sid
        self.handlers[b"%d" % sid] = handler
        self.send(f"SUB {subject} {group} {sid}\r\n".encode() if group else f"SUB {subject} {sid}\r\n".encode())
        return sid

    def unlisten(self, sid: int) -> None:
        """End a subscription; messages already on their way are dropped."""
        if self.handlers.pop(b"%d" % sid, None) is not None:
            self.send(b"UNSUB %d\r\n" % sid)

    def mute(self, sid: int) -> None:
        """As `unlisten`, but messages already on their way are still handed over."""
        self.send(b"UNSUB %d\r\n" % sid)
        self._muted.append((clock.monotonic(), sid))

    def forget_muted(self) -> None:
        """Drop the handlers of muted subscriptions for which nothing can come any more."""
        while self._muted and self._muted[0][0] < self.fenced_at:
            self.handlers.pop(b"%d" % self._muted.popleft()[1], None)

    def send(self, command: bytes, *, urgent: bool = False) -> None:
        """Put a protocol command on its way.

        It is written when the loop comes round, with all others of this turn: one write for many. But where hardly
        anything is sent in a turn, an `urgent` one goes at once: whoever waits for it waits for nothing else.
        """
        if self._over:
            return
        self._pending.append(command)
        self._pending_size += len(command)
        if not self._due:
            self._due = True
            if urgent and self._calm:
                self._hand_over()
            self._loop.call_soon(self._write_out)

    def _write_out(self) -> None:
        self._due = False
        self._calm = len(self._pending) <= 1
        self._hand_over()

    def _hand_over(self) -> None:
        if not self._pending or self._transport is None or self._over:
            return
        commands, self._pending, self._pending_size = self._pending, [], 0
        self._transport.writelines(commands)

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket."""
        return self._pending_size + (self._transport.get_write_buffer_size() if self._transport is not None else 0)

    # Asking, and the end.

    async def greeted(self) -> dict[str, Any]:
        """What the server says of itself, once it has.

        Raises:
            NaqConnectionError: it breaks off.
        """
        await asyncio.shield(self._greeting)
        return self.info

    async def encrypt(self, context: SSLContext, name: str) -> None:
        """Speak TLS from now on, with a server whose certificate is for `name`.

        Raises:
            OSError: the server is not who it should be, or does not take us.
        """
        assert self._transport is not None
        self._rest = bytearray()  # what was said in the clear is not taken for what a known server says
        self._transport = await self._loop.start_tls(self._transport, self, context, server_hostname=name)

    async def flush(self) -> None:
        """Until the server has answered a PING that follows everything sent so far.

        Raises:
            NaqConnectionError: the connection ended before.
        """
        if self._over:
            raise NaqConnectionError(self.why)
        answered: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(answered)
        self.send(b"PING\r\n")
        self._write_out()
        await answered

    def probe(self) -> None:
        """Let `fenced_at` move to now once the server has answered; does nothing while it has not answered the last."""
        if not self._probing:
            self._probing = True
            self._pongs.append(clock.monotonic())
            self.send(b"PING\r\n")

    @property
    def is_connected(self) -> bool:
        """Whether it is up: known to the server, and not over."""
        return self.is_known and not self._over

    @property
    def why(self) -> str:
        """Why it has ended: the server's own word, if it had one."""
        return self.said or self._over

    def abort(self) -> None:
        """Let go of the socket at once, with whatever the peer did not take."""
        self._end("closed")

    async def ended(self) -> None:
        """Until the socket is closed; at once where there never was one."""
        if self._transport is not None:
            await asyncio.shield(self._ended)

    def _end(self, why: str) -> None:
        self._over = self._over or why
        self.on_end()
        if self._transport is not None:
            self._transport.abort()
