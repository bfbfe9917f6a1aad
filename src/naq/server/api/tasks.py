"""Tasks: what workers say of them, and what the history knows of their jobs."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response

from naq.backends.base import Backend
from naq.job import Priority
from naq.limits import pauses
from naq.limits.pauses import Pause
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Model, Moment, Page, at, at_seconds
from naq.server.api.queues import PauseGiven
from naq.server.api.routes import BROKER, Routes
from naq.server.core import Core
from naq.server.names import TaskName
from naq.server.problems import Problem
from naq.server.store.conditions import Among
from naq.server.store.queries import fleet, sample
from naq.server.store.queries.fleet import TaskRow
from naq.task import describe
from naq.task.describe import Described, RunsIn

routes = Routes("tasks")
CALLERS: Final = 20  # that are shown


class TaskItem(Model):
    """A task. What only its code says is null where no worker has said it within `record_ttl`; `note` is of a pause."""

    name: str
    queue: str
    served: bool
    priority: Priority | None
    version: int | None
    timeout_ms: int | None
    max_attempts: int | None
    runs_in: RunsIn | None
    signature: str | None
    app: str | None
    described_at: Moment | None
    first_job_at: Moment | None
    last_job_at: Moment | None
    paused: bool
    paused_by: str | None
    paused_at: Moment | None
    note: str | None


class CallerView(Model):
    """A task whose jobs enqueued some, and how many."""

    task: str | None
    count: int


class TaskDetail(TaskItem):
    """A task, whole. `arguments` is the JSON Schema of an object with a property a parameter; those that may be given
    by position are in its ``x-positional``.
    """  # noqa: D205 - one sentence on two lines

    module: str | None
    help: str | None
    arguments: dict[str, Any] | None
    result: dict[str, Any] | None
    codec: str | None


@routes.add("GET", "/tasks", "listTasks", "List tasks", problems=("cursor_invalid", "cursor_mismatch", *BROKER))
async def list_tasks(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[TaskItem]:
    """Those that workers know, and those of which there were jobs, by name."""
    core = core_of(request)
    async with core.asking() as backend:
        said, served = await describe.said(backend), await _served(backend)
        paused = await pauses.paused_tasks(backend)
    async with core.reading() as connection:
        known = {row.name: row for row in await fleet.find_tasks(connection)}
    names = sorted(said.keys() | known.keys())
    return sliced(
        core, request, response, names,
        lambda name: TaskItem(**_shared(name, said.get(name), known.get(name), served, paused.get(name))),
        about="tasks", limit=limit, cursor=cursor, key=lambda name: name,
    )  # fmt: skip


@routes.add("GET", "/tasks/{task}", "getTask", "Show a task", problems=("not_found", *BROKER))
async def get_task(request: Request, task: TaskName) -> TaskDetail:
    """With the JSON schema of its arguments, as its workers have said it."""
    core = core_of(request)
    async with core.asking() as backend:
        entry, served = await backend.entry(describe.KIND, describe.key_of(task)), await _served(backend)
        paused = await pauses.paused_tasks(backend)
    found = None if entry is None else describe.decode(entry.value)
    async with core.reading() as connection:
        row = next((one for one in await fleet.find_tasks(connection) if one.name == task), None)
    if found is None and row is None:
        raise _unknown(task)
    return TaskDetail(
        **_shared(task, found, row, served, paused.get(task)),
        module=None if found is None else found.module,
        help=None if found is None else found.help,
        arguments=None if found is None else found.arguments,
        result=None if found is None else found.result,
        codec=None if found is None else found.codec,
    )


async def _served(backend: Backend) -> frozenset[str]:
    """The tasks that workers know that run now, as their words have them."""
    return frozenset(name for worker in await backend.workers() for name in worker.tasks)


@routes.add("GET", "/tasks/{task}/callers", "listCallers", "Show what enqueues a task's jobs")
async def list_callers(request: Request, task: TaskName) -> Page[CallerView]:
    """Of its newest two thousand jobs, the twenty tasks that enqueued most; null: programs, outside of jobs."""
    async with core_of(request).reading() as connection:
        found = await sample.callers(connection, (Among("task", (task,)),), most=CALLERS)
    return Page(items=[CallerView(task=name or None, count=count) for name, count in found])


@routes.add("POST", "/tasks/{task}/pause", "pauseTask", "Pause a task", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def pause_task(request: Request, task: TaskName, given: PauseGiven | None = None) -> Done:
    """Workers start none of its jobs until it is resumed; what runs goes on, and so do other tasks of its queue."""
    core = core_of(request)
    await _must_be(core, task)
    async with core.asking() as backend:
        who, why = identity_of(request).name, given.note if given else ""
        done = await pauses.pause_task(backend, task, by=who, why=why)
    entry = note(request, before={"paused": not done}, after={"paused": True, "note": why})
    return Done(id=task, done=done, outcome="paused", audit_id=entry)


@routes.add("POST", "/tasks/{task}/resume", "resumeTask", "Resume a task", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def resume_task(request: Request, task: TaskName) -> Done:
    """Jobs that were put back meanwhile come again within half a minute."""
    core = core_of(request)
    await _must_be(core, task)
    async with core.asking() as backend:
        done = await pauses.resume_task(backend, task)
    entry = note(request, before={"paused": done}, after={"paused": False})
    return Done(id=task, done=done, outcome="resumed", audit_id=entry)


async def _must_be(core: Core, task: str) -> None:
    """Refuse a task that nobody has heard of: its name is most likely misspelt."""
    async with core.asking() as backend:
        if await backend.entry(describe.KIND, describe.key_of(task)) is not None:
            return
    async with core.reading() as connection:
        if all(one.name != task for one in await fleet.find_tasks(connection)):
            raise _unknown(task)


def _unknown(task: str) -> Problem:
    return Problem("not_found", f"no worker has said that it knows a task {task!r}, and there was no job of it")


def _shared(
    name: str, said: Described | None, row: TaskRow | None, served: frozenset[str], paused: Pause | None
) -> dict[str, Any]:
    queue = said.queue if said is not None else row.queue if row is not None else ""
    timeout = None if said is None or said.timeout is None else round(said.timeout * 1000)
    return {
        "name": name,
        "queue": queue,
        "served": name.replace(":", ".") in served or name in served,
        "priority": None if said is None else said.priority,
        "version": None if said is None else said.version,
        "timeout_ms": timeout,
        "max_attempts": None if said is None else said.max_attempts,
        "runs_in": None if said is None else said.runs_in,
        "signature": None if said is None else said.signature,
        "app": None if said is None else said.app,
        "described_at": None if said is None else at_seconds(said.at),
        "first_job_at": None if row is None else at(row.first_at),
        "last_job_at": None if row is None else at(row.last_at),
        "paused": paused is not None,
        "paused_by": None if paused is None else paused.by,
        "paused_at": None if paused is None else at_seconds(paused.at),
        "note": None if paused is None else paused.why,
    }
