"""What a worker knows about itself without asking anybody: the answer to "are you alive?" and "are you ready?"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from naq import clock
from naq.backends.base import Health
from naq.worker.buffer.writer import EventWriter
from naq.worker.flights import Flights
from naq.worker.keeper import Keeper
from naq.worker.presence import State
from naq.worker.tally import Tally, snapshot
from naq.worker.watchdog import Watchdog

#: Seconds that the event loop may be blocked until the worker counts as not ready, and until it counts as dead: a
#: task that blocks that long will hardly come back, and a restart frees the other jobs.
UNREADY, STUCK = 15.0, 300.0


class Report(Struct, frozen=True):
    """How a process is. `facts` are for people and dashboards."""

    live: bool
    ready: bool
    detail: str
    facts: dict[str, Any] = {}


class Numbers(Struct, frozen=True):
    """What is counted and measured about a worker process.

    Attributes:
        tally: what was counted since it started.
        gauges: what is so now, by name.
        dropped: events dropped since it started, by kind.
    """

    tally: Tally
    gauges: dict[str, float] = {}
    dropped: dict[str, int] = {}


class Vitals:
    """Filled in by the parts of a worker as they come up; `report` is for any thread and never waits.

    Attributes:
        worker: its id.
        state: of its life.
        retiring: why it ends by itself; empty if it does not.
        dismissed: whether somebody told it to go, so that nobody need take its place.
        events: what the events of its jobs go through; None before there is any.
    """

    def __init__(self, worker: str, *, concurrency: int, lease: float) -> None:
        self.worker: Final = worker
        self.state: State = "starting"
        self.retiring = ""
        self.dismissed = False
        self.when_dismissed: Callable[[], None] = lambda: None
        self._concurrency = concurrency
        self._lease = lease
        self._health: Callable[[], Health] | None = None
        self._flights: Flights | None = None
        self._keeper: Keeper | None = None
        self.events: EventWriter | None = None
        self._watchdog: Watchdog | None = None

    def watch(self, health: Callable[[], Health], flights: Flights) -> None:
        """What the worker's main loop uses."""
        self._health, self._flights = health, flights

    def watch_events(self, events: EventWriter) -> None:
        """What the events of jobs go through."""
        self.events = events

    def watch_lifeline(self, keeper: Keeper, watchdog: Watchdog) -> None:
        """What runs beside it."""
        self._keeper, self._watchdog = keeper, watchdog

    def dismiss(self) -> None:
        """Note that somebody told it to go, and pass that on (`when_dismissed`) before anything else happens."""
        self.dismissed = True
        self.when_dismissed()

    def numbers(self) -> Numbers:
        """What is counted and measured about the worker, right now."""
        flights, events, renewed = self._flights, self.events, self._renewed_ago()
        broker = Health(ready=False) if self._health is None else self._health()
        return Numbers(
            tally=Tally() if flights is None else snapshot(flights.tally),
            gauges={
                "ready": float(self.report().ready),
                "concurrency": self._concurrency if flights is None else flights.slots,
                "running": 0 if flights is None else flights.running,
                "unsettled": 0 if flights is None else len(flights) - flights.running,
                "loop_lag": 0.0 if self._watchdog is None else self._watchdog.lag,
                "claims_cached": broker.cached,
                "claims_asked": broker.asked,
                **({} if renewed is None else {"leases_renewed_ago": renewed}),
                **({} if events is None else {
                    "events_bytes": events.size, "events_capacity": events.capacity, "events_spilled": events.spilled,
                }),
            },
            dropped={} if events is None else dict(events.dropped),
        )  # fmt: skip

    def report(self) -> Report:
        """How the worker is, right now."""
        lag = 0.0 if self._watchdog is None else self._watchdog.lag
        renewed = self._renewed_ago()
        broker = Health(ready=False, detail="not open") if self._health is None else self._health()
        detail = self._objection(broker, lag, renewed)
        flights = self._flights
        return Report(
            live=lag < STUCK,
            ready=not detail,
            detail=detail or broker.detail,
            facts={
                "worker": self.worker,
                "state": self.state,
                "retiring": self.retiring,
                "broker": broker.detail,
                "loop_lag": round(lag, 3),
                "leases_renewed_ago": None if renewed is None else round(renewed, 3),
                "concurrency": self._concurrency if flights is None else flights.slots,
                "running": 0 if flights is None else flights.running,
                "processed": 0 if flights is None else flights.processed,
                "failed": 0 if flights is None else flights.failed,
                **({} if self.events is None else _facts(self.events)),
            },
        )

    def _objection(self, broker: Health, lag: float, renewed: float | None) -> str:
        if not broker.ready:
            return broker.detail or "the broker is not connected"
        if self.state != "running":
            return f"the worker is {self.state}"
        if lag >= UNREADY:
            return f"its event loop has been blocked for {lag:.0f} s"
        if renewed is not None and renewed > self._lease:
            return f"its leases were last renewed {renewed:.0f} s ago"
        return ""

    def _renewed_ago(self) -> float | None:
        keeper = self._keeper
        return None if keeper is None or not keeper.done_at else clock.monotonic() - keeper.done_at


def _facts(events: EventWriter) -> dict[str, Any]:
    return {
        "events_fullness": round(events.fullness, 3),
        "events_dropped": dict(events.dropped),
        "events_spilled": events.spilled,
    }
