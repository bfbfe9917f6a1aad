"""Hints between processes over core NATS: fast, unstored, and nothing depends on one arriving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from naq.backends.base import Signal
from naq.backends.nats.wait import Wait
from naq.names import check_token

_decode: Final = msgspec.json.Decoder(Signal).decode
_encode: Final = msgspec.json.Encoder().encode
MOST: Final = 10_000  # signals kept for a listener that does not read; the oldest go first


class Signals(Wait):
    """The `Signals` protocol."""

    async def send(self, signal: Signal) -> None:
        """Tell whoever listens; lost without a word where there is no connection."""
        self.must_be_open()
        check_token("subject of a signal", signal.subject)
        wire = self.link.wire
        if wire is not None:
            body = _encode(signal)
            subject = self.subjects.signal(signal.kind, signal.subject).encode()
            wire.send(b"PUB %b %d\r\n%b\r\n" % (subject, len(body), body))

    async def listen(self) -> AsyncIterator[Signal]:
        """Signals from the first step of the iterator on."""
        self.must_be_open()
        inbox: asyncio.Queue[bytes] = asyncio.Queue()

        def on_signal(_subject: bytes, _reply: bytes, payload: bytes, _header: bytes) -> None:
            if inbox.qsize() >= MOST:
                inbox.get_nowait()
            inbox.put_nowait(payload)

        def on_close() -> None:
            inbox.put_nowait(b"")

        token = self.link.listen(self.subjects.signal("*", "*"), on_signal)
        self.on_close.append(on_close)
        try:
            while not self.is_closed:
                try:
                    yield _decode(await inbox.get())
                except msgspec.DecodeError:
                    continue  # a stranger's message on our subject; hints are never worth an error
        finally:
            self.on_close.remove(on_close)
            self.link.unlisten(token)
