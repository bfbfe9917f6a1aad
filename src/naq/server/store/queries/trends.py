"""Charts: counts and percentiles by step, from rollups alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Table, Text, and_, case, cast, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import Subquery

from naq.server.store.changes import BUCKETS, HOUR, MINUTE, QUARTER, STEPS, bucket_end
from naq.server.store.rows import MICRO
from naq.server.store.tables import durations, rollups

Scope = Literal["all", "task", "queue"]
_decode: Final = msgspec.json.Decoder(list[int]).decode
MOST: Final = 1_500  # points of a series: a day by the minute, and two months by the hour
#: Seconds of a step of a chart: with each of them some hundred steps that are counted by make the chart.
_WIDTHS: Final = (60, 120, 300, 900, 1800, 3600, 7200, 21_600, 43_200)
#: From which length on (seconds) a sum may begin that much earlier than asked. What it is compared with lies as long
#: before it, and is to be kept by these steps too.
_ROUGH: Final = ((4 * 86_400, HOUR), (6 * HOUR, QUARTER), (0, MINUTE))


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
    """Seconds of a step, so that there are about `points`, or fewer."""
    wanted = max((until - since) / MICRO, 1) / points
    return next((step for step in _WIDTHS if step >= wanted), 86_400)


async def series(
    connection: AsyncConnection, *, since: int, until: int, step: int, scope: Scope = "all", name: str = ""
) -> list[Point]:
    """What happened from `since` to `until` (microseconds), by `step` (seconds, a multiple of 60); empty steps too.

    Raises:
        ValueError: the step is none of a rollup, or there would be more than 1,500 points.
    """
    if step % MINUTE or step <= 0 or (until - since) / (step * MICRO) > MOST:
        raise ValueError(f"a step of {step} s: use a multiple of 60 s that makes at most {MOST} points")
    grain, width = next(one for one in reversed(STEPS) if step % one == 0), step * MICRO
    begin = since - since % width
    within = (rollups.c.step == grain, rollups.c.scope == scope, rollups.c.name == name,
              rollups.c.at >= begin, rollups.c.at < until)  # fmt: skip
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for at, what, count in await connection.execute(
        select(rollups.c.at, rollups.c.what, rollups.c.count).where(*within)
    ):
        counts[at - at % width][what] += count
    # All of a step as one text, for a row a bucket costs its driver more than it costs the database; grouped by `at`
    # alone, in whose order the index is.
    number = (durations.c.count * 2 + case((durations.c.measure == "wait", 1), else_=0)) * BUCKETS + durations.c.bucket
    asked = (
        select(durations.c.at, func.aggregate_strings(cast(number, Text), ","))
        .where(durations.c.step == grain, durations.c.scope == scope, durations.c.name == name,
               durations.c.at >= begin, durations.c.at < until)
        .group_by(durations.c.at)
    )  # fmt: skip
    lengths: dict[int, tuple[Counter[int], Counter[int]]] = defaultdict(lambda: (Counter(), Counter()))
    for at, numbers in (await connection.execute(asked)).all():
        of_both = lengths[at - at % width]
        for one in _decode(f"[{numbers}]"):
            rest, bucket = divmod(one, BUCKETS)
            of_both[rest & 1][bucket] += rest >> 1
    points: list[Point] = []
    for at in range(begin, until, width):
        (run_p50, run_p95), (wait_p50, wait_p95) = map(_percentiles, lengths[at])
        points.append(Point(at=at, counts=dict(counts[at]), run_p50_us=run_p50, run_p95_us=run_p95,
                            wait_p50_us=wait_p50, wait_p95_us=wait_p95))  # fmt: skip
    return points


async def totals(
    connection: AsyncConnection, *, since: int, until: int, scope: Scope, names: tuple[str, ...] = ()
) -> list[Total]:
    """What each task or queue did from `since` to `until` (microseconds), by name.

    Of six hours and more it begins up to a quarter of an hour earlier, of four days and more up to an hour.
    """
    within = [rollups.c.scope == scope]
    if names or scope == "all":
        within.append(rollups.c.name.in_(names or ("",)))
    found = pieces(rollups, since, until, within, ("name", "what", "count", "run_us", "wait_us"))
    asked = select(
        found.c.name, found.c.what, func.sum(found.c.count), func.sum(found.c.run_us), func.sum(found.c.wait_us)
    ).group_by(found.c.name, found.c.what)
    by_name: dict[str, list[tuple[str, int, int, int]]] = defaultdict(list)
    for name, what, count, run, wait in await connection.execute(asked):
        by_name[name].append((what, int(count), int(run), int(wait)))
    return [
        Total(
            name=name,
            counts={what: count for what, count, _, _ in rows},
            run_us=sum(run for *_, run, _ in rows),
            wait_us=sum(wait for *_, wait in rows),
        )
        for name, rows in sorted(by_name.items())
    ]


async def spread(
    connection: AsyncConnection, *, since: int, until: int, scope: Scope, name: str, measure: Literal["run", "wait"]
) -> list[tuple[int, int]]:
    """A histogram: where each bucket ends (microseconds), and how many lie in it. It begins as `totals` do."""
    within = [durations.c.scope == scope, durations.c.name == name, durations.c.measure == measure]
    found = pieces(durations, since, until, within, ("bucket", "count"))
    asked = select(found.c.bucket, func.sum(found.c.count)).group_by(found.c.bucket).order_by(found.c.bucket)
    return [(bucket_end(bucket), int(count)) for bucket, count in await connection.execute(asked)]


def pieces(
    table: Table, since: int, until: int, within: list[ColumnElement[bool]], columns: tuple[str, ...]
) -> Subquery:
    """The rows of a time, of as long steps as fit into it: of a month some hundred steps, not a thousand hours."""
    grain = next(step for least, step in _ROUGH if until - since >= least * MICRO)
    width = grain * MICRO
    parts: list[Any] = [
        select(*(table.c[name] for name in columns)).where(
            and_(table.c.step == step, table.c.at >= begin, table.c.at < end, *within)
        )
        for step, begin, end in cut(since - since % width, until + -until % width, grain)
    ]
    return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("pieces")


def cut(begin: int, end: int, grain: int) -> Iterator[tuple[int, int, int]]:
    """A time as stretches of steps: the longest in its middle, shorter ones at its ends.

    Args:
        begin: microseconds, a multiple of `grain`, and so is `end`.
        end: behind the last.
        grain: seconds of the shortest step.

    Yields:
        Seconds of a step, beginning and end of a stretch that holds it whole times.
    """
    for step in reversed(STEPS):
        width = step * MICRO
        first, last = begin + -begin % width, end - end % width
        if step >= grain and first < last:
            yield from cut(begin, first, grain)
            yield step, first, last
            yield from cut(last, end, grain)
            return


def percentile(buckets: Counter[int], share: float) -> int | None:
    """Microseconds below which `share` of all lie; None where there are none."""
    left = buckets.total() * share
    for bucket in sorted(buckets):
        left -= buckets[bucket]
        if left <= 0:
            return bucket_end(bucket)
    return None


def _percentiles(buckets: Counter[int]) -> tuple[int | None, int | None]:
    """The median, and what 95 % lie below."""
    return percentile(buckets, 0.5), percentile(buckets, 0.95)
