"""How a job ended that did not succeed, as an exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from naq.codec.sealing import opened
from naq.connections import Host
from naq.exceptions import (
    JobCancelled,
    JobExecutionError,
    JobExpired,
    NaqException,
    ParentFailed,
    ProcessDied,
    TaskTimeoutError,
    WorkerLost,
)
from naq.job import JobRecord, JobState


def failure_of(host: Host) -> Callable[[JobRecord], NaqException]:
    """`failure`, of records as they are stored."""
    return lambda record: failure(opened(record, record.id, host.config))


# An error's type is text from the wire: looked up here, never imported.
_FAILURES: Final[dict[str, type[JobExecutionError]]] = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (TaskTimeoutError, WorkerLost, ParentFailed, ProcessDied, JobExpired)
}


def failure(record: JobRecord) -> NaqException:
    """The exception that says how a job ended that did not succeed."""
    job = f"task {record.task!r}" if record.task else "a message that names no task"
    reason = f": {record.reason}" if record.reason else ""
    if record.state is JobState.CANCELLED:
        return JobCancelled(f"{job} was cancelled{reason} (job {record.id})", job_id=record.id)
    error = record.error
    if record.state is JobState.EXPIRED:
        text = f"{job} was not started before its expires_at{reason} (job {record.id})"
        return JobExpired(text, job_id=record.id, error=error)
    if error is None:
        return JobExecutionError(f"{job} failed{reason} (job {record.id})", job_id=record.id)
    text = f"{job} failed at attempt {error.attempt or record.attempt}: {error.type}: {error.message} (job {record.id})"
    return _FAILURES.get(error.type, JobExecutionError)(text, job_id=record.id, error=error)
