"""What follows from what a task raised, decided where the exception is: in the worker, or in the child that ran it.

The ruling is data, so that it travels; nothing of the exception but its description does.
"""

from __future__ import annotations

import logging
import math
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from naq import clock
from naq.codec.failure import describe
from naq.exceptions import (
    CancelJob,
    DiscardJob,
    JobExecutionError,
    JobExpired,
    ProcessDied,
    RetryJob,
    SnoozeJob,
    TaskOutcome,
    TaskTimeoutError,
    WorkerLost,
)
from naq.job import AttemptError
from naq.retry import MAX_DELAY, Retry

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger("naq.worker")

#: Errors that say something about the job they are recorded for. A task that raises one means another job (whose
#: result it waited for, say), so it is recorded as their root instead.
_VERDICTS: Final = (TaskTimeoutError, WorkerLost, ProcessDied, JobExpired)
_EXECUTION: Final = f"{JobExecutionError.__module__}.{JobExecutionError.__qualname__}"
_OURS: Final = (str(Path(__file__).parent), str(Path(__file__).parents[1] / "middleware"))
#: Seconds a snoozed job waits at least: a snooze of 0 would come back at once, for ever.
SHORTEST_SNOOZE: Final = 0.05


class Then(Enum):
    """What becomes of a job whose code raised."""

    AGAIN = "again"  # another attempt after the delay; without one, it failed for good
    SNOOZE = "snooze"  # it comes back after the delay, and the attempt does not count
    DISCARD = "discard"  # it failed for good
    CANCEL = "cancel"  # it ends as cancelled


class Ruling(Struct, frozen=True):
    """What follows, the error as data, and the seconds until then (None: never)."""

    then: Then
    error: AttemptError
    delay: float | None = None


def rule(error: BaseException, policy: Retry, *, task: str, job_id: str, attempt: int) -> Ruling:
    """What follows from `error`, raised by attempt number `attempt` of this job, of its own accord."""
    if isinstance(error, TaskOutcome):
        return _asked(error, policy, task=task, attempt=attempt)
    described = as_data(error, attempt)
    if isinstance(error, _VERDICTS):
        described = replace(described, type=_EXECUTION, message=f"{type(error).__name__}: {described.message}")
    return Ruling(Then.AGAIN, described, next_delay(error, policy, task=task, job_id=job_id, attempt=attempt))


def as_data(error: BaseException, attempt: int) -> AttemptError:
    """`error` as data, without the worker's own frames."""
    strip(error)
    return describe(error, attempt=attempt, at=clock.now())


def next_delay(error: BaseException, policy: Retry, *, task: str, job_id: str, attempt: int) -> float | None:
    """Seconds until the next attempt, as the policy says; None for no more. A policy that raises means no more."""
    try:
        return policy.delay(attempt, _as_failure(policy, error))
    except Exception:
        log.exception("the retry policy of task %s raised; job %s fails", task, job_id)
        return None


def strip(error: BaseException) -> None:
    """Take the worker's own frames off the top of `error`'s traceback: they tell the task's author nothing."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    error.__traceback__ = trace


def _asked(error: TaskOutcome, policy: Retry, *, task: str, attempt: int) -> Ruling:
    described = as_data(error, attempt)
    if isinstance(error, SnoozeJob):
        return Ruling(Then.SNOOZE, described, max(_sane(error.delay, SHORTEST_SNOOZE), SHORTEST_SNOOZE))
    if isinstance(error, CancelJob):
        return Ruling(Then.CANCEL, described)
    if isinstance(error, RetryJob):
        # Without the exception: its type must not decide, the task has.
        delay = policy.delay(attempt)
        return Ruling(Then.AGAIN, described, delay if delay is None else _sane(error.delay, delay))
    if not isinstance(error, DiscardJob):
        log.warning("task %s raised %s, which says nothing about how it ended", task, type(error).__name__)
    return Ruling(Then.DISCARD, described)


def _as_failure(policy: Retry, error: BaseException) -> BaseException:
    """What the policy is asked about: SystemExit, a stray CancelledError and the like are failures like any other.

    Policies speak of `Exception` unless they name more, and a job must not be lost to its code's odd way of failing.
    """
    if isinstance(error, (Exception, *policy.retry_on, *policy.give_up_on)):
        return error
    return JobExecutionError(f"the task raised {type(error).__name__}")


def _sane(delay: float | None, default: float) -> float:
    """`delay` as seconds a backend can keep; what is no such number becomes `default`."""
    if not isinstance(delay, int | float) or not math.isfinite(delay) or delay < 0:
        return default
    return min(float(delay), MAX_DELAY)
