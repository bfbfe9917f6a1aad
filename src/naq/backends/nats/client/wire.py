"""One connection: nats-py dials, authenticates and pings; messages go straight from the socket to our handlers.

nats-py spends some 40 µs on each message (two regular expressions, a header dictionary, a queue and a task per
subscription). A worker handles two messages a job, so its message path is replaced here, and only that: control lines
are still parsed by nats-py. docs/adr/0002 says what this rests on, `tests/nats/test_wire.py` guards it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import Error, ProtocolError
from nats.protocol.parser import Parser

from naq import clock

Handler = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with subject, reply subject, payload and raw header block (each may be empty); must not block."""

_log = logging.getLogger("naq.nats")
_CRLF: Final = b"\r\n"
_MSG: Final = ord("M")
_HMSG: Final = ord("H")
OWN_SIDS: Final = 1_000_000  # our subscription ids begin above those that nats-py gives to its own
MAX_CONTROL_LINE: Final = 1024 * 1024  # bytes; messages have at most 4096, a cluster's INFO may have far more


class MessageParser(Parser):
    """nats-py's parser with its MSG and HMSG cases replaced by one without regular expressions or copies."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)  # pyright: ignore[reportUnknownMemberType]
        self._wire = wire
        self._rest = bytearray()
        self._needed = 0  # bytes that must be there before another look is worth it
        self._parsing = False
        self._spoilt: Exception | None = None

    def reset(self) -> None:
        """Forget half a message: the connection that it came from is gone."""
        super().reset()
        self._rest = bytearray()
        self._needed = 0
        self._spoilt = None

    def attach(self, reader: asyncio.StreamReader) -> None:
        """Have `reader` hand what the socket gives to `take`, in the turn of the loop in which it came.

        Only what needs nats-py, and all that comes before it has had its turn, goes to its read loop: that is a task,
        which has to be woken for each packet, between a message and whoever waits for it.
        """
        stream: Any = reader
        feed, buffer = stream.feed_data, stream._buffer

        def take(data: bytes) -> None:
            if not buffer and not self._parsing and self._spoilt is None:
                try:
                    data = self._take(data)
                except (ValueError, IndexError) as error:
                    self._spoilt = error  # said where nats-py listens
            if data:
                feed(data)

        stream.feed_data = take

    async def parse(self, data: bytes = b"") -> None:
        """Take what the socket gave and dispatch every whole message in it.

        Raises:
            ProtocolError: it is no NATS. nats-py closes the connection then; with any other error it would end its
                read loop, and the connection would look alive and be deaf.
        """
        self._parsing = True
        try:
            if self._spoilt is not None:
                raise self._spoilt
            while data := self._take(data):
                end = data.find(_CRLF) + 2
                await super().parse(data[:end])
                data = data[end:]
        except (ValueError, IndexError) as error:
            raise ProtocolError(f"the broker sent what is no NATS: {error}") from error
        finally:
            self._parsing = False

    def _take(self, data: bytes) -> bytes:
        """Dispatch every whole message up to the first control line; that line and what follows it, if there is one."""
        wire = self._wire
        wire.heard_at = clock.monotonic()
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return b""
            data = bytes(self._rest)
        position, end = 0, len(data)
        self._needed = 0
        handlers = wire.handlers
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
                self._rest = bytearray()
                return data[position:]
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
                except Exception:  # noqa: BLE001 - else the read loop ends: the connection looks alive and is deaf
                    _log.exception("a handler for %s failed", words[0][:200])
            position = stop + 2
        self._rest = bytearray(data[position:]) if position < end else bytearray()
        return b""


class _Probe(asyncio.Future[bool]):
    """A PING of ours; the server's PONG to it separates what it sent before from what it sends after."""

    sent_at = 0.0


