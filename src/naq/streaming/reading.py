"""Reading a stream, from its start or from anywhere: pulled by the reader, pushed by the broker, checked for gaps."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import msgspec
from msgspec import Raw

from naq import clock, sync
from naq.exceptions import JobNotFoundError, NaqException, ResultTimeout, StreamRestarted
from naq.inside.notes import read_note
from naq.job import JobRecord, JobState
from naq.streaming.items import ITEM, Item, Part

if TYPE_CHECKING:
    from naq.backends.base import Event
    from naq.connections import Host

T = TypeVar("T")
PAGE: Final = 64  # parts fetched at once; each has 256 items at most
WAIT: Final = 5.0  # seconds of one question to the broker, after which it is looked whether there is such a job
_KINDS: Final = (ITEM, "record")
_read_record: Final = msgspec.json.Decoder(JobRecord).decode


class Stream(Generic[T]):
    """The items of a job, as it gives them: ``async for item in job.stream()``.

    Every reader gets all of them from the start, however late it comes (of several attempts, those of the latest).
    Nothing is fetched before it is asked for, so a slow reader holds nobody up. The iteration ends when the job has
    succeeded, and raises what `Job.result` raises when it has not. Where another attempt begins anew, a reader that was
    given items gets `StreamRestarted` once, and those of the new attempt when it goes on.

    Attributes:
        run, attempt, claims: whose items these are (as in the task's context).
        count: items given of that attempt.
    """

    def __init__(
        self,
        job_id: str,
        host: Host,
        decode: Callable[[str, Raw], Any],
        failure: Callable[[JobRecord], Exception],
        timeout: float | None,
    ) -> None:
        self.run = self.attempt = self.claims = self.count = 0
        self._place = (0, 0, 0)  # the run, attempt and claims whose items are taken in
        self._number = 0  # of the next of them
        self._begun = False
        self._id = job_id
        self._host = host
        self._decode = decode
        self._failure = failure
        self._timeout = timeout
        self._cursor: str | None = None
        self._ready: deque[Item[T]] = deque()
        self._events: deque[tuple[str, Event]] = deque()
        self._known = False
        self._ended: JobRecord | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """The next item.

        Raises:
            StreamRestarted: another attempt began anew.
            StopAsyncIteration: the job has succeeded.
            ResultTimeout: nothing came within the stream's timeout.
            NaqException: as `Job.result`, where it has not succeeded.
        """
        item = await self._next()
        if item is None:
            raise StopAsyncIteration
        if (item.run, item.attempt, item.claims) != (self.run, self.attempt, self.claims):
            anew = self.count > 0
            self.run, self.attempt, self.claims, self.count = item.run, item.attempt, item.claims, 0
            if anew:
                self._ready.appendleft(item)
                raise StreamRestarted(
                    f"job {self._id} began its stream anew: attempt {item.attempt}"
                    + (f" of run {item.run}" if item.run > 1 else ""),
                    run=item.run,
                    attempt=item.attempt,
                )
        self.count += 1
        return item.value

    async def items(self) -> AsyncIterator[Item[T]]:
        """The same items with their numbers and attempts; does not raise `StreamRestarted`: ``item.attempt`` tells."""
        while (item := await self._next()) is not None:
            self.run, self.attempt, self.claims, self.count = item.run, item.attempt, item.claims, item.number + 1
            yield item

    async def _next(self) -> Item[T] | None:
        """The next item; None at the end."""
        until = None if self._timeout is None else clock.monotonic() + self._timeout
        while not self._ready:
            if self._ended is not None:
                if self._ended.state is JobState.SUCCEEDED:
                    return None
                raise self._failure(self._ended)
            if not self._events:
                await self._fetch(until)
            self._take()
        return self._ready.popleft()

    async def _fetch(self, until: float | None) -> None:
        left = WAIT if until is None else min(WAIT, until - clock.monotonic())
        if left <= 0:
            raise ResultTimeout(f"job {self._id} gave nothing within {self._timeout:g} s; it goes on, read on")
        backend = await self._host.connect()
        if not self._begun:
            newest = await backend.newest(self._id, ITEM)
            if newest is not None:
                self._place = _place(self._part(newest[1]))
            self._begun = True
        found = await backend.follow(self._id, kinds=_KINDS, after=self._cursor, limit=PAGE, wait=left)
        if found:
            self._known = True
            self._cursor = found[-1][0]
            self._events += found
        elif not self._known:
            if await backend.get(self._id) is None:
                raise JobNotFoundError(
                    f"there is no job {self._id!r}: it was never enqueued in this namespace, or its record has expired"
                )
            self._known = True

    def _take(self) -> None:
        """Take in events until there are items, or the end."""
        while self._events and not self._ready and self._ended is None:
            _, event = self._events.popleft()
            if event.kind == "record":
                record = _read_record(event.data)
                # A run that failed may have been followed by another, whose items lie behind its record.
                if not any(each.kind == ITEM and self._part(each).run > record.run for _, each in self._events):
                    self._ended = record
                continue
            part = self._part(event)
            at = _place(part)
            if at < self._place:
                continue  # a worker that lost the job goes on talking
            if at > self._place:
                self._place, self._number = at, 0
            if part.first > self._number:
                raise NaqException(
                    f"items {self._number} to {part.first - 1} of job {self._id} are gone: they are kept for "
                    "record_ttl, as long as the log has room"
                )
            if part.first < self._number:
                continue  # the same part twice: its acknowledgement was lost
            self._number += len(part.items)
            for number, raw in enumerate(part.items, part.first):
                value = self._decode(part.task, raw)
                self._ready.append(
                    Item(value=value, number=number, run=part.run, attempt=part.attempt, claims=part.claims)
                )

    def _part(self, event: Event) -> Part:
        return read_note(self._host.config, event, Part)


class SyncStream(Generic[T]):
    """The same for code without an event loop: ``for item in job.stream_sync()``; raises what `Stream` does."""

    def __init__(self, stream: Stream[T]) -> None:
        self._stream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """The next item, as soon as it is there."""
        try:
            return sync.run("async for item in job.stream()", self._stream.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None


def _place(part: Part) -> tuple[int, int, int]:
    return (part.run, part.attempt, part.claims)
