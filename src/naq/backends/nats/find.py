"""Looking a job up, and waiting for its record to be pushed."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from msgspec.structs import replace

from naq import clock
from naq.backends.nats import messages
from naq.backends.nats.api import Message
from naq.backends.nats.client.errors import CONSUMER_NOT_FOUND
from naq.backends.nats.settle import Settle, read_record
from naq.backends.nats.subjects import consumer, place_of
from naq.codec.headers import read_tags
from naq.codec.peek import peek
from naq.codec.record import decode_record
from naq.exceptions import JobNotFoundError, NaqConnectionError, ResultTimeout
from naq.job import JobRecord, JobSpec, JobState
from naq.names import is_token

LOOK_FIRST: Final = 0.05  # seconds until a waiter makes sure that there is such a job; most are done by then
LOOK_AGAIN: Final = 5.0  # seconds between two looks of a waiter whose push may have been lost


class Place(NamedTuple):
    """Where a job that is not final stands."""

    message: Message
    state: JobState
    job: JobSpec


class Find(Settle):
    """`JobAdmin.get` and `wait`."""

    async def get(self, job_id: str) -> JobRecord | None:
        """What is known of a job; see `JobAdmin.get`."""
        self.must_be_open()
        if not is_token(job_id):
            return None
        record = await self.record_of(job_id)
        place = await self.place(job_id)
        if place is None:
            # It may have ended between the two looks.
            return record or await self.record_of(job_id)
        if record is not None and record.run >= place.job.run:
            return record
        return self._view(place)

    async def record_of(self, job_id: str) -> JobRecord | None:
        """The latest final record of a job, from the leader."""
        return read_record(await self.js.last(self.subjects.log, self.subjects.records(job_id)))

    async def place(self, job_id: str) -> Place | None:
        """Where a job waits or runs."""
        message = await self.js.last(self.subjects.jobs, self.subjects.any_of(job_id))
        if message is None:
            return None
        letter, queue, priority, _ = place_of(message.subject)
        job = messages.job_from(job_id, queue, priority, message.data, message.headers)
        if letter == "b":
            state = JobState.BLOCKED
        elif letter == "s":
            state = JobState.RETRYING if job.attempt > 1 else JobState.SCHEDULED
            job = replace(job, run_at=messages.time_of(message.headers.get(messages.SCHEDULE, "")))
        else:
            state = JobState.RUNNING if await self.is_delivered(job, message.sequence) else JobState.QUEUED
        return Place(message, state, job)

    async def is_delivered(self, job: JobSpec, sequence: int) -> bool:
        """Whether a ready message was handed out already. One that was handed back counts as handed out."""
        name = consumer(job.queue, job.priority)
        info = await self.js.try_call(f"CONSUMER.INFO.{self.subjects.jobs}.{name}", absent=CONSUMER_NOT_FOUND)
        return info is not None and int(info["delivered"]["stream_seq"]) >= sequence

    def _view(self, place: Place) -> JobRecord:
        job, said = place.job, peek(place.job.payload)
        return JobRecord(
            id=job.id,
            state=place.state,
            queue=job.queue,
            priority=job.priority,
            task=said.task,
            run=job.run,
            attempt=job.attempt,
            errors=said.errors,
            enqueued_at=said.at,
            run_at=job.run_at or 0.0,
            reason=job.reason,
            tags=read_tags(job.headers),
        )

    async def wait(self, job_id: str, *, timeout: float | None = None) -> JobRecord:
        """The final record, pushed; see `JobAdmin.wait`."""
        self.must_be_open()
        if not is_token(job_id):
            raise JobNotFoundError(f"no job has the id {job_id[:80]!r}")
        pushed: list[bytes] = []
        news = asyncio.Event()

        def on_record(_subject: bytes, _reply: bytes, payload: bytes, _header: bytes) -> None:
            pushed.append(payload)
            news.set()

        token = self.link.listen(self.subjects.pushed(job_id), on_record)
        self.link.on_up.append(news.set)
        until = clock.monotonic() + timeout if timeout is not None else float("inf")
        try:
            patience = LOOK_FIRST
            while True:
                record = await self._final(job_id, until, sure=patience > LOOK_FIRST)
                if record is None:
                    await _until_set(news, min(until - clock.monotonic(), patience))
                    patience = LOOK_AGAIN
                    # What is pushed is what was stored: the broker republishes after storing.
                    record = decode_record(pushed.pop()) if pushed else None
                if record is not None:
                    return record
                if clock.monotonic() >= until:
                    raise ResultTimeout(f"job {job_id} did not finish within {timeout:g} s; it goes on, ask again")
                news.clear()
        finally:
            self.link.on_up.remove(news.set)
            self.link.unlisten(token)

    async def _final(self, job_id: str, until: float, *, sure: bool) -> JobRecord | None:
        """The record of the job's latest run, or None while that is not over.

        `sure`: also find out whether there is such a job at all.
        """
        try:
            record = await self.record_of(job_id)
            if record is None and not sure:
                return None
            place = await self._waiting(job_id)
            if record is None and place is None and (record := await self.record_of(job_id)) is None:
                raise JobNotFoundError(f"no job and no record has the id {job_id}")
        except NaqConnectionError:
            # A waiter outlives an outage, as long as its own time lasts.
            if clock.monotonic() < until:
                return None
            raise
        return None if record is None or (place is not None and place.run > record.run) else record

    async def _waiting(self, job_id: str) -> JobSpec | None:
        message = await self.js.last(self.subjects.jobs, self.subjects.any_of(job_id))
        if message is None:
            return None
        _, queue, priority, _ = place_of(message.subject)
        return messages.job_from(job_id, queue, priority, message.data, message.headers)


async def _until_set(event: asyncio.Event, timeout: float) -> None:
    try:
        async with asyncio.timeout(max(timeout, 0)):
            await event.wait()
    except TimeoutError:
        return
