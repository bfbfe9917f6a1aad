"""How an attempt ended, given what its code returned or raised. Pure but for the clock; nothing here waits."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from naq import clock
from naq.codec.envelope import next_payload
from naq.codec.failure import describe
from naq.exceptions import (
    CancelJob,
    DiscardJob,
    JobExecutionError,
    JobExpired,
    RetryJob,
    SerializationError,
    SnoozeJob,
    TaskOutcome,
    TaskTimeoutError,
    WorkerLost,
)
from naq.job import JobState
from naq.retry import MAX_DELAY, Retry
from naq.worker.flights import Flight, Verdict
from naq.worker.outcome import Discarded, Outcome, Released, Retried, Succeeded
from naq.worker.prepare import Rules
from naq.worker.records import final_record

if TYPE_CHECKING:
    from types import TracebackType

    from naq.job import AttemptError

log = logging.getLogger("naq.worker")

#: Errors that say something about the job they are recorded for. A task that raises one means another job (whose
#: result it waited for, say), so it is recorded as their root instead.
_VERDICTS: Final = (TaskTimeoutError, WorkerLost, JobExpired)
_EXECUTION: Final = f"{JobExecutionError.__module__}.{JobExecutionError.__qualname__}"
_OURS: Final = str(Path(__file__).parent)
#: Seconds a snoozed job waits at least: a snooze of 0 would come back at once, for ever.
SHORTEST_SNOOZE: Final = 0.05


class Judge:
    """Turns the end of an attempt into an outcome."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._worker = rules.worker

    def returned(self, flight: Flight, value: Any) -> Outcome:
        """The task returned `value`: success, unless it cannot be stored. Then trying again would change nothing."""
        assert flight.task is not None
        try:
            result = flight.task.signature.encode_result(value, limit=self._rules.max_result)
        except Exception as error:  # noqa: BLE001  encoders of the user's types may raise anything; it becomes the record
            return self._failed_for_good(flight, self.describe(flight, error))
        return Succeeded(final_record(flight, self._worker, JobState.SUCCEEDED, result=result))

    def raised(self, flight: Flight, error: BaseException) -> Outcome:
        """The task raised `error`, of its own accord."""
        if isinstance(error, TaskOutcome):
            return self._asked(flight, error)
        described = self.describe(flight, error)
        if isinstance(error, _VERDICTS):
            described = replace(described, type=_EXECUTION, message=f"{type(error).__name__}: {described.message}")
        return self._again(flight, described, self._delay(flight, error))

    def interrupted(self, flight: Flight) -> Outcome:
        """The attempt was interrupted for `flight.verdict`, whatever its code made of that."""
        match flight.verdict:
            case Verdict.TIMEOUT:
                error = TaskTimeoutError(
                    f"task {flight.name!r} ran longer than its timeout of {flight.timeout:g} s",
                    job_id=flight.claim.job.id,
                )
                return self._again(flight, self.describe(flight, error), self._delay(flight, error))
            case Verdict.CANCEL:
                return self.cancelled(flight, "cancelled while it was running")
            case _:
                return Released(0.0, "its worker was stopped")

    def cancelled(self, flight: Flight, reason: str) -> Outcome:
        """Somebody cancelled the job."""
        return Discarded(final_record(flight, self._worker, JobState.CANCELLED, reason=reason))

    def describe(self, flight: Flight, error: BaseException) -> AttemptError:
        """`error` as data, without the worker's own frames."""
        strip(error)
        return describe(error, attempt=flight.claim.job.attempt, at=clock.now())

    def _asked(self, flight: Flight, error: TaskOutcome) -> Outcome:
        described = self.describe(flight, error)
        if isinstance(error, SnoozeJob):
            return Released(max(_sane(error.delay, SHORTEST_SNOOZE), SHORTEST_SNOOZE), described.message)
        if isinstance(error, CancelJob):
            return self.cancelled(flight, described.message)
        if isinstance(error, RetryJob):
            assert flight.policy is not None
            # Without the exception: its type must not decide, the task has.
            delay = flight.policy.delay(flight.claim.job.attempt)
            return self._again(flight, described, delay if delay is None else _sane(error.delay, delay))
        if not isinstance(error, DiscardJob):
            log.warning("task %s raised %s, which says nothing about how it ended", flight.name, type(error).__name__)
        return self._failed_for_good(flight, described)

    def _again(self, flight: Flight, described: AttemptError, delay: float | None) -> Outcome:
        if delay is None:
            return self._failed_for_good(flight, described)
        assert flight.envelope is not None
        try:
            payload = next_payload(flight.envelope, described, limit=self._rules.max_payload)
        except SerializationError:
            log.exception("job %s of task %s cannot be stored for another attempt", flight.claim.job.id, flight.name)
            return self._failed_for_good(flight, described)
        return Retried(delay, payload, described)

    def _failed_for_good(self, flight: Flight, described: AttemptError) -> Outcome:
        return Discarded(final_record(flight, self._worker, JobState.FAILED, error=described))

    def _delay(self, flight: Flight, error: BaseException) -> float | None:
        policy = flight.policy
        assert policy is not None
        try:
            return policy.delay(flight.claim.job.attempt, _as_failure(policy, error))
        except Exception:
            log.exception("the retry policy of task %s raised; job %s fails", flight.name, flight.claim.job.id)
            return None


def strip(error: BaseException) -> None:
    """Take the worker's own frames off the top of `error`'s traceback: they tell the task's author nothing."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    error.__traceback__ = trace


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
