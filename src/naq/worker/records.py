"""The final record of a job, from what its worker knows."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from naq import clock
from naq.codec.after import MAX_SHOWN, some_parents
from naq.codec.envelope import MAX_ERRORS
from naq.codec.headers import read_tags
from naq.job import AttemptError, JobRecord, JobState
from naq.worker.flights import Flight

_NO_TAGS: Final[dict[str, str]] = {}
_NOBODY: Final[list[str]] = []
_NO_ERRORS: Final[list[AttemptError]] = []


def final_record(
    flight: Flight,
    worker: str,
    state: JobState,
    *,
    result: Raw | None = None,
    error: AttemptError | None = None,
    reason: str = "",
) -> JobRecord:
    """The record that ends `flight` in `state`; `error` joins those of earlier attempts (the last 10 are kept)."""
    claim = flight.claim
    job = claim.job
    envelope = flight.envelope
    errors = _NO_ERRORS if envelope is None else envelope.errors
    if error is not None:
        errors = [*errors, error][-MAX_ERRORS:]
    return JobRecord(
        id=job.id,
        state=state,
        queue=job.queue,
        priority=job.priority,
        task="" if envelope is None else envelope.task,
        run=job.run,
        attempt=job.attempt,
        delivered=claim.delivered,
        result=result,
        arguments=flight.arguments,
        errors=errors,
        worker=worker,
        enqueued_at=0.0 if envelope is None else envelope.at,
        started_at=flight.started_at,
        finished_at=clock.now(),
        reason=reason,
        tags=_NO_TAGS if job.headers is None else read_tags(job.headers),
        parent="" if envelope is None else envelope.parent,
        root="" if envelope is None else envelope.root,
        expires_at=0.0 if envelope is None else envelope.expires_at or 0.0,
        trace="" if flight.context is None else flight.context.trace,
        after=_NOBODY if envelope is None or envelope.after is None else some_parents(envelope.after, MAX_SHOWN),
    )
