"""What the newest jobs of a filter have in common: values and how often, when, how long; of `MOST` jobs at most.

An exact answer would have to look at every job that fits; the newest ones say what a person wants to know.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.conditions import Condition, JobQuery
from naq.server.store.queries import plan
from naq.server.store.tables import jobs, tags


class Sampled(Struct, frozen=True, gc=False):
    """A job, as far as it is counted. Times in microseconds; `tags` is a JSON object, or None."""

    id: str
    created_at: int
    finished_at: int | None
    state: str
    task: str
    queue: str
    priority: str
    worker: str
    error_type: str | None
    duration_us: int | None
    wait_us: int | None
    tags: str | None


MOST: Final = 2_000  # jobs that are counted: some 20 ms, and enough for shares to within two percent
CALLED: Final = 1_000  # jobs whose parents are looked up: each may lie on a page of its own, on disk
_COLUMNS: Final = [jobs.c[name] for name in Sampled.__struct_fields__]


class Sample(Struct, frozen=True):
    """The newest jobs that fit, and whether they are all there are."""

    jobs: list[Sampled]
    whole: bool


async def newest(connection: AsyncConnection, conditions: tuple[Condition, ...]) -> Sample:
    """The newest jobs that fit, `MOST` at most; where no index serves the conditions, of as many as a page sifts."""
    query = JobQuery(conditions=conditions, limit=MOST - 1)
    made = plan.make_plan(query)
    found = [Sampled(*row) for row in await connection.execute(plan.page(made, query, _COLUMNS))]
    whole = len(found) < MOST
    if whole and made.residual:
        whole = (await connection.execute(plan.frontier(made, query))).one_or_none() is None
    return Sample(found, whole)


async def callers(
    connection: AsyncConnection, conditions: tuple[Condition, ...], *, most: int
) -> list[tuple[str, int]]:
    """The tasks whose jobs enqueued most of the newest `CALLED` jobs that fit, and how many; "" for what is no job."""
    query = JobQuery(conditions=conditions, limit=CALLED - 1)
    some = plan.page(plan.make_plan(query), query, [jobs.c.parent_id]).subquery("some")
    parent = jobs.alias("parent")
    task, count = func.coalesce(parent.c.task, "").label("task"), func.count().label("count")
    asked = select(task, count).select_from(some.outerjoin(parent, parent.c.id == some.c.parent_id))
    asked = asked.group_by(task).order_by(count.desc(), task).limit(most)
    return [(str(name), int(n)) for name, n in await connection.execute(asked)]


async def arguments(connection: AsyncConnection, conditions: tuple[Condition, ...], *, most: int) -> list[str]:
    """The arguments of the newest jobs that fit, as JSON, of those that have some."""
    query = JobQuery(conditions=conditions, limit=most)
    found = await connection.execute(plan.page(plan.make_plan(query), query, [jobs.c.args]))
    return [str(text) for text in found.scalars() if text is not None]


async def schedules(connection: AsyncConnection, begin: str, *, most: int) -> list[str]:
    """Schedules of which there are jobs, whose names begin so."""
    return await _steps(connection, jobs.c.schedule, begin, most, jobs.c.schedule.is_not(None))


async def tag_names(connection: AsyncConnection, begin: str, *, most: int) -> list[str]:
    """Names of tags that begin so."""
    return await _steps(connection, tags.c.name, begin, most)


async def tag_values(connection: AsyncConnection, name: str, begin: str, *, most: int) -> list[str]:
    """Values of the tag `name` that begin so."""
    return await _steps(connection, tags.c.value, begin, most, tags.c.name == name)


async def _steps(
    connection: AsyncConnection, column: ColumnElement[Any], begin: str, most: int, *fixed: ColumnElement[bool]
) -> list[str]:
    """From one value of an index to the next, each by one descent, however many rows have it."""
    found: list[str] = []
    at = column >= begin
    while len(found) < most:
        value = (await connection.execute(select(func.min(column)).where(*fixed, at))).scalar_one()
        if value is None or not str(value).startswith(begin):
            break
        found.append(str(value))
        at = column > str(value)
    return found
