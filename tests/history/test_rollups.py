"""Counts by steps: charts and sums are right whatever steps they are made of, and look at few of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from history_tools import Rig, make_rig

from naq.server.store import write
from naq.server.store.changes import STEPS, Changes
from naq.server.store.queries import trends
from naq.server.store.rows import MICRO


def test_sums_are_the_same_of_whatever_steps_they_are_made(url: str) -> None:
    """Jobs at random over nine days, and sums of the times between them, against counting one by one."""

    async def main(rig: Rig) -> None:
        chance, began = random.Random(5), 1_790_000_000 * MICRO - 1_790_000_000 * MICRO % (21_600 * MICRO)
        ends = sorted(began + chance.randrange(9 * 86_400) * MICRO for _ in range(400))
        changes = Changes({}, set())
        for n, ended_at in enumerate(ends):
            changes.count("failed", ended_at, f"t{n % 3}", "q", run_us=n + 1, wait_us=2)
        async with rig.store.writing() as connection:
            await write.save(connection, changes)
        async with rig.store.reading() as connection:
            for days in (0.1, 0.2, 0.3, 1, 3.9, 4, 8):
                since = began + chance.randrange(86_400) * MICRO
                until = since + round(days * 86_400) * MICRO
                grain = 60 if days < 0.25 else 900 if days < 4 else 3600
                begin, end = since - since % (grain * MICRO), until + -until % (grain * MICRO)
                within = [n for n, at in enumerate(ends) if begin <= at < end]
                found = await trends.totals(connection, since=since, until=until, scope="task")
                wanted = Counter(f"t{n % 3}" for n in within)
                assert {one.name: one.counts["failed"] for one in found} == wanted, days
                assert sum(one.run_us for one in found) == sum(n + 1 for n in within)
                lengths = await trends.spread(
                    connection, since=since, until=until, scope="queue", name="q", measure="wait"
                )
                assert sum(count for _, count in lengths) == len(within)
                step = trends.step_for(since, until)
                points = await trends.series(connection, since=since, until=until, step=step)
                finest = max(one for one in STEPS if step % one == 0) * MICRO
                first, last = since - since % (step * MICRO), until + -until % finest
                assert sum(point.counts.get("failed", 0) for point in points) == sum(first <= at < last for at in ends)

    asyncio.run(with_rig(url, main))


def test_a_time_is_cut_into_the_longest_steps_that_fit() -> None:
    month = list(trends.cut(3600 * MICRO, 30 * 86_400 * MICRO + 7200 * MICRO, 3600))
    assert month == [
        (3600, 3600 * MICRO, 21_600 * MICRO),
        (21_600, 21_600 * MICRO, 30 * 86_400 * MICRO),
        (3600, 30 * 86_400 * MICRO, (30 * 86_400 + 7200) * MICRO),
    ]
    assert list(trends.cut(60 * MICRO, 120 * MICRO, 60)) == [(60, 60 * MICRO, 120 * MICRO)]
    assert list(trends.cut(900 * MICRO, 900 * MICRO, 60)) == []
    for window in (3600, 7200, 36_000, 86_400, 3 * 86_400, 7 * 86_400, 20 * 86_400, 62 * 86_400):
        step = trends.step_for(0, window * MICRO)
        counted = window // max(one for one in STEPS if step % one == 0)
        assert window / step <= 120
        assert counted <= 600, f"a chart of {window} s looks at {counted} steps"


async def with_rig(url: str, main: Callable[[Rig], Awaitable[None]]) -> None:
    async with make_rig(url) as rig:
        await main(rig)
