"""A job as people see it: built from its entry, when somebody asks."""

from __future__ import annotations

from typing import Final

import msgspec

from naq import clock
from naq.backends.memory.line import Entry
from naq.codec.after import MAX_SHOWN, After, some_parents
from naq.codec.headers import read_tags
from naq.job import JobRecord, JobState


class _Peek(msgspec.Struct, gc=False):
    """The only part of an envelope that a view shows."""

    task: str = ""
    limits: list[str] = []
    parent: str = ""
    root: str = ""
    after: After | None = None
    expires_at: float | None = None


_peek: Final = msgspec.json.Decoder(_Peek)


def _read(payload: bytes) -> _Peek:
    try:
        return _peek.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Peek()  # no envelope; whoever claims it will say so


def describe(entry: Entry) -> JobRecord:
    """What is known of a job that is not final."""
    spec, said = entry.spec, _read(entry.spec.payload)
    return JobRecord(
        id=spec.id,
        state=entry.state,
        queue=spec.queue,
        priority=spec.priority,
        task=said.task,
        run=spec.run,
        attempt=spec.attempt,
        delivered=entry.delivered,
        enqueued_at=entry.enqueued_at,
        run_at=spec.run_at or 0.0,
        tags=read_tags(spec.headers) if spec.headers else {},
        started_at=entry.started_at if entry.state is JobState.RUNNING else 0.0,
        reason="cancel requested" if entry.cancelled else spec.reason,
        key=spec.key,
        limits=said.limits,
        parent=said.parent,
        root=said.root,
        after=some_parents(said.after, MAX_SHOWN),
        expires_at=said.expires_at or 0.0,
    )


def describe_cancelled(entry: Entry) -> JobRecord:
    """The record that a cancelled job gets."""
    return msgspec.structs.replace(
        describe(entry), state=JobState.CANCELLED, finished_at=clock.now(), reason="cancelled", key="", limits=[]
    )
