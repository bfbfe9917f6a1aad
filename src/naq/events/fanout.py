"""From the log of events to jobs: for every handler one, always of the same id; and to jobs that wait for them.

Done by one worker at a time. Two at once do no harm, nor does beginning again a little earlier than where one ended.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend, Event
from naq.config import Config
from naq.events.wire import (
    HANDLER,
    KIND,
    Handler,
    Published,
    handler_key,
    job_of,
    matches,
    read_event,
    read_handler,
    write_handler,
)
from naq.exceptions import PayloadTooLarge, SerializationError
from naq.inside.steps import token
from naq.inside.waiting import WAITER, put_waiter, read_waiter
from naq.job import JobSpec

log = logging.getLogger("naq.events")

CURSOR: Final = ("cursor", "events")  # the entry that says how far the log is dealt with
PAGE: Final = 200  # events dealt with at once
#: Seconds between two looks for new handlers while nothing happens, and between two tries to wake a job.
LOOK: Final = 10.0
WAKE: Final = 0.2
#: Seconds of clock difference between publisher and waiter that are forgiven.
SKEW: Final = 1.0


class Fanout:
    """Deals with the events of a namespace, for as long as it is asked to."""

    def __init__(self, backend: Backend, config: Config) -> None:
        self._backend = backend
        self._config = config
        self._cursor: str | None = None
        self._version = 0
        self._handlers: list[Handler] = []
        self._waking: dict[str, str] = {}  # jobs that are to be told, by the keys of their waiters
        self._looked_at = float("-inf")
        self._unread: set[str] = set()  # what cannot be read here; each is complained about once

    async def begin(self) -> None:
        """Go on where the one before stopped."""
        entry = await self._backend.entry(*CURSOR)
        if entry is None:
            # Kept from the first moment on: what is published after this leader's end is for the next one to find.
            self._cursor = await self._backend.latest()
            self._version = await self._backend.put(*CURSOR, self._cursor.encode(), expect=0) or 0
        else:
            self._cursor, self._version = entry.value.decode(), entry.version
        for entry in await self._backend.entries(WAITER):
            try:
                waiter = read_waiter(self._config, entry)
            except SerializationError as error:
                self._complain(entry.key, error)
                continue
            if waiter.got is not None:
                self._waking[entry.key] = waiter.job

    async def step(self, *, wait: float) -> int:
        """Deal with the next events, which come within `wait` seconds; how many."""
        if self._waking:
            await self._wake()
            wait = min(wait, WAKE)
        if clock.monotonic() - self._looked_at >= LOOK:
            await self._look()
        events = await self._backend.read(after=self._cursor, limit=PAGE, wait=min(wait, LOOK), kind=KIND)
        if not events:
            return 0
        await self._look()  # whoever was there when they were published is for them
        await self._deal([event for _, event in events], self._handlers, waiters=True)
        self._cursor = events[-1][0]
        version = await self._backend.put(*CURSOR, self._cursor.encode(), expect=self._version)
        if version is None:  # another leader: go on from where that one is
            entry = await self._backend.entry(*CURSOR)
            self._version = 0 if entry is None else entry.version
        else:
            self._version = version
        return len(events)

    async def _look(self) -> None:
        """Learn of handlers; those that are new get what came between their registration and now."""
        self._looked_at = clock.monotonic()
        handlers: list[Handler] = []
        for entry in await self._backend.entries(HANDLER):
            try:
                handler = read_handler(self._config, entry)
            except SerializationError as error:
                self._complain(entry.key, error)
                continue
            if not handler.joined:
                await self._join(handler)
                joined = write_handler(self._config, replace(handler, joined=True))
                await self._backend.put(HANDLER, handler_key(handler.task), joined, expect=entry.version)
            handlers.append(handler)
        self._handlers = handlers

    async def _join(self, handler: Handler) -> None:
        after = handler.after
        while events := await self._backend.read(after=after, limit=PAGE, kind=KIND):
            after = events[-1][0]
            await self._deal([event for _, event in events], [handler], waiters=False)

    async def _deal(self, events: Sequence[Event], handlers: Sequence[Handler], *, waiters: bool) -> None:
        specs: list[JobSpec] = []
        now = clock.now()
        for event in events:
            try:
                published = read_event(self._config, event)
            except SerializationError as error:
                self._complain(event.job_id, error)
                continue
            for handler in handlers:
                if handler.since is not None and event.at < handler.since:
                    continue
                if any(matches(pattern, published.name) for pattern in handler.patterns):
                    try:
                        specs.append(job_of(self._config, handler, event.job_id, published, now))
                    except PayloadTooLarge as error:
                        self._complain(f"{event.job_id}-{handler.task}", error)
            if waiters:
                await self._tell(event, published)
        if specs:
            await self._backend.enqueue(specs)

    async def _tell(self, event: Event, published: Published) -> None:
        """Give the event to those who wait for it."""
        for entry in await self._backend.entries(WAITER, under=token(published.name)):
            try:
                waiter = read_waiter(self._config, entry)
            except SerializationError as error:
                self._complain(entry.key, error)
                continue
            if waiter.got is not None or event.at < waiter.since - SKEW or waiter.match not in {"", published.key}:
                continue
            told = replace(waiter, got=published.data)
            if await put_waiter(self._backend, self._config, entry.key, told, expect=entry.version):
                self._waking[entry.key] = waiter.job

    async def _wake(self) -> None:
        """Put jobs in line whose event has come: again and again, as one may only be about to wait for it."""
        for key, job_id in list(self._waking.items()):
            if await self._backend.run_now(job_id):
                continue
            record = await self._backend.get(job_id)
            if record is None or record.is_final:
                await self._backend.remove(WAITER, key)
            if await self._backend.entry(WAITER, key) is None:
                del self._waking[key]

    def _complain(self, what: str, why: object) -> None:
        if what not in self._unread:
            self._unread.add(what)
            log.error("%s is passed over: %s", what, why)
