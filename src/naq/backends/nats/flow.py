"""Jobs that wait for others, and many jobs at once.

A blocked job is one message, parked as a timer for a time that does not come. One publish takes it out and puts the job
where it goes on, on condition that it still lies there; so one caller wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from typing import Final

from naq import clock
from naq.backends.base import Settled
from naq.backends.nats.api import Message
from naq.backends.nats.broker.durability import get_mode
from naq.backends.nats.find import Place, read_place
from naq.backends.nats.letters import Letters
from naq.backends.nats.session import REPLICA_LAG
from naq.backends.nats.settle import read_record
from naq.exceptions import ConfigurationError
from naq.job import JobRecord, JobSpec, JobState
from naq.names import check_token

AT_ONCE: Final = 1000  # subjects in one request; the broker takes 1,024
_LARGE: Final = 4 * 1024 * 1024  # bytes of an answer from which the broker may have broken it off
_ASK_LEADER: Final = 32  # jobs that the leader is asked for one by one, where a replica said that there is nothing


class Flow(Letters):
    """The `Flow` protocol."""

    async def unblock(self, job_id: str, record: JobRecord | None = None) -> bool:
        """Let a parked job go on, or end it; see `Flow.unblock`."""
        self.must_be_open()
        message = await self.js.last(self.subjects.jobs, self.subjects.parked_as(check_token("job id", job_id)))
        if message is None:
            return False
        place = read_place(message)
        if record is not None:
            return await self._end(place, record)
        await self.know(place.job.queue)
        while True:
            run_at = place.job.run_at
            if await self.set_off(place, run_at=run_at if run_at is not None and run_at > clock.now() else None):
                return True
            if (moved := await self.moved(place)) is None:
                return False
            place = moved

    async def _end(self, place: Place, record: JobRecord) -> bool:
        """Store the record that ends a parked job, then remove it. As with `discard`, the letter comes first."""
        letter = await self.keep_dead(place.job, record) if record.state is JobState.FAILED else 0
        settled = await self.store(record, first=place.job.run == 1)
        if letter and settled is Settled.SUPERSEDED:
            there = await self.record_of(record.id)
            if there is None or there.state is not JobState.FAILED:
                await self.js.delete(self.subjects.dead, letter)  # it did not fail after all
        await self.take_away(place)
        return settled is Settled.DONE

    async def finals(self, job_ids: Collection[str]) -> dict[str, JobRecord]:
        """A thousand records in a round trip; see `Flow.finals`."""
        found = await self._look_up(self.subjects.log, job_ids, self.subjects.records)
        records = ((job_id, read_record(message)) for job_id, message in found.items())
        return {job_id: record for job_id, record in records if record is not None}

    async def specs(self, job_ids: Collection[str]) -> dict[str, JobSpec]:
        """A thousand jobs in a round trip; see `Flow.specs`."""
        found = await self._look_up(self.subjects.jobs, job_ids, self.subjects.any_of)
        return {job_id: read_place(message).job for job_id, message in found.items()}

    async def _look_up(
        self, stream: str, job_ids: Collection[str], subject: Callable[[str], str]
    ) -> dict[str, Message]:
        """The latest message of each of `job_ids` that has one."""
        self.must_be_open()
        wanted = [check_token("job id", job_id) for job_id in dict.fromkeys(job_ids)]
        found: dict[str, Message] = {}
        for start in range(0, len(wanted), AT_ONCE):
            await self._look(stream, wanted[start : start + AT_ONCE], subject, found)
        missing = [job_id for job_id in wanted if job_id not in found]
        if missing and get_mode(self.config.durability).replicas > 1:
            # A replica answered, and may not have had yet what its leader has.
            if len(missing) <= _ASK_LEADER:
                answers = await asyncio.gather(*(self.js.last(stream, subject(job_id)) for job_id in missing))
                found |= {job_id: m for job_id, m in zip(missing, answers, strict=True) if m is not None}
            else:
                await asyncio.sleep(REPLICA_LAG)
                for start in range(0, len(missing), AT_ONCE):
                    await self._look(stream, missing[start : start + AT_ONCE], subject, found)
        return found

    async def _look(
        self, stream: str, job_ids: Sequence[str], subject: Callable[[str], str], found: dict[str, Message]
    ) -> None:
        """Add to `found` what there is of `job_ids`."""
        while job_ids:
            size = 0
            for message in await self.js.lasts(stream, [subject(job_id) for job_id in job_ids]):
                size += len(message.data)
                job_id = message.subject.rpartition(".")[2]
                if job_id not in found or found[job_id].sequence < message.sequence:
                    found[job_id] = message
            if size < _LARGE:
                return
            job_ids = [job_id for job_id in job_ids if job_id not in found]

    async def unfinished(
        self, *, queue: str | None = None, blocked: bool = False, after: str | None = None, limit: int = 1000
    ) -> list[tuple[str, JobSpec]]:
        """Messages of the jobs stream in their order; see `Flow.unfinished`."""
        self.must_be_open()
        if queue is not None:
            check_token("queue", queue)
        if after is not None and not after.isdecimal():
            raise ConfigurationError(f"{after[:80]!r} is no cursor: use one that unfinished() returned, or None")
        subject = self.subjects.unfinished(queue, blocked=blocked)
        page: list[tuple[str, JobSpec]] = []
        async with aclosing(self.js.walk(self.subjects.jobs, subject, after=int(after or 0))) as messages:
            async for message in messages:
                if len(page) >= limit:
                    break
                page.append((str(message.sequence), read_place(message).job))
        return page
