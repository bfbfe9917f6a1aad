"""Asking for workers, queues and tasks."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.queries.build import build
from naq.server.store.tables import STATES, depths, jobs, queues, tasks, worker_minutes, workers


class WorkerRow(Struct, frozen=True, kw_only=True):
    """A row of ``workers``; `queues` and `tasks` are JSON arrays."""

    id: str
    state: str
    host: str
    pid: int
    version: str
    queues: str
    tasks: str
    concurrency: int
    running: int
    processed: int
    failed: int
    started_at: int
    seen_at: int
    gone_at: int | None
    code: str


class WorkerMinute(Struct, frozen=True, kw_only=True):
    """A row of ``worker_minutes``."""

    at: int
    memory: int
    children_memory: int
    cpu: float
    loop_lag: float
    running: int
    processed: int
    failed: int


class QueueRow(Struct, frozen=True, kw_only=True):
    """A row of ``queues``."""

    name: str
    queued: int
    running: int
    scheduled: int
    blocked: int
    paused: bool
    concurrency: int | None
    seen_at: int


class TaskRow(Struct, frozen=True, kw_only=True):
    """A row of ``tasks``."""

    name: str
    queue: str
    first_at: int
    last_at: int


class Depth(Struct, frozen=True, kw_only=True):
    """A row of ``depths``."""

    queue: str
    at: int
    queued: int
    running: int
    scheduled: int
    blocked: int


async def find_workers(
    connection: AsyncConnection, *, after: tuple[int, str] | None = None, limit: int = 200
) -> list[WorkerRow]:
    """Workers, the last one heard of first; `after` is (`seen_at`, `id`) of the last one seen."""
    asked = select(workers).order_by(workers.c.seen_at.desc(), workers.c.id.desc()).limit(limit)
    if after is not None:
        asked = asked.where(tuple_(workers.c.seen_at, workers.c.id) < tuple_(*after))
    return [build(WorkerRow, row) for row in (await connection.execute(asked)).mappings()]


async def get_worker(connection: AsyncConnection, worker_id: str) -> WorkerRow | None:
    """A worker, or None."""
    row = (await connection.execute(select(workers).where(workers.c.id == worker_id))).mappings().one_or_none()
    return None if row is None else build(WorkerRow, row)


async def find_seen(connection: AsyncConnection, *, since: int, limit: int) -> list[WorkerRow]:
    """Workers that were heard of since then (microseconds), the last one first."""
    asked = select(workers).where(workers.c.seen_at >= since)
    found = await connection.execute(asked.order_by(workers.c.seen_at.desc(), workers.c.id.desc()).limit(limit))
    return [build(WorkerRow, row) for row in found.mappings()]


async def find_worker_minutes(connection: AsyncConnection, worker_id: str, *, since: int) -> list[WorkerMinute]:
    """How a worker was, by the minute from `since` on (microseconds)."""
    here = worker_minutes.c
    asked = select(*[here[name] for name in WorkerMinute.__struct_fields__])
    asked = asked.where(here.worker == worker_id, here.at >= since).order_by(here.at)
    return [build(WorkerMinute, row) for row in (await connection.execute(asked)).mappings()]


async def find_queues(connection: AsyncConnection, *, after: str | None = None, limit: int = 1000) -> list[QueueRow]:
    """Queues by name."""
    asked = select(queues).order_by(queues.c.name).limit(limit)
    if after is not None:
        asked = asked.where(queues.c.name > after)
    return [build(QueueRow, row) for row in (await connection.execute(asked)).mappings()]


async def find_depths(connection: AsyncConnection, queue: str, *, since: int) -> list[Depth]:
    """How long a queue was, by the minute from `since` on (microseconds)."""
    asked = select(depths).where(depths.c.queue == queue, depths.c.at >= since).order_by(depths.c.at)
    return [build(Depth, row) for row in (await connection.execute(asked)).mappings()]


async def find_tasks(connection: AsyncConnection, *, after: str | None = None, limit: int = 1000) -> list[TaskRow]:
    """Tasks by name."""
    asked = select(tasks).order_by(tasks.c.name).limit(limit)
    if after is not None:
        asked = asked.where(tasks.c.name > after)
    return [build(TaskRow, row) for row in (await connection.execute(asked)).mappings()]


async def oldest(
    connection: AsyncConnection, *, queue: str | None = None, task: str | None = None, state: str = "queued"
) -> int | None:
    """When the oldest job of a queue, a task, or of all in `state` was made (microseconds); None: there is none."""
    if state not in STATES:
        raise ValueError(f"{state!r} is no state")
    asked = select(jobs.c.created_at).where(jobs.c.state == state)
    if queue is not None:
        asked = asked.where(jobs.c.queue == queue)
    elif task is not None:
        asked = asked.where(jobs.c.task == task)
    return (await connection.execute(asked.order_by(jobs.c.created_at, jobs.c.id).limit(1))).scalar_one_or_none()
