"""Timers that are long past due: the broker could not store what they should have put in line, and gave up (0.8)."""

from __future__ import annotations

import logging
from typing import Final

from naq import clock
from naq.backends.nats import messages
from naq.backends.nats.api import Message
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.registry import Registry

_log = logging.getLogger("naq.upkeep")
PAST_DUE: Final = 30.0  # seconds; a timer fires within 0.25 s, and within 9 s of a failover
REST: Final = 10.0  # seconds between a look at the last timer and the next at the first


class Overdue:
    """Looks through the timers, a part each round, and publishes stuck ones anew, which sets them going."""

    def __init__(self, session: Registry) -> None:
        self._session = session
        self._after = 0
        self._rest_until = 0.0  # monotonic seconds

    async def round(self, limit: int) -> int:
        """Look at up to `limit` timers from where the last round ended; how many were stuck."""
        session, mended, seen = self._session, 0, 0
        if clock.monotonic() < self._rest_until:
            return 0
        # By the broker's clock, which fires them: ours may be an hour ahead, and would set off what is not due.
        info = await session.js.call(f"STREAM.INFO.{session.subjects.jobs}")
        now = messages.stored_at(info["ts"])
        async for timer in session.js.walk(
            session.subjects.jobs, session.subjects.timers(), after=self._after, limit=limit
        ):
            seen += 1
            self._after = timer.sequence
            due = messages.time_of(timer.headers.get(messages.SCHEDULE, ""))
            if due and due < now - PAST_DUE:
                mended += await self._again(timer, now)
        if seen < limit:
            self._after, self._rest_until = 0, clock.monotonic() + REST
        if mended:
            _log.warning("%d timers were more than %g s past due and have been set again", mended, PAST_DUE)
        return mended

    async def _again(self, timer: Message, now: float) -> bool:
        """Publish a timer in its own place, due now; one winner."""
        kept = {k: v for k, v in timer.headers.items() if not k.startswith("Nats-")}
        schedule = {k: v for k, v in timer.headers.items() if k in {messages.TARGET, messages.ROLLUP}}
        lines = {
            messages.EXPECT: str(timer.sequence),
            messages.SCHEDULE: messages.at(now),
            **schedule,
            **kept,
        }
        header = messages.block("".join(f"{k}: {v}\r\n" for k, v in lines.items()))
        try:
            await self._session.courier.publish(
                timer.subject.encode(), timer.data, header, timeout=self._session.config.publish_timeout
            )
        except Conflict:
            return False  # it fired, or another leader was quicker
        return True
