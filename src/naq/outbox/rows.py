"""A job as a row: written by its producer inside a transaction, read by the relay as it was."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from naq.exceptions import SerializationError
from naq.job import JobSpec, KeyScope, Priority
from naq.limits.gate import Gate

VERSION: Final = 1


class Spec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the column ``spec`` holds as JSON: all of a `JobSpec` that has no column of its own.

    Attributes:
        v: version of this format; 1.
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


def read_row(row: Kept) -> tuple[JobSpec, Spec]:
    """The job that `row` is.

    Its id counts as chosen, so that whoever claims it looks for a record first: it may have been sent before. With a
    key it cannot, which is why a relay looks before it sends such a one again.

    Raises:
        SerializationError: it was not written by a naq of this version.
    """
    try:
        spec = _decode(row.spec)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise SerializationError(f"its spec cannot be read: {error}") from error
    if spec.v != VERSION:
        raise SerializationError(
            f"its spec has version {spec.v}, and this naq reads {VERSION}: upgrade what relays before what enqueues"
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
