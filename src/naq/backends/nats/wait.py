"""Waiting for a job's final record: subscribed first, then looked for, then pushed (docs/adr/0005)."""

from __future__ import annotations

import asyncio
from typing import Final

from naq import clock
from naq.backends.nats import messages
from naq.backends.nats.find import Find
from naq.backends.nats.subjects import place_of
from naq.codec.record import decode_record
from naq.exceptions import JobNotFoundError, NaqConnectionError, ResultTimeout
from naq.job import JobRecord, JobSpec, JobState
from naq.names import check_token

LOOK_FIRST: Final = 0.05  # seconds until a waiter makes sure that there is such a job; most are done by then
LOOK_AGAIN: Final = 5.0  # seconds between two looks of a waiter whose push may have been lost


class Wait(Find):
    """`JobAdmin.wait`."""

    async def wait(self, job_id: str, *, timeout: float | None = None) -> JobRecord:
        """The final record, pushed; see `JobAdmin.wait`."""
        self.must_be_open()
        check_token("job id", job_id)
        pushed: list[bytes] = []
        news = asyncio.Event()

        def on_record(_subject: bytes, _reply: bytes, payload: bytes, _header: bytes) -> None:
            pushed.append(payload)
            news.set()

        def on_look(look: asyncio.Task[JobRecord | None]) -> None:
            if not look.cancelled():
                look.exception()  # read here, because the push may make the answer unnecessary
            news.set()

        token = self.link.listen(self.subjects.pushed(job_id), on_record)
        self.link.on_up.append(news.set)
        self.on_close.append(news.set)
        until = clock.monotonic() + timeout if timeout is not None else float("inf")
        # It may have ended before we listened; the answer and the push race, and either will do.
        look = asyncio.create_task(self._final(job_id, until, sure=False))
        look.add_done_callback(on_look)
        patience = LOOK_FIRST
        try:
            while True:
                heard = await _until_set(news, min(until - clock.monotonic(), patience))
                self.must_be_open()
                news.clear()
                if pushed:
                    # What is pushed is what was stored: the broker republishes after storing.
                    return decode_record(pushed[-1])
                if look.done():
                    if (record := look.result()) is not None:
                        return record
                    if not heard:
                        look = asyncio.create_task(self._final(job_id, until, sure=True))
                        look.add_done_callback(on_look)
                        patience = LOOK_AGAIN
                if clock.monotonic() >= until:
                    raise ResultTimeout(f"job {job_id} did not finish within {timeout:g} s; it goes on, ask again")
        finally:
            look.cancel()
            self.link.on_up.remove(news.set)
            self.on_close.remove(news.set)
            self.link.unlisten(token)

    async def _final(self, job_id: str, until: float, *, sure: bool) -> JobRecord | None:
        """The record of the job's latest run, or None while that is not over.

        `sure`: also find out whether there is such a job at all.
        """
        try:
            record = await self.record_of(job_id)
            if record is None and not sure:
                return None
            if record is not None and record.state is JobState.SUCCEEDED:
                return record  # only a dead letter is ever run again
            place = await self._still_there(job_id)
            if record is None and place is None and (record := await self.record_of(job_id)) is None:
                raise JobNotFoundError(f"no job and no record has the id {job_id}")
        except NaqConnectionError:
            # A waiter outlives an outage, as long as its own time lasts.
            if clock.monotonic() < until:
                return None
            raise
        return None if record is None or (place is not None and place.run > record.run) else record

    async def _still_there(self, job_id: str) -> JobSpec | None:
        message = await self.js.last(self.subjects.jobs, self.subjects.any_of(job_id))
        if message is None:
            return None
        _, queue, priority, _ = place_of(message.subject)
        return messages.job_from(job_id, queue, priority, message.data, message.headers)


async def _until_set(event: asyncio.Event, timeout: float) -> bool:
    """Whether `event` was set within `timeout` seconds."""
    try:
        async with asyncio.timeout(max(timeout, 0)):
            await event.wait()
    except TimeoutError:
        return False
    return True
