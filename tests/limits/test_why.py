"""Why a job does not run: each cause is found, said, and answered with a command that exists."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from naq import Naq, clock
from naq.backends.base import Running, WorkerInfo
from naq.exceptions import JobNotFoundError
from naq.job import JobRecord, JobState
from naq.limits import pauses
from naq.limits.why import Why, _running  # pyright: ignore[reportPrivateUsage]
from tests.tools import fleet, memory_url, until, until_so

MakeApp = Callable[[], Naq]


@pytest.fixture(params=["memory", "nats"])
def make_app(request: pytest.FixtureRequest) -> MakeApp:
    name = f"why{abs(hash(request.node.name)) % 10**9}"
    url = memory_url() if request.param == "memory" else request.getfixturevalue("url")
    return lambda: Naq(name, broker_url=url, shutdown_timeout=1.0, heartbeat_interval=0.5)


async def until_why(ask: Callable[[], Awaitable[Why]], cause: str) -> Why:
    """The answer, once it has this cause."""
    found: list[Why] = []

    async def so() -> bool:
        found[:] = [await ask()]
        return found[0].cause == cause

    await until_so(so)
    return found[0]


def test_before_any_worker_has_it(make_app: MakeApp) -> None:
    """Not due, nobody there, paused by whom: and the first of several causes is the one that is said."""
    app = make_app()

    @app.task(name="mail", queue="post")
    async def mail() -> None: ...

    async def body() -> None:
        async with app:
            due = time.time() + 3600
            later = await mail.options(run_at=due).enqueue()
            why = await later.why()
            assert (why.cause, why.state, why.task, why.queue) == ("not due", JobState.SCHEDULED, "mail", "post")
            assert abs(why.earliest - due) < 1
            assert why.command == f"naq jobs run-now {later.id}"

            job = await mail.options(unique=1).enqueue()
            why = await job.why()
            assert (why.cause, why.command) == ("no worker", "naq worker APP -q post")
            assert len(why.key) == 32

            await pauses.pause(app.backend, "post", by="anna@web-1", why="the provider is down")
            why = await job.why()
            assert (why.cause, why.command) == ("paused", "naq queues resume post")
            assert "queue post is paused by anna@web-1 since 20" in why.text
            assert why.text.endswith("UTC (the provider is down)")
            await pauses.resume(app.backend, "post")
            assert (await job.why()).cause == "no worker"
            await app.backend.pause("post")  # by whom is not known
            assert (await job.why()).text == "queue post is paused"

            await job.cancel()
            why = await job.why()
            assert (why.cause, why.command) == ("ended", f"naq jobs show {job.id}")
            with pytest.raises(JobNotFoundError):
                await app.job("nobody").why()

    asyncio.run(body())


def test_while_workers_are_there(make_app: MakeApp) -> None:
    """Running, a full queue, taken slots, a task that nobody knows, the next attempt, the end."""
    app, stranger = make_app(), make_app()
    go = asyncio.Event()

    @app.task(name="hold")
    async def hold() -> None:
        await go.wait()

    @app.task(name="fail", retry=[600.0])
    async def fail() -> None:
        raise ValueError("no luck")

    @app.task(name="narrow", queue="narrow")
    async def narrow() -> None:
        await go.wait()

    @stranger.task(name="nobody-knows")
    async def unknown() -> None: ...

    async def body() -> None:
        async with stranger, fleet(app, concurrency=3):
            await (await app.connect()).limit("narrow", 1)
            failing = await fail.enqueue()
            why = await until_why(failing.why, "next attempt")
            assert "for attempt 2, after: no luck" in why.text
            assert 500 < why.earliest - time.time() <= 601

            lost = await unknown.enqueue()
            why = await until_why(lost.why, "unknown task")
            assert "'nobody-knows'" in why.text
            assert why.earliest > 0

            running = await narrow.enqueue()
            why = await until_why(running.why, "running")
            assert "attempt 1" in why.text

            async def named() -> bool:
                return " on worker " in (await running.why()).text

            await until_so(named)
            waiting = await narrow.enqueue()
            why = await until_why(waiting.why, "queue limit")
            assert why.text == "queue narrow runs 1 jobs, its limit is 1; one of them has to end first"

            for _ in range(2):
                await until_why((await hold.enqueue()).why, "running")
            backend = app.backend

            async def all_taken() -> bool:
                return any(worker.running == 3 for worker in await backend.workers())

            late = await hold.enqueue()
            if await late.status() is JobState.QUEUED:
                await until_so(all_taken)
                why = await until_why(late.why, "busy")
                assert why.text.startswith("all 3 slots of the 1 workers of queue default are taken")
            go.set()
            await late.result(timeout=30)
            why = await late.why()
            assert (why.cause, why.text.startswith("it has ended as succeeded at")) == ("ended", True)

    asyncio.run(body())


def test_limits(make_app: MakeApp) -> None:
    """Full groups and rates, with who holds them and until when; asking changes nothing."""
    app = make_app()
    go = asyncio.Event()

    @app.task(name="grouped", group="few", group_max_concurrency=1)
    async def grouped() -> None:
        await go.wait()

    @app.task(name="rated", rate="1/5m", rate_key="who")
    async def rated(who: str) -> None: ...

    async def body() -> None:
        async with fleet(app) as [worker]:
            first = await grouped.enqueue()
            await until_why(first.why, "running")
            second = await grouped.enqueue()
            why = await until_why(second.why, "group")
            assert "1 of group few is full" in why.text
            assert why.earliest > 0
            await (await rated.enqueue("a")).result(timeout=30)
            over = await rated.enqueue("a")
            why = await until_why(over.why, "rate")
            assert "1/5m of task rated is used up" in why.text.replace("300s", "5m")
            assert 280 < why.earliest - time.time() <= 301
            worker.stop()
            await until(lambda: worker.vitals.state != "running")
            go.set()
        async with app:
            # Nobody has told this one: its limits are asked as a worker would ask them, as often as you like.
            asked = await rated.enqueue("a")
            for _ in range(3):
                assert (await asked.why()).cause == "no worker"
            from naq.limits.why import _limited  # pyright: ignore[reportPrivateUsage]

            record: JobRecord = await asked.record()
            backend = await app.connect()
            before = await backend.entries("rate")
            found = await _limited(backend, record)
            assert found is not None
            assert (found.cause, found.command) == ("rate", f"naq jobs why {asked.id}")
            assert "the rate of task rated (1/300s) is used up until 20" in found.text
            assert await backend.entries("rate") == before

    asyncio.run(body())


def test_on_the_command_line(url: str) -> None:
    """As text, as JSON, as a word; and the note of a pause is what the command said."""
    app = Naq("why-cli", broker_url=url)

    @app.task(name="mail", queue="post")
    async def mail() -> None: ...

    async def enqueue() -> str:
        async with app:
            return (await mail.enqueue()).id

    def naq(*args: str) -> Any:
        command = [sys.executable, "-m", "naq", *args, "--broker-url", url, "--namespace", "why-cli"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    job_id = asyncio.run(enqueue())
    assert naq("queues", "pause", "post", "--reason", "the provider\nis down").returncode == 0
    said = naq("jobs", "why", job_id)
    assert said.returncode == 0, said.stderr
    assert f"job   {job_id} is queued in queue post" in said.stdout
    assert "(the provider is down)" in said.stdout
    assert "next  naq queues resume post" in said.stdout
    document = json.loads(naq("jobs", "why", job_id, "--json").stdout)
    assert (document["cause"], document["id"], document["earliest"]) == ("paused", job_id, None)
    assert naq("jobs", "why", "nobody").returncode == 3


def test_a_worker_that_is_silent_is_named() -> None:
    at = Running("j1", "mail", 1.0)
    worker = WorkerInfo(id="w1", queues=["a"], concurrency=1, seen_at=1000.0, jobs=[at])
    record = JobRecord(id="j1", state=JobState.RUNNING, attempt=2)
    said: list[tuple[str, str]] = []
    for now in (1005.0, 1025.0):
        with clock.use(now=lambda now=now: now):
            found = _running(record, [worker])
        said.append((found.text, found.command))
    silent = "; that worker has said nothing for 25 s: if it is dead, another one takes the job over"
    assert said == [
        ("it runs on worker w1, attempt 2", "naq jobs show j1"),
        (f"it runs on worker w1, attempt 2{silent}", "naq workers show w1"),
    ]
