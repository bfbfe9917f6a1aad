"""A job as people see it: built from its entry, when somebody asks."""

from __future__ import annotations

from msgspec.structs import replace

from naq import clock
from naq.backends.memory.line import Entry
from naq.codec.headers import read_tags
from naq.codec.peek import peek
from naq.job import JobRecord, JobState


def describe(entry: Entry, limit: int) -> JobRecord:
    """What is known of a job that is not final, with at most `limit` bytes of its arguments."""
    spec, said = entry.spec, peek(entry.spec.payload)
    return JobRecord(
        id=spec.id,
        state=entry.state,
        queue=spec.queue,
        priority=spec.priority,
        task=said.task,
        run=spec.run,
        attempt=spec.attempt,
        delivered=entry.delivered,
        arguments=said.arguments(limit),
        enqueued_at=entry.enqueued_at,
        run_at=spec.run_at or 0.0,
        tags=read_tags(spec.headers) if spec.headers else {},
        started_at=entry.started_at if entry.state is JobState.RUNNING else 0.0,
        reason="cancel requested" if entry.cancelled else spec.reason,
        key=spec.key,
        limits=said.limits,
        parent=said.parent,
        root=said.root,
        after=said.waits_for,
        expires_at=said.expires_at or 0.0,
    )


def describe_cancelled(entry: Entry, limit: int) -> JobRecord:
    """The record that a cancelled job gets."""
    return replace(
        describe(entry, limit), state=JobState.CANCELLED, finished_at=clock.now(), reason="cancelled", key="", limits=[]
    )
