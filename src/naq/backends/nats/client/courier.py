"""Sends and gets an answer, or says by the deadline that there was none.

Everything that expects a reply goes through here: pipelined publishes (the answer is a PubAck) and requests to the
JetStream API. One inbox, one future an entry, a deadline an entry; nothing is ever left pending, which is what
nats-py's `publish_async` does on an API error or a disconnect (RELIABILITY.md 3.4, traps 1 to 3).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from naq import clock
from naq.backends.nats.client import errors
from naq.backends.nats.client.inbox import new_inbox
from naq.backends.nats.client.link import Link
from naq.chance import CHANCE
from naq.exceptions import NaqConnectionError, PayloadTooLarge

TRY_TIMEOUT: Final = 2.0  # seconds after which one try is given up and repeated (RELIABILITY.md 3.2)
RENEW: Final = 0.25  # seconds between two renewals of that, while an answer comes in parts
BACKOFF_FIRST: Final = 0.05  # seconds before trying again after a refusal that will pass
BACKOFF_MOST: Final = 0.5  # seconds; below an election (4 to 9 s) by far, above a busy loop by far
SWEEP: Final = 0.1  # seconds between two looks at deadlines while something is pending
HEARD: Final = b"heard"  # what is said at once by who has something to do, and says nothing when it is done
POKE: Final = 0.5  # seconds; "nobody listens" comes back in a round trip
REPUBLISH: Final = b"Naq-Republish: 1\r\n"
HEADER_START: Final = b"NATS/1.0\r\n"
_SECOND_TRY: Final = len(HEADER_START) + len(REPUBLISH) + 2  # bytes that a repeated publish may be longer
MOST_UNSENT: Final = 4 * 1024 * 1024  # bytes that wait for the socket, above which nothing is sent a second time

Answer = tuple[bytes, bytes]
"""Payload and raw header block of a reply."""


class _Entry:
    __slots__ = (
        "deadline",
        "future",
        "header",
        "is_publish",
        "payload",
        "refusals",
        "subject",
        "tries",
        "try_timeout",
        "try_until",
    )

    def __init__(
        self,
        subject: bytes,
        payload: bytes,
        header: bytes,
        future: asyncio.Future[Answer],
        deadline: float,
        *,
        is_publish: bool,
        try_timeout: float,
    ) -> None:
        self.subject = subject
        self.payload = payload
        self.header = header
        self.future = future
        self.deadline = deadline
        self.is_publish = is_publish
        self.try_timeout = try_timeout
        self.try_until = 0.0
        self.tries = 0
        self.refusals = 0


class Courier:
    """Requests and publishes over a link, each answered or failed by its deadline."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._prefix = f"{new_inbox()}.".encode()
        self._cut = len(self._prefix)
        self._pending: dict[bytes, _Entry] = {}
        self._count = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Listen for answers."""
        self._link.listen(self._prefix.decode() + "*", self._answered)
        self._link.on_up.append(self._resend_all)

    def close(self) -> None:
        """Fail whatever still waits, and whatever comes."""
        self._closed = True
        for entry in self._pending.values():
            if not entry.future.done():
                entry.future.set_exception(NaqConnectionError("the connection was closed while waiting for an answer"))
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def in_flight(self) -> int:
        """How many entries wait for an answer."""
        return len(self._pending)

    def publish(
        self, subject: bytes, payload: bytes, header: bytes, *, timeout: float, again: bool = False
    ) -> asyncio.Future[Answer]:
        """Store a message; the future ends with its PubAck.

        It raises `errors.Conflict` where an expected sequence did not match, `NaqBackpressureError` where the store is
        full, `NaqConnectionError` where the outcome is unknown at the deadline. Tries after the first say so in a
        header, because the message of an earlier one may have been stored, and consumed, meanwhile. `again`: there was
        a try before, by other means.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        entry = _Entry(
            subject, payload, header, future, clock.monotonic() + timeout, is_publish=True, try_timeout=TRY_TIMEOUT
        )
        entry.tries = int(again)
        self._start(entry)
        return future

    def request(
        self, subject: str, payload: bytes = b"", *, timeout: float, try_timeout: float = TRY_TIMEOUT
    ) -> asyncio.Future[Answer]:
        """Ask `subject`; asks again every `try_timeout` seconds, so it must be safe to ask twice."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        entry = _Entry(
            subject.encode(),
            payload,
            b"",
            future,
            clock.monotonic() + timeout,
            is_publish=False,
            try_timeout=try_timeout,
        )
        self._start(entry)
        return future

    async def poke(self, subject: str) -> bytes:
        """The header block of the first word that comes back within half a second; empty where none does."""
        first: asyncio.Future[bytes] = self._loop.create_future()

        def on_word(_subject: bytes, _reply: bytes, _payload: bytes, header: bytes) -> None:
            if not first.done():
                first.set_result(header)

        inbox = new_inbox()
        token = self._link.listen(inbox, on_word)
        try:
            if self._link.wire is not None:
                self._link.wire.send(b"PUB %b %b 0\r\n\r\n" % (subject.encode(), inbox.encode()))
            async with asyncio.timeout(POKE):
                return await first
        except TimeoutError:
            return b""
        finally:
            self._link.unlisten(token)

    async def gather(self, subject: str, patience: float, timeout: float) -> int:
        """Have everybody who listens do something; how many have done it, within `timeout` seconds. Fast if nobody.

        Each says `HEARD` at once, and nothing when it is done; who has not said so within `patience` seconds is not
        waited for.
        """
        heard = done = 0
        alone, told = asyncio.Event(), asyncio.Event()

        def on_word(_subject: bytes, _reply: bytes, payload: bytes, header: bytes) -> None:
            nonlocal heard, done
            if errors.is_no_responders(header):
                alone.set()
            elif payload == HEARD:
                heard += 1
            else:
                done += 1
                told.set()

        inbox = new_inbox()
        token = self._link.listen(inbox, on_word)
        try:
            if (wire := self._link.wire) is not None:
                wire.send(b"PUB %b %b 0\r\n\r\n" % (subject.encode(), inbox.encode()))
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await alone.wait()
                async with asyncio.timeout(timeout):
                    while done < heard:
                        told.clear()
                        await told.wait()
        except TimeoutError:
            return done
        finally:
            self._link.unlisten(token)
        return done

    async def ask_many(self, subject: str, payload: bytes, *, timeout: float) -> list[Answer]:
        """Ask for an answer in parts that ends with a status; asks again where it stays away or nobody is there.

        Raises:
            NaqConnectionError: not complete within `timeout` seconds.
        """
        deadline = clock.monotonic() + timeout
        pause = BACKOFF_FIRST
        while (left := deadline - clock.monotonic()) > 0 and not self._closed:
            if not await self._link.wait_up(left):
                raise self._link.unreachable(timeout)
            parts = await self._ask_parts(subject, payload, deadline)
            if parts is not None:
                return parts
            # Between two leaders, or just after a restart, nobody may be there.
            await asyncio.sleep(max(0.0, min(pause, deadline - clock.monotonic())))
            pause = min(pause * 2, BACKOFF_MOST)
        raise NaqConnectionError(f"the broker at {self._link.shown} did not answer {subject} within {timeout:g} s")

    async def _ask_parts(self, subject: str, payload: bytes, deadline: float) -> list[Answer] | None:
        """One try of `ask_many`; None where it came to nothing, or nothing comes for as long as a try may take."""
        parts: list[Answer] = []
        patience = asyncio.timeout(min(deadline - clock.monotonic(), TRY_TIMEOUT))
        renewed = self._loop.time()
        ended: asyncio.Future[bool] = self._loop.create_future()

        def on_part(_subject: bytes, _reply: bytes, payload: bytes, header: bytes) -> None:
            nonlocal renewed
            if ended.done() or patience.expired():
                return
            if header.startswith(b"NATS/1.0 "):  # 204: that was all; 404: there is nothing; else nobody could say
                ended.set_result(header[9:12] in {b"204", b"404"})
            else:
                parts.append((payload, header))
                if (now := self._loop.time()) - renewed > RENEW:  # not for each of thousands
                    renewed = now
                    patience.reschedule(now + min(deadline - clock.monotonic(), TRY_TIMEOUT))

        inbox = new_inbox()
        token = self._link.listen(inbox, on_part)
        try:
            if (wire := self._link.wire) is not None:
                wire.send(b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), inbox.encode(), len(payload), payload))
            async with patience:
                return parts if await ended else None
        except TimeoutError:
            return None
        finally:
            self._link.unlisten(token)

    def _start(self, entry: _Entry) -> None:
        if self._closed:
            entry.future.set_exception(NaqConnectionError("the connection was closed: make a new backend"))
            return
        # As large as it may get: a second try says that it is one.
        size = len(entry.payload) + len(entry.header) + entry.is_publish * _SECOND_TRY
        most = self._link.server.get("max_payload")
        if most is not None and size > most:
            # Sent all the same, the server would cut the connection (trap 7), and every other job with it.
            entry.future.set_exception(PayloadTooLarge(f"{size} bytes with headers; the broker takes at most {most}"))
            return
        self._count += 1
        token = b"%x" % self._count
        self._pending[token] = entry
        self._send(token, entry)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP, self._sweep)

    def _send(self, token: bytes, entry: _Entry) -> None:
        entry.try_until = clock.monotonic() + entry.try_timeout
        wire = self._link.wire
        if wire is None:
            return  # sent when the link is up again, if its deadline lasts that long
        entry.tries += 1
        header, payload = entry.header, entry.payload
        if entry.is_publish and entry.tries > 1:
            header = (header[:-2] if header else HEADER_START) + REPUBLISH + b"\r\n"
        if header:
            size = len(header)
            wire.send(
                b"HPUB %b %b%b %d %d\r\n%b%b\r\n"
                % (entry.subject, self._prefix, token, size, size + len(payload), header, payload),
                urgent=True,
            )
        else:
            wire.send(b"PUB %b %b%b %d\r\n%b\r\n" % (entry.subject, self._prefix, token, len(payload), payload))

    def _answered(self, subject: bytes, _reply: bytes, payload: bytes, header: bytes) -> None:
        token = subject[self._cut :]
        entry = self._pending.get(token)
        if entry is None:
            return  # an answer to a try that was given up; a later one was taken
        if header and not payload and errors.is_no_responders(header):
            entry.tries -= 1  # it reached nobody
            self._again(entry)
            return
        if entry.is_publish and payload[2:7] == b"error":
            refusal = errors.refusal(payload)
            if refusal.err_code == errors.CAS_IN_FLIGHT:
                # What stands in its way is not stored yet, and without a majority never will be. It may be our own
                # first try: taken for an answer, it would be reported as stored.
                entry.tries -= 1
                self._again(entry)
                return
            if refusal.will_pass:
                self._again(entry)
                return
            del self._pending[token]
            if not entry.future.done():
                exception = errors.as_exception(refusal)
                if isinstance(exception, errors.Conflict):
                    exception.first_try = entry.tries == 1
                entry.future.set_exception(exception)
            return
        del self._pending[token]
        if not entry.future.done():
            entry.future.set_result((payload, header))

    def _again(self, entry: _Entry) -> None:
        """Try again after a pause that grows: nobody may answer until a leader is elected."""
        entry.refusals += 1
        pause = min(BACKOFF_FIRST * 2 ** min(entry.refusals, 8), BACKOFF_MOST) * CHANCE.uniform(0.5, 1.0)
        entry.try_until = clock.monotonic() + pause

    def _resend_all(self) -> None:
        for token, entry in list(self._pending.items()):
            if not entry.future.done():
                self._send(token, entry)

    def _sweep(self) -> None:
        now = clock.monotonic()
        wire = self._link.wire
        # A peer that takes nothing has the first try still before it: to pile up more would only cost memory.
        is_stuck = wire is not None and wire.unsent > MOST_UNSENT
        for token, entry in list(self._pending.items()):
            if entry.future.done():  # its caller went away
                del self._pending[token]
            elif now >= entry.deadline:
                del self._pending[token]
                entry.future.set_exception(self._late(entry))
            elif now >= entry.try_until and not is_stuck:
                self._send(token, entry)
        self._timer = self._loop.call_later(SWEEP, self._sweep) if self._pending else None

    def _late(self, entry: _Entry) -> NaqConnectionError:
        what = "storing a job or record" if entry.is_publish else f"asking {entry.subject.decode()}"
        state = "it does not answer" if self._link.is_up else "it cannot be reached"
        return NaqConnectionError(
            f"{what} was not acknowledged by the broker at {self._link.shown} within its deadline: {state}. "
            "The outcome is unknown; doing it again with the same job id is safe"
        )
