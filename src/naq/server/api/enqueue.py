"""Enqueueing jobs of tasks whose code is not here: one, or many at once."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from naq import clock
from naq.backends.base import Backend
from naq.codec.after import ParentFailure
from naq.exceptions import JobNotFoundError, NaqException
from naq.handle import Job
from naq.job import Priority
from naq.server.access.roles import Identity
from naq.server.access.scope import check_queue, may
from naq.server.api.gate import core_of, identity_of, note, scope_of
from naq.server.api.job_actions import DryRun
from naq.server.api.models import ErrorPlace, Given, Model
from naq.server.api.routes import BROKER, Routes
from naq.server.core import Core
from naq.server.names import Task, Token
from naq.server.problems import Problem, wrong
from naq.server.problems.answer import as_problem
from naq.task.call import Call, send

routes = Routes("jobs")
MOST: Final = 1_000  # jobs of one batch: some 100 ms of work, in which others wait
REQUEST: Final = "request-id"  # a tag of jobs that came through the API: finds the request in the server's log
REPLAYED: Final = "replay-of"  # a tag: the job whose arguments were edited for this one
_LONGEST: Final = 366 * 86_400_000  # milliseconds, a year: longer delays are slips of the keyboard
Milliseconds = Annotated[int, Field(ge=0, le=_LONGEST)]


class NewJob(Given):
    """A job to enqueue. Its arguments are checked by the JSON Schema that workers have said of the task, if any has.

    What is not given is as the task declares it. Of `delay_ms` and `run_at` one, and so of `expires_in_ms` and
    `expires_at`. `unique`: while there is a job of this key, none is added. `replay_of`: the job that this one repeats.
    """

    task: Task = Field(examples=["shop.tasks:send_mail"])
    args: list[Any] = Field(default=[], examples=[[]])
    kwargs: dict[str, Any] = Field(default={}, examples=[{"to": "a@b.c"}])
    queue: Token | None = None
    priority: Priority | None = None
    delay_ms: Milliseconds | None = None
    run_at: AwareDatetime | None = None
    expires_in_ms: Annotated[int, Field(ge=1, le=_LONGEST)] | None = None
    expires_at: AwareDatetime | None = None
    timeout_ms: Annotated[int, Field(ge=1, le=_LONGEST)] | None = None
    retries: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    unique: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    unique_while: Literal["waiting", "active"] | None = None
    depends_on: Annotated[list[Token], Field(min_length=1, max_length=1000)] | None = None
    on_parent_failure: ParentFailure | None = None
    tags: dict[Token, Annotated[str, Field(max_length=256)]] = Field(default={}, max_length=32)
    job_id: Token | None = None
    replay_of: Token | None = None

    def options(self, request_id: str) -> dict[str, Any]:
        """As ``task.options`` takes them.

        Raises:
            Problem: two say the same thing.
        """
        for one, other in (("delay_ms", "run_at"), ("expires_in_ms", "expires_at")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise wrong(f"/{other}", f"give {one} or {other}, not both")
        linked = {} if self.replay_of is None else {REPLAYED: self.replay_of}
        return {
            **self.model_dump(include={
                "queue", "priority", "run_at", "expires_at", "retries", "unique", "unique_while", "depends_on",
                "on_parent_failure", "job_id",
            }),
            "delay": _seconds(self.delay_ms), "expires_in": _seconds(self.expires_in_ms),
            "timeout": _seconds(self.timeout_ms), "tags": {**self.tags, **linked, REQUEST: request_id},
        }  # fmt: skip


class Enqueued(Model):
    """A job that is stored; `duplicate`: it was there already, and nothing was added. With `dry_run` it has no id."""

    id: str | None
    duplicate: bool


class NewJobs(Given):
    """Jobs to enqueue in one go."""

    jobs: Annotated[list[NewJob], Field(min_length=1, max_length=MOST)]


class Outcome(Model):
    """What became of one of them: its `id`, or what is wrong with it, `errors` by places in the request."""

    id: str | None = None
    duplicate: bool = False
    code: str | None = None
    detail: str | None = None
    errors: list[ErrorPlace] = Field(default=[])


class Outcomes(Model):
    """In the order of the request. Those that are wrong are left out, the others are stored."""

    results: list[Outcome]
    stored: int
    failed: int


@routes.add("POST", "/jobs", "enqueueJob", "Enqueue a job",
            scope="itself", role="operator", policy="enqueue", status=201,
            problems=BROKER, responses={
                200: {"model": Enqueued, "description": "It was there already, or `dry_run`."}})  # fmt: skip
async def enqueue_job(request: Request, response: Response, new: NewJob, dry_run: DryRun = False) -> Enqueued:
    """Store a job; durable when this answers. The same `job_id` or `unique` key again adds nothing and answers 200."""
    core = core_of(request)
    async with core.asking() as backend:
        call = await make_call(core, backend, new, request)
        if dry_run:
            response.status_code = 200
            return Enqueued(id=None, duplicate=False)
        await backend.open([call.plan.queue])
        [job] = await send_calls(core, [call])
    note(request, target=job.id, after={"id": job.id, "task": new.task, "queue": call.plan.queue})
    response.status_code = 200 if job.duplicate else 201
    response.headers["Location"] = f"{core.settings.path_prefix}/api/v1/jobs/{job.id}"
    return Enqueued(id=job.id, duplicate=job.duplicate)


@routes.add(
    "POST",
    "/jobs/batch",
    "enqueueJobs",
    "Enqueue many jobs",
    scope="itself",
    role="operator",
    policy="bulk",
    problems=BROKER,
)
async def enqueue_jobs(request: Request, new: NewJobs, dry_run: DryRun = False) -> Outcomes:
    """In one go, in order; those that are wrong are said, the others stored. 422 where all of them are wrong."""
    core = core_of(request)
    results: list[Outcome] = []
    calls: list[Call[Any]] = []
    async with core.asking() as backend:
        for number, one in enumerate(new.jobs):
            try:
                calls.append(await make_call(core, backend, one, request))
            except (Problem, NaqException) as error:
                if (problem := as_problem(error)) is None or problem.kind.status >= 500:
                    raise
                results.append(_refused(problem, f"/jobs/{number}"))
            else:
                results.append(Outcome())
        if not calls:
            errors = [error.model_dump(exclude_none=True) for each in results for error in each.errors]
            raise Problem("invalid", f"none of {len(results)} jobs can be stored", errors=errors[:100])
        jobs = []
        if not dry_run:
            await backend.open(sorted({call.plan.queue for call in calls}))
            jobs = await send_calls(core, calls)
    stored = iter(jobs)
    results = [
        Outcome(id=job.id, duplicate=job.duplicate) if each.code is None and (job := next(stored, None)) else each
        for each in results
    ]
    note(request, target=f"{len(jobs)} jobs", after={"ids": [job.id for job in jobs]})
    return Outcomes(results=results, stored=len(jobs), failed=len(results) - len(calls))


async def make_call(core: Core, backend: Backend, new: NewJob, request: Request) -> Call[Any]:
    """What is to be enqueued, checked as far as it can be before anything is stored.

    Raises:
        Problem, NaqException: what is wrong with it.
    """
    known = await core.caller.know(backend, new.task)
    call = known.call(new.args, new.kwargs, **new.options(str(request.scope["naq.request_id"])))
    check_queue(scope_of(request), call.plan.queue)
    call.plan.build(call.args, call.kwargs, clock.now())
    if new.depends_on:
        await _find_parents(backend, identity_of(request), new.depends_on)
    return call


async def _find_parents(backend: Backend, identity: Identity, wanted: list[str]) -> None:
    """Refuse a job that would wait for none.

    Raises:
        Problem: ``invalid``, with the place of each that is not there.
    """
    there = await backend.specs(wanted)
    missing = [job_id for job_id in wanted if job_id not in there]
    ended = await backend.finals(missing) if missing else {}
    there = {job_id: spec for job_id, spec in there.items() if may(identity, spec.queue)}
    ended = {job_id: record for job_id, record in ended.items() if may(identity, record.queue)}
    errors = [
        {"pointer": f"/depends_on/{place}", "code": "job_not_found", "message": f"there is no job {job_id}"}
        for place, job_id in enumerate(wanted) if job_id not in there and job_id not in ended
    ]  # fmt: skip
    if errors:
        raise Problem("invalid", f"it is to wait for {len(errors)} jobs that are not there", errors=errors)


async def send_calls(core: Core, calls: list[Call[Any]]) -> list[Job[Any]]:
    """Store them; a parent that has gone meanwhile is said as what it is."""
    try:
        return await send(core, calls)
    except JobNotFoundError as error:  # one that they wait for was there a moment ago
        raise Problem("invalid", str(error)) from error


def _refused(problem: Problem, pointer: str) -> Outcome:
    errors = [ErrorPlace(**{**error, "pointer": pointer + error["pointer"]}) for error in problem.errors]
    if not errors:
        errors = [ErrorPlace(pointer=pointer, code=problem.kind.code, message=problem.detail)]
    return Outcome(code=problem.kind.code, detail=problem.detail, errors=errors)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
