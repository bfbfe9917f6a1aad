"""Workers that run now, and those that have gone; how one was by the minute."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import Field

from naq import clock
from naq.backends.base import WorkerInfo
from naq.server.api.gate import core_of
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Model, Moment, Page, at, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.core import Core
from naq.server.names import WorkerId
from naq.server.problems import Problem
from naq.server.store.queries import fleet
from naq.server.store.queries.fleet import WorkerMinute, WorkerRow
from naq.server.store.rows import MICRO, micros

routes = Routes("workers")
MISSED = 2.5  # heartbeats without which a worker is silent; after three, by default, it is taken for dead
MOST_GONE = 200  # workers that have gone that are shown; a fleet that scales up and down leaves thousands a day
Minutes = Annotated[int, Query(ge=1, le=1440, description="How far back, in minutes.")]


class RunningJob(Model):
    """A job that a worker runs."""

    id: str
    task: str
    started_at: Moment | None
    elapsed_ms: int


class WorkerView(Model):
    """A worker as it last described itself. Of one that has gone, what the history keeps.

    `silent`: two of its heartbeats are missing: it is dead, or cut off. `concurrency` are its slots now (0: paused),
    `slots` those it was started with; `code` is the version of your code (`code_version`); `cpu` the cores that its
    process kept busy and `loop_lag_ms` the longest that its event loop was blocked between its last two heartbeats;
    `leads` what it does for all; `jobs` the oldest that it runs.
    """

    id: str
    state: Literal["starting", "running", "stopping", "stopped", "gone"]
    queues: list[str]
    tasks: list[str]
    concurrency: int
    slots: int
    paused: bool
    silent: bool = False
    running: int
    processed: int
    failed: int
    host: str
    pid: int
    version: str
    code: str
    python: str = ""
    started_at: Moment | None
    seen_at: Moment | None
    gone_at: Moment | None = None
    memory: int = 0
    children_memory: int = 0
    cpu: float = 0.0
    loop_lag_ms: int = 0
    threads: int = 0
    threads_busy: int = 0
    children: int = 0
    leads: list[str] = Field(default_factory=list)
    facts: dict[str, str | int | float | bool] = Field(default_factory=dict)
    jobs: list[RunningJob] = Field(default_factory=list)

    @classmethod
    def of(cls, info: WorkerInfo) -> WorkerView:
        """As it is shown."""
        now, beat = clock.now(), float(info.facts.get("heartbeat", 0.0))
        return cls(
            id=info.id, state=info.state, queues=info.queues, tasks=info.tasks, concurrency=info.concurrency,
            slots=info.slots or info.concurrency, paused=info.concurrency == 0,
            silent=beat > 0 and now - info.seen_at > MISSED * beat,
            running=info.running,
            processed=info.processed, failed=info.failed, host=info.host, pid=info.pid, version=info.version,
            code=info.code, python=info.python, started_at=at_seconds(info.started_at),
            seen_at=at_seconds(info.seen_at), memory=info.memory, children_memory=info.children_memory, cpu=info.cpu,
            loop_lag_ms=round(info.loop_lag * 1000), threads=info.threads, threads_busy=info.threads_busy,
            children=info.children, leads=info.leads, facts=info.facts,
            jobs=[
                RunningJob(
                    id=one.id, task=one.task, started_at=at_seconds(one.at),
                    elapsed_ms=max(0, round((now - one.at) * 1000)),
                )
                for one in info.jobs
            ],
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: WorkerRow) -> WorkerView:
        """One that has gone."""
        return cls(
            id=row.id, state="gone", queues=json.loads(row.queues), tasks=json.loads(row.tasks), concurrency=0,
            slots=row.concurrency, paused=False, running=0, processed=row.processed, failed=row.failed, host=row.host,
            pid=row.pid, version=row.version, code=row.code, started_at=at(row.started_at), seen_at=at(row.seen_at),
            gone_at=at(row.gone_at),
        )  # fmt: skip


class VersionCount(Model):
    """How many workers run so."""

    version: str
    code: str
    workers: int


class Fleet(Page[WorkerView]):
    """A page of workers, and which versions all that run now have; `mixed`: more than one."""

    versions: list[VersionCount]
    mixed: bool


class WorkerPoint(Model):
    """How a worker was within a minute: the most of it; `processed` and `failed` since it started."""

    at: Moment | None
    memory: int
    children_memory: int
    cpu: float
    loop_lag_ms: int
    running: int
    processed: int
    failed: int

    @classmethod
    def of(cls, row: WorkerMinute) -> WorkerPoint:
        """As it is shown."""
        return cls(
            at=at(row.at), memory=row.memory, children_memory=row.children_memory, cpu=row.cpu,
            loop_lag_ms=round(row.loop_lag * 1000), running=row.running, processed=row.processed, failed=row.failed,
        )  # fmt: skip


@routes.add("GET", "/workers", "listWorkers", "List workers", problems=("cursor_invalid", "cursor_mismatch", *BROKER))
async def list_workers(
    request: Request,
    response: Response,
    gone_s: Annotated[
        int, Query(ge=0, le=30 * 86400, description="With those that have gone in so many seconds, the last 200.")
    ] = 0,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Fleet:
    """Those that run now, by id."""
    core = core_of(request)
    async with core.asking() as backend:
        found = await backend.workers()
    shown = [WorkerView.of(one) for one in found]
    if gone_s:
        here = {one.id for one in found}
        async with core.reading() as connection:
            seen = await fleet.find_seen(
                connection, since=micros(clock.now()) - gone_s * MICRO, limit=MOST_GONE + len(here)
            )
        shown += [WorkerView.of_row(row) for row in seen if row.id not in here]
    page = sliced(
        core, request, response, shown, lambda one: one, about=f"workers {gone_s}", limit=limit, cursor=cursor,
        key=lambda one: one.id,
    )  # fmt: skip
    counted = Counter((one.version, one.code) for one in found)
    return Fleet(
        **dict(page),
        versions=[VersionCount(version=v, code=c, workers=count) for (v, c), count in sorted(counted.items())],
        mixed=len(counted) > 1,
    )


async def find_worker(core: Core, worker_id: str) -> WorkerInfo:
    """A worker that runs now.

    Raises:
        Problem: ``not_found``, ``broker_unavailable``.
    """
    async with core.asking() as backend:
        found = await backend.workers()
    for one in found:
        if one.id == worker_id:
            return one
    raise Problem("not_found", f"no worker {worker_id} runs now")


@routes.add("GET", "/workers/{worker_id}", "getWorker", "Show a worker", problems=("not_found", *BROKER))
async def get_worker(request: Request, worker_id: WorkerId) -> WorkerView:
    """One that runs now, or that has gone."""
    core = core_of(request)
    try:
        return WorkerView.of(await find_worker(core, worker_id))
    except Problem as problem:
        if problem.kind.code != "not_found":
            raise
    async with core.reading() as connection:
        row = await fleet.get_worker(connection, worker_id)
    if row is None:
        raise Problem("not_found", f"there is no worker {worker_id}")
    return WorkerView.of_row(row)


@routes.add("GET", "/workers/{worker_id}/minutes", "getWorkerMinutes", "Show how a worker was")
async def get_worker_minutes(request: Request, worker_id: WorkerId, minutes: Minutes = 60) -> Page[WorkerPoint]:
    """Memory, CPU, loop lag and jobs by the minute, as the server saw them; a minute without a word is not there."""
    since = micros(clock.now()) - minutes * 60 * MICRO
    async with core_of(request).reading() as connection:
        found = await fleet.find_worker_minutes(connection, worker_id, since=since)
    return Page(items=[WorkerPoint.of(row) for row in found])
