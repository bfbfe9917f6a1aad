"""Events of jobs on their way to a backend that is slow, full or away: what waits, what is dropped, what is said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from naq import Naq, current_context
from naq.backends.base import Event
from naq.backends.memory import MemoryBackend, connect
from naq.config import Config
from naq.exceptions import NaqConnectionError, PayloadTooLarge
from naq.job import JobState
from naq.worker.buffer.writer import EventWriter
from naq.worker.vitals import Vitals
from tests.tools import DEADLINE, ended, make_app, memory_url, run, until, until_so, working

KIB = 1024


class Log(MemoryBackend):
    """A backend whose log can be away; `got` is what it took."""

    away = False
    refuses = ""

    @classmethod
    def on(cls, config: Config) -> Log:
        healthy = connect(config)
        assert isinstance(healthy, MemoryBackend)
        log = cls(config, healthy._store)  # pyright: ignore[reportPrivateUsage]
        log.got = []
        return log

    got: list[Event]

    async def append(self, events: Sequence[Event]) -> None:
        if self.away:
            raise NaqConnectionError("away")
        if self.refuses and any(event.kind == self.refuses for event in events):
            raise PayloadTooLarge("too large")
        self.got += events
        await super().append(events)


def event(number: int, kind: str = "progress", size: int = 0) -> Event:
    return Event(kind=kind, job_id=f"j{number}", queue="q", data=b"x" * size, at=float(number))


@asynccontextmanager
async def writing(**settings: Any) -> AsyncGenerator[tuple[EventWriter, Log]]:
    """A writer that runs, and its log."""
    config = Config(broker_url=memory_url(), event_buffer=64 * KIB, **settings)
    log = Log.on(config)
    await log.open()
    writer = EventWriter(log, config, "w")
    writer.start()
    try:
        yield writer, log
    finally:
        await writer.stop()
        await writer.last_words(0.1)
        await log.close()


def test_it_says_once_that_it_fills_up_that_it_drops_and_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    dropped: list[int] = []

    async def test() -> None:
        async with writing() as (writer, log):
            for _ in range(2):
                log.away = True
                for number in range(60):
                    writer.put(event(number, size=KIB))
                assert 0.9 <= writer.fullness <= 1.0
                writer.put(event(60, "attempt_failed", KIB))
                for number in range(61, 70):
                    writer.put(event(number, size=KIB))
                log.away = False
                await until(lambda: not writer.size)
            dropped.append(sum(writer.dropped.values()))
            assert dropped[0] == 140 - len(log.got)
            assert set(writer.dropped) == {"progress"}
            assert [each.kind for each in log.got].count("attempt_failed") == 2

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())
    said = [text for text in caplog.messages if text.startswith("the buffer")]
    assert [text.partition(":")[0].partition("%")[2] or text[:40] for text in said] == [
        " full",
        "the buffer of events is full, and they a",
        "the buffer of events has room again; eve",
    ] * 2
    assert "raise event_buffer" in said[0]
    assert said[2].endswith(f"dropped meanwhile: {dropped[0] // 2} progress")
    assert said[5].endswith(f"dropped meanwhile: {dropped[0] // 2} progress")


def test_what_can_never_be_written_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with writing() as (writer, log):
            log.refuses = "log"
            writer.put(event(1), event(2, "log"), event(3, "metric"))
            await until(lambda: not writer.size)
            assert [each.at for each in log.got] == [1, 3]
            assert writer.dropped == {"log": 1}

    run(test())
    assert "an event (log) of job j2 cannot be stored: too large" in caplog.text


def test_with_block_nothing_is_dropped_and_nothing_more_is_claimed() -> None:
    app = make_app(event_overflow="block", event_buffer=64 * KIB, concurrency=2)

    @app.task(name="chatty")
    async def chatty(number: int) -> int:
        current_context().progress(0.5, "x" * 10 * KIB)
        for n in range(5):
            current_context().record_metric("n", n)
        return number

    async def test() -> None:
        log = Log.on(app.config)
        async with app, working(app, backend=log) as worker:
            log.away = True
            jobs = await chatty.enqueue_many([chatty.call(n) for n in range(30)])
            events = worker.vitals.events
            assert events is not None
            await until(lambda: events.is_full)
            assert events.fullness < 1.5  # what ran then may still say what it had to say
            waiting = [job for job in jobs if await job.status() is JobState.QUEUED]
            assert len(waiting) > 10
            log.away = False
            for job in jobs:
                assert (await ended(job)).state is JobState.SUCCEEDED
            await until(lambda: not events.size)
            assert not events.dropped
            for job in jobs:
                assert [metric.value for metric in await job.metrics()] == [0, 1, 2, 3, 4]

    run(test())


def test_records_are_stored_though_no_event_is_and_the_end_says_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app()

    @app.task(name="fails", retry=[0.0])
    async def fails() -> None:
        current_context().progress(0.5)
        raise ValueError("no")

    async def test() -> None:
        log = Log.on(app.config)
        log.away = True
        async with app, working(app, backend=log):
            record = await ended(await fails.enqueue())
            assert (record.state, record.attempt) == (JobState.FAILED, 2)

    run(test())
    assert "3 events of jobs are lost: the broker did not take them before the end" in caplog.text


def test_metrics_beyond_what_an_attempt_keeps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.inside.taken.MOST_METRICS", 10)
    app = make_app()

    @app.task(name="measures")
    async def measures() -> None:
        for number in range(25):
            current_context().record_metric("n", number)

    async def test() -> None:
        async with app, working(app) as worker:
            job = await measures.enqueue()
            await job.result(timeout=DEADLINE)
            kept = [metric.value for metric in await job.metrics()]
            events = worker.vitals.events
            assert events is not None
            assert len(kept) + events.dropped["metric"] == 25
            assert events.dropped["metric"] > 0

    run(test())


def spilling(tmp_path: Path, url: str) -> Naq:
    return make_app(
        broker_url=url, event_overflow="spill", event_spill_dir=str(tmp_path), event_buffer=64 * KIB, namespace="s"
    )


def test_what_one_worker_could_not_write_the_next_one_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = memory_url()

    async def first() -> str:
        app = spilling(tmp_path, url)

        @app.task(name="chatty")
        async def chatty() -> None:
            for n in range(500):
                current_context().record_metric("n", n)

        log = Log.on(app.config)
        log.away = True
        async with app, working(app, backend=log) as worker:
            job = await chatty.enqueue()
            assert (await ended(job)).state is JobState.SUCCEEDED
            assert worker.vitals.report().facts["events_spilled"] > 500 * 20
        return job.id

    async def second(job_id: str) -> None:
        app = spilling(tmp_path, url)
        async with app, working(app):

            async def all_there() -> bool:
                return [metric.value for metric in await app.job(job_id).metrics()] == list(range(500))

            await until_so(all_there)
        assert list((tmp_path / "s").iterdir()) == []

    async def both() -> None:
        keeps = connect(Config(broker_url=url, namespace="s"))  # the store, while nobody else has it
        await second(await first())
        await keeps.close()

    with caplog.at_level(logging.INFO, "naq.worker"):
        run(both())
    assert "500 events of jobs that a worker left in" in caplog.text


def test_a_write_that_hangs_lets_events_into_the_file(tmp_path: Path) -> None:
    async def test() -> None:
        goes_on = asyncio.Event()

        class Hanging(Log):
            async def append(self, events: Sequence[Event]) -> None:
                await goes_on.wait()
                await super().append(events)

        config = Config(broker_url=memory_url(), event_overflow="spill", event_spill_dir=str(tmp_path))
        log = Hanging.on(config)
        await log.open()
        writer = EventWriter(log, config, "w")
        writer.start()
        writer.put(event(1), event(2))
        await until(lambda: writer.spilled == writer.size)
        writer.put(event(3))
        async with asyncio.timeout(DEADLINE):
            await writer.flush()  # in the file is good enough
        goes_on.set()
        await until(lambda: not writer.spilled)
        assert [each.at for each in log.got] == [1, 2, 3]
        await writer.stop()
        await writer.last_words(1.0)
        await log.close()

    run(test())


def test_who_gives_up_waiting_tears_no_write() -> None:
    """The outcome of a job waits for its last notes for so long, and many wait for the same write."""

    async def test() -> None:
        goes_on = asyncio.Event()

        class Hanging(Log):
            async def append(self, events: Sequence[Event]) -> None:
                await goes_on.wait()
                await super().append(events)

        config = Config(broker_url=memory_url())
        log = Hanging.on(config)
        await log.open()
        writer = EventWriter(log, config, "w")
        writer.start()
        for number in range(30):
            writer.put(event(number))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.0 if number % 2 else 0.001):
                    await writer.flush()
        waiting = [asyncio.create_task(writer.flush()) for _ in range(10)]
        await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(*waiting)
        assert [each.at for each in log.got] == list(range(30))
        log.away = True
        writer.put(event(30))
        with pytest.raises(NaqConnectionError):
            await writer.flush()
        goes_on.clear()
        await writer.stop()
        log.away = False
        await writer.last_words(0.01)
        await log.close()

    run(test())


def test_a_worker_says_how_full_the_buffer_is() -> None:
    async def test() -> None:
        async with writing() as (writer, log):
            vitals = Vitals("w", concurrency=1, lease=30.0)
            assert "events_fullness" not in vitals.report().facts
            vitals.watch_events(writer)
            log.away = True
            writer.put(event(1, size=32 * KIB))
            facts = vitals.report().facts
            assert 0.5 < facts["events_fullness"] < 0.6
            assert (facts["events_dropped"], facts["events_spilled"]) == ({}, 0)

    run(test())
