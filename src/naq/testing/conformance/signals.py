"""Hints: they may be lost, so all that is tested is that nothing breaks, and that nothing is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from naq.backends.base import Backend, Signal
from naq.exceptions import ConfigurationError
from naq.testing.conformance.bench import QUIET, Bench, scenario


async def _hear(listening: AsyncIterator[Signal], heard: list[Signal]) -> None:
    async for signal in listening:
        heard.append(signal)  # noqa: PERF401  what was heard counts even if this is cancelled


class TestSignals:
    """`send` and `listen`."""

    @scenario
    async def test_what_is_heard_was_sent(self, bench: Bench) -> None:
        """Unchanged; nothing else of these subjects."""
        backend, other = await bench.open(), await bench.open()
        subject = bench.name()
        heard: list[Signal] = []
        listening = asyncio.ensure_future(_hear(other.listen(), heard))
        await bench.harness.advance(QUIET)
        kinds = ("wake", "cancel", "pause", "resume", "order")
        for kind in kinds:
            await backend.send(Signal(kind=kind, subject=subject))
        await bench.harness.advance(QUIET)
        await _stop(listening)
        mine = [signal.kind for signal in heard if signal.subject == subject]
        assert mine == [kind for kind in kinds if kind in mine]

    @scenario
    async def test_an_order_is_for_one_worker(self, bench: Bench) -> None:
        """Each is heard once at most, as an order, and of no other worker than it names; in the order sent."""
        backend, other = await bench.open(), await bench.open()
        workers = [bench.name("w") for _ in range(3)]
        heard: list[Signal] = []
        listening = asyncio.ensure_future(_hear(other.listen(), heard))
        await bench.harness.advance(QUIET)
        sent = [Signal(kind="order", subject=worker) for worker in workers]
        for order in sent:
            await backend.send(order)
        await bench.harness.advance(QUIET)
        await _stop(listening)
        mine = [signal for signal in heard if signal.subject in workers]
        assert mine == [order for order in sent if order in mine]

    @scenario
    async def test_nobody_listens(self, bench: Bench) -> None:
        """Sending waits for nobody."""
        backend = await bench.open()
        for _ in range(100):
            await bench.passing(backend.send(Signal(kind="wake", subject=bench.name())))

    @scenario
    async def test_a_listener_that_does_not_keep_up(self, bench: Bench) -> None:
        """Holds nobody up."""
        backend, lazy = await bench.open(), await bench.open()
        listening = lazy.listen()
        for _ in range(5_000):
            await backend.send(Signal(kind="wake", subject="busy"))
        await bench.enqueued(backend, bench.name())
        await _stop(asyncio.ensure_future(_hear(listening, [])))

    @scenario
    async def test_a_subject_that_is_no_name(self, bench: Bench) -> None:
        """Is refused, and nobody hears of it."""
        backend, other = await bench.open(), await bench.open()
        heard: list[Signal] = []
        listening = asyncio.ensure_future(_hear(other.listen(), heard))
        await bench.harness.advance(QUIET)
        for subject in ("", "a.b", "*", ">", "a b", "x" * 65):
            with pytest.raises(ConfigurationError):
                await backend.send(Signal(kind="wake", subject=subject))
        await bench.harness.advance(QUIET)
        await _stop(listening)
        assert heard == []

    @scenario
    async def test_closing_ends_listening(self, bench: Bench) -> None:
        """A listener of an instance that is closed comes to its end."""
        backend: Backend = await bench.open()
        listening = asyncio.ensure_future(_hear(backend.listen(), []))
        await bench.harness.advance(QUIET)
        await backend.close()
        await bench.passing(listening)


async def _stop(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
