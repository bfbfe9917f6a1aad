"""Durable steps: done once however often the job begins again; sleeping and waiting hold no slot."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq import ConfigurationError, JobExecutionError, current_context
from naq.inside.waiting import read_delay
from naq.job import JobState
from tests.tools import DEADLINE, Place, until_so, working


@dataclass
class Receipt:
    number: int
    at: datetime


def test_a_step_is_done_once_and_its_result_keeps_its_type(place: Place) -> None:
    app = place.make()
    calls: list[str] = []

    async def charge(amount: int, *, currency: str) -> Receipt:
        calls.append(f"charge {amount} {currency}")
        return Receipt(7, datetime(2026, 1, 2, tzinfo=UTC))

    def book(receipt: Receipt) -> None:
        calls.append(f"book {receipt.number}")

    @app.task(name="order", retry=[0.01, 0.01])
    async def order() -> str:
        context = current_context()
        receipt = await context.step("charge", charge, 5, currency="EUR")
        assert receipt == Receipt(7, datetime(2026, 1, 2, tzinfo=UTC))
        if context.attempt == 1:
            raise ValueError("after the first step")
        await context.step("book", book, receipt)
        if context.attempt == 2:
            raise ValueError("after the second step")
        return f"{receipt.number} by attempt {context.attempt}"

    async def main() -> None:
        async with working(app):
            job = await order.enqueue()
            assert await job.result(timeout=DEADLINE) == "7 by attempt 3"
            assert [(step.name, step.attempt) for step in await job.steps()] == [("charge", 1), ("book", 2)]

    asyncio.run(main())
    assert calls == ["charge 5 EUR", "book 7"]


def test_a_step_that_failed_is_done_again(place: Place) -> None:
    app = place.make()
    calls: list[int] = []

    def fragile() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("not now")
        return len(calls)

    @app.task(name="plain", retry=[0.01])
    def plain() -> int:
        return current_context().step_sync("fragile", fragile)

    async def main() -> None:
        async with working(app):
            assert await (await plain.enqueue()).result(timeout=DEADLINE) == 2

    asyncio.run(main())


def test_steps_of_one_name_are_numbered(place: Place) -> None:
    app = place.make()
    sent: list[str] = []

    def send(to: str) -> str:
        sent.append(to)
        return to.upper()

    @app.task(name="mails", retry=[0.01])
    async def mails() -> list[str]:
        context = current_context()
        done = [await context.step("send", send, to) for to in ("a", "b", "c")]
        if context.attempt == 1:
            raise ValueError("again")
        return done

    async def main() -> None:
        async with working(app):
            job = await mails.enqueue()
            assert await job.result(timeout=DEADLINE) == ["A", "B", "C"]
            assert [step.name for step in await job.steps()] == ["send", "send#2", "send#3"]

    asyncio.run(main())
    assert sent == ["a", "b", "c"]


def test_what_a_step_returns_must_be_storable(place: Place) -> None:
    app = place.make()

    @app.task(name="odd")
    async def odd() -> Any:
        return await current_context().step("odd", object)

    async def main() -> None:
        async with working(app):
            with pytest.raises(JobExecutionError, match="step 'odd'"):
                await (await odd.enqueue()).result(timeout=DEADLINE)

    asyncio.run(main())


def test_sleeping_holds_no_slot_and_counts_no_attempt(place: Place) -> None:
    app = place.make(concurrency=1)
    begun: list[float] = []

    @app.task(name="sleepy")
    async def sleepy() -> tuple[int, int]:
        context = current_context()
        begun.append(time.monotonic())
        first = await context.step("first", lambda: len(begun))
        await context.sleep(seconds=1)
        await context.sleep(0.1)
        return first, context.attempt

    @app.task(name="quick")
    async def quick() -> float:
        return time.monotonic()

    async def main() -> None:
        async with working(app):
            job = await sleepy.enqueue()

            async def it_sleeps() -> bool:
                record = await job.record()
                return record.state is JobState.SCHEDULED and "sleeps until" in record.reason

            await until_so(it_sleeps)
            assert await (await quick.enqueue()).result(timeout=DEADLINE) < begun[0] + 1.0  # in the only slot
            assert await job.result(timeout=DEADLINE) == (1, 1)

    asyncio.run(main())
    assert len(begun) == 3
    assert begun[1] - begun[0] >= 0.99
    assert begun[2] - begun[1] >= 0.09


def test_a_plain_function_sleeps_as_well(place: Place) -> None:
    app = place.make()
    begun: list[int] = []

    @app.task(name="plain")
    def plain() -> int:
        begun.append(1)
        current_context().sleep_sync(timedelta(milliseconds=50))
        return len(begun)

    async def main() -> None:
        async with working(app):
            assert await (await plain.enqueue()).result(timeout=DEADLINE) == 2

    asyncio.run(main())


def test_an_event_wakes_the_job_that_waits_for_it(place: Place) -> None:
    app = place.make(concurrency=1)
    paid = app.event("payment.received", Receipt)
    seen: list[int] = []

    @app.task(name="ship")
    async def ship(order: str) -> int:
        seen.append(1)
        receipt = await current_context().wait_for_event("payment.received", Receipt, match=order)
        return receipt.number

    async def main() -> None:
        async with working(app):
            job, other = await ship.enqueue("order 7"), await ship.enqueue("order 8")
            for each in (job, other):
                await until_so(lambda each=each: _waits(each))
            await paid.publish(Receipt(1, datetime.now(UTC)), key="order 9")
            await paid.publish(Receipt(2, datetime.now(UTC)), key="order 7")
            assert await job.result(timeout=DEADLINE) == 2
            assert await other.status() is JobState.SCHEDULED
            await paid.publish(Receipt(3, datetime.now(UTC)), key="order 8")
            assert await other.result(timeout=DEADLINE) == 3
            assert await (await app.connect()).entries("waiter") == []

    async def _waits(job: Any) -> bool:
        record = await job.record()
        return record.state is JobState.SCHEDULED and "waits for event payment.received" in record.reason

    asyncio.run(main())
    assert len(seen) == 4


def test_an_event_that_comes_while_the_job_is_about_to_wait_is_not_lost(place: Place) -> None:
    app = place.make()
    seen: list[int] = []

    @app.task(name="ask")
    def ask() -> str:
        context = current_context()
        seen.append(1)
        try:
            return context.wait_for_event_sync("answer", str)
        except BaseException:
            if len(seen) == 1:  # between its word that it waits and its end
                app.event("answer", str).publish_sync("42")
                told.wait(DEADLINE)
            raise

    told = threading.Event()

    async def main() -> None:
        async with working(app):
            job = await ask.enqueue()
            backend = await app.connect()

            async def it_was_told() -> bool:
                entries = await backend.entries("waiter")
                return any(b'"got"' in entry.value for entry in entries)

            await until_so(it_was_told)
            told.set()
            assert await job.result(timeout=DEADLINE) == "42"

    asyncio.run(main())


def test_an_event_that_does_not_come_in_time(place: Place) -> None:
    app = place.make()

    @app.task(name="impatient", retry=[0.01])
    async def impatient() -> str:
        context = current_context()
        try:
            await context.wait_for_event("never", timeout=0.1)
        except TimeoutError as error:
            if context.attempt == 1:
                raise ValueError("later attempts see it as well") from error
            return str(error)
        return "it came"

    async def main() -> None:
        async with working(app):
            job = await impatient.enqueue()
            assert await job.result(timeout=DEADLINE) == "event never did not come in time"

    asyncio.run(main())


def test_delays() -> None:
    assert read_delay(None, days=3, hours=1) == 3 * 86400 + 3600
    assert read_delay(timedelta(minutes=1), seconds=1) == 61
    assert read_delay(0) == 0
    for given in ({}, {"days": -1}, {"days": 36500}):
        with pytest.raises(ConfigurationError):
            read_delay(None, **given)
    with pytest.raises(ConfigurationError):
        read_delay(float("nan"))
