"""What the backend is told of an outcome where jobs and results are signed or encrypted.

The worker itself goes on with the outcome as it is: its log is its own.
"""

from __future__ import annotations

from msgspec.structs import replace

from naq.codec.seal import Seal
from naq.worker.flights import Flight
from naq.worker.outcome import Discarded, Outcome, Released, Retried, Succeeded


class Veil:
    """Seals outcomes with `seal`. `limit` is the most bytes that a stored job may have."""

    def __init__(self, seal: Seal, limit: int) -> None:
        self._seal = seal
        self._limit = limit

    def __call__(self, flight: Flight, outcome: Outcome) -> Outcome:
        """`outcome` as it may be stored.

        Raises:
            PayloadTooLarge: the job is over `limit` for another attempt.
        """
        match outcome:
            case Succeeded() | Discarded():
                return replace(outcome, record=self._seal.seal_record(outcome.record))
            case Retried():
                return self._retried(flight, outcome)
            case Released() if self._seal.encrypts:
                return replace(outcome, reason="")  # it may be what the task said when it asked for more time
            case _:
                return outcome

    def _retried(self, flight: Flight, outcome: Retried) -> Outcome:
        envelope, job = flight.envelope, flight.claim.job
        assert envelope is not None, "it has run"
        payload = self._seal.seal_job(
            outcome.payload,
            job_id=job.id,
            queue=job.queue,
            task=envelope.task,
            at=envelope.at,
            limit=self._limit,
        )
        error = self._seal.hide(outcome.error) if self._seal.encrypts else outcome.error
        return replace(outcome, payload=payload, error=error)
