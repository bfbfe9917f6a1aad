"""Chains, groups, maps, and waiting for several jobs; from tasks and from plain functions."""

from __future__ import annotations

import asyncio

import flow_functions
import pytest

import naq
from naq import (
    CancelResult,
    ConfigurationError,
    JobExecutionError,
    JobState,
    Naq,
    ParentFailed,
    Queue,
    ResultTimeout,
    sync,
)
from naq.connections import close_all
from naq.flow.cancel import Cancelled
from tests.tools import Place, run, working


class Tasks:
    """The tasks of one test, and how many of them ran at once."""

    def __init__(self, app: Naq) -> None:
        self.now = self.most = 0
        self.order: list[int] = []

        @app.task(name="double")
        async def double(number: int) -> int:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.01)
            self.now -= 1
            self.order.append(number)
            if number == 13:
                raise ValueError("unlucky")
            return 2 * number

        @app.task(name="add")
        async def add(numbers: list[int | None], more: int = 0) -> int:
            return sum(number or 0 for number in numbers) + more

        self.double, self.add = double, add


def test_a_chain(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            jobs = await naq.chain(
                tasks.double.call(1),
                tasks.double.call(naq.PREVIOUS),
                tasks.double.call(number=naq.PREVIOUS),
                tasks.add.call([1], more=naq.PREVIOUS),
            )
            assert [await job.status() for job in jobs] == [JobState.QUEUED, *3 * [JobState.BLOCKED]]
            async with working(app):
                assert await jobs[-1].result(30) == 9
                broken = await naq.chain(tasks.double.call(13), *(tasks.double.call(naq.PREVIOUS) for _ in range(3)))
                with pytest.raises(ParentFailed):
                    await broken[-1].result(30)
            assert tasks.order == [1, 2, 4, 13]
            with pytest.raises(ConfigurationError, match="a call at least"):
                await naq.chain()
            with pytest.raises(ConfigurationError, match="PREVIOUS"):
                await naq.chain(tasks.double.call(naq.PREVIOUS))

    run(body())


def test_a_group_and_what_follows(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app):
            group = await naq.group(
                *(tasks.double.call(n) for n in range(10)), then=tasks.add.call(naq.RESULTS, more=1)
            )
            assert group.then is not None
            assert await group.then.result(30) == 91
            assert await group.results(30) == [2 * n for n in range(10)]
            assert await group.progress() == {JobState.SUCCEEDED: 10}
            bad = await naq.group(*(tasks.double.call(n) for n in (1, 13)), then=tasks.add.call(naq.RESULTS))
            assert bad.then is not None
            with pytest.raises(ParentFailed):
                await bad.then.result(30)
            with pytest.raises(JobExecutionError, match="unlucky"):
                await bad.results(30)
            calls = [tasks.double.call(n) for n in (1, 13)]
            tolerant = await naq.group(*calls, then=tasks.add.call(naq.RESULTS), on_parent_failure="run_anyway")
            assert tolerant.then is not None
            assert await tolerant.then.result(30) == 2
            alone = await naq.group(tasks.double.call(4))
            assert (alone.then, await alone.results(30)) == (None, [8])

    run(body())


def test_a_group_is_cancelled(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            group = await naq.group(*(tasks.double.call(n) for n in range(3)), then=tasks.add.call(naq.RESULTS))
            assert await group.progress() == {JobState.QUEUED: 3}
            assert await group.cancel() == 4
            assert await group.progress() == {JobState.CANCELLED: 3}
            assert await group.cancel() == 0
            async with working(app):
                assert await (await tasks.double.enqueue(5)).result(30) == 10
        assert tasks.order == [5]

    run(body())


def test_a_map_has_a_few_at_a_time(place: Place):
    async def body() -> None:
        app = place.make(concurrency=20)
        tasks = Tasks(app)
        async with app, working(app):
            group = await naq.map(
                tasks.double,
                range(8, 28),
                concurrency=3,
                then=tasks.add.call(naq.RESULTS),
                on_parent_failure="run_anyway",
            )
            assert group.then is not None
            assert await group.then.result(30) == 2 * (sum(range(8, 28)) - 13)
            assert 1 < tasks.most <= 3
            assert sorted(tasks.order) == list(range(8, 28))
            assert await (await naq.map(tasks.double, [], concurrency=1)).results() == []
            with pytest.raises(ConfigurationError, match="at least one"):
                await naq.map(tasks.double, [1], concurrency=0)

    run(body())


def test_waiting_for_all_and_for_one(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            later = await tasks.double.options(delay=3600).enqueue(1)
            jobs = [await tasks.double.enqueue(n) for n in (3, 13, 5)]
            with pytest.raises(ResultTimeout):
                await naq.first_completed(later, *jobs, timeout=0.05)
            async with working(app):
                assert await naq.gather(jobs[0], jobs[2], timeout=30) == [6, 10]
                first, second, third = await naq.gather(*jobs, timeout=30, return_exceptions=True)
                assert (first, third) == (6, 10)
                assert isinstance(second, JobExecutionError)
                with pytest.raises(JobExecutionError, match="unlucky"):
                    await naq.gather(*jobs, timeout=30)
                assert await naq.first_completed(later, jobs[1], timeout=30) is jobs[1]
                with pytest.raises(ResultTimeout):
                    await naq.gather(later, jobs[0], timeout=0.05)
            await later.cancel()
            with pytest.raises(ConfigurationError):
                await naq.first_completed()

    run(body())


def test_of_plain_functions(place: Place):
    """Queues take `depends_on`, jobs as arguments, and make calls for chains and groups."""

    async def body() -> None:
        app = place.make()
        queue = Queue(app=app)
        async with app, working(app, imports=["flow_functions"]):
            first = await queue.enqueue(flow_functions.double, 4)
            second = await queue.enqueue(flow_functions.double, first)
            assert (
                await (await queue.enqueue(flow_functions.total, [first, second], depends_on=[first.id])).result(30)
                == 24
            )
            jobs = await naq.chain(
                queue.call(flow_functions.double, 1), queue.call(flow_functions.double, naq.PREVIOUS)
            )
            assert await jobs[-1].result(30) == 4
            group = await naq.group(
                *(queue.call(flow_functions.double, n) for n in range(3)),
                then=queue.call(flow_functions.total, naq.RESULTS),
            )
            assert group.then is not None
            assert await group.then.result(30) == 6
            later = await queue.enqueue_in(3600, flow_functions.double, 1, depends_on=second)
            assert (await later.cancel()).value == "removed"

    run(body())


def test_in_a_child_process():
    """Results travel on to where the task runs."""

    async def body() -> None:
        app, crunch = flow_functions.app, flow_functions.crunch
        async with app, working(app, concurrency=1):
            first = await crunch.enqueue(3)
            assert await (await crunch.enqueue(naq.result_of(first))).result(60) == 81

    run(body())


def test_without_an_event_loop(place: Place):
    """The same from a thread that has none."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)

        def plain() -> tuple[int, int, int]:
            jobs = naq.chain_sync(tasks.double.call(1), tasks.double.call(naq.PREVIOUS))
            group = naq.group_sync(*(tasks.double.call(n) for n in range(3)), then=tasks.add.call(naq.RESULTS))
            lines = naq.map_sync(tasks.double, range(4), concurrency=2, then=tasks.add.call(naq.RESULTS))
            assert group.then is not None
            assert lines.then is not None
            child = tasks.double.enqueue_sync(naq.result_of(jobs[-1]))
            waiting = tasks.double.options(delay=3600).enqueue_sync(1)
            below = tasks.double.enqueue_sync(naq.result_of(waiting))
            assert waiting.cancel_sync(tree=True) is CancelResult.REMOVED
            assert below.status_sync() is JobState.CANCELLED
            assert app.cancel_where_sync(task="nothing") == Cancelled()
            results = child.result_sync(30), group.then.result_sync(30), lines.then.result_sync(30)
            sync.run("await close_all()", close_all)  # sync calls have a connection of their own
            return results

        async with app, working(app):
            assert await asyncio.to_thread(plain) == (8, 6, 12)

    asyncio.run(body())  # sync calls have a thread, which stays
