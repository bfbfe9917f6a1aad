"""How an attempt ended, given what its code returned or raised. Pure but for the clock; nothing here waits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from naq import clock
from naq.codec.envelope import next_payload
from naq.exceptions import SerializationError, TaskTimeoutError
from naq.job import JobState
from naq.worker.flights import Flight, Verdict
from naq.worker.outcome import Discarded, Outcome, Released, Retried, Succeeded
from naq.worker.prepare import Rules
from naq.worker.processes.errors import NO_CHILD, NoChild, RaisedElsewhere
from naq.worker.records import final_record
from naq.worker.ruling import Ruling, Then, as_data, next_delay, rule

if TYPE_CHECKING:
    from naq.job import AttemptError

log = logging.getLogger("naq.worker")


class Judge:
    """Turns the end of an attempt into an outcome."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._worker = rules.worker

    def returned(self, flight: Flight, value: Any) -> Outcome:
        """The task returned `value`: success, unless it cannot be stored. Then trying again would change nothing."""
        assert flight.task is not None
        if flight.task.in_process and type(value) is Raw:  # encoded already, and measured, in its child
            return Succeeded(final_record(flight, self._worker, JobState.SUCCEEDED, result=value))
        try:
            result = flight.task.signature.encode_result(value, limit=self._rules.max_result)
        except Exception as error:  # noqa: BLE001  encoders of the user's types may raise anything; it becomes the record
            return self._failed_for_good(flight, as_data(error, flight.claim.job.attempt))
        return Succeeded(final_record(flight, self._worker, JobState.SUCCEEDED, result=result))

    def raised(self, flight: Flight, error: BaseException) -> Outcome:
        """The task raised `error`, of its own accord."""
        if isinstance(error, RaisedElsewhere):
            return self._carry_out(flight, error.ruling)
        if isinstance(error, NoChild):
            return Released(NO_CHILD, str(error))
        job = flight.claim.job
        assert flight.policy is not None
        return self._carry_out(flight, rule(error, flight.policy, task=flight.name, job_id=job.id, attempt=job.attempt))

    def interrupted(self, flight: Flight) -> Outcome:
        """The attempt was interrupted for `flight.verdict`, whatever its code made of that."""
        match flight.verdict:
            case Verdict.TIMEOUT:
                job = flight.claim.job
                error = TaskTimeoutError(
                    f"task {flight.name!r} ran longer than its timeout of {flight.timeout:g} s", job_id=job.id
                )
                assert flight.policy is not None
                delay = next_delay(error, flight.policy, task=flight.name, job_id=job.id, attempt=job.attempt)
                return self._again(flight, as_data(error, job.attempt), delay)
            case Verdict.CANCEL:
                return self.cancelled(flight, "cancelled while it was running")
            case _:
                return Released(0.0, "its worker was stopped")

    def cancelled(self, flight: Flight, reason: str) -> Outcome:
        """Somebody cancelled the job."""
        return Discarded(final_record(flight, self._worker, JobState.CANCELLED, reason=reason))

    def _carry_out(self, flight: Flight, ruling: Ruling) -> Outcome:
        error = ruling.error
        match ruling.then:
            case Then.AGAIN:
                return self._again(flight, error, ruling.delay)
            case Then.SNOOZE:
                if self._too_late(flight, ruling.delay or 0.0):
                    reason = f"it was put off beyond its expires_at: {error.message}"
                    return Discarded(final_record(flight, self._worker, JobState.EXPIRED, reason=reason))
                return Released(ruling.delay or 0.0, error.message)
            case Then.CANCEL:
                return self.cancelled(flight, error.message)
            case Then.DISCARD:
                return self._failed_for_good(flight, error)

    def _again(self, flight: Flight, error: AttemptError, delay: float | None) -> Outcome:
        if delay is None:
            return self._failed_for_good(flight, error)
        assert flight.envelope is not None
        if self._too_late(flight, delay):
            reason = f"its next attempt, in {delay:.3g} s, would be after its expires_at"
            return Discarded(final_record(flight, self._worker, JobState.EXPIRED, error=error, reason=reason))
        try:
            payload = next_payload(flight.envelope, error, limit=self._rules.max_payload)
        except SerializationError:
            log.exception("job %s of task %s cannot be stored for another attempt", flight.claim.job.id, flight.name)
            return self._failed_for_good(flight, error)
        return Retried(delay, payload, error)

    @staticmethod
    def _too_late(flight: Flight, delay: float) -> bool:
        """Whether it has expired by then: it ends now, so that nobody waits for what will not be."""
        envelope = flight.envelope
        return envelope is not None and envelope.expires_at is not None and clock.now() + delay >= envelope.expires_at

    def _failed_for_good(self, flight: Flight, error: AttemptError) -> Outcome:
        return Discarded(final_record(flight, self._worker, JobState.FAILED, error=error))
