"""Where a job's time went, as spans one after the other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naq import clock
from naq.server.api.models import at
from naq.server.store.rows import AttemptRow, JobRow, micros

_FINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})


def spans(job: JobRow, attempts: Sequence[AttemptRow]) -> list[dict[str, Any]]:
    """The spans of the job's latest run: `scheduled`, `queued`, `running`, `retrying`; an open one has no end."""
    found: list[dict[str, Any]] = []
    here = job.created_at
    if job.run_at and job.run_at > here and job.attempt == 1:
        here = _add(found, "scheduled", here, min(job.run_at, job.started_at or job.run_at), 1)
    for one in [each for each in attempts if each.run == job.run]:
        if one.started_at is None:
            continue
        waited = "queued" if one.attempt == 1 else "retrying"
        here = _add(found, waited, here, one.started_at, one.attempt)
        here = _add(found, "running", here, one.ended_at or None, one.attempt)
    if job.state not in _FINAL and (not found or found[-1]["to"] is not None):
        _add(found, job.state, here, None, job.attempt)
    return found


def _add(found: list[dict[str, Any]], what: str, start: int, end: int | None, attempt: int) -> int:
    until = micros(clock.now()) if end is None else max(start, end)
    found.append(
        {
            "state": what,
            "attempt": attempt,
            "from": at(start),
            "to": None if end is None else at(until),
            "ms": round((until - start) / 1000),
        }
    )
    return until
