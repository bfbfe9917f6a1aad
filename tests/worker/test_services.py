"""The loops of a worker: what each does in a round, and that none ends by accident."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from naq.backends.base import Event
from naq.backends.memory import MemoryBackend
from naq.exceptions import BrokerTooOld, NaqConnectionError
from naq.worker import Worker, connecting, leading
from naq.worker import service as service_module
from naq.worker.leading import Leading
from naq.worker.service import Once, Service
from naq.worker.throttle import Throttle
from tests.tools import DEADLINE, ended, make_app, run, running_state, store, until, until_so, working


class Counter(Service):
    def __init__(self, *errors: BaseException, interval: float = 0.001) -> None:
        super().__init__("counter", interval=interval)
        self.errors = list(errors)
        self.begun = 0

    async def run_once(self) -> int:
        self.begun += 1
        if self.errors:
            raise self.errors.pop(0)
        return 1


def test_services_start_and_stop_twice_without_harm() -> None:
    async def test() -> None:
        service = Counter()
        await service.stop()
        service.start()
        service.start()
        await until(lambda: service.rounds > 3)
        await service.stop()
        await service.stop()
        rounds = service.begun
        await asyncio.sleep(0)
        assert service.begun == rounds
        service.start()
        await until(lambda: service.begun > rounds)
        await service.stop()

    run(test())


def test_a_failed_round_does_not_end_a_service(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        service = Counter(NaqConnectionError("away"), NaqConnectionError("away"))
        service.start()
        await until(lambda: service.rounds)
        await service.stop()
        broken = Counter(ZeroDivisionError("a defect"))
        broken.start()
        await until(lambda: broken.begun)
        await until(lambda: any("going on" in line for line in caplog.messages))
        broken.nudge()
        await until(lambda: broken.rounds)
        await broken.stop()

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())
    assert sum("away" in line for line in caplog.messages) == 1, "said once in a while"
    assert any(record.exc_info for record in caplog.records), "a defect shows its traceback"


def test_what_is_done_once_is_tried_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "RETRY_AFTER", 0.001)
    tries = 0

    async def act() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise NaqConnectionError("away")

    async def test() -> None:
        once = Once("once", act)
        once.start()
        await until(lambda: once.rounds)
        once.nudge()
        await until(lambda: once.rounds > 1)
        await once.stop()
        assert tries == 3
        assert await once.run_once() == 0

    run(test())


def test_throttle_forgets_rather_than_grows() -> None:
    throttle = Throttle(60)
    assert throttle.ready("a")
    assert not throttle.ready("a")
    for number in range(1500):
        assert throttle.ready(f"name-{number}")


def test_a_worker_is_listed_with_what_it_holds() -> None:
    app = make_app(heartbeat_interval=0.05, worker_ttl=5)
    release = asyncio.Event()

    @app.task(name="task", queue="mail")
    async def task() -> None:
        await release.wait()

    async def test() -> None:
        async with working(app, name="me", concurrency=3) as worker, store(app) as backend:
            job = await task.enqueue()
            await running_state(job)

            async def holds_it() -> bool:
                return any(info.claims for info in await backend.workers())

            await until_so(holds_it)
            (info,) = await backend.workers()
            assert (info.id, info.queues, info.tasks, info.concurrency) == (worker.id, ["mail"], ["task"], 3)
            assert (info.state, info.running, len(info.claims)) == ("running", 1, 1)
            assert info.id.startswith("me-")
            release.set()
            await ended(job)

    run(test())


class _Duty(Counter):
    """Counts its rounds for as long as it may."""

    @property
    def runs(self) -> bool:
        return self._task is not None


def test_one_worker_leads_and_resigns_when_it_stops() -> None:
    app = make_app()

    async def test() -> None:
        async with store(app) as backend, store(app) as other:
            mine, theirs, apart = _Duty(), _Duty(), _Duty()
            first = Leading(backend, "first", {"a": [mine]})
            second = Leading(other, "second", {"a": [theirs], "b": [apart]}, renew=0.01)
            first.start()
            await until(lambda: mine.begun)
            second.start()
            await until(lambda: second.rounds > 1)
            assert first.leads("a")
            assert not second.leads("a")
            assert not theirs.runs, "it is somebody else's"
            assert second.leads("b")
            assert apart.runs
            await first.stop()
            assert not mine.runs
            await until(lambda: theirs.begun)
            assert second.leads("a")
            await second.stop()
            assert not theirs.runs
            assert not apart.runs

    run(test())


def test_a_leadership_that_cannot_be_renewed_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the backend says so, refuses, or does not answer: by then another may have it."""
    app = make_app()
    monkeypatch.setattr(leading, "LEASE", 0.2)
    answer: Callable[[], Awaitable[float | None]] | None = None
    lead = MemoryBackend.lead

    async def answered(self: MemoryBackend, name: str, holder: str, *, ttl: float) -> float | None:
        return await (lead(self, name, holder, ttl=ttl) if answer is None else answer())

    monkeypatch.setattr(MemoryBackend, "lead", answered)

    async def silence() -> float | None:
        await until(lambda: answer is not silence)
        raise NaqConnectionError("no answer")

    async def away() -> float | None:
        raise NaqConnectionError("away")

    async def no() -> float | None:
        return None

    async def test() -> None:
        nonlocal answer
        for way in (silence, away, no):
            answer = None
            async with store(app) as backend:
                duty = _Duty()
                one = Leading(backend, "one", {"a": [duty]}, renew=0.05)
                one.start()
                await until(lambda duty=duty: duty.begun)
                answer = way
                await until(lambda duty=duty: not duty.runs)
                assert not one.leads("a")
                answer = None
                await until(lambda duty=duty: duty.runs)  # and begins again
                await one.stop()

    run(test())


