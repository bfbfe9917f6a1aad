"""A job as a backend sees it: where it goes, when, and bytes that only the codec reads."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Priority = Literal["high", "normal", "low"]
KeyScope = Literal["waiting", "active"]
PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")


class JobSpec(Struct, frozen=True, kw_only=True, gc=False):
    """One request to run a task, ready to be stored.

    Attributes:
        id: the job's identity; one job as long as it or its record exists.
        queue: the line it waits in.
        priority: its lane in the queue.
        payload: the encoded envelope (`naq.codec.envelope`); opaque to backends.
        headers: trace context and tags; ASCII names and values, at most 4 KiB together.
        run_at: UNIX seconds before which it may not start; None for now.
        attempt: the number of the attempt that will run next, from 1.
        run: which run of the job this is, from 1; grows when a person runs a finished job again.
        fresh: True if the id was made for this enqueue, so that no record of it can exist yet.
        reason: why it waits, where that is not plain from its state (for people).
        key: a name that one job of the queue may have at a time; empty for none. Kept through retries and releases.
        scope: how long it is taken: while its job waits ("waiting"), or until that has ended ("active"). Read by
            `enqueue` alone.
        replace: a job of this id that is scheduled gives way to this one; in any other state it stays, as without.
        blocked: whether it waits for other jobs, until somebody says that they have ended (`Flow.unblock`); a `run_at`
            counts from then on.
        claims: how often this attempt was handed out before it was last put off (`release` with a delay).
    """

    id: str
    payload: bytes
    queue: str = "default"
    priority: Priority = "normal"
    headers: dict[str, str] | None = None
    run_at: float | None = None
    attempt: int = 1
    run: int = 1
    fresh: bool = False
    reason: str = ""
    key: str = ""
    scope: KeyScope = "active"
    replace: bool = False
    blocked: bool = False
    claims: int = 0
