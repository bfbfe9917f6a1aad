"""Storing many messages without an answer to each: the broker's fast-ingest batches (server 2.14, ADR-50 of NATS).

The reply subject of a message carries the protocol: ``<inbox>.<batch>.<flow>.<gaps>.<number>.<operation>.$FI``. The
broker answers every `FLOW` messages with how far it has stored, and the last one with a PubAck. Nothing is staged: what
was stored stays, whatever becomes of the batch. So whoever calls this gets a number: that many, from the beginning, are
stored; of the rest nothing is known, and publishing it again with a compare-and-set settles that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from naq import clock
from naq.backends.nats.client.inbox import new_inbox
from naq.backends.nats.client.link import Link
from naq.backends.nats.client.wire import Wire

_log = logging.getLogger("naq.nats")

FLOW: Final = 256  # messages to an answer
WINDOW: Final = 2048  # messages sent beyond the last answer; some 500 KB, and more than a round trip carries
SILENCE: Final = 2.0  # seconds without an answer after which the batch is given up; as long as one try of a publish
WORTH_IT: Final = 32  # messages from which a batch beats single publishes: it takes a round trip to begin
MOST_UNSENT: Final = 8 * 1024 * 1024  # bytes that wait for the socket, above which we wait for it too ...
CHECK: Final = 8  # ... looked at once in so many messages: small ones never come near it
DRAIN: Final = 0.002  # seconds between two looks at a full socket
_START, _APPEND, _COMMIT = b"0", b"1", b"2"

Build = Callable[[int], tuple[bytes, bytes, bytes]]
"""The subject, header block and payload of the message with this index."""


class _Word(msgspec.Struct):
    """What the broker says: a flow answer has a type, the final one a stream and a count, a refusal an error."""

    type: str = ""
    seq: int = 0
    count: int = 0
    stream: str = ""
    error: msgspec.Raw = msgspec.Raw(b"")


_decode: Final = msgspec.json.Decoder(_Word).decode


class Ingest:
    """One batch."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._news = asyncio.Event()
        self._begun = False
        self._over = False
        self._stored = 0
        self._until = float("inf")

    async def store(self, count: int, build: Build, *, until: float) -> int:
        """Store messages 0 to `count`; how many of them, from the beginning, are known to be stored.

        `until`: monotonic seconds at which to stop waiting.
        """
        self._until = until
        wire = self._link.wire
        if wire is None:
            return 0
        inbox = new_inbox()
        prefix = f"{inbox}.{FLOW}.fail.".encode()
        token = self._link.listen(inbox + ".>", self._on_word)
        try:
            for number in range(1, count + 1):
                subject, header, payload = build(number - 1)
                operation = _APPEND if 1 < number < count else _START if number == 1 else _COMMIT
                size = len(header)
                wire.send(
                    b"HPUB %b %b%d.%b.$FI %d %d\r\n%b%b\r\n"
                    % (subject, prefix, number, operation, size, size + len(payload), header, payload)
                )
                if not number % CHECK and wire.unsent > MOST_UNSENT:
                    await self._drained(wire)
                if number == 1 or number - self._stored >= WINDOW:
                    await self._room(number)
                    if self._over or self._link.wire is not wire:
                        return self._stored
            while not self._over and self._stored < count and await self._hear():
                pass
            return self._stored
        finally:
            self._link.unlisten(token)

    async def _room(self, number: int) -> None:
        """Until the batch has begun and the broker is near enough behind us; gives the batch up on silence."""
        while not self._over and (not self._begun or number - self._stored >= WINDOW):
            if not await self._hear():
                self._over = True

    async def _drained(self, wire: Wire) -> None:
        """Until the socket has taken most of what was sent; gives the batch up where it takes nothing."""
        given_up = min(clock.monotonic() + SILENCE, self._until)
        left = wire.unsent
        while left > MOST_UNSENT and not self._over:
            await asyncio.sleep(DRAIN)
            if wire.unsent < left:
                given_up = min(clock.monotonic() + SILENCE, self._until)
            left = wire.unsent
            self._over = self._over or clock.monotonic() >= given_up or not wire.is_connected

    async def _hear(self) -> bool:
        self._news.clear()
        try:
            async with asyncio.timeout(min(SILENCE, max(self._until - clock.monotonic(), 0))):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _on_word(self, _subject: bytes, _reply: bytes, payload: bytes, header: bytes) -> None:
        self._news.set()
        if self._over:
            return
        try:
            word = _decode(payload)
        except msgspec.DecodeError:
            self._over = True
            _log.debug("a batch was answered with %s", header[:40])
            return
        if word.type == "ack" and not word.error:
            self._begun = True
            self._stored = max(self._stored, word.seq)
        elif word.stream and not word.error:
            self._stored, self._over = word.count, True
        else:  # a gap, an error, a refusal: the rest goes the slow way, which tells what is wrong
            self._over = True
            _log.debug("a batch ended early: %s", payload[:200])
