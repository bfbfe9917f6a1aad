"""Moving what waits to another queue, from code, while workers claim."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from naq import ConfigurationError, JobState, Naq, Queue
from naq.job import JobSpec, new_id
from tests.tools import Place, ended, fleet, run

KEYS = ["k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]
MANY = 500


async def _counts(app: Naq, *queues: str) -> list[int]:
    stats = await (await app.connect()).stats(queues)
    return [each.queued + each.scheduled + each.blocked for each in stats]


def test_five_hundred_while_workers_of_both_queues_claim(place: Place):
    async def body() -> None:
        app, ran = place.make(concurrency=5), Counter[int]()
        first, second = place.again(app), place.again(app)
        for each in (first, second):

            @each.task(name="count")
            async def count(number: int) -> None:
                ran[number] += 1
                await asyncio.sleep(0.002)

        task = first.get_task("count")
        async with app:
            backend = await app.connect()
            async with fleet(first, queues=["here"]), fleet(second, queues=["here", "there"]):
                calls = [task.options(queue="here").call(number) for number in range(MANY)]
                jobs = await task.enqueue_many(calls)
                moved = await Queue("here", app=app).move("there")
                await asyncio.gather(*map(ended, jobs))
            assert 0 < moved < MANY, "it is no race if one side has all"
            assert ran == Counter(dict.fromkeys(range(MANY), 1))
            records = [await backend.get(job.id) for job in jobs]
            assert Counter(record.queue for record in records if record) == {"there": moved, "here": MANY - moved}
            assert await backend.unfinished() == []

    run(body())


def test_some_of_them(place: Place):
    async def body() -> None:
        async with place.make() as app:

            @app.task(name="send_mail", queue="mail")
            async def send_mail() -> None: ...

            @app.task(name="sweep", queue="mail")
            async def sweep() -> None: ...

            first = [await send_mail.enqueue() for _ in range(4)]
            late = await send_mail.options(delay=3600, priority="high").enqueue()
            await sweep.enqueue()
            child = await send_mail.options(depends_on=first[0]).enqueue()
            mail = Queue("mail", app=app)
            assert await mail.move("slow", task="send_*", limit=2) == 2
            assert [(await job.record()).queue for job in first] == ["slow", "slow", "mail", "mail"]
            assert await mail.move("slow", task="send_mail") == 4
            assert await _counts(app, "mail", "slow") == [1, 6]
            record = await late.record()
            assert (record.queue, record.state, record.priority) == ("slow", JobState.SCHEDULED, "high")
            assert (await child.record()).state is JobState.BLOCKED
            assert await mail.move("slow", task="no_such") == 0
            assert await mail.move("slow") == 1
            for to, limit in (("mail", None), ("no name", None), ("slow", 0)):
                with pytest.raises(ConfigurationError):
                    await mail.move(to, limit=limit)

    run(body())


def test_a_child_runs_in_the_other_queue_when_its_parent_has(place: Place):
    async def body() -> None:
        app = place.make()

        @app.task(name="add")
        async def add(a: int, b: int) -> int:
            return a + b

        parent = await add.options(queue="here").enqueue(1, 2)
        child = await add.options(queue="here", depends_on=parent).enqueue(3, 4)
        assert await Queue("here", app=app).move("there") == 2
        async with fleet(app, queues=["there"]):
            record = await ended(child)
            assert (record.state, record.queue) == (JobState.SUCCEEDED, "there")
            assert await child.result() == 7

    run(body())


@pytest.mark.parametrize(
    "keys",
    [{"signing_keys": KEYS}, {"encryption_keys": KEYS}, dict.fromkeys(("signing_keys", "encryption_keys"), KEYS)],
)
def test_sealed_ones_are_sealed_for_their_place_there(place: Place, keys: dict[str, Sequence[str]]):
    async def body() -> None:
        app = place.make(**keys)

        @app.task(name="add")
        async def add(a: int, b: int) -> int:
            return a + b

        jobs = [await add.options(queue="here", delay=delay).enqueue(1, 2) for delay in (None, 0.3)]
        async with place.again(app) as other:
            with pytest.raises(ConfigurationError, match="moved without the keys"):
                await Queue("here", app=other).move("there")
        assert await _counts(app, "here", "there") == [2, 0]
        assert await Queue("here", app=app).move("there") == 2
        async with fleet(app, queues=["there"]):
            assert [(await ended(job)).state for job in jobs] == [JobState.SUCCEEDED] * 2
            assert await jobs[0].result() == 3

    run(body())


def test_what_nobody_signed_is_not_signed_by_a_move(place: Place):
    """It stays refused where only signed jobs are taken, in whatever queue it lies."""

    async def body() -> None:
        async with place.make(signing_keys=KEYS) as app:
            backend = await app.connect()
            forged = JobSpec(id=new_id(), payload=b'{"v":1,"task":"add","args":[1,2],"kwargs":{}}', queue="here")
            await backend.enqueue([forged])
            assert await Queue("here", app=app).move("there") == 0
            assert await _counts(app, "here", "there") == [1, 0]

    run(body())


def test_without_a_loop(place: Place):
    app = place.make()

    @app.task(name="nothing", queue="here")
    def nothing() -> None: ...

    nothing.enqueue_many_sync([nothing.call() for _ in range(3)])
    assert Queue("here", app=app).move_sync("there", limit=1) == 1
    assert Queue("here", app=app).move_sync("there") == 2
