"""Releasing jobs that wait for others, all of the fleet: a duty of the leader."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from naq import clock
from naq.codec.reader import Reader
from naq.exceptions import NaqException
from naq.flow.resolver import Resolver, Watched
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

#: Seconds between two looks at everything that waits, and how long they may take in relation to that.
AUDIT: Final = 60.0
SHARE: Final = 0.05
#: Seconds until another try where one failed, and between two looks whether a look has ended.
AGAIN: Final = 3.0


class Releasing(Service):
    """Listens to the log and looks through what waits. From two processes at once: each release has one winner.

    Attributes:
        released: jobs that moved so far by this process's doing.
    """

    def __init__(self, backend: Watched, read: Reader, *, audit: float = AUDIT) -> None:
        super().__init__("releasing", interval=0)
        self.released = 0
        self._backend = backend
        self._read = read
        self._every = audit
        self._resolver: Resolver | None = None
        self._auditing: asyncio.Task[None] | None = None
        self._audit_at = 0.0

    async def run_once(self) -> int:
        """Wait for what happens next, until it is time to look; how many jobs moved."""
        if self._resolver is None:
            resolver = Resolver(self._backend, self._read)
            await resolver.begin()
            self._resolver, self._audit_at = resolver, 0.0
        self._look(self._resolver)
        left = AGAIN if self._auditing is not None else self._audit_at - clock.monotonic()
        moved = await self._resolver.step(wait=max(left, 0.0))
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
            pause = AGAIN
        except Exception:  # a defect in one look must not end all others: the log goes on releasing meanwhile
            log.exception("releasing: a look at what waits failed; going on")
        finally:
            resolver.looking = False
            self._auditing, self._audit_at = None, clock.monotonic() + pause

    async def stop(self) -> None:
        """End; see `Service.stop`. It begins anew when it is started again."""
        await super().stop()
        self._resolver = None
        if (task := self._auditing) is not None:
            task.cancel()
            await asyncio.wait([task])
