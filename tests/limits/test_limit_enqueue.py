"""Limits that a producer meets: rates of enqueueing, unique keys, for a time and while a job lives, debounce."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from naq import Naq
from naq.exceptions import ConfigurationError, RateLimited
from naq.job import JobState
from naq.limits.kinds import UNIQUE
from naq.middleware import Middleware, NewJob
from tests.tools import DEADLINE, fleet, memory_url

MakeApp = Callable[..., Naq]


@pytest.fixture(params=["memory", "nats"])
def make_app(request: pytest.FixtureRequest) -> MakeApp:
    """Makes apps that share their jobs with each other and with no other test."""
    name = f"enqueue{abs(hash(request.node.name)) % 10**9}"
    url = memory_url() if request.param == "memory" else request.getfixturevalue("url")
    return lambda *keys: Naq(name, broker_url=url, shutdown_timeout=5.0, signing_keys=keys)


def play(app: Naq, body: Callable[[], Any]) -> None:
    """Run `body` with `app` connected."""

    async def whole() -> None:
        async with app:
            await body()

    asyncio.run(whole())


def test_a_rate_that_rejects(make_app: MakeApp) -> None:
    """What is over it is an error that says when to come back, and nothing is stored; by key, and all or none."""
    app = make_app()

    @app.task(name="call", rate="3/30s", rate_key="tenant", rate_mode="reject")
    async def call(tenant: str) -> str:
        return tenant

    async def body() -> None:
        for _ in range(3):
            await call.enqueue("a")
        with pytest.raises(RateLimited, match="limited to 3/30s: come back in") as refused:
            await call.enqueue("a")
        assert 25 < refused.value.retry_after <= 30.7
        await call.enqueue_many([call.call("b"), call.call("b")])
        with pytest.raises(RateLimited):
            await call.enqueue_many([call.call("b"), call.call("b")])
        await call.enqueue("b")
        with pytest.raises(RateLimited, match="too few for 4 jobs at once"):
            await call.enqueue_many([call.call("c")] * 4)
        [stats] = await app.backend.stats(["default"])
        assert stats.queued == 6

    play(app, body)


def test_a_rate_that_delays(make_app: MakeApp) -> None:
    """What is over it runs later, one after the other."""
    app = make_app()

    @app.task(name="call", rate="2/20s", rate_mode="delay")
    async def call() -> None: ...

    async def body() -> None:
        begin = time.time()
        jobs = [*await call.enqueue_many([call.call() for _ in range(3)]), await call.enqueue()]
        records = [await job.record() for job in jobs]
        assert [record.state for record in records[:2]] == [JobState.QUEUED] * 2
        assert [record.state for record in records[2:]] == [JobState.SCHEDULED] * 2
        assert 20 <= records[2].run_at - begin < 22
        assert 30 <= records[3].run_at - begin < 33

    play(app, body)


def test_a_rate_that_drops(make_app: MakeApp) -> None:
    """What is over it is not stored, and its handle says so."""
    app = make_app()

    @app.task(name="call", rate="2/m", rate_mode="drop")
    async def call() -> None: ...

    async def body() -> None:
        jobs = [*await call.enqueue_many([call.call() for _ in range(3)]), await call.enqueue()]
        assert [job.dropped for job in jobs] == [False, False, True, True]
        [stats] = await app.backend.stats(["default"])
        assert stats.queued == 2

    play(app, body)


@pytest.mark.parametrize("scope", ["waiting", "active"])
def test_unique_while(make_app: MakeApp, scope: Any) -> None:
    """The handle of a duplicate is on the job there is, and its result is that job's."""
    app = make_app()

    @app.task(name="sync")
    async def sync(account: int, note: str = "") -> str:
        return f"{account}{note}"

    async def body() -> None:
        one = sync.options(unique={"account": 1, "kind": None}, unique_while=scope)
        first = await one.enqueue(1, note="first")
        again = await sync.options(unique={"kind": None, "account": 1.0}, unique_while=scope).enqueue(1, note="again")
        assert (again.id, again.duplicate, first.duplicate) == (first.id, True, False)
        other = await sync.options(unique={"account": 2, "kind": None}).enqueue(2)
        many = await sync.enqueue_many([one.call(1), sync.options(unique=3).call(3), sync.options(unique=3).call(3)])
        assert [job.duplicate for job in many] == [True, False, True]
        assert many[0].id == first.id
        assert (await first.record()).key == (await again.record()).key != ""
        async with fleet(app):
            assert await again.result(timeout=DEADLINE) == "1first"
            assert await other.result(timeout=DEADLINE) == "2"
        async with app:
            assert not (await one.enqueue(1)).duplicate

    play(app, body)


def test_unique_by_arguments(make_app: MakeApp) -> None:
    """As the task declares it: a parameter, or all arguments; an id of the caller's own goes before it."""
    app = make_app()

    @app.task(name="sync", unique_by="account")
    async def sync(account: int, note: str) -> None: ...

    @app.task(name="report", unique_while="waiting")
    async def report(day: str, *, full: bool = False) -> None: ...

    async def body() -> None:
        assert [(await sync.enqueue(n, note)).duplicate for n, note in [(1, "a"), (1, "b"), (2, "a")]] == [
            False,
            True,
            False,
        ]
        assert not (await sync.options(job_id="my-own").enqueue(1, "c")).duplicate
        assert not (await sync.options(queue="elsewhere").enqueue(1, "d")).duplicate
        assert [(await report.enqueue("mo", full=full)).duplicate for full in (False, True, False)] == [
            False,
            False,
            True,
        ]

    play(app, body)


