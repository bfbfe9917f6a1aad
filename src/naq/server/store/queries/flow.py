"""How tasks or queues flow: what came, what ended, how long it took and waited, for all of them at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct, field
from sqlalchemy import Text, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.changes import BUCKETS, STEPS
from naq.server.store.queries.trends import percentile, pieces, totals
from naq.server.store.rows import MICRO
from naq.server.store.tables import FINAL_STATES, durations, rollups

Scope = Literal["task", "queue"]
POINTS: Final = 30  # of a small chart in a row of a table
_WIDTHS: Final = (60, 120, 300, 900, 1800, 3600, 7200, 21_600, 43_200)  # seconds of a step, each of steps that are kept
_decode: Final = msgspec.json.Decoder(list[int]).decode


class Flow(Struct, kw_only=True):
    """A task or a queue over a time.

    Attributes:
        name: of it.
        counts: by what happened: ``created``, ``retrying``, and the final states.
        runs, waits: how long what ended took and had waited, by bucket.
        points: how many ended in each step, the oldest first.
    """

    name: str
    counts: dict[str, int]
    runs: Counter[int] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)
    points: list[int]

    def percentile(self, measure: Literal["run", "wait"], share: float) -> int | None:
        """Microseconds below which `share` of all lie, at most a quarter above the truth; None where none ended."""
        return percentile(self.runs if measure == "run" else self.waits, share)


def step_of(window_s: int) -> int:
    """Seconds of a step, so that a window has about `POINTS` of them, or fewer."""
    return next((step for step in _WIDTHS if step * POINTS >= window_s), 86_400)


async def flows(
    connection: AsyncConnection, *, since: int, until: int, scope: Scope, names: Sequence[str] = ()
) -> list[Flow]:
    """All tasks or queues of which there is something from `since` to `until` (microseconds), and `names`, by name."""
    step = step_of((until - since) // MICRO)
    width = step * MICRO
    first = since - since % width
    count = -(-(until - first) // width)
    found = {name: Flow(name=name, counts={}, points=[0] * count) for name in names} | {
        total.name: Flow(name=total.name, counts=total.counts, points=[0] * count)
        for total in await totals(connection, since=since, until=until, scope=scope)
    }
    for name, both in (await _lengths(connection, since=since, until=until, scope=scope)).items():
        if name in found:
            found[name].runs, found[name].waits = both
    for name, at, ended in await _ended(connection, first=first, until=until, step=step, scope=scope):
        if name in found:
            found[name].points[(at - first) // width] += ended
    return [found[name] for name in sorted(found)]


async def _lengths(
    connection: AsyncConnection, *, since: int, until: int, scope: Scope
) -> dict[str, tuple[Counter[int], Counter[int]]]:
    """Runs and waits by name; all of a name as one text, for a row a bucket costs more than it says."""
    found = pieces(durations, since, until, [durations.c.scope == scope], ("name", "measure", "bucket", "count"))
    some = (
        select(found.c.name, found.c.measure, found.c.bucket, func.sum(found.c.count).label("count"))
        .group_by(found.c.name, found.c.measure, found.c.bucket)
        .subquery("some")
    )
    number = (some.c.count * 2 + case((some.c.measure == "wait", 1), else_=0)) * BUCKETS + some.c.bucket
    asked = select(some.c.name, func.aggregate_strings(cast(number, Text), ",")).group_by(some.c.name)
    lengths: dict[str, tuple[Counter[int], Counter[int]]] = defaultdict(lambda: (Counter(), Counter()))
    for name, numbers in await connection.execute(asked):
        for one in _decode(f"[{numbers}]"):
            rest, bucket = divmod(one, BUCKETS)
            lengths[str(name)][rest & 1][bucket] += rest >> 1
    return lengths


async def _ended(
    connection: AsyncConnection, *, first: int, until: int, step: int, scope: Scope
) -> list[tuple[str, int, int]]:
    """How many ended, by name and beginning of a step that is kept."""
    grain = next(one for one in reversed(STEPS) if step % one == 0)
    asked = (
        select(rollups.c.name, rollups.c.at, func.sum(rollups.c.count))
        .where(
            rollups.c.step == grain, rollups.c.scope == scope, rollups.c.at >= first, rollups.c.at < until,
            rollups.c.what.in_(FINAL_STATES),
        )
        .group_by(rollups.c.name, rollups.c.at)
    )  # fmt: skip
    return [(str(name), int(at), int(count)) for name, at, count in await connection.execute(asked)]
