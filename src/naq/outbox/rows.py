"""A job, or an event, as a row: written by its producer inside a transaction, read by the relay as it was."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from naq.backends.base import Event
from naq.events.wire import KIND
from naq.exceptions import SerializationError
from naq.job import JobSpec, KeyScope, Priority
from naq.limits.gate import Gate

VERSION: Final = 1
EVENT_VERSION: Final = 2  # of the rows of events, which a naq that does not know them must not take for jobs


class Spec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the column ``spec`` holds as JSON: all of a `JobSpec` that has no column of its own.

    Attributes:
        v: version of this format; 1, and 2 of an event.
        priority, headers, run_at, key, scope, blocked: as in `JobSpec`.
        gate: the limits that have to be asked before it is stored.
        parents: the ids of the jobs that it waits for.
    """

    v: int = VERSION
    priority: Priority = "normal"
    headers: dict[str, str] | None = None
    run_at: float | None = None
    key: str = ""
    scope: KeyScope = "active"
    blocked: bool = False
    gate: Gate | None = None
    parents: list[str] = []

    @property
    def is_event(self) -> bool:
        """Whether it is of no job, but of an event."""
        return self.v == EVENT_VERSION


_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(Spec).decode


class Row(Struct, frozen=True):
    """What a producer writes; the fields are `naq.outbox.tables.WRITTEN`. Times in UNIX seconds."""

    namespace: str
    job_id: str
    queue: str
    task: str
    payload: bytes
    spec: str
    created_at: float

    @property
    def values(self) -> tuple[Any, ...]:
        """The same by position."""
        return msgspec.structs.astuple(self)


class Kept(Struct, frozen=True):
    """A row as it is kept.

    Attributes:
        tries: how often a relay has taken it, this time included.
        tried_at: when one first did.
        due_at: until when it is left alone: by all but the relay that has it, or by all after a failure.
        stuck_at: when it was set aside, or None.
        reason: why the last try failed.
    """

    id: int
    job_id: str
    queue: str
    task: str
    payload: bytes
    spec: str
    created_at: float
    due_at: float
    tries: int
    tried_at: float | None
    stuck_at: float | None
    reason: str | None


def make_row(namespace: str, task: str, job: JobSpec, gate: Gate | None, parents: list[str], now: float) -> Row:
    """`job` as a row."""
    spec = Spec(
        priority=job.priority,
        headers=job.headers,
        run_at=job.run_at,
        key=job.key,
        scope=job.scope,
        blocked=job.blocked,
        gate=gate,
        parents=parents,
    )
    return Row(namespace, job.id, job.queue, task, job.payload, _encode(spec).decode(), now)


def make_event_row(namespace: str, name: str, event: Event) -> Row:
    """`event`, which is called `name`, as a row."""
    spec = _encode(Spec(v=EVENT_VERSION)).decode()
    return Row(namespace, event.job_id, event.queue, name, event.data, spec, event.at)


def read_event_row(row: Kept) -> Event:
    """The event that `row` is."""
    return Event(kind=KIND, job_id=row.job_id, queue=row.queue, data=row.payload, at=row.created_at)


def read_row(row: Kept) -> tuple[JobSpec, Spec]:
    """The job that `row` is; of an event only what all rows have.

    Its id counts as chosen, so that whoever claims it looks for a record first: it may have been sent before. With a
    key it cannot, which is why a relay looks before it sends such a one again.

    Raises:
        SerializationError: it was not written by a naq of this version.
    """
    try:
        spec = _decode(row.spec)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise SerializationError(f"its spec cannot be read: {error}") from error
    if spec.v not in {VERSION, EVENT_VERSION}:
        raise SerializationError(
            f"its spec has version {spec.v}, and this naq reads {VERSION} and {EVENT_VERSION}: upgrade what relays "
            "before what enqueues"
        )
    job = JobSpec(
        id=row.job_id,
        payload=row.payload,
        queue=row.queue,
        priority=spec.priority,
        headers=spec.headers,
        run_at=spec.run_at,
        fresh=bool(spec.key),
        key=spec.key,
        scope=spec.scope,
        blocked=spec.blocked,
    )
    return job, spec
