"""Holding a queue still: the broker hands out nothing of it while a block runs, and nobody but us ends that.

The broker pauses the lanes, for `HOLD` seconds at most: if we die, that ends by itself. A note that lives for `TURN`
seconds says that the queue is held. Whoever ends a pause, sets a limit, or holds it himself waits until the note is
gone, as each of these would let jobs out under our hands; we touch nothing once it may be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from naq import clock
from naq.backends.nats import messages
from naq.backends.nats.entries import Entries
from naq.backends.nats.queues import Queues
from naq.backends.nats.subjects import ALL_LANES, consumer
from naq.backends.nats.topology import ensure_lane
from naq.exceptions import BackendError, NaqException
from naq.job import Priority
from naq.names import check_token

HOLD: Final = (
    20.0  # seconds that a pause of ours lasts at most; an election may delay a timer by 6 s (RELIABILITY.md 2)
)
TURN: Final = 5.0  # seconds of a turn, many times what one takes; so another finds the pause of who died in it
_SURE: Final = TURN - 1.0  # seconds in which it is ours for certain, however late the broker's answer came
_NOTE: Final = "hold"  # the kind of entry that says so of a queue
_LOOK: Final = 0.01  # seconds between two looks whether a pause is in force; where replicas agree, some ms later
_ASK: Final = 0.05  # seconds between two looks whether another one is done


class Held(NamedTuple):
    """A queue of which nothing is handed out.

    Attributes:
        delivered: what each lane has handed out, as a sequence of the stream.
        now: the broker's time, UNIX seconds.
        until: monotonic time after which others may let its jobs out.
    """

    delivered: dict[Priority, int]
    now: float
    until: float


class Hold(Queues, Entries):
    """`Queues` in turn, so that a queue that somebody holds stays as it is."""

    async def resume(self, queue: str) -> None:
        """End a pause; see `JobAdmin.resume`."""
        async with self._turn(queue):
            await super().resume(queue)

    async def limit(self, queue: str, concurrency: int | None) -> None:
        """Cap a queue; see `JobAdmin.limit`."""
        async with self._turn(queue):
            await super().limit(queue, concurrency)

    @asynccontextmanager
    async def _turn(self, queue: str) -> AsyncGenerator[float]:
        """Be the only one in the block who lets jobs of `queue` out or holds them, until the monotonic time given."""
        self.must_be_open()
        check_token("queue", queue)
        asked = clock.monotonic()
        deadline = asked + HOLD + self.config.connect_timeout
        while (version := await self.put(_NOTE, queue, b"", expect=0, ttl=TURN)) is None:
            if clock.monotonic() > deadline:
                raise BackendError(f"queue {queue} is held still by somebody who moves or edits its jobs: try again")
            await asyncio.sleep(_ASK)
            asked = clock.monotonic()
        try:
            yield asked + _SURE
        finally:
            with suppress(NaqException):  # it ends by itself
                await self.remove(_NOTE, queue, expect=version)

    @asynccontextmanager
    async def held(self, queue: str) -> AsyncGenerator[Held]:
        """Let nothing of `queue` be handed out in the block; a pause that was there stays."""
        async with self._turn(queue) as until, self._paused(queue, until) as held:
            yield held

    @asynccontextmanager
    async def _paused(self, queue: str, ours_until: float) -> AsyncGenerator[Held]:
        infos: dict[Priority, dict[str, Any]] = {p: await self.lane_info(queue, p) for p in ALL_LANES}
        now, since = max(messages.stored_at(info["ts"]) for info in infos.values()), clock.monotonic()
        until = now + HOLD
        ours: list[Priority] = [
            priority
            for priority, info in infos.items()
            if not info.get("paused") or messages.stored_at(info["config"].get("pause_until", "")) < until
        ]
        try:
            end = datetime.fromtimestamp(until, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            for priority in ours:
                await self._pause_lane(queue, priority, {"pause_until": end})
            while not all([(await self.lane_info(queue, priority)).get("paused") for priority in ALL_LANES]):
                if clock.monotonic() - since > self.config.connect_timeout:
                    raise BackendError(f"queue {queue} could not be held still: try again")
                await asyncio.sleep(_LOOK)
            await self.applied()  # what was handed out before the pause may be on its way between servers
            await self.recall(queue)  # what workers were handed and have not taken
            yield Held(await self.delivered(queue), now + clock.monotonic() - since, ours_until)
        finally:
            # Where this fails, the pause ends by itself.
            with suppress(NaqException):
                await self._let_go(queue, ours, until)

    async def _let_go(self, queue: str, lanes: Sequence[Priority], until: float) -> None:
        """End our pause, unless somebody else has made it theirs meanwhile."""
        for priority in lanes:
            info = await self.lane_info(queue, priority)
            if abs(messages.stored_at(info["config"].get("pause_until", "")) - until) < 0.001:
                await self._pause_lane(queue, priority, {})
        if lanes:
            await self.recall(queue)  # standing pulls are noticed at once that way

    async def _pause_lane(self, queue: str, priority: Priority, body: dict[str, Any]) -> None:
        await self.js.call(f"CONSUMER.PAUSE.{self.subjects.jobs}.{consumer(queue, priority)}", body)

    async def delivered(self, queue: str) -> dict[Priority, int]:
        """The stream sequence up to which each lane of `queue` has handed out."""
        infos = await asyncio.gather(*(self.lane_info(queue, priority) for priority in ALL_LANES))
        return {p: int(info["delivered"]["stream_seq"]) for p, info in zip(ALL_LANES, infos, strict=True)}

    async def lane_info(self, queue: str, priority: Priority) -> dict[str, Any]:
        """What the broker says of the consumer of a lane, made again where somebody deleted it."""
        info = await self._info(queue, priority)
        if info is None:
            await ensure_lane(self.js, self.config, self.subjects, queue, priority)
            info = await self._info(queue, priority)
        if info is None:
            raise BackendError(f"queue {queue} has no consumer {consumer(queue, priority)}, and none could be made")
        return info
