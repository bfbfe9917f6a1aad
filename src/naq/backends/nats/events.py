"""The durable log: final records and events in the order they were stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from naq import clock
from naq.backends.base import Event
from naq.backends.nats import messages
from naq.backends.nats.api import Message
from naq.backends.nats.broker.durability import get_mode
from naq.backends.nats.letters import Letters
from naq.backends.values import Standing
from naq.exceptions import ConfigurationError
from naq.names import check_token

AT: Final = "Naq-At"  # when it happened, in UNIX seconds; without it, when it was stored
MESSAGE_ID: Final = "Nats-Msg-Id"  # of two messages with one within the stream's window, the second is not stored
LOOK_AGAIN: Final = 0.1  # seconds; a replica may not have had yet what was stored a moment before we asked
HINT_LOST: Final = 5.0  # seconds that a lost hint costs


class Events(Letters):
    """The `EventLog` protocol. A cursor is a stream sequence."""

    async def append(self, events: Sequence[Event]) -> None:
        """Store `events`; see `EventLog.append`."""
        self.must_be_open()
        sent: list[asyncio.Future[tuple[bytes, bytes]]] = []
        for event in events:
            kind = check_token("event kind", event.kind)
            if kind == "record":
                raise ConfigurationError("an event cannot be of kind 'record': final records are events by themselves")
            subject = self.subjects.event(kind, check_token("queue", event.queue), check_token("job id", event.job_id))
            lines = f"{AT}: {event.at!r}\r\n" if event.at else ""
            if event.id:
                lines += f"{MESSAGE_ID}: {event.id}\r\n"
            header = messages.block(lines) if lines else b""
            future = self.courier.publish(subject.encode(), event.data, header, timeout=self.config.publish_timeout)
            sent.append(future)
        await asyncio.gather(*sent)

    async def latest(self) -> str:
        """The last sequence; see `EventLog.latest`."""
        self.must_be_open()
        return str((await self.js.call(f"STREAM.INFO.{self.subjects.log}"))["state"]["last_seq"])

    async def standing(self, after: str | None) -> Standing:
        """From the stream's own account of itself; see `EventLog.standing`."""
        self.must_be_open()
        info = await self.js.call(f"STREAM.INFO.{self.subjects.log}")
        first, last = int(info["state"]["first_seq"]), int(info["state"]["last_seq"])
        cursor = int(after or 0)
        missed = 0 if after is None else max(first - 1 - cursor, 0)
        ahead = max(last - max(cursor, first - 1), 0)
        return Standing(str(info["created"]), ahead, cursor <= last, missed)

    async def read(
        self, *, after: str | None = None, limit: int = 1000, wait: float = 0.0, kind: str | None = None
    ) -> list[tuple[str, Event]]:
        """What was stored after the cursor; see `EventLog.read`."""
        self.must_be_open()
        news = asyncio.Event()

        def on_news(_subject: bytes, _reply: bytes, _payload: bytes, _header: bytes) -> None:
            news.set()

        subject = self.subjects.logged(kind)
        heard = [self.subjects.news(letter) for letter in "re"] if kind is None else [self.subjects.told(kind)]
        tokens = [self.link.listen(each, on_news) for each in heard]
        self.link.on_up.append(news.set)  # what was stored while there was no connection, nobody told us
        until, cursor = clock.monotonic() + wait, int(after or 0)
        patience = LOOK_AGAIN if get_mode(self.config.durability).replicas > 1 else HINT_LOST
        try:
            while True:
                news.clear()
                found = await self.js.batch(self.subjects.log, subject, after=cursor, limit=limit)
                events = [
                    (str(message.sequence), event) for message in found if (event := read_event(message)) is not None
                ]
                left = until - clock.monotonic()
                if events or (left <= 0 and not found):
                    return events
                if found:
                    cursor = found[-1].sequence
                    continue
                try:
                    async with asyncio.timeout(min(left, patience)):
                        await news.wait()
                except TimeoutError:
                    patience = HINT_LOST
        finally:
            self.link.on_up.remove(news.set)
            for token in tokens:
                self.link.unlisten(token)


def read_event(message: Message) -> Event | None:
    """The event in a message of the log; None where a stranger has put something there."""
    words = message.subject.split(".")
    try:
        at = float(message.headers.get(AT, "0"))
    except ValueError:
        at = 0.0
    at = at or messages.stored_at(message.time)
    if words[2] == "r" and len(words) == 5:
        return Event(kind="record", queue=words[3], job_id=words[4], data=message.data, at=at)
    if words[2] == "e" and len(words) == 6:
        return Event(kind=words[3], queue=words[4], job_id=words[5], data=message.data, at=at)
    return None
