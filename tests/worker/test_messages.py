"""Messages that are no jobs, jobs of unknown tasks, and names that try to get something imported."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from msgspec import Struct

from naq import Naq
from naq.backends.base import DeadLetter
from naq.backends.memory import MemoryBackend
from naq.codec.envelope import Envelope
from naq.job import JobSpec, JobState
from naq.worker import prepare
from naq.worker.flights import Flight
from naq.worker.prepare import unknown_delay
from tests.tools import ended, make_app, put, run, store, until, working

MALFORMED = {
    "garbage": b"\xff\x00 nothing",
    "not an object": b"[]",
    "no task": b'{"v":1}',
    "unknown version": b'{"v":99,"task":"fine"}',
    "no version": b'{"task":"fine"}',
    "bad task name": b'{"v":1,"task":"no spaces allowed"}',
    "arguments of the wrong shape": b'{"v":1,"task":"fine","args":{"a":1}}',
    "keywords of the wrong shape": b'{"v":1,"task":"fine","kwargs":[1]}',
    "deep": b'{"v":1,"task":"fine","args":[' + b"[" * 500 + b"]" * 500 + b"]}",
    "import path": b'{"v":1,"task":"os:system","args":["touch /tmp/naq-was-here"]}',
    "impossible retry policy": b'{"v":1,"task":"fine","retry":{"max_attempts":0}}',
}


class Order(Struct):
    number: int


async def letters(app: Naq) -> list[DeadLetter]:
    async with store(app) as backend:
        return await backend.dead()


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_job_goes_raw_to_the_dead_letters_and_the_worker_lives(what: str) -> None:
    app = make_app()

    @app.task(name="fine")
    async def fine() -> int:
        return 1

    async def test() -> None:
        async with working(app) as worker:
            await put(app, MALFORMED[what])
            await until(lambda: worker.processed == 1)
            assert await (await fine.enqueue()).result(timeout=5) == 1
        (letter,) = await letters(app)
        assert (letter.kind, letter.payload) == ("malformed", MALFORMED[what])
        assert letter.reason
        if what == "import path":
            assert "refused import path 'os:system'" in letter.reason

    run(test())


def test_nothing_is_imported_for_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bait.py").write_text("def catch(): return 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    app = make_app()

    async def test() -> None:
        async with working(app) as worker:
            await put(app, b'{"v":1,"task":"bait:catch"}')
            await put(app, b'{"v":1,"task":"bait.catch"}')
            await until(lambda: worker.processed == 2)
        assert [letter.kind for letter in await letters(app)] == ["malformed"]

    run(test())
    assert "bait" not in sys.modules


def test_functions_of_imported_modules_run_and_only_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs_of_mine.py").write_text(
        "from os import system\nimport os\n"
        "def double(n: int) -> int: return n * 2\n"
        "async def greet(name: str = 'you') -> str: return 'hello ' + name\n"
        "def _private(): return 1\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    app = make_app()

    async def test() -> None:
        async with working(app, imports=["jobs_of_mine"]) as worker:
            double = await put(app, b'{"v":1,"task":"jobs_of_mine:double","args":[4]}')
            greet = await put(app, b'{"v":1,"task":"jobs_of_mine:greet"}')
            assert await app.job(double).result(timeout=5) == 8
            assert await app.job(greet).result(timeout=5) == "hello you"
            waiting = [
                await put(app, json.dumps({"v": 1, "task": f"jobs_of_mine:{name}", "args": ["true"]}).encode())
                for name in ("system", "os.system", "_private", "missing")
            ]
            await until(lambda: worker.processed == 6)
            assert {await app.job(job).status() for job in waiting} == {JobState.SCHEDULED}

    run(test())
    sys.modules.pop("jobs_of_mine")


def test_a_job_of_an_unknown_task_waits_visibly_until_somebody_knows_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prepare, "UNKNOWN_FIRST", 0.1)
    app = make_app()
    new_code = make_app(broker_url=app.config.broker_url)

    @new_code.task(name="deployed_later")
    async def task() -> int:
        return 1

    async def test() -> None:
        async with working(app) as worker:
            job = await task.enqueue()
            await until(lambda: worker.processed >= 3)
        record = await job.record()
        assert record.state in {JobState.SCHEDULED, JobState.QUEUED}
        assert record.attempt == 1
        assert record.reason == "no worker here knows task 'deployed_later'"
        async with working(new_code):
            assert await job.result(timeout=5) == 1
            assert (await job.record()).attempt == 1

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())
    assert sum("no worker here knows task 'deployed_later'" in line for line in caplog.messages) == 1, (
        "said once a minute"
    )


def test_the_wait_for_an_unknown_task_grows_with_the_jobs_age() -> None:
    from naq import clock
    from naq.backends.base import Claim

    def delay(age: float | None) -> float:
        flight = Flight(Claim(job=JobSpec(id="a", payload=b""), receipt=b"", deadline=0.0))
        flight.envelope = Envelope(v=1, task="t", at=0.0 if age is None else clock.now() - age)
        return unknown_delay(flight)

    assert [round(delay(age)) for age in (0, 1, 10, 60, 86400)] == [1, 1, 5, 30, 30]
    assert delay(-3600) == 1, "a producer whose clock is ahead"
    assert 1 < delay(None) < 30


def test_arguments_that_do_not_fit_fail_the_job_without_a_retry() -> None:
    app = make_app()
    runs: list[int] = []

    @app.task(name="take", retries=5)
    async def take(order: Order) -> int:
        runs.append(order.number)
        return order.number

    async def test() -> None:
        async with working(app):
            wrong = await ended(app.job(await put(app, b'{"v":1,"task":"take","args":[{"number":"x"}]}')))
            few = await ended(app.job(await put(app, b'{"v":1,"task":"take"}')))
            right = await ended(app.job(await put(app, b'{"v":1,"task":"take","kwargs":{"order":{"number":7}}}')))
        assert (wrong.state, wrong.attempt, wrong.errors[0].type) == (
            JobState.FAILED,
            1,
            "naq.exceptions.SerializationError",
        )
        assert "order" in wrong.errors[0].message
        assert few.state is JobState.FAILED
        assert (right.state, runs) == (JobState.SUCCEEDED, [7])

    run(test())


def test_a_job_that_is_too_late_expires_unrun() -> None:
    app = make_app()
    runs: list[int] = []

    @app.task(name="task")
    async def task() -> None:
        runs.append(1)

    async def test() -> None:
        job = await task.options(expires_in=0.05).enqueue()
        import time

        end = time.time() + 0.1
        await until(lambda: time.time() > end)
        async with working(app):
            record = await ended(job)
        assert (record.state, runs) == (JobState.EXPIRED, [])

    run(test())


def test_a_cancelled_message_that_nobody_can_read_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    lookup = MemoryBackend.lookup

    async def marked(self: MemoryBackend, claim: object) -> object:
        known = await lookup(self, claim)  # pyright: ignore[reportArgumentType]
        assert known is None
        from naq.job import JobRecord

        return JobRecord(id=job_id[0], state=JobState.CANCELLED)

    job_id: list[str] = []
    monkeypatch.setattr(MemoryBackend, "lookup", marked)

    async def test() -> None:
        job_id.append(await put(app, b"garbage"))
        async with working(app):
            record = await ended(app.job(job_id[0]))
        assert (record.state, record.task) == (JobState.CANCELLED, "")

    run(test())
