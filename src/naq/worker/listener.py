"""Hints from other processes. They only make things faster: every one of them may be lost."""

from __future__ import annotations

from naq.backends.base import Signals
from naq.worker.flights import Flights, Verdict
from naq.worker.keeper import Interrupt
from naq.worker.service import Service


class Listener(Service):
    """Interrupts a running job as soon as its cancellation is signalled; without it the keeper's next round does.

    Likewise has `holding` look at once when a task is paused or resumed.
    """

    def __init__(self, signals: Signals, flights: Flights, interrupt: Interrupt, holding: Service) -> None:
        super().__init__("listener", interval=1.0)
        self._signals = signals
        self._flights = flights
        self._interrupt = interrupt
        self._holding = holding

    async def run_once(self) -> int:
        """Listen until the signals end; how many were for us."""
        heard = 0
        async for signal in self._signals.listen():
            if signal.kind == "cancel" and (flight := self._flights.get(signal.subject)) is not None:
                heard += 1
                self._interrupt(flight, Verdict.CANCEL)
            elif signal.kind == "pause":
                self._holding.nudge()
        return heard


class OrderListener(Service):
    """Has `orders` look at once when there is something new for `worker`."""

    def __init__(self, signals: Signals, worker: str, orders: Service) -> None:
        super().__init__("order listener", interval=1.0)
        self._signals, self._worker, self._orders = signals, worker, orders

    async def run_once(self) -> int:
        """Listen until the signals end; how many were for us."""
        heard = 0
        async for signal in self._signals.listen():
            if signal.kind == "order" and signal.subject == self._worker:
                heard += 1
                self._orders.nudge()
        return heard