def test_the_leader_hands_back_the_claims_of_dead_workers(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(lease=60)

    @app.task(name="task")
    async def task() -> int:
        return 1

    async def test() -> None:
        from naq.backends.base import WorkerInfo
        from tests.tools import take

        job = await task.enqueue()
        (claim,) = await take(app, lease=60)
        async with store(app) as backend:
            await backend.register(WorkerInfo(id="dead", queues=[], claims=[claim.receipt]), ttl=0.01)
            end = time.monotonic() + 0.02
            await until(lambda: time.monotonic() > end)
        async with working(app):
            assert (await ended(job)).delivered == 2

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())
    assert any("1 claims of dead workers" in line for line in caplog.messages)


def test_only_jobs_that_take_a_while_and_failed_attempts_are_events(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    written: list[Event] = []
    append = MemoryBackend.append
    away = True

    async def watched(self: MemoryBackend, events: Sequence[Event]) -> None:
        nonlocal away
        if away:  # what cannot be written now is written later
            away = False
            raise NaqConnectionError("away")
        written.extend(events)
        await append(self, events)

    monkeypatch.setattr(MemoryBackend, "append", watched)

    @app.task(name="quick")
    async def quick() -> None:
        return None

    @app.task(name="slow", retry=[0])
    async def slow() -> None:
        from naq import current_context

        if current_context().attempt == 1:
            raise ValueError("first")
        await asyncio.sleep(0.9)

    async def test() -> None:
        async with working(app) as worker:
            await ended(await quick.enqueue())
            job = await slow.enqueue()
            await ended(job)
        assert [(event.kind, event.job_id) for event in written] == [("attempt_failed", job.id), ("started", job.id)]
        failed, started = (msgspec.json.decode(event.data) for event in written)
        assert (failed["attempt"], failed["error"]["message"], failed["next_in"]) == (1, "first", 0.0)
        assert (started["attempt"], started["worker"], started["task"]) == (2, worker.id, "slow")

    run(test())


@pytest.mark.parametrize("ends", ["found", "stopped"])
def test_a_broker_that_is_down_at_the_start_is_waited_for(
    ends: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connecting, "PAUSE", 0.01)
    app = make_app()
    opened = MemoryBackend.open
    tries: list[float] = []
    down = True

    async def refuse(self: MemoryBackend, queues: Sequence[str] = (), *, wait: float | None = None) -> None:
        tries.append(wait or 0.0)
        if down:
            raise NaqConnectionError("connection refused")
        await opened(self, queues, wait=wait)

    monkeypatch.setattr(MemoryBackend, "open", refuse)

    @app.task(name="task")
    async def task() -> int:
        return 1

    async def test() -> None:
        nonlocal down
        worker = Worker(app)
        running = asyncio.create_task(worker.run())
        await until(lambda: len(tries) > 6)
        assert not running.done()
        if ends == "found":
            down = False
            await asyncio.wait_for(worker.wait_ready(), DEADLINE)
            assert await (await task.enqueue()).result(timeout=5) == 1
        worker.stop()
        await asyncio.wait_for(running, DEADLINE)
        await app.close()

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())
    assert 1 <= sum("waiting for the broker" in line for line in caplog.messages) <= 2, "each connection, once in 10 s"


def test_what_waiting_would_not_help_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: MemoryBackend, queues: Sequence[str] = (), *, wait: float | None = None) -> None:
        raise BrokerTooOld("2.9 is too old; naq needs 2.14.2")

    monkeypatch.setattr(MemoryBackend, "open", refuse)

    async def test() -> None:
        with pytest.raises(BrokerTooOld, match="too old"):
            await asyncio.wait_for(Worker(make_app()).run(), DEADLINE)

    run(test())


def test_a_defect_on_one_job_takes_no_other_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(lease=0.3)
    complete = MemoryBackend.complete
    struck: list[str] = []

    async def broken(self: MemoryBackend, claim: Any, record: Any) -> object:
        if not struck:
            struck.append(claim.job.id)
            raise ZeroDivisionError("a defect")
        return await complete(self, claim, record)

    monkeypatch.setattr(MemoryBackend, "complete", broken)

    @app.task(name="task")
    async def task() -> int:
        return 1

    async def test() -> None:
        async with working(app, concurrency=1):
            first, second = await task.enqueue(), await task.enqueue()
            assert await second.result(timeout=5) == 1
            assert (await ended(first)).delivered == 2, "its lease brought it back"

    with caplog.at_level(logging.ERROR, "naq.worker"):
        run(test())
    assert any("could not be handled" in line for line in caplog.messages)
