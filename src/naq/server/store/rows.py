"""What the tables hold, as values. Times are microseconds since 1970 UTC (`_at`), durations microseconds (`_us`)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

MICRO: Final = 1_000_000


def micros(seconds: float) -> int:
    """UNIX seconds as microseconds."""
    return round(seconds * MICRO)


class JobRow(Struct, gc=False):
    """A row of ``jobs``, its fields in the order of the columns. What they mean is said in `tables.jobs`."""

    id: str
    task: str = ""
    queue: str = ""
    priority: str = "normal"
    state: str = "queued"
    run: int = 1
    attempt: int = 1
    delivered: int = 1
    worker: str = ""
    parent_id: str | None = None
    root_id: str | None = None
    schedule: str | None = None
    key: str | None = None
    created_at: int = 0
    run_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    expires_at: int | None = None
    wait_us: int | None = None
    duration_us: int | None = None
    reason: str = ""
    tags: str | None = None
    limits: str | None = None
    waits_for: str | None = None
    args: str | None = None
    result: str | None = None
    error_type: str | None = None
    error: str | None = None
    fingerprint: str | None = None
    progress: float | None = None
    progress_text: str | None = None
    rank: int = 0
    ranked_at: int = 0
    updated_at: int = 0
    trace: str | None = None


class JobListed(Struct, frozen=True, kw_only=True):
    """A job in a list: what `JobRow` says of it but for what may be long; `args` is cut to 200 characters."""

    id: str
    task: str
    queue: str
    priority: str
    state: str
    run: int
    attempt: int
    worker: str
    parent_id: str | None
    root_id: str | None
    schedule: str | None
    key: str | None
    created_at: int
    run_at: int | None
    started_at: int | None
    finished_at: int | None
    expires_at: int | None
    wait_us: int | None
    duration_us: int | None
    reason: str
    tags: str | None
    args: str | None
    error_type: str | None
    error: str | None
    fingerprint: str | None
    progress: float | None
    progress_text: str | None
    updated_at: int
    trace: str | None


class AttemptRow(Struct, gc=False):
    """A row of ``attempts``."""

    job_id: str
    run: int
    attempt: int
    outcome: str
    worker: str = ""
    started_at: int | None = None
    ended_at: int = 0
    next_in_us: int | None = None
    error_type: str | None = None
    error: str | None = None
    detail: str | None = None
    fingerprint: str | None = None


class LogRow(Struct, frozen=True, gc=False):
    """A row of ``logs``."""

    job_id: str
    told_at: int
    n: int
    run: int
    attempt: int
    at: int
    level: str
    logger: str
    text: str
    dropped: int = 0


class EventRow(Struct, frozen=True, kw_only=True, gc=False):
    """A row of ``events``."""

    job_id: str
    at: int
    kind: str
    data: str


class InvalidRow(Struct, frozen=True, kw_only=True, gc=False):
    """A row of ``invalid``, but for its id."""

    at: int
    seen_at: int
    kind: str
    job_id: str
    queue: str
    cursor: str
    reason: str
    data: bytes
