"""What is done to one job: cancel, retry (with edits), run now, delete; and enqueueing one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field

from naq.backends.base import Backend, CancelResult
from naq.exceptions import JobNotFoundError
from naq.job import JobRecord
from naq.server.acting import enqueue, retry_edited
from naq.server.api.gate import core_of, note
from naq.server.api.models import Done, Given, Model
from naq.server.api.routes import BROKER, Routes
from naq.server.names import JobId, Task, Token
from naq.server.problems import Problem, wrong

routes = Routes("jobs")
_STATES = ("job_not_found", "wrong_state", *BROKER)
DryRun = Annotated[bool, Query(description="Check everything, change nothing.")]


class Call(Given):
    """A job to enqueue. The server knows no task's code: arguments are checked against the schema of its workers."""

    task: Task = Field(examples=["shop.tasks:send_mail"])
    args: list[Any] = Field(default=[], examples=[[]])
    kwargs: dict[str, Any] = Field(default={}, examples=[{"to": "a@b.c"}])
    queue: Token = "default"
    priority: Annotated[str, Field(pattern="^(high|normal|low)$")] = "normal"
    delay_ms: Annotated[int | None, Field(ge=0, le=366 * 86_400_000)] = None
    run_at: AwareDatetime | None = None
    tags: dict[Token, Annotated[str, Field(max_length=256)]] = Field(default={}, max_length=32)
    job_id: Token | None = None


class Enqueued(Model):
    """A job that is stored; `duplicate`: it was there already, and nothing was added."""

    id: str
    duplicate: bool


class Edits(Given):
    """What is different in the run to come; what is not given stays."""

    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None


@routes.add("POST", "/jobs", "enqueueJob", "Enqueue a job", role="operator", policy="enqueue", status=201,
            problems=BROKER, responses={200: {"model": Enqueued, "description": "It was there already."}})  # fmt: skip
async def enqueue_job(request: Request, response: Response, call: Call) -> Enqueued:
    """Store a job; durable when this answers. The same `job_id` again adds nothing and answers 200."""
    core = core_of(request)
    if call.delay_ms is not None and call.run_at is not None:
        raise wrong("/run_at", "give delay_ms or run_at, not both")
    async with core.asking() as backend:
        found = await enqueue(
            backend, core.config, call.task, call.args, call.kwargs, queue=call.queue, priority=call.priority,
            delay=None if call.delay_ms is None else call.delay_ms / 1000, run_at=call.run_at, tags=call.tags,
            job_id=call.job_id, request_id=str(request.scope["naq.request_id"]),
        )  # fmt: skip
    note(request, target=found.job_id, after={"id": found.job_id, "task": call.task, "queue": call.queue})
    response.status_code = 200 if found.duplicate else 201
    response.headers["Location"] = f"{core.settings.path_prefix}/api/v1/jobs/{found.job_id}"
    return Enqueued(id=found.job_id, duplicate=found.duplicate)


@routes.add("POST", "/jobs/{job_id}/cancel", "cancelJob", "Cancel a job", role="operator", problems=_STATES)
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


@routes.add("POST", "/jobs/{job_id}/retry", "retryJob", "Run a failed job again", role="operator",
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
            payload = retry_edited(core.config, letter, edits.args, edits.kwargs)
        if dry_run:
            return Done(id=job_id, done=False, outcome="would be queued")
        if not await backend.requeue(job_id, payload=payload):
            raise _wrong_state(before, "somebody else was faster")
    after: Mapping[str, Any] = {"run": before.run + 1, "edited": changed}
    entry = note(request, before={"state": before.state, "run": before.run}, after=after)
    return Done(id=job_id, done=True, outcome="queued", audit_id=entry)


@routes.add("POST", "/jobs/{job_id}/run-now", "runJobNow", "Put a waiting job in line at once", role="operator",
            problems=_STATES)  # fmt: skip
async def run_job_now(request: Request, job_id: JobId) -> Done:
    """For jobs that wait for a time, or for their next attempt."""
    async with core_of(request).asking() as backend:
        before = await _get(backend, job_id)
        if not await backend.run_now(job_id):
            raise _wrong_state(before, "it does not wait for a time")
    entry = note(request, before={"state": before.state}, after={"state": "queued"})
    return Done(id=job_id, done=True, outcome="queued", audit_id=entry)


@routes.add("DELETE", "/jobs/{job_id}", "deleteJob", "Remove what the broker keeps of a job", role="admin",
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
