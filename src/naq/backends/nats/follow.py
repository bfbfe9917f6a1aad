"""The log of one job: its events by subject, its record beside them, both pushed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from naq import clock
from naq.backends.base import Event
from naq.backends.nats.api import Message
from naq.backends.nats.events import HINT_LOST, LOOK_AGAIN, Events, read_event
from naq.names import check_token

_RECORD: Final = "record"


class Follow(Events):
    """`EventLog.follow` and `EventLog.newest`."""

    async def follow(
        self,
        job_id: str,
        *,
        kinds: Collection[str] = (),
        after: str | None = None,
        limit: int = 1000,
        wait: float = 0.0,
    ) -> list[tuple[str, Event]]:
        """Events of one job after the cursor; see `EventLog.follow`."""
        self.must_be_open()
        check_token("job id", job_id)
        news = asyncio.Event()

        def on_news(_subject: bytes, _reply: bytes, _payload: bytes, _header: bytes) -> None:
            news.set()

        told = [kind for kind in kinds if kind != _RECORD] or (["*"] if not kinds else [])
        heard = [self.subjects.told_of(job_id, kind) for kind in told]
        if not kinds or _RECORD in kinds:
            heard.append(self.subjects.pushed(job_id))
        tokens = [self.link.listen(each, on_news) for each in heard] if wait > 0 else []
        self.link.on_up.append(news.set)
        self.on_close.append(news.set)
        until, cursor, patience = clock.monotonic() + wait, int(after or 0), LOOK_AGAIN
        try:
            while True:
                news.clear()
                page, seen = await self._page(job_id, kinds, told, cursor, limit)
                found = [
                    (str(message.sequence), event) for message in page if (event := read_event(message)) is not None
                ]
                left = until - clock.monotonic()
                if found or (left <= 0 and seen == cursor):
                    return found
                if seen > cursor:
                    cursor = seen
                    continue
                try:
                    async with asyncio.timeout(min(left, patience)):
                        await news.wait()
                    patience = LOOK_AGAIN  # what was told may not have reached every replica
                    self.must_be_open()
                except TimeoutError:
                    patience = HINT_LOST
        finally:
            self.link.on_up.remove(news.set)
            self.on_close.remove(news.set)
            for token in tokens:
                self.link.unlisten(token)

    async def newest(self, job_id: str, kind: str) -> tuple[str, Event] | None:
        """The last event of a kind; see `EventLog.newest`."""
        self.must_be_open()
        check_token("job id", job_id)
        subject = self.subjects.records(job_id) if kind == _RECORD else self.subjects.logged_of(job_id, kind)
        message = await self.js.last(self.subjects.log, subject)
        event = None if message is None else read_event(message)
        return None if message is None or event is None else (str(message.sequence), event)

    async def _page(
        self, job_id: str, kinds: Collection[str], told: Collection[str], after: int, limit: int
    ) -> tuple[list[Message], int]:
        """The next messages of a job in the log, and the sequence behind which there may be more."""
        record = None
        if not kinds or _RECORD in kinds:
            # First, so that whatever was stored before it is there when the events are read.
            record = await self.js.last(self.subjects.log, self.subjects.records(job_id))
            if record is not None and record.sequence <= after:
                record = None
        subject = self.subjects.logged_of(job_id, next(iter(told)) if len(told) == 1 else "*")
        read = await self.js.batch(self.subjects.log, subject, after=after, limit=limit) if told else []
        seen = read[-1].sequence if read else after
        page = [message for message in read if not kinds or message.subject.split(".")[3] in kinds]
        if record is None or (len(read) == limit and seen < record.sequence):
            return page, seen
        if told and seen < record.sequence:
            last = await self.js.last(self.subjects.log, subject)
            if last is not None and seen < last.sequence:  # a replica was behind: the rest comes first
                return page, seen
        at = next((at for at, message in enumerate(page) if message.sequence > record.sequence), len(page))
        return [*page[:at], record, *page[at:]][:limit], max(seen, record.sequence)
