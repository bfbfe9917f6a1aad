"""Slots: how many jobs run at once, what frees them, and what remains of a job afterwards."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from naq import Retry
from naq.backends.memory import MemoryBackend
from naq.exceptions import ConfigurationError, NaqConnectionError, NaqException
from naq.job import JobState
from naq.worker import Worker, fetcher
from naq.worker.flights import Flight
from naq.worker.lifeline import Lifeline
from tests.tools import DEADLINE, make_app, run, until, working


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_no_more_than_concurrency_run_at_once(kind: str) -> None:
    app = make_app()
    lock = threading.Lock()
    now, most = 0, 0

    def enter() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)

    def leave() -> None:
        nonlocal now
        with lock:
            now -= 1

    async def async_body() -> None:
        enter()
        await asyncio.sleep(0.001)
        leave()

    def body() -> None:
        enter()
        threading.Event().wait(0.001)
        leave()

    task: Any = app.task(name="task")(async_body if kind == "async" else body)

    async def test() -> None:
        async with working(app, concurrency=3) as worker:
            await task.enqueue_many([task.call() for _ in range(60)])
            await until(lambda: worker.processed == 60)
        assert most == 3

    run(test())


def test_a_slot_is_free_when_the_code_has_ended_and_unsettled_jobs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MAX_UNSETTLED", 5)
    app = make_app()
    complete = MemoryBackend.complete
    confirmed = asyncio.Event()
    held: list[str] = []

    async def slow(self: MemoryBackend, claim: Any, record: Any) -> object:
        held.append(claim.job.id)
        await confirmed.wait()
        return await complete(self, claim, record)

    monkeypatch.setattr(MemoryBackend, "complete", slow)

    @app.task(name="task")
    async def task() -> None:
        return None

    async def test() -> None:
        async with working(app, concurrency=2) as worker:
            jobs = await task.enqueue_many([task.call() for _ in range(20)])
            await until(lambda: len(held) == 5)
            for _ in range(20):
                await asyncio.sleep(0)
            assert (len(held), worker.running, worker.processed) == (5, 0, 0)
            confirmed.set()
            await until(lambda: worker.processed == 20)
            assert [await job.status() for job in jobs] == [JobState.SUCCEEDED] * 20

    run(test())


class Mine(Exception):
    pass


def test_nothing_of_a_job_remains_even_without_the_collector() -> None:
    app = make_app()

    @app.task(name="fail", retry=Retry(max_attempts=2, base=0.0))
    async def fail() -> None:
        raise Mine

    @app.task(name="fail_in_a_thread", retry=Retry(max_attempts=2, base=0.0))
    def fail_in_a_thread() -> None:
        raise Mine

    @app.task(name="slow", timeout=0.01)
    async def slow() -> None:
        await asyncio.sleep(60)

    def found() -> list[object]:
        return [each for each in gc.get_objects() if type(each) in {Flight, Mine}]

    before_us = {id(each): each for each in found()}  # what other tests keep, such as exceptions with their tracebacks

    def left() -> list[str]:
        return [type(each).__name__ for each in found() if id(each) not in before_us]

    async def test() -> None:
        async with working(app) as worker:
            gc.collect()
            gc.disable()
            logging.disable()  # pytest keeps log records, and with them the exceptions they tell of
            try:
                for task, settled in ((fail, 20), (fail_in_a_thread, 20), (slow, 10)):
                    before = worker.processed
                    await task.enqueue_many([task.call() for _ in range(10)])
                    await until(lambda before=before, settled=settled: worker.processed == before + settled)
                    await until(lambda: not left(), f"an end to what {task.name} left behind: {left()}")
            finally:
                logging.disable(logging.NOTSET)
                gc.enable()

    run(test())


def test_a_worker_without_its_lifeline_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()

    async def test() -> None:
        worker = Worker(app)
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.wait_ready(), DEADLINE)
        assert worker._crew is not None  # pyright: ignore[reportPrivateUsage]
        lifeline: Lifeline = worker._crew.lifeline  # pyright: ignore[reportPrivateUsage]
        await lifeline.stop()
        with pytest.raises(NaqException, match="keeps leases has ended"):
            await asyncio.wait_for(running, DEADLINE)

    run(test())


def test_a_look_up_is_repeated_while_the_backend_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from naq.worker import executor

    monkeypatch.setattr(executor, "LOOK_AGAIN", 0.01)
    app = make_app()
    lookup = MemoryBackend.lookup
    tries: list[int] = []

    async def away(self: MemoryBackend, claim: Any) -> object:
        tries.append(1)
        if len(tries) < 4:
            raise NaqConnectionError("away")
        return await lookup(self, claim)

    monkeypatch.setattr(MemoryBackend, "lookup", away)

    @app.task(name="task")
    async def task() -> int:
        return 1

    async def test() -> None:
        async with working(app):
            job = await task.options(job_id="chosen").enqueue()
            assert await job.result(timeout=5) == 1
            assert (await job.record()).delivered == 1
        assert len(tries) == 4

    run(test())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queues": "mail"}, "give a list of names"),
        ({"queues": []}, "would never do anything"),
        ({"queues": ["a b"]}, "queue 'a b' is not allowed"),
        ({"name": "a/b"}, "worker name 'a/b' is not allowed"),
        ({"concurrency": 0}, "concurrency"),
        ({"lease": -1}, "lease"),
        ({"shutdown_timeout": -1}, "shutdown_timeout"),
        ({"imports": ["not_installed_here"]}, "there is no module"),
    ],
)
def test_options_are_checked_when_the_worker_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Worker(make_app(), **options)


def test_queues_are_those_of_the_tasks_unless_named() -> None:
    app = make_app()
    assert Worker(app).queues == ["default"]
    app.task(name="a", queue="mail")(print_nothing)
    app.task(name="b", queue="slow")(print_nothing)
    assert Worker(app).queues == ["mail", "slow"]
    assert Worker(app, queues=["x", "x"]).queues == ["x"]
    assert Worker(app).id != Worker(app).id


async def print_nothing() -> None:
    return None


@pytest.mark.parametrize("point", ["run.before_start", "run.mid_task", "run.after_task"])
def test_fault_points_of_a_process(point: str, tmp_path: Path) -> None:
    import os
    import subprocess

    (tmp_path / "tasks.py").write_text(
        "import asyncio\nfrom pathlib import Path\nfrom naq import Naq\nfrom naq.worker import Worker\n"
        "app = Naq('faults', broker_url='memory:')\n"
        "@app.task(name='task')\nasync def task() -> None:\n"
        "    Path('begun').touch()\n    await asyncio.sleep(0.05)\n    Path('ended').touch()\n"
        "async def main():\n    async with app:\n        await task.enqueue()\n        await Worker(app).run()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "tasks.py"],
        cwd=tmp_path,
        env={**os.environ, "NAQ_FAULT": f"{point}:exit"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    seen = [name for name in ("begun", "ended") if (tmp_path / name).exists()]
    assert seen == {"run.before_start": [], "run.mid_task": ["begun"], "run.after_task": ["begun", "ended"]}[point]
