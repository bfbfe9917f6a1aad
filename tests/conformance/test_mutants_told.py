"""As `test_mutants`: backends that tell the wrong worker, or in the wrong word, must fail the suite."""

from __future__ import annotations

from contextlib import suppress

import pytest
from memory_harness import CONFIG, SetTime
from test_mutants import Mutant

from naq.backends.base import Signal
from naq.backends.memory import forget
from naq.exceptions import ConfigurationError
from naq.testing import conformance
from naq.testing.clock import FakeClock


class RepeatsOrders(Mutant):
    """Says each order again when the next is given, as if it were meant for both workers."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # pyright: ignore[reportArgumentType] - whatever the healthy one takes
        self._told: list[Signal] = []

    async def send(self, signal: Signal) -> None:
        self._told.append(signal)
        for each in self._told:
            await super().send(each)


class TakesOrdersForWakes(Mutant):
    async def send(self, signal: Signal) -> None:
        await super().send(Signal(kind="wake", subject=signal.subject) if signal.kind == "order" else signal)


class TakesAnySubject(Mutant):
    async def send(self, signal: Signal) -> None:
        with suppress(ConfigurationError):
            await super().send(signal)


def test_a_signal_for_nobody_that_is_taken_is_noticed() -> None:
    try:
        with FakeClock() as time, pytest.raises(pytest.fail.Exception):
            conformance.TestSignals().test_a_subject_that_is_no_name(SetTime(time, TakesAnySubject.connect))
    finally:
        forget(CONFIG)


@pytest.mark.parametrize("mutant", [RepeatsOrders, TakesOrdersForWakes])
def test_an_order_that_is_told_wrong_is_noticed(mutant: type[Mutant]) -> None:
    try:
        with FakeClock() as time, pytest.raises(AssertionError):
            conformance.TestSignals().test_an_order_is_for_one_worker(SetTime(time, mutant.connect))
    finally:
        forget(CONFIG)
