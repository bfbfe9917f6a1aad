"""The states a job goes through and which may follow which. This table decides; nothing else does."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class JobState(StrEnum):
    """Where a job stands. The last four are final."""

    SCHEDULED = "scheduled"  # waits for a time
    BLOCKED = "blocked"  # waits for other jobs
    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker holds its claim
    RETRYING = "retrying"  # waits for its next attempt
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


FINAL: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})

_S = JobState
TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    _S.SCHEDULED: frozenset({_S.QUEUED, _S.CANCELLED, _S.EXPIRED}),
    _S.BLOCKED: frozenset({_S.QUEUED, _S.SCHEDULED, _S.CANCELLED, _S.FAILED, _S.EXPIRED}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.SCHEDULED, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.RUNNING: frozenset(
        {
            _S.SUCCEEDED,
            _S.FAILED,
            _S.CANCELLED,
            _S.EXPIRED,
            _S.RETRYING,  # the attempt failed and another is allowed
            _S.QUEUED,  # released, or the lease lapsed
            _S.SCHEDULED,  # snoozed
        }
    ),
    _S.RETRYING: frozenset({_S.QUEUED, _S.CANCELLED, _S.EXPIRED}),
    # A person may run a finished job again: a new run, with a record of its own.
    _S.SUCCEEDED: frozenset({_S.QUEUED}),
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.CANCELLED: frozenset({_S.QUEUED}),
    _S.EXPIRED: frozenset({_S.QUEUED}),
}


def may_move(before: JobState, after: JobState) -> bool:
    """Whether a job in `before` may go to `after` in one step."""
    return after in TRANSITIONS[before]
