"""Numbers: how things are, and how they were. From rollups, so that none of them looks at jobs."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import Query, Request

from naq import clock
from naq.server.access.roles import Identity
from naq.server.access.scope import check_cluster, check_queue, may, narrowed
from naq.server.api.gate import core_of, scope_of
from naq.server.api.job_views import JobItem, ms
from naq.server.api.models import Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.names import TASK
from naq.server.store.conditions import Among, Begins, Contains, JobQuery
from naq.server.store.queries import errors, fleet, jobs, sample, trends
from naq.server.store.queries.trends import Point
from naq.server.store.rows import MICRO, micros

routes = Routes("stats")
Window = Annotated[int, Query(ge=60, le=62 * 86400, description="How far back, in seconds.")]
Scope = Annotated[Literal["all", "task", "queue"], Query()]
_FEW = 10  # of each kind in a search
_GROUPS = 500  # groups of errors that a search looks at, the latest


class TrendPoint(Model):
    """A step: what happened in it, and percentiles of what ended in it (at most a quarter above the true value)."""

    at: Moment | None
    counts: dict[str, int]
    run_p50_ms: int | None
    run_p95_ms: int | None
    wait_p50_ms: int | None
    wait_p95_ms: int | None

    @classmethod
    def of(cls, point: Point) -> TrendPoint:
        """As it is shown."""
        return cls(
            at=at(point.at), counts=point.counts, run_p50_ms=ms(point.run_p50_us), run_p95_ms=ms(point.run_p95_us),
            wait_p50_ms=ms(point.wait_p50_us), wait_p95_ms=ms(point.wait_p95_us),
        )  # fmt: skip


class Series(Model):
    """A chart."""

    step_s: int
    points: list[TrendPoint]


class Totals(Model):
    """What a task or a queue did over the window; averages in milliseconds."""

    name: str
    counts: dict[str, int]
    run_avg_ms: int | None
    wait_avg_ms: int | None


class Bucket(Model):
    """So many took at most so long, and longer than the one before."""

    upto_ms: int
    count: int


class FoundError(Model):
    """A group of errors, as far as one recognises it."""

    fingerprint: str
    task: str
    type: str
    message: str


class Found(Model):
    """What a search found, a few of each kind."""

    jobs: list[JobItem]
    tasks: list[str]
    queues: list[str]
    workers: list[str]
    schedules: list[str]
    errors: list[FoundError]


@routes.add("GET", "/trends", "getTrends", "Show a chart", scope="itself")
async def get_trends(
    request: Request,
    window_s: Window = 3600,
    scope: Scope = "all",
    name: Annotated[str, Query(max_length=200, pattern=rf"^$|{TASK}|^[A-Za-z0-9_-]{{1,64}}$")] = "",
) -> Series:
    """Counts and percentiles by step: of all, of a task, or of a queue."""
    _check(scope_of(request), scope, name)
    until = micros(clock.now())
    since = until - window_s * MICRO
    step = trends.step_for(since, until)
    async with core_of(request).reading() as connection:
        points = await trends.series(connection, since=since, until=until, step=step, scope=scope, name=name)
    return Series(step_s=step, points=[TrendPoint.of(point) for point in points])


@routes.add("GET", "/stats", "getStats", "Compare tasks or queues", scope="itself")
async def get_stats(
    request: Request, window_s: Window = 86400, scope: Annotated[Literal["task", "queue"], Query()] = "task"
) -> Page[Totals]:
    """What each did over the window, by name."""
    identity = scope_of(request)
    if scope != "queue":
        check_cluster(identity)
    until = micros(clock.now())
    async with core_of(request).reading() as connection:
        found = await trends.totals(connection, since=until - window_s * MICRO, until=until, scope=scope)
    return Page(items=[_totals(one) for one in found if scope != "queue" or may(identity, one.name)])


@routes.add("GET", "/durations", "getDurations", "Show how long jobs take", scope="itself")
async def get_durations(
    request: Request,
    window_s: Window = 86400,
    scope: Scope = "all",
    name: Annotated[str, Query(max_length=200, pattern=rf"^$|{TASK}|^[A-Za-z0-9_-]{{1,64}}$")] = "",
    measure: Annotated[Literal["run", "wait"], Query()] = "run",
) -> Page[Bucket]:
    """A histogram of runs, or of waits, on a logarithmic scale."""
    _check(scope_of(request), scope, name)
    until = micros(clock.now())
    async with core_of(request).reading() as connection:
        found = await trends.spread(
            connection, since=until - window_s * MICRO, until=until, scope=scope, name=name, measure=measure
        )
    return Page(items=[Bucket(upto_ms=ms(end) or 0, count=count) for end, count in found])


@routes.add("GET", "/search", "search", "Find something by its name or id", scope="itself",
            response_model_exclude_unset=True)  # fmt: skip
async def search(
    request: Request,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=100,
            pattern=r"^[^\x00]+$",
            description="The beginning of an id, or part of a name.",
        ),
    ],
) -> Found:
    """A few jobs, tasks, queues, workers, schedules that had jobs, and groups of errors."""
    core, identity = core_of(request), scope_of(request)
    folded = q.casefold()
    mine = narrowed(identity, "", most=1).conditions
    is_id = re.fullmatch(r"[A-Za-z0-9_-]{3,64}", q) is not None
    async with core.reading() as connection:
        exact = await jobs.find(connection, JobQuery(conditions=(Among("id", (q,)), *mine), limit=1))
        begins = (
            await jobs.find(connection, JobQuery(conditions=(Begins("id", q), *mine), limit=_FEW)) if is_id else None
        )
        named = await jobs.find(connection, JobQuery(conditions=(Contains("task", q), *mine), limit=_FEW))
        tasks = await fleet.find_tasks(connection)
        queues = await fleet.find_queues(connection)
        workers = await fleet.find_workers(connection)
        schedules = await sample.schedules(connection, q, most=_FEW)
        groups = await errors.find(connection, limit=_GROUPS)
    tasks = [one for one in tasks if may(identity, one.queue)]
    queues = [one for one in queues if may(identity, one.name)]
    if identity.queues is not None:
        workers, schedules, groups = [], [], []  # which queues these are of, nobody says
    rows = {row.id: row for page in (exact, begins, named) if page is not None for row in page.jobs}
    return Found(
        jobs=[JobItem.of(row, core.redact) for row in list(rows.values())[:_FEW]],
        tasks=[one.name for one in tasks if folded in one.name.casefold()][:_FEW],
        queues=[one.name for one in queues if folded in one.name.casefold()][:_FEW],
        workers=[one.id for one in workers if folded in one.id.casefold()][:_FEW],
        schedules=schedules,
        errors=[
            FoundError(fingerprint=one.fingerprint, task=one.task, type=one.type, message=one.message[:200])
            for one in groups
            if q == one.fingerprint or folded in f"{one.type} {one.message}".casefold()
        ][:_FEW],
    )


def _totals(one: Any) -> Totals:
    done = sum(count for what, count in one.counts.items() if what not in {"created", "retrying"})
    return Totals(
        name=one.name, counts=one.counts, run_avg_ms=ms(one.run_us // done) if done else None,
        wait_avg_ms=ms(one.wait_us // done) if done else None,
    )  # fmt: skip


def _check(identity: Identity, scope: str, name: str) -> None:
    """Refuse a token that is for some queues numbers of others."""
    if scope == "queue":
        check_queue(identity, name)
    else:
        check_cluster(identity)
