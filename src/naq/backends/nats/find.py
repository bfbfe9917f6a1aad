"""Looking a job up, whatever its state."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from naq.backends.nats import messages
from naq.backends.nats.api import Message
from naq.backends.nats.client.errors import CONSUMER_NOT_FOUND
from naq.backends.nats.settle import Settle, read_record
from naq.backends.nats.subjects import consumer, key_of, place_of
from naq.codec.headers import read_tags
from naq.codec.peek import peek
from naq.job import JobRecord, JobSpec, JobState
from naq.names import check_token


class Place(NamedTuple):
    """Where a job that is not final stands."""

    message: Message
    state: JobState
    job: JobSpec


class Find(Settle):
    """`JobAdmin.get`."""

    async def get(self, job_id: str) -> JobRecord | None:
        """What is known of a job; see `JobAdmin.get`."""
        self.must_be_open()
        check_token("job id", job_id)
        record = await self.record_of(job_id)
        place = await self.place(job_id)
        if place is None:
            # It may have ended between the two looks.
            return record or await self.record_of(job_id)
        if record is not None and record.run >= place.job.run:
            return record
        return view(place, self.config.record_arguments)

    async def record_of(self, job_id: str) -> JobRecord | None:
        """The latest final record of a job, from the leader."""
        return read_record(await self.js.last(self.subjects.log, self.subjects.records(job_id)))

    async def place(self, job_id: str) -> Place | None:
        """Where a job waits or runs."""
        message = await self.js.last(self.subjects.jobs, self.subjects.any_of(job_id))
        if message is None:
            return None
        place = read_place(message)
        if place.state is JobState.QUEUED and await self.is_delivered(place.job, message.sequence):
            return place._replace(state=JobState.RUNNING)
        return place

    async def is_delivered(self, job: JobSpec, sequence: int) -> bool:
        """Whether a ready message was handed out already. One that was handed back counts as handed out."""
        name = consumer(job.queue, job.priority)
        info = await self.js.try_call(f"CONSUMER.INFO.{self.subjects.jobs}.{name}", absent=CONSUMER_NOT_FOUND)
        return info is not None and int(info["delivered"]["stream_seq"]) >= sequence


def read_place(message: Message) -> Place:
    """Where the job in a message of the jobs stream stands; what is handed out is `queued` as well."""
    letter, queue, priority, job_id = place_of(message.subject)
    job = messages.job_from(job_id, queue, priority, message.data, message.headers, key_of(message.subject))
    if letter == "b":
        return Place(message, JobState.BLOCKED, replace(job, blocked=True))
    if letter == "s":
        state = JobState.RETRYING if job.attempt > 1 else JobState.SCHEDULED
        return Place(message, state, replace(job, run_at=messages.time_of(message.headers.get(messages.SCHEDULE, ""))))
    return Place(message, JobState.QUEUED, job)


def view(place: Place, limit: int) -> JobRecord:
    """A job that is not final, as people are shown it, with at most `limit` bytes of its arguments."""
    job, said = place.job, peek(place.job.payload)
    return JobRecord(
        id=job.id,
        state=place.state,
        queue=job.queue,
        priority=job.priority,
        task=said.task,
        run=job.run,
        attempt=job.attempt,
        arguments=said.arguments(limit),
        errors=said.errors,
        enqueued_at=said.at,
        run_at=job.run_at or 0.0,
        reason=job.reason,
        tags=read_tags(job.headers),
        key=job.key,
        limits=said.limits,
        parent=said.parent,
        root=said.root,
        after=said.waits_for,
        expires_at=said.expires_at or 0.0,
    )