class Wire(Client):
    """A nats-py client whose messages are dispatched by subscription id, without tasks, queues or header parsing.

    Attributes:
        handlers: by subscription id, as the bytes that stand in the protocol.
        heard_at: monotonic seconds at which the server was last heard of.
        fenced_at: monotonic seconds after which the server sent whatever is read now. Bytes may have lain in the
            socket for as long as this process was frozen, so the time of reading says nothing; but what follows a
            PONG was sent after the PING.
    """

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[bytes, Handler] = {}
        self.heard_at = self.fenced_at = clock.monotonic()
        self._ps = self._parser = MessageParser(self)
        self._loop = asyncio.get_running_loop()
        self._last_sid = OWN_SIDS
        self._due = False
        self._calm = True  # hardly anything is sent in a turn of the loop
        self._muted: deque[tuple[float, int]] = deque()
        self._probe: _Probe | None = None

    def _connect_command(self) -> bytes:
        """What introduces us, the password included: never in the clear where TLS was asked for.

        Whether there is TLS, nats-py leaves to the server to say, and so to whoever stands in its place.
        """
        server = self._current_server
        wanted = server is not None and (server.uri.scheme == "tls" or self.options.get("tls") is not None)
        if wanted and not self._server_info.get("tls_required") and not self.options["tls_handshake_first"]:
            raise Error("the server offers no TLS, and without it nothing is sent to it")
        return super()._connect_command()

    def read_at_once(self) -> None:
        """Dispatch messages as the socket gives them, from now on; where it is a plain or TLS one."""
        if isinstance(self._transport, TcpTransport) and (reader := self._transport._io_reader) is not None:  # pyright: ignore[reportPrivateUsage]
            self._parser.attach(reader)

    def listen(self, subject: str, handler: Handler, *, group: str = "") -> int:
        """Subscribe `handler` to `subject`; returns the subscription id for `unlisten`.

        nats-py is not told: it would make a queue for each, and subscribe again after reconnects that the link makes.
        """
        self._last_sid += 1
        sid = self._last_sid
        self.handlers[b"%d" % sid] = handler
        self.send(f"SUB {subject} {group} {sid}\r\n".encode() if group else f"SUB {subject} {sid}\r\n".encode())
        return sid

    def unlisten(self, sid: int) -> None:
        """End a subscription; messages already on their way are dropped."""
        if self.handlers.pop(b"%d" % sid, None) is not None and self.is_connected:
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
        if self.is_closed:
            return  # nats-py would write it to a socket that is gone, and raise, while it closes
        self._pending.append(command)
        self._pending_data_size += len(command)
        if not self._due:
            self._due = True
            if urgent and self._calm:
                self._hand_over()
            self._loop.call_soon(self._write_out)

    async def flush(self, timeout: int = 10) -> None:
        """Until the server has answered a PING that follows everything sent so far."""
        self._write_out()
        await super().flush(timeout)

    def _write_out(self) -> None:
        """What was sent in this turn of the loop goes to the socket, without nats-py's flusher task in between."""
        self._due = False
        self._calm = len(self._pending) <= 1
        self._hand_over()

    def _hand_over(self) -> None:
        transport = self._transport
        if not self._pending or not self.is_connected or transport is None:
            return
        if not isinstance(transport, TcpTransport):
            # A web socket sends frames from a task of its own.
            if self._flush_queue is not None and self._flush_queue.empty():
                self._flush_queue.put_nowait(self._loop.create_future())
            return
        commands, self._pending, self._pending_data_size = self._pending, [], 0
        try:
            transport.writelines(commands)
        except (OSError, RuntimeError):
            _log.debug("the connection went away under a write; the read side reports it", exc_info=True)

    def probe(self) -> None:
        """Let `fenced_at` move to now once the server has answered; does nothing while it has not answered the last."""
        if self._probe is None:
            self._probe = probe = _Probe()
            probe.sent_at = clock.monotonic()
            self._waiting.append(probe)
            self.send(b"PING\r\n")

    @property
    def _waiting(self) -> list[asyncio.Future[bool]]:
        """Who waits for a PONG, in order."""
        pongs: list[Any] = self._pongs  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return pongs

    async def _process_op_err(self, e: Exception) -> None:
        # nats-py writes out what is pending before it closes. Where the connection is gone, that raises: the socket
        # stays open and a traceback is printed. What needs an answer is sent again on the next wire anyway.
        self._pending.clear()
        self._pending_data_size = 0
        await super()._process_op_err(e)

    async def _process_pong(self) -> None:
        # nats-py's own fails on a PONG that nobody waits for any more, and its read loop ends with that.
        if not self._waiting:
            return
        asked = self._waiting.pop(0)
        self._pongs_received += 1
        self._pings_outstanding = 0
        if isinstance(asked, _Probe):
            self.fenced_at = asked.sent_at
            self._probe = None
        if not asked.done():
            asked.set_result(True)

    def abort(self) -> None:
        """Let go of the socket at once, with whatever the peer did not take."""
        if (writer := self._writer) is not None:
            writer.transport.abort()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket."""
        writer = self._writer
        return self._pending_data_size + (writer.transport.get_write_buffer_size() if writer is not None else 0)

    @property
    def _writer(self) -> asyncio.StreamWriter | None:
        transport = self._transport
        return transport._io_writer if isinstance(transport, TcpTransport) else None  # pyright: ignore[reportPrivateUsage]
