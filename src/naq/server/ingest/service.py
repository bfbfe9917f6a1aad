"""The ingest as a whole: one server at a time reads the log, the others stand by; outages are waited out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from naq import clock
from naq.backends.base import Backend
from naq.chance import CHANCE
from naq.config import Config
from naq.exceptions import NaqConnectionError, NaqException
from naq.job import new_id
from naq.server.ingest.fold import Hide
from naq.server.ingest.presence import Presence
from naq.server.ingest.reader import Batch, Place, Reader
from naq.server.ingest.waiting import Waiting
from naq.server.store import Store

log = logging.getLogger("naq.server.ingest")

LEADERSHIP: Final = "history"  # of the registry: who reads the log
TTL: Final = 10.0  # seconds until another server takes over from one that died
RENEW: Final = 3.0  # seconds between two renewals, and between two tries of those that stand by
STANDING: Final = (
    1.0,
    5.0,
)  # seconds between two looks how far the log goes: while something comes, while nothing does
BUSY: Final = 2_000  # events behind the cursor over which jobs that wait are not looked at: most of them have ended
LOOK: Final = 0.5  # seconds between two looks at jobs that wait, where there was nothing new
SHARE: Final = 3.0  # seconds at most that jobs that wait are not looked at, however far behind the log is
SWEEP: Final = 5.0  # seconds between two sweeps of a thousand rows
PRESENCE: Final = 5.0  # seconds between two looks at workers and queues
STILL: Final = 5.0  # seconds of one round after which the history counts as standing still: a database may hang
ROUND: Final = 60.0  # seconds that a round may take: a database that hangs is left, and asked anew
BACKOFF: Final = (0.25, 5.0)  # seconds: the first pause after a failure, and the longest; a look costs a millisecond


class Lag(Struct, frozen=True):
    """How far the history is behind.

    Attributes:
        leading: whether this server reads the log.
        events: behind the cursor, at the last look.
        seconds: since the event at the cursor happened, or since there was none behind it, whichever is less: the next
            one is younger than that; or how long it has stood still; 0: neither.
        read, invalid: events read and refused, ever.
        problem: why it stands still; "": it does not.
    """

    leading: bool
    events: int
    seconds: float
    read: int
    invalid: int
    problem: str = ""


class Ingest:
    """Reads the log of `config.namespace` into `store` as long as `run` runs."""

    def __init__(self, backend: Backend, store: Store, config: Config, *, hide: Hide | None = None) -> None:
        self._backend = backend
        self._reader = Reader(backend, store, config, hide=hide)
        self._waiting = Waiting(backend, store, config.namespace, hide=hide)
        self._presence = Presence(backend, store)
        self._holder = new_id()
        self._until = 0.0  # monotonic seconds to which the leadership holds
        self._due = {"waiting": 0.0, "sweep": 0.0, "presence": 0.0}
        self._looked = self._stood = 0.0
        self._may_wait = True  # whether any row may be one of a job that waits: a sweep has something to look at
        self._restarts = 0
        self._began: float | None = None  # monotonic seconds: when the round that runs did, or the first that failed
        self._problem = ""
        self.on_batch: list[Callable[[Batch], None]] = []
        """Called after each batch is kept, on this server alone; must not raise or wait."""

    @property
    def place(self) -> Place:
        """How far the log has been read, as this server knows."""
        return self._reader.place

    def lag(self) -> Lag:
        """How far the history is behind, as this server knows."""
        place, ahead = self._reader.place, self._reader.ahead
        since = max(place.at / 1e6, self._reader.clear_at)
        seconds = max(clock.now() - since, 0.0) if ahead and since else 0.0
        still = 0.0 if self._began is None else clock.monotonic() - self._began
        if still > STILL:
            seconds = max(seconds, still)
        leading = self._until > clock.monotonic()
        return Lag(leading, ahead, seconds, place.events, place.invalid, self._problem)

    async def run(self) -> None:
        """Until it is cancelled. Nothing that happens to database or broker ends it."""
        pause = BACKOFF[0]
        try:
            while True:
                try:
                    if await self._lead():
                        if self._began is None:  # else the one before failed, and it stands still since then
                            self._began = clock.monotonic()
                        async with asyncio.timeout(ROUND):
                            await self._round()
                    else:
                        await asyncio.sleep(RENEW)
                    pause, self._problem, self._began = BACKOFF[0], "", None
                    continue
                except (NaqConnectionError, TimeoutError) as error:
                    if not self._problem:
                        log.warning("the history stands still: %s", error or "no answer")
                    self._problem = str(error) or f"no answer within {ROUND:g} s"
                except Exception as error:  # a loop that must survive: what is not written is still in the log
                    log.exception("the history stands still")
                    self._problem = f"{type(error).__name__}: {error}"
                self._reader.forget()
                await asyncio.sleep(pause * CHANCE.uniform(0.75, 1.25))
                pause = min(pause * 2, BACKOFF[1])
        finally:
            self._reader.forget()
            with contextlib.suppress(NaqException, TimeoutError):
                async with asyncio.timeout(2):
                    await self._backend.resign(LEADERSHIP, self._holder)
            self._until = 0.0

    async def _lead(self) -> bool:
        """Whether this server reads the log now."""
        now = clock.monotonic()
        if now < self._until - TTL + RENEW:
            return True
        was = self._until > now
        until = await self._backend.lead(LEADERSHIP, self._holder, ttl=TTL)
        self._until = until or 0.0
        if until is not None and not was:
            self._reader.forget()  # others have read meanwhile
            self._waiting.restart()
            self._may_wait = True
        return until is not None

    async def _round(self) -> None:
        """A batch of the log, and what is due beside it."""
        batch = await self._reader.step(wait=0.0 if self._reader.ahead else LOOK)
        if batch is not None:
            self._may_wait = True
            for tell in self.on_batch:
                tell(batch)
        now = clock.monotonic()
        if now - self._stood >= STANDING[batch is None]:
            self._stood = now
            await self._reader.look()
        if self._restarts != self._reader.restarts:
            self._restarts = self._reader.restarts
            self._waiting.restart()  # what waits is another list as well
        if self._reader.ahead < BUSY or now - self._looked > SHARE:
            if now >= self._due["waiting"]:
                self._looked = now
                more = await self._waiting.step()
                self._may_wait = self._may_wait or more is not None
                self._due["waiting"] = 0.0 if more else now + LOOK
            if self._may_wait and self._reader.ahead < BUSY and self._is_due("sweep", SWEEP, now):
                await self._waiting.sweep()
                self._may_wait = not self._waiting.is_bare
        if self._is_due("presence", PRESENCE, now):
            await self._presence.step()

    def _is_due(self, name: str, every: float, now: float) -> bool:
        if now < self._due[name]:
            return False
        self._due[name] = now + every
        return True
