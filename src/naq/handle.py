"""A job as its producer holds it: ask how it goes, wait for its result, cancel it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from naq.codec.sealing import opened
from naq.exceptions import (
    JobCancelled,
    JobExecutionError,
    JobExpired,
    JobNotFoundError,
    NaqException,
    ProcessDied,
    TaskTimeoutError,
    WorkerLost,
)
from naq.job import JobRecord, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend, CancelResult
    from naq.config import Config

R_co = TypeVar("R_co", covariant=True)


class Host(Protocol):
    """What tasks and handles need of an app."""

    @property
    def config(self) -> Config:
        """The settings in force."""
        ...

    async def connect(self) -> Backend:
        """The backend, open on the running event loop."""
        ...


class Job(Generic[R_co]):
    """One job, by its id. Cheap: holding one costs nothing, and every question goes to the backend.

    Attributes:
        id: the job's id.
        duplicate: True if the id was taken when this handle enqueued it, so that nothing was added.
    """

    __slots__ = ("_decode", "_host", "duplicate", "id")

    def __init__(
        self,
        job_id: str,
        host: Host,
        decode: Callable[[JobRecord], R_co],
        duplicate: bool = False,
    ) -> None:
        self.id: Final = job_id
        self.duplicate: Final = duplicate
        self._host = host
        self._decode = decode

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.id

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    async def result(self, timeout: float | None = None) -> R_co:
        """What the task returned, as soon as it is known (pushed, never polled).

        `timeout` is in seconds; None waits for as long as it takes.

        Raises:
            JobExecutionError: it failed for good; `error` says with what. As `TaskTimeoutError` where it ran too
                long, `WorkerLost` where its workers died, `ProcessDied` where only the child process that ran it did,
                `JobExpired` where it was not started in time.
            JobCancelled: it was cancelled.
            ResultTimeout: it has not ended yet; it goes on, ask again.
            JobNotFoundError: there is no such job, or its record is older than `record_ttl`.
            SerializationError: it succeeded, but the result is not of the type that the task declares.
            NaqConnectionError: the backend cannot be reached.
        """
        backend = await self._host.connect()
        record = opened(await backend.wait(self.id, timeout=timeout), self.id, self._host.config)
        if record.state is not JobState.SUCCEEDED:
            raise failure(record)
        return self._decode(record)

    async def status(self) -> JobState:
        """Where it stands now.

        Raises:
            JobNotFoundError: there is no such job, or its record is older than `record_ttl`.
        """
        return (await self._stored()).state

    async def record(self) -> JobRecord:
        """All that is known of it now: state, attempt, times, errors, worker.

        Raises:
            JobNotFoundError: there is no such job, or its record is older than `record_ttl`.
            SerializationError: its record is not signed or encrypted as the settings ask.
        """
        return opened(await self._stored(), self.id, self._host.config)

    async def _stored(self) -> JobRecord:
        backend = await self._host.connect()
        record = await backend.get(self.id)
        if record is None:
            raise JobNotFoundError(
                f"there is no job {self.id!r}: it was never enqueued in this namespace, or its record has expired"
            )
        return record

    async def cancel(self) -> CancelResult:
        """Make sure that it never runs, or, where it runs already, that its worker is told; what was done."""
        backend = await self._host.connect()
        return await backend.cancel(self.id)


# An error's type is text from the wire: looked up here, never imported.
_FAILURES: Final[dict[str, type[JobExecutionError]]] = {
    f"{kind.__module__}.{kind.__qualname__}": kind for kind in (TaskTimeoutError, WorkerLost, ProcessDied, JobExpired)
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
