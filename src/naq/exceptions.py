"""Every error naq raises, in one tree.

::

    NaqException                     whatever naq itself reports
    ├── ConfigurationError           an option, setting or name is wrong; nothing was stored
    │   └── UnknownTask              a task name that the app does not know
    ├── SerializationError           a value cannot be encoded or decoded
    │   └── PayloadTooLarge          ... because it is over a limit
    ├── NaqConnectionError           the backend cannot be reached within the deadline
    │   └── BrokerTooOld             it can, but it lacks what naq needs
    ├── NaqBackpressureError         the backend is full and said so; try again later
    ├── BackendError                 the backend refused for another reason
    ├── JobNotFoundError             no job and no record has this id
    ├── ResultTimeout                the job did not finish within the time given (also a TimeoutError)
    ├── StreamRestarted              the task began its stream anew, in another attempt
    ├── JobExecutionError            the job failed for good; carries what the task raised, as data
    │   ├── TaskTimeoutError         ... because it ran longer than its timeout
    │   ├── WorkerLost               ... because every worker that took it died or was cut off
    │   ├── ProcessDied              ... because the process of its own that it ran in died
    │   └── JobExpired               ... because it was not started before its `expires_at`
    ├── JobCancelled                 the job was cancelled before it could succeed
    ├── RateLimited                  a limit refused the job; `retry_after` says when to come back
    └── LeaseLost                    this worker no longer holds the job and may not settle it

    TaskOutcome                      raised by a task to say how it ended; not an error
    ├── RetryJob                     try again, after `delay`
    ├── SnoozeJob                    come back after `delay`; does not count as an attempt
    ├── DiscardJob                   give up now, whatever the retry policy says
    └── CancelJob                    end as cancelled

The outcomes stand apart so that ``except NaqException`` inside a task cannot swallow one.
"""

from __future__ import annotations

from typing import Any


class NaqException(Exception):
    """The root of everything naq itself reports."""


class ConfigurationError(NaqException):
    """An option, a setting or a name is wrong. Raised before anything is stored."""


class UnknownTask(ConfigurationError):
    """A task name that the app does not know."""


class SerializationError(NaqException):
    """A value cannot be encoded, or stored bytes cannot be decoded into what was asked for."""


class PayloadTooLarge(SerializationError):
    """Arguments, headers or a result are over the limit. Raised before anything is stored."""


class NaqConnectionError(NaqException):
    """The backend could not be reached, or did not answer, within the deadline.

    The only connection error naq raises. The outcome of a write that ends this way is unknown: it may have been
    stored. Doing it again with the same job id is safe.
    """


class BrokerTooOld(NaqConnectionError):
    """The broker answered, but its version lacks what naq needs."""


class NaqBackpressureError(NaqException):
    """The backend is full (storage limit reached) and refused the write. Nothing was stored; try again later."""


class BackendError(NaqException):
    """The backend refused a request for a reason that is neither absence, nor fullness, nor a conflict."""


class JobNotFoundError(NaqException):
    """Neither a job nor a record of one has this id (records are kept for 7 days)."""


class ScheduleNotFoundError(NaqException):
    """There is no schedule of this name."""


class ResultTimeout(NaqException, TimeoutError):
    """The job did not reach a final state within the time given. It goes on; ask again."""


class StreamRestarted(NaqException):
    """The task began its stream anew, in another attempt: what came so far does not count any more.

    Raised to a reader that has been given items; reading on gives those of the attempt `attempt`.
    """

    def __init__(self, message: str, *, run: int = 1, attempt: int = 1) -> None:
        super().__init__(message)
        self.run = run
        self.attempt = attempt


class JobExecutionError(NaqException):
    """The job failed for good.

    Attributes:
        job_id: the job that failed.
        error: the last attempt's error as data (``naq.job.AttemptError``), or None where there is none.
    """

    def __init__(self, message: str, *, job_id: str = "", error: Any = None) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.error = error


class TaskTimeoutError(JobExecutionError):
    """An attempt ran longer than the task's timeout. Distinct from a failure of the task's own making."""


class WorkerLost(JobExecutionError):
    """The job was delivered `crash_limit` times without any outcome: each worker died or was cut off."""


class ParentFailed(JobExecutionError):
    """A job that it waited for did not succeed, so it was not run (docs/workflows.md)."""


class ProcessDied(JobExecutionError):
    """The child process that ran an attempt died: out of memory, a crash in C code, ``os._exit``, or killed."""


class JobExpired(JobExecutionError):
    """The job was not started before its `expires_at`."""


class JobCancelled(NaqException):
    """The job was cancelled. Raised by ``result()``; `job_id` says which."""

    def __init__(self, message: str = "the job was cancelled", *, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class RateLimited(NaqException):
    """A rate limit refused the job. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LeaseLost(NaqException):
    """This worker's claim has lapsed or was superseded: it may not settle the job any more."""


class TaskOutcome(Exception):
    """The root of what a task may raise to say how it ended."""


class RetryJob(TaskOutcome):
    """Try again after `delay` seconds (default: what the retry policy says). Counts as an attempt."""

    def __init__(self, reason: str = "", *, delay: float | None = None) -> None:
        super().__init__(reason or "the task asked for another attempt")
        self.delay = delay


class SnoozeJob(TaskOutcome):
    """Come back after `delay` seconds. Does not count as an attempt."""

    def __init__(self, delay: float, reason: str = "") -> None:
        super().__init__(reason or f"snoozed for {delay:g} s")
        self.delay = delay


class DiscardJob(TaskOutcome):
    """Give up now: the job ends as failed, whatever attempts are left."""


class CancelJob(TaskOutcome):
    """End the job as cancelled."""