def test_unique_for_a_time(make_app: MakeApp) -> None:
    """Whatever becomes of it: one in the time; then another."""
    app = make_app()

    @app.task(name="warn", throttle=2.0)
    async def warn(what: str) -> str:
        return what

    async def body() -> None:
        async with fleet(app):
            first = await warn.enqueue("disk")
            assert await first.result(timeout=DEADLINE) == "disk"
            again = await warn.enqueue("disk")
            assert (again.id, again.duplicate) == (first.id, True)
            assert not (await warn.enqueue("memory")).duplicate
            end = time.monotonic() + DEADLINE
            while (later := await warn.enqueue("disk")).duplicate:
                assert time.monotonic() < end
                await asyncio.sleep(0.05)
            assert later.id != first.id
            assert await later.result(timeout=DEADLINE) == "disk"

    play(app, body)


def test_a_producer_dies_with_a_key(make_app: MakeApp) -> None:
    """It took the key and never stored its job: whoever comes next does, under the id that is known already."""
    app = make_app()

    @app.task(name="warn", unique_for=60)
    async def warn(what: str) -> None: ...

    async def body() -> None:
        lost = await warn.enqueue("disk")
        await app.backend.purge("default")
        again = await warn.enqueue("disk")
        assert (again.id, again.duplicate) == (lost.id, False)
        assert (await warn.enqueue("disk")).duplicate
        assert len(await app.backend.entries(UNIQUE)) == 1

    play(app, body)


def test_debounce(make_app: MakeApp) -> None:
    """One job, with the arguments of the last call, a while after it; and at the latest when calls never end."""
    app = make_app("k:c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=")
    seen: list[int] = []

    @app.task(name="index")
    async def index(number: int) -> int:
        seen.append(number)
        return number

    async def body() -> None:
        async with fleet(app):
            calm = index.options(unique="calm", debounce=0.7)
            jobs = [await calm.enqueue(number) for number in range(5)]
            assert len({job.id for job in jobs}) == 1
            assert [job.duplicate for job in jobs] == [False, True, True, True, True]
            assert (await jobs[0].status(), seen) == (JobState.SCHEDULED, [])
            assert await jobs[0].result(timeout=DEADLINE) == 4
            later = await calm.enqueue(9)
            assert (later.id != jobs[0].id, later.duplicate) == (True, False)
            assert await later.result(timeout=DEADLINE) == 9
            seen.clear()
            busy = index.options(unique="busy", debounce=0.5, debounce_max=1.0)
            begin = time.monotonic()
            while not seen:
                assert time.monotonic() - begin < DEADLINE
                await busy.enqueue(1)
                await asyncio.sleep(0.05)
            assert time.monotonic() - begin >= 1.0

    play(app, body)


def test_through_middleware(make_app: MakeApp) -> None:
    """Its headers travel, and it is told what became of each job."""
    told: list[tuple[bool, bool]] = []

    class Watch(Middleware):
        async def enqueue(self, jobs: Any, call_next: Any) -> None:
            for job in jobs:
                job.headers["colour"] = "blue"
            await call_next()
            told.extend((job.duplicate, isinstance(job, NewJob)) for job in jobs)

    app = make_app()
    app.use(Watch())

    @app.task(name="warn", unique_for=60)
    async def warn(what: str) -> None: ...

    async def body() -> None:
        jobs = [await warn.enqueue("disk"), *await warn.enqueue_many([warn.call("disk"), warn.call("net")])]
        assert told == [(False, True), (True, True), (False, True)]
        assert [job.duplicate for job in jobs] == [False, True, False]
        [claim, *_] = await app.backend.fetch(["default"], limit=1, lease=30, wait=5)
        assert (claim.job.headers or {})["colour"] == "blue"

    play(app, body)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rate": "often"}, "expected how many in which time"),
        ({"rate_mode": "drop"}, "belong to a rate"),
        ({"rate": "1/s", "rate_mode": "ignore"}, "rate_mode is 'ignore'"),
        ({"rate": "1/s", "rate_key": "nobody"}, "there is no parameter 'nobody'"),
        ({"rate": "1/s", "rate_key": 7}, "rate_key is 7"),
        ({"group": "g"}, "needs group_max_concurrency"),
        ({"group": "a.b", "group_max_concurrency": 1}, "group 'a.b' is not allowed"),
        ({"group_max_concurrency": 0}, "group_max_concurrency is 0"),
        ({"unique_while": "ever"}, "unique_while is 'ever'"),
        ({"unique_for": 0.5}, "shortest"),
        ({"throttle": 5, "unique_for": 5}, "one thing"),
        ({"throttle": 5, "debounce": 5}, "give one"),
        ({"debounce": 5, "debounce_max": 4}, "longer"),
        ({"debounce_max": 4}, "debounce_max"),
        ({"unique": 1}, "belongs to a single job"),
    ],
)
def test_what_a_task_may_not_say(settings: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):

        @Naq("refused", broker_url=memory_url()).task(name="t", **settings)
        async def task(account: int) -> None: ...


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"unique": float("nan")}, "JSON"),
        ({"unique": 1, "job_id": "a"}, "both say"),
        ({"unique": 1, "debounce": 1, "delay": 1}, "neither delay"),
        ({"rate": "1/s"}, "belongs to the task"),
        ({"unique_for": 5, "unique_while": "active"}, "give one"),
    ],
)
def test_what_a_job_may_not_say(settings: Any, says: str) -> None:
    app = Naq("refused", broker_url=memory_url())

    @app.task(name="t")
    async def task(account: int) -> None: ...

    with pytest.raises(ConfigurationError, match=says):
        task.options(**settings)
