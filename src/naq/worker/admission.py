"""Asking a job's limits before it runs, and keeping a worker's permits alive (`naq.limits`)."""

from __future__ import annotations

import logging

from naq import clock
from naq.limits import permits
from naq.limits.declared import needs_of
from naq.limits.kinds import GROUPS
from naq.limits.limiter import Limiter
from naq.limits.shared import Cell, Store
from naq.worker.flights import Flight
from naq.worker.outcome import Released
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

ROUNDS = 3  # in a lease: one renewal may fail, and the next still comes in time


async def admit(limiter: Limiter, flight: Flight) -> Released | None:
    """Whether the job of `flight`, whose task has limits, may run; if so, `leave` has to be called after it.

    Raises:
        NaqConnectionError: the backend cannot be asked.
    """
    task, envelope = flight.task, flight.envelope
    assert task is not None
    assert envelope is not None
    assert task.declared.limits is not None
    needs = needs_of(flight.name, task.declared.limits, envelope.limits)
    put_off = await limiter.admit(needs, flight.claim.job.reason)
    if put_off is not None:
        return Released(put_off.delay, put_off.reason)
    flight.needs = needs
    return None


def leave(limiter: Limiter, flight: Flight) -> None:
    """The job of `flight`, which was let in, has ended."""
    needs, flight.needs = flight.needs, None
    if needs is not None:
        limiter.done(needs, clock.monotonic() - flight.begun_at if flight.begun_at else None)


class Renewer(Service):
    """Keeps the permits of a worker, from the thread that keeps its leases: they end with the worker, not before."""

    def __init__(self, store: Store, limiter: Limiter, worker: str, *, lease: float) -> None:
        super().__init__("permit renewer", interval=lease / ROUNDS)
        self._store = store
        self._limiter = limiter
        self._worker = worker
        self._lease = lease

    async def run_once(self) -> int:
        """Renew what is held; how many groups that were."""
        held = self._limiter.holding()
        for key, name, most in held:
            until = 0.0

            def work(value: bytes | None, name: str = name, most: int = most) -> tuple[bytes | None, float | None, int]:
                nonlocal until
                now = clock.now()
                until = now + self._lease
                there = permits.read(value, name, most)
                mine = next((each.count for each in permits.living(there, now) if each.worker == self._worker), 0)
                if not mine:  # given back a moment ago; or they had run out, and the next job asks anew
                    return None, None, 0
                after, got = permits.hold(there, self._worker, mine, now, until)
                return permits.write(after), permits.lifetime(after, now), got

            if await Cell(GROUPS, key).change(self._store, work):
                self._limiter.renewed(key, until)
        return len(held)
