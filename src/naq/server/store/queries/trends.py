"""Charts: counts and percentiles by step, from rollups alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final, Literal

from msgspec import Struct
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.changes import BUCKETS, HOUR, MINUTE, bucket_end
from naq.server.store.rows import MICRO
from naq.server.store.tables import durations, rollups

Scope = Literal["all", "task", "queue"]
MOST: Final = 1_500  # points of a series: a day by the minute, and two months by the hour


class Point(Struct, frozen=True, kw_only=True):
    """One step of a chart.

    Attributes:
        at: where it begins, microseconds.
        counts: by what happened: ``created``, ``retrying``, and the final states.
        run_p50_us, run_p95_us, wait_p50_us, wait_p95_us: of the jobs that ended in it; None where none did. At most a
            quarter above the true value.
    """

    at: int
    counts: dict[str, int]
    run_p50_us: int | None
    run_p95_us: int | None
    wait_p50_us: int | None
    wait_p95_us: int | None


class Total(Struct, frozen=True, kw_only=True):
    """A task or a queue over a time."""

    name: str
    counts: dict[str, int]
    run_us: int
    wait_us: int


def step_for(since: int, until: int, points: int = 120) -> int:
    """Seconds of a step, a multiple of a minute or an hour, so that there are about `points`."""
    seconds = max((until - since) / MICRO, 1)
    wanted = seconds / points
    for step in (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200):
        if step >= wanted:
            return step
    return 86400


async def series(
    connection: AsyncConnection, *, since: int, until: int, step: int, scope: Scope = "all", name: str = ""
) -> list[Point]:
    """What happened from `since` to `until` (microseconds), by `step` (seconds, a multiple of 60); empty steps too.

    Raises:
        ValueError: the step is none of a rollup, or there would be more than 1,500 points.
    """
    if step % MINUTE or step <= 0 or (until - since) / (step * MICRO) > MOST:
        raise ValueError(f"a step of {step} s: use a multiple of 60 s that makes at most {MOST} points")
    grain, width = HOUR if step % HOUR == 0 else MINUTE, step * MICRO
    begin = since - since % width
    within = (rollups.c.step == grain, rollups.c.scope == scope, rollups.c.name == name,
              rollups.c.at >= begin, rollups.c.at < until)  # fmt: skip
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for at, what, count in await connection.execute(
        select(rollups.c.at, rollups.c.what, rollups.c.count).where(*within)
    ):
        counts[at - at % width][what] += count
    # One number to group by: by three columns a database sorts for longer than it reads.
    slot = (durations.c.at - begin) // width * (2 * BUCKETS) + durations.c.bucket
    key = slot + case((durations.c.measure == "wait", BUCKETS), else_=0)
    asked = (
        select(key.label("key"), func.sum(durations.c.count))
        .where(durations.c.step == grain, durations.c.scope == scope, durations.c.name == name,
               durations.c.at >= begin, durations.c.at < until)
        .group_by("key")
    )  # fmt: skip
    spread: dict[int, list[tuple[int, int]]] = defaultdict(list)  # of runs and of waits, by turns
    for number, count in (await connection.execute(asked)).all():
        spread[number // BUCKETS].append((number % BUCKETS, int(count)))
    points: list[Point] = []
    for n, at in enumerate(range(begin, until, width)):
        run, wait = _percentiles(spread[2 * n]), _percentiles(spread[2 * n + 1])
        points.append(
            Point(
                at=at, counts=dict(counts[at]), run_p50_us=run[0], run_p95_us=run[1], wait_p50_us=wait[0],
                wait_p95_us=wait[1],
            )
        )  # fmt: skip
    return points


async def totals(
    connection: AsyncConnection, *, since: int, until: int, scope: Scope, names: tuple[str, ...] = ()
) -> list[Total]:
    """What each task or queue did from `since` to `until` (microseconds), by name; by the hour from six hours on."""
    grain = HOUR if until - since >= 6 * HOUR * MICRO else MINUTE
    begin = since - since % (grain * MICRO)
    asked = (
        select(rollups.c.name, rollups.c.what, func.sum(rollups.c.count), func.sum(rollups.c.run_us),
               func.sum(rollups.c.wait_us))
        .where(rollups.c.step == grain, rollups.c.scope == scope, rollups.c.at >= begin, rollups.c.at < until)
        .group_by(rollups.c.name, rollups.c.what)
    )  # fmt: skip
    if names:
        asked = asked.where(rollups.c.name.in_(names))
    found: dict[str, list[tuple[str, int, int, int]]] = defaultdict(list)
    for name, what, count, run, wait in await connection.execute(asked):
        found[name].append((what, int(count), int(run), int(wait)))
    return [
        Total(
            name=name,
            counts={what: count for what, count, _, _ in rows},
            run_us=sum(run for *_, run, _ in rows),
            wait_us=sum(wait for *_, wait in rows),
        )
        for name, rows in sorted(found.items())
    ]


async def spread(
    connection: AsyncConnection, *, since: int, until: int, scope: Scope, name: str, measure: Literal["run", "wait"]
) -> list[tuple[int, int]]:
    """A histogram: where each bucket ends (microseconds), and how many lie in it."""
    grain = HOUR if until - since >= 6 * HOUR * MICRO else MINUTE
    begin = since - since % (grain * MICRO)
    asked = (
        select(durations.c.bucket, func.sum(durations.c.count))
        .where(durations.c.step == grain, durations.c.scope == scope, durations.c.name == name,
               durations.c.at >= begin, durations.c.at < until, durations.c.measure == measure)
        .group_by(durations.c.bucket)
        .order_by(durations.c.bucket)
    )  # fmt: skip
    return [(bucket_end(bucket), int(count)) for bucket, count in await connection.execute(asked)]


def _percentiles(buckets: list[tuple[int, int]]) -> tuple[int | None, int | None]:
    """The median, and what 95 % lie below."""
    found = Counter(dict(buckets))
    return percentile(found, 0.5), percentile(found, 0.95)


def percentile(buckets: Counter[int], share: float) -> int | None:
    """Microseconds below which `share` of all lie; None where there are none."""
    left = buckets.total() * share
    for bucket in sorted(buckets):
        left -= buckets[bucket]
        if left <= 0:
            return bucket_end(bucket)
    return None
