"""Releasing jobs that wait for others: done by one worker of the fleet at a time, for all of them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from naq import clock
from naq.backends.base import Registry
from naq.codec.reader import Reader
from naq.exceptions import NaqException
from naq.flow.resolver import Resolver, Watched
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

LEADERSHIP: Final = "flow"
#: Seconds a leadership lasts, and between two renewals.
LEASE, RENEW = 10.0, 3.0
#: Seconds between two looks at everything that waits, and how long they may take in relation to that.
AUDIT: Final = 60.0
SHARE: Final = 0.05


class Released(Watched, Registry, Protocol):
    """What it needs of a backend."""


class Releasing(Service):
    """Takes or renews the leadership, and while it holds it, listens to the log and looks through what waits.

    Two leaders at once do no harm: each release has one winner.

    Attributes:
        released: jobs that moved so far by this worker's doing.
    """

    def __init__(self, backend: Released, read: Reader, worker: str, *, audit: float = AUDIT) -> None:
        super().__init__("releasing", interval=0)
        self.released = 0
        self._backend = backend
        self._read = read
        self._worker = worker
        self._every = audit
        self._resolver: Resolver | None = None
        self._auditing: asyncio.Task[None] | None = None
        self._audit_at = 0.0
        self._leads = False

    async def run_once(self) -> int:
        """Lead for a moment; how many jobs moved. 0 where another worker leads."""
        until = await self._backend.lead(LEADERSHIP, self._worker, ttl=LEASE)
        if until is None:
            await self._lay_down()
            self.interval = RENEW
            return 0
        self.interval = 0
        if self._resolver is None:
            resolver = Resolver(self._backend, self._read)
            await resolver.begin()
            self._resolver, self._audit_at = resolver, 0.0
        moved, end = 0, min(until, clock.monotonic() + RENEW)
        while (left := end - clock.monotonic()) > 0:
            self._look(self._resolver)
            moved += await self._resolver.step(wait=left)
        self.released += moved
        return moved

    def _look(self, resolver: Resolver) -> None:
        """Begin the next look at everything, when it is time; it goes on beside the rounds."""
        if self._auditing is None and clock.monotonic() >= self._audit_at:
            resolver.looking = True
            self._auditing = asyncio.get_running_loop().create_task(self._audit(resolver), name="naq-flow-audit")

    async def _audit(self, resolver: Resolver) -> None:
        begun = clock.monotonic()
        pause = self._every
        try:
            self.released += await resolver.audit()
            pause = max(pause, (clock.monotonic() - begun) / SHARE)
        except NaqException as error:
            log.warning("releasing: could not look at what waits: %s; trying again", error)
            pause = RENEW
        except Exception:  # a defect in one look must not end all others: the log goes on releasing meanwhile
            log.exception("releasing: a look at what waits failed; going on")
        finally:
            resolver.looking = False
            self._auditing, self._audit_at = None, clock.monotonic() + pause

    async def _lay_down(self) -> None:
        self._resolver = None
        if (task := self._auditing) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop(self) -> None:
        """End; see `Service.stop`."""
        await super().stop()
        self._leads = self._leads or self._resolver is not None
        await self._lay_down()

    async def resign(self) -> None:
        """Let another worker lead at once."""
        if self._leads:
            self._leads = False
            try:
                await self._backend.resign(LEADERSHIP, self._worker)
            except NaqException as error:  # the lease runs out by itself
                log.debug("could not resign: %s", error)
