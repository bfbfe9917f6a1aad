"""What is kept for how long. Pruned in small batches, so that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field
from sqlalchemy import ColumnElement, Table, and_, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.config.server import ServerConfig
from naq.server.store.changes import HOUR, MINUTE, QUARTER, SHIFT
from naq.server.store.engine import Store
from naq.server.store.rows import micros
from naq.server.store.tables import (
    FINAL_STATES,
    depths,
    durations,
    error_hours,
    errors,
    invalid,
    jobs,
    marks,
    readings,
    rollups,
    worker_minutes,
    workers,
)

BATCH: Final = 500  # jobs removed in one transaction: some 20 ms, for which the ingest waits
PAUSE: Final = 0.02  # seconds between two of them, for whoever waits to write
DAY: Final = 86_400.0
AGES: Final = {"succeeded": 30 * DAY, "failed": 90 * DAY, "cancelled": 30 * DAY, "expired": 30 * DAY}


class Retention(Struct, frozen=True, kw_only=True):
    """How long what is kept.

    Attributes:
        ages: seconds since they ended after which jobs of a final state go; a state that is not named: never.
        jobs: how many ended jobs are kept at most, the latest; None: no limit.
        minutes, quarters, hours: seconds that counts by the minute, by the quarter of an hour, and by the hour and by
            six hours are kept; what alerts saw as the first, marks as the last.
        errors: seconds since it last came that an error group is kept.
        invalid: seconds that events which are none are kept.
        workers: seconds that a worker which has gone is kept.
        orphans: seconds after which a row that only holds a parent's place goes, if the parent never came.
    """

    ages: Mapping[str, float] = field(default_factory=lambda: dict(AGES))
    jobs: int | None = None
    minutes: float = 2 * DAY
    quarters: float = 8 * DAY
    hours: float = 400 * DAY
    errors: float = 180 * DAY
    invalid: float = 30 * DAY
    workers: float = 7 * DAY
    orphans: float = 30 * DAY

    @property
    def steps(self) -> dict[int, float]:
        """For how many seconds counts are kept, by their step."""
        return {MINUTE: self.minutes, QUARTER: self.quarters, HOUR: self.hours, SHIFT: self.hours}


def retention_of(settings: ServerConfig) -> Retention:
    """What the settings of the server say."""
    ages = {
        "succeeded": settings.keep_succeeded,
        "failed": settings.keep_failed,
        "cancelled": settings.keep_cancelled,
        "expired": settings.keep_expired,
    }
    return Retention(ages=ages, jobs=settings.keep_jobs or None)


class Pruned(Struct, kw_only=True):
    """How many rows went, or would go."""

    jobs: int = 0
    rollups: int = 0
    errors: int = 0
    invalid: int = 0
    workers: int = 0
    artifacts: int = 0


async def prune(
    store: Store,
    kept: Retention,
    *,
    most: int | None = None,
    erase: Callable[[list[str]], Awaitable[int]] | None = None,
) -> Pruned:
    """Remove what is older than `kept` says; safe beside everything else, and beside another of its kind.

    Args:
        store: the history.
        kept: what stays.
        most: about how many jobs to remove at most; None: all that are due.
        erase: removes the artifacts of the jobs with these ids, says how many: called before their rows go, so that a
            crash between the two leaves a row that is pruned again, and never an artifact that nobody knows of.

    Raises:
        NaqConnectionError: the database (or what `erase` asks) cannot be reached; what went is gone, the rest stays.
    """
    done, now = Pruned(), clock.now()
    for condition, order in await _due(store, kept, now):
        while most is None or done.jobs < most:
            async with store.reading() as connection:
                asked = select(jobs.c.id).where(condition).order_by(*order).limit(BATCH)
                ids = [str(row[0]) for row in await connection.execute(asked)]
            if not ids:
                break
            if erase is not None:
                done.artifacts += await erase(ids)
            async with store.writing() as connection:
                removed = await connection.execute(delete(jobs).where(jobs.c.id.in_(ids), condition))
            done.jobs += removed.rowcount
            if len(ids) < BATCH:
                break
            await asyncio.sleep(PAUSE)
    for step, age in kept.steps.items():
        before = micros(now - age)
        for table in (rollups, durations):
            done.rollups += await _remove(store, table, and_(table.c.step == step, table.c.at < before))
    done.workers += await _remove(store, worker_minutes, worker_minutes.c.at < micros(now - kept.minutes))
    for table in (depths, readings):
        done.rollups += await _remove(store, table, table.c.at < micros(now - kept.minutes))
    done.rollups += await _remove(store, marks, marks.c.at < micros(now - kept.hours))
    done.errors += await _remove(store, error_hours, error_hours.c.at < micros(now - kept.errors))
    done.errors += await _remove(store, errors, errors.c.last_at < micros(now - kept.errors))
    done.invalid += await _remove(store, invalid, invalid.c.seen_at < micros(now - kept.invalid))
    gone = and_(workers.c.gone_at.is_not(None), workers.c.seen_at < micros(now - kept.workers))
    done.workers += await _remove(store, workers, gone)
    return done


async def preview(store: Store, kept: Retention, *, cap: int = 10_000) -> Pruned:
    """How many jobs `prune` would remove, each reason counted up to `cap`."""
    found = Pruned()
    due = await _due(store, kept, clock.now())
    async with store.reading() as connection:
        for condition, _ in due:
            some = select(jobs.c.id).where(condition).limit(cap).subquery()
            found.jobs += int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
    return found


async def count_due(connection: AsyncConnection, ages: Mapping[str, float], *, cap: int) -> dict[str, int]:
    """How many jobs of each final state are older than its age in seconds, each counted up to `cap`."""
    now = clock.now()
    found: dict[str, int] = {}
    for state, age in ages.items():
        some = select(jobs.c.id).where(_is_due(state, now - age)).limit(cap).subquery("some")
        found[state] = int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
    return found


def _is_due(state: str, before: float) -> ColumnElement[bool]:
    """It ended as `state` before then (UNIX seconds)."""
    # A job ends after it was made: what was made later than that is not due, and the index has nothing but that.
    return and_(jobs.c.state == state, jobs.c.created_at < micros(before), jobs.c.finished_at < micros(before))


async def _due(
    store: Store, kept: Retention, now: float
) -> Sequence[tuple[ColumnElement[bool], Sequence[ColumnElement[Any]]]]:
    """Which jobs are to go, and in which order an index has them."""
    made = (jobs.c.created_at, jobs.c.id)
    due = [(_is_due(state, now - age), made) for state, age in kept.ages.items() if state in FINAL_STATES]
    due.append(
        (and_(jobs.c.state == "running", jobs.c.rank == 0, jobs.c.created_at < micros(now - kept.orphans)), made)
    )
    if kept.jobs is not None:
        ended = (jobs.c.finished_at, jobs.c.id)
        async with store.reading() as connection:
            asked = select(*ended).where(jobs.c.finished_at.is_not(None)).order_by(*(key.desc() for key in ended))
            last = (await connection.execute(asked.limit(1).offset(max(kept.jobs - 1, 0)))).one_or_none()
        if last is not None:
            older = and_(
                jobs.c.finished_at.is_not(None), tuple_(*ended) < tuple_(*last), jobs.c.state.in_(FINAL_STATES)
            )
            due.append((older, ended))
    return due


async def _remove(store: Store, table: Table, condition: ColumnElement[bool]) -> int:
    """Remove rows in batches; how many."""
    removed = 0
    key = list(table.primary_key.columns)
    while True:
        async with store.writing() as connection:
            removed += (there := await _some(connection, table, key, condition))
        if there < BATCH:
            return removed
        await asyncio.sleep(PAUSE)


async def _some(
    connection: AsyncConnection, table: Table, key: Sequence[ColumnElement[Any]], condition: ColumnElement[bool]
) -> int:
    batch = select(*key).where(condition).limit(BATCH)
    match = tuple_(*key).in_(batch) if len(key) > 1 else key[0].in_(batch)
    return (await connection.execute(delete(table).where(match))).rowcount
