"""What a list costs over a history of millions: p95 of every filter, sort and depth, on each database."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.history.database import DATABASES, fresh
from benchmarks.history.generate import SPAN, generate, settle
from benchmarks.measure import Row, percentile
from naq.server.store import open_store
from naq.server.store.conditions import Among, Begins, Between, Condition, Contains, JobQuery, Sort, Tagged
from naq.server.store.queries import errors, fleet, trends
from naq.server.store.queries import jobs as asking
from naq.server.store.rows import MICRO

REPEATS = 40  # of each question
LISTS: dict[str, tuple[Condition, ...]] = {
    "all": (),
    "state": (Among("state", ("failed",)),),
    "states": (Among("state", ("failed", "cancelled")),),
    "task": (Among("task", ("shop.task3",)),),
    "rare task, state": (Among("task", ("shop.task40",)), Among("state", ("failed",))),
    "queue, state": (Among("queue", ("q3",)), Among("state", ("succeeded",))),
    "queue and task": (Among("queue", ("q3",)), Among("task", ("shop.task3",))),
    "worker": (Among("worker", ("worker-7",)),),
    "fingerprint": (Among("fingerprint", (f"{3:016x}",)),),
    "tag": (Tagged("tenant", "t20"),),
    "tag, state": (Tagged("tenant", "t20"), Among("state", ("failed",))),
    "text": (Contains("error", "order 77"),),
    "absent text": (Contains("args", "nowhere"),),
    "not a task": (Among("task", ("shop.task0",), negated=True),),
    "id prefix": (Begins("id", "01"),),
    "slow": (Between("duration_us", 60 * MICRO, None), Among("task", ("shop.task1",))),
}
SORTS: tuple[Sort, ...] = ("created_at", "started_at", "finished_at", "duration_us")


def history(databases: Sequence[str], count: int) -> list[Row]:
    """A row a question and database."""
    return [row for name in databases or DATABASES for row in asyncio.run(_history(name, count))]


async def _history(database: str, count: int) -> list[Row]:
    with fresh(database) as url:
        store = await open_store(url)
        begun = time.perf_counter()
        await generate(store, count)
        await settle(store)
        print(f"{database}: {count:,} jobs in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        async with store.reading() as connection:
            rows = [await _row(database, count, name, act, connection) for name, act in await _questions(connection)]
        await store.close()
    return rows


Act = Callable[[AsyncConnection], Awaitable[object]]


async def _row(database: str, count: int, name: str, act: Act, connection: AsyncConnection) -> Row:
    taken: list[float] = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        await act(connection)
        taken.append((time.perf_counter() - begun) * 1000)
    row = {"measure": "history", "system": f"naq, {database}", "question": name, "jobs": count,
           "p50_ms": percentile(taken, 50), "p95_ms": percentile(taken, 95)}  # fmt: skip
    print(f"  {database:10} {name:28} p50 {row['p50_ms']:7.1f} ms  p95 {row['p95_ms']:7.1f} ms", file=sys.stderr)
    return row


async def _questions(connection: AsyncConnection) -> list[tuple[str, Act]]:
    newest = (await asking.find(connection, JobQuery(limit=200))).jobs
    some = [job.id for job in newest]
    now = newest[0].created_at
    asked: list[tuple[str, Act]] = []
    chance = random.Random(2)
    for name, conditions in LISTS.items():
        for sort in SORTS if len(conditions) < 2 else SORTS[:1]:
            query = JobQuery(conditions=conditions, sort=sort)
            asked.append((f"{name} by {sort}", lambda c, q=query: asking.find(c, q)))
        asked.append((f"{name}, count", lambda c, x=conditions: asking.count(c, x)))

    async def deep(c: AsyncConnection) -> None:
        at = now - chance.randrange(SPAN * MICRO)
        await asking.find(c, replace(JobQuery(), after=(at, "")))
        await asking.find(c, replace(JobQuery(conditions=LISTS["task"]), after=(at, "")))

    def any_job(act: Callable[[AsyncConnection, str], Awaitable[object]]) -> Act:
        return lambda c: act(c, chance.choice(some))

    day = 86_400 * MICRO
    return [
        *asked,
        ("any depth, twice", deep),
        ("detail", any_job(asking.get)),
        ("attempts", any_job(asking.get_attempts)),
        ("children", any_job(asking.children)),
        ("tree", any_job(asking.tree)),
        ("counts by state", asking.count_states),
        ("counts by state of a task", lambda c: asking.count_states(c, LISTS["task"])),
        ("errors", errors.find),
        ("oldest of a queue", lambda c: fleet.oldest(c, queue="q3")),
        ("trend of 24 h by 5 min", lambda c: trends.series(c, since=now - day, until=now, step=300)),
        ("trend of 24 h by the hour", lambda c: trends.series(c, since=now - day, until=now, step=3600)),
        ("trend of 30 days of a task", lambda c: trends.series(
            c, since=now - 30 * day, until=now, step=3600, scope="task", name="shop.task0")),
        ("totals of tasks, 24 h", lambda c: trends.totals(c, since=now - day, until=now, scope="task")),
    ]  # fmt: skip
