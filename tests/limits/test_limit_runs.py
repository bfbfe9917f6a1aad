"""Limits of running jobs, on real workers: several of them, in memory and on a NATS server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from limit_tools import Runs, most_in_a_window

from naq import Context, Naq, current_context
from naq.job import JobState
from naq.limits import permits
from naq.limits.kinds import GROUPS
from tests.tools import DEADLINE, fleet, memory_url, until, until_so

WORKERS = 3
MakeApp = Callable[[], Naq]


@pytest.fixture(params=["memory", "nats"])
def make_app(request: pytest.FixtureRequest) -> MakeApp:
    """Makes apps that share their jobs with each other and with no other test."""
    name = f"limits{abs(hash(request.node.name)) % 10**9}"
    url = memory_url() if request.param == "memory" else request.getfixturevalue("url")
    return lambda: Naq(name, broker_url=url, shutdown_timeout=5.0, lease=10.0)


def test_a_rate_holds_for_the_fleet(make_app: MakeApp) -> None:
    """No window has more starts than the rate allows; no attempt is used up by waiting, and other jobs do not wait."""
    runs, other = Runs(), Runs()
    seen: list[Context] = []
    apps = [make_app() for _ in range(WORKERS)]
    for app in apps:

        @app.task(name="limited", rate="20/s")
        async def limited() -> None:
            seen.append(current_context())
            await runs()

        @app.task(name="free")
        async def free() -> None:
            await other()

    async def body() -> None:
        async with fleet(*apps, concurrency=4):
            jobs = (
                await apps[0].get_task("limited").enqueue_many([apps[0].get_task("limited").call() for _ in range(45)])
            )
            await apps[1].get_task("free").enqueue_many([apps[1].get_task("free").call() for _ in range(20)])
            await until(lambda: other.ended == 20)
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*(job.result() for job in jobs))

    asyncio.run(body())
    assert len(runs.began) == 45
    assert most_in_a_window(runs.began, 1.0) <= 20
    assert 2.0 <= max(runs.began) - min(runs.began) < 20
    assert {context.attempt for context in seen} == {1}


def test_a_rate_by_key(make_app: MakeApp) -> None:
    """Each value of the argument has a rate of its own."""
    runs = {"a": Runs(), "b": Runs()}
    app = make_app()

    @app.task(name="call", rate="2/10s", rate_key="tenant")
    async def call(tenant: str) -> None:
        await runs[tenant]()

    async def body() -> None:
        async with fleet(app):
            await app.enqueue_many([call.call(tenant) for tenant in "aaaabbbb"])
            await until(lambda: runs["a"].ended == 2 and runs["b"].ended == 2)
            waiting: list[str] = []

            async def put_off() -> bool:
                found = await app.backend.jobs(states=[JobState.SCHEDULED])
                waiting[:] = [record.reason for record in found]
                return len(found) == 4

            await until_so(put_off)
            assert all("2/10s of task call is used up" in reason for reason in waiting)

    asyncio.run(body())
    assert (runs["a"].ended, runs["b"].ended) == (2, 2)


def test_a_group_holds_for_the_fleet(make_app: MakeApp) -> None:
    """So many at once in all workers together, whatever their own concurrency; and all of them run."""
    runs = Runs()
    apps = [make_app() for _ in range(WORKERS)]
    for app in apps:
        for name in ("one", "two"):

            @app.task(name=name, group="database", group_max_concurrency=3)
            async def work() -> None:
                await runs(0.02)

    async def body() -> None:
        async with fleet(*apps, concurrency=8):
            calls = [apps[0].get_task(name).call() for name in ("one", "two") for _ in range(30)]
            jobs = await apps[0].enqueue_many(calls)
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*(job.result() for job in jobs))
            backend = await apps[0].connect()

            async def given_back() -> bool:
                kept = await backend.entry(GROUPS, "database.-")
                group = None if kept is None else permits.peek(kept.value)
                return group is None or not group.holders

            await until_so(given_back)

    asyncio.run(body())
    assert runs.ended == 60
    assert runs.most <= 3


def test_a_group_by_key(make_app: MakeApp) -> None:
    """One at a time for each tenant, and the tenants beside each other; without a name, a group of the task's own."""
    runs = {tenant: Runs() for tenant in "abc"}
    all_of_them = Runs()
    app = make_app()

    @app.task(name="sync", group_key="tenant", group_max_concurrency=1)
    async def sync(tenant: str) -> None:
        await asyncio.gather(runs[tenant](0.05), all_of_them(0.05))

    async def body() -> None:
        async with fleet(app, concurrency=9):
            jobs = await sync.enqueue_many([sync.call(tenant) for tenant in "abcabcabc"])
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*(job.result() for job in jobs))

    asyncio.run(body())
    assert [run.most for run in runs.values()] == [1, 1, 1]
    assert all_of_them.most > 1


def test_permits_outlast_a_lease(make_app: MakeApp) -> None:
    """A job that runs for several leases keeps its permit."""
    runs = Runs()
    slow, other = (
        Naq(make_app().name, broker_url=make_app().config.broker_url, shutdown_timeout=0.1, lease=1.0, worker_ttl=30)
        for _ in range(2)
    )
    for app in (slow, other):

        @app.task(name="long", group="g", group_max_concurrency=1)
        async def long(seconds: float) -> None:
            await runs(seconds)

    async def body() -> None:
        async with fleet(other, slow):
            await slow.get_task("long").enqueue(3.0)
            await until(lambda: runs.now == 1)
            second = await slow.get_task("long").enqueue(0.0)
            await until(lambda: runs.ended == 1)
            async with asyncio.timeout(DEADLINE):
                await second.result()

    asyncio.run(body())
    assert runs.most == 1


def test_cancelled_while_it_waits(make_app: MakeApp) -> None:
    """A job that was put off is cancelled like any other, and never runs."""
    runs = Runs()
    app = make_app()

    @app.task(name="once", rate="1/2s")
    async def once() -> None:
        await runs()

    async def body() -> None:
        async with fleet(app):
            first, second = await once.enqueue_many([once.call(), once.call()])

            async def put_off() -> bool:
                states = {await first.status(), await second.status()}
                return states == {JobState.SUCCEEDED, JobState.SCHEDULED}

            await until_so(put_off)
            waiting = second if await second.status() is JobState.SCHEDULED else first
            await waiting.cancel()
            assert await waiting.status() is JobState.CANCELLED
            begin = time.monotonic()
            await (await once.enqueue()).result(timeout=DEADLINE)
            assert time.monotonic() - begin < 15

    asyncio.run(body())
    assert runs.ended == 2
