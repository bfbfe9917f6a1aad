"""What is done to one job: cancel, retry (with edits), run now, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query, Request

from naq.backends.base import Backend, CancelResult
from naq.exceptions import JobNotFoundError
from naq.job import JobRecord
from naq.server.acting import retry_edited
from naq.server.api.gate import core_of, note
from naq.server.api.models import Done, Given
from naq.server.api.routes import BROKER, Routes
from naq.server.names import JobId
from naq.server.problems import Problem

routes = Routes("jobs")
_STATES = ("job_not_found", "wrong_state", *BROKER)
DryRun = Annotated[bool, Query(description="Check everything, change nothing.")]


class Edits(Given):
    """What is different in the run to come; what is not given stays."""

    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None


@routes.add(
    "POST", "/jobs/{job_id}/cancel", "cancelJob", "Cancel a job", scope="job", role="operator", problems=_STATES
)
async def cancel_job(request: Request, job_id: JobId) -> Done:
    """A job that waits never runs; one that runs is told to stop."""
    async with core_of(request).asking() as backend:
        before = await _get(backend, job_id)
        done = await backend.cancel(job_id)
    if done in {CancelResult.FINISHED, CancelResult.UNKNOWN}:
        raise _wrong_state(before, "it has ended already")
    outcome = "cancelled" if done is CancelResult.REMOVED else "told to stop"
    entry = note(request, before={"state": before.state}, after={"outcome": outcome})
    return Done(id=job_id, done=True, outcome=outcome, audit_id=entry)


@routes.add("POST", "/jobs/{job_id}/retry", "retryJob", "Run a failed job again", scope="job", role="operator",
            problems=(*_STATES, "body_too_large"))  # fmt: skip
async def retry_job(request: Request, job_id: JobId, edits: Edits | None = None, dry_run: DryRun = False) -> Done:
    """A new run from attempt 1, with the arguments in the body where it has any; the dead letter is gone then."""
    core = core_of(request)
    async with core.asking() as backend:
        before = await _get(backend, job_id)
        letter = await backend.letter(job_id)
        if letter is None or letter.kind != "failed":
            raise _wrong_state(before, "only a failed job whose dead letter is still there can be run again")
        changed = edits is not None and (edits.args is not None or edits.kwargs is not None)
        payload = None
        if changed:
            assert edits is not None
            payload = await retry_edited(core.caller, backend, letter, edits.args, edits.kwargs, core.redact)
        if dry_run:
            return Done(id=job_id, done=False, outcome="would be queued")
        if not await backend.requeue(job_id, payload=payload):
            raise _wrong_state(before, "somebody else was faster")
    after: Mapping[str, Any] = {"run": before.run + 1, "edited": changed}
    entry = note(request, before={"state": before.state, "run": before.run}, after=after)
    return Done(id=job_id, done=True, outcome="queued", audit_id=entry)


@routes.add("POST", "/jobs/{job_id}/run-now", "runJobNow", "Put a waiting job in line at once",
            scope="job", role="operator",
            problems=_STATES)  # fmt: skip
async def run_job_now(request: Request, job_id: JobId) -> Done:
    """For jobs that wait for a time, or for their next attempt."""
    async with core_of(request).asking() as backend:
        before = await _get(backend, job_id)
        if not await backend.run_now(job_id):
            raise _wrong_state(before, "it does not wait for a time")
    entry = note(request, before={"state": before.state}, after={"state": "queued"})
    return Done(id=job_id, done=True, outcome="queued", audit_id=entry)


@routes.add("DELETE", "/jobs/{job_id}", "deleteJob", "Remove what the broker keeps of a job", scope="job", role="admin",
            problems=_STATES)  # fmt: skip
async def delete_job(request: Request, job_id: JobId) -> Done:
    """Record, result and dead letter of a job that has ended; its id is free again. The history keeps its row."""
    async with core_of(request).asking() as backend:
        before = await _get(backend, job_id)
        if not await backend.forget(job_id):
            raise _wrong_state(before, "only what has ended can be removed: cancel it first")
    entry = note(request, before={"state": before.state, "task": before.task})
    return Done(id=job_id, done=True, outcome="deleted", audit_id=entry)


async def _get(backend: Backend, job_id: str) -> JobRecord:
    record = await backend.get(job_id)
    if record is None:
        raise JobNotFoundError(f"there is no job {job_id} in this namespace, and no record of one")
    return record


def _wrong_state(record: JobRecord, why: str) -> Problem:
    return Problem("wrong_state", f"job {record.id} is {record.state}: {why}", params={"state": record.state})
