"""Looking at many jobs at once, and removing what is kept of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Final

from naq.backends.base import DeadLetter
from naq.backends.nats.api import Message
from naq.backends.nats.client.errors import CONSUMER_NOT_FOUND
from naq.backends.nats.find import read_place, view
from naq.backends.nats.letters import Letters, read_letter
from naq.backends.nats.settle import read_record
from naq.backends.nats.subjects import consumer
from naq.job import FINAL, JobRecord, JobState
from naq.names import check_token

_WINDOW: Final = 512  # stream sequences of the first step backwards
_MOST: Final = 200_000  # sequences looked back at; some seconds of reading, and more than a person reads


class Listing(Letters):
    """`JobAdmin.jobs`, `forget`, `letter` and `bury`."""

    async def jobs(
        self, *, queue: str | None = None, states: Collection[JobState] = (), limit: int = 100
    ) -> list[JobRecord]:
        """Jobs that wait or run, then records; see `JobAdmin.jobs`. Looks at the latest 200,000 of either."""
        self.must_be_open()
        where = "*" if queue is None else check_token("queue", queue)
        found: dict[str, JobRecord] = {}
        delivered: dict[str, int] = {}
        if limit > 0 and not (states and FINAL.issuperset(states)):
            async for message in self._backwards(self.subjects.jobs, f"{self.subjects.prefix}.j.*.{where}.>"):
                record = await self._listed(message, delivered)
                if record.state is JobState.RUNNING and await self._has_ended(record):
                    continue
                if not states or record.state in states:
                    found[record.id] = record
                    if len(found) == limit:
                        return list(found.values())
        if limit > 0 and (not states or not FINAL.isdisjoint(states)):
            await self._ended(where, states, limit, found)
        return list(found.values())

    async def _has_ended(self, record: JobRecord) -> bool:
        """Whether a job that seems to run has its final record, and only its ack is on the way."""
        known = await self.record_of(record.id)
        return known is not None and known.run >= record.run

    async def _ended(self, where: str, states: Collection[JobState], limit: int, found: dict[str, JobRecord]) -> None:
        """Add final records to `found`, each job's latest, unless the job is in line again."""
        seen = set(found)
        async for message in self._backwards(self.subjects.log, f"{self.subjects.prefix}.r.{where}.*"):
            record = read_record(message)
            if record is None or record.id in seen:
                continue
            seen.add(record.id)
            if states and record.state not in states:
                continue
            place = await self.place(record.id)
            if place is None or place.job.run <= record.run:
                found[record.id] = record
                if len(found) == limit:
                    return

    async def _listed(self, message: Message, delivered: dict[str, int]) -> JobRecord:
        """The job that a message of the jobs stream is; `delivered` keeps what was asked of each lane."""
        place = read_place(message)
        if place.state is JobState.QUEUED:
            lane = consumer(place.job.queue, place.job.priority)
            if lane not in delivered:
                info = await self.js.try_call(f"CONSUMER.INFO.{self.subjects.jobs}.{lane}", absent=CONSUMER_NOT_FOUND)
                delivered[lane] = 0 if info is None else int(info["delivered"]["stream_seq"])
            if delivered[lane] >= message.sequence:
                place = place._replace(state=JobState.RUNNING)
        return view(place, self.config.record_arguments)

    async def _backwards(self, stream: str, subject: str) -> AsyncIterator[Message]:
        """The messages on `subject` from the end: the API reads forwards only, so in windows that grow."""
        state = (await self.js.call(f"STREAM.INFO.{stream}"))["state"]
        last, first = int(state["last_seq"]), int(state["first_seq"])
        lowest, window = max(first, last - _MOST), _WINDOW
        while last >= lowest:
            after = max(last - window, lowest - 1)
            part: list[Message] = []
            async for message in self.js.walk(stream, subject, after=after):
                if message.sequence > last:
                    break
                part.append(message)
            for message in reversed(part):
                yield message
            last, window = after, window * 4

    async def forget(self, job_id: str) -> bool:
        """Remove records and dead letter; see `JobAdmin.forget`."""
        self.must_be_open()
        check_token("job id", job_id)
        if (place := await self.place(job_id)) is not None:
            known = await self.record_of(job_id)
            if known is None or known.run < place.job.run:
                return False
            # It has ended, and only its ack is on the way. Lost, it would run again where no record tells.
            await self.js.delete(self.subjects.jobs, place.message.sequence)
        removed = await self._purge(self.subjects.dead, self.subjects.dead_jobs(job_id))
        return bool(await self._purge(self.subjects.log, self.subjects.records(job_id)) + removed)

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """One dead letter; see `JobAdmin.letter`."""
        self.must_be_open()
        message = await self.js.last(self.subjects.dead, self._letters(letter_id))
        return None if message is None else read_letter(message)

    async def bury(self, letter_id: str) -> bool:
        """Remove one dead letter; see `JobAdmin.bury`."""
        self.must_be_open()
        return await self._purge(self.subjects.dead, self._letters(letter_id)) > 0

    def _letters(self, letter_id: str) -> str:
        return f"{self.subjects.prefix}.d.*.*.{check_token('letter id', letter_id)}"

    async def _purge(self, stream: str, subject: str) -> int:
        answer = await self.js.call(f"STREAM.PURGE.{stream}", {"filter": subject}, timeout=60, slow=True)
        return int(answer["purged"])
