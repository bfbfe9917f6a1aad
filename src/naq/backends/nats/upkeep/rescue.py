"""Jobs of a worker that died are handed back at once, instead of when their lease runs out.

Dead is told from slow by the broker: a dead process has no connection, so nobody is interested in its probe subject
and a request to it is refused at once; a stopped or busy one still is (docs/adr/0006).
"""

from __future__ import annotations

import logging
from typing import Final

from naq import clock
from naq.backends.nats import messages
from naq.backends.nats.client.errors import is_no_responders
from naq.backends.nats.registry import Registry, Word, place

_log = logging.getLogger("naq.upkeep")
ROUNDS: Final = 2  # refused probes in a row after which a worker is dead; one may hit a reconnect


class Rescue:
    """Watches the registered workers from round to round."""

    def __init__(self, session: Registry) -> None:
        self._session = session
        self._seen: dict[str, tuple[Word, float]] = {}
        self._silent: dict[str, int] = {}

    async def round(self) -> int:
        """Probe every worker that should live; how many claims were handed back."""
        session, rescued = self._session, 0
        registered = await session.registered()
        if not any(word.info.claims for word in (*registered, *(word for word, _ in self._seen.values()))):
            self._seen.clear()
            self._silent.clear()
            return 0
        # When they said so the broker knows best: we may lead since a moment ago, and their leases run since then.
        stream = await session.js.call(f"STREAM.INFO.{session.subjects.live}")
        now, broker_now = clock.monotonic(), messages.stored_at(stream["ts"])
        for word in registered:
            before = self._seen.get(word.info.id)
            if before is None or before[0].sequence != word.sequence:
                self._silent.pop(word.info.id, None)
            self._seen[word.info.id] = (word, now - max(broker_now - word.at, 0.0))
        for worker_id, (word, seen) in list(self._seen.items()):
            if word.info.state == "stopped" or now - seen > session.config.lease:
                self._forget(worker_id)
            elif not word.info.claims or await self._answers(worker_id):
                self._silent.pop(worker_id, None)
            elif self._count(worker_id) >= ROUNDS and now - seen > session.config.heartbeat_interval:
                # Where its registration has run out already, nothing is expected there.
                rescued += await self._hand_back(word if word in registered else word._replace(sequence=0), seen)
                self._forget(worker_id)
        return rescued

    def _count(self, worker_id: str) -> int:
        self._silent[worker_id] = self._silent.get(worker_id, 0) + 1
        return self._silent[worker_id]

    def _forget(self, worker_id: str) -> None:
        self._seen.pop(worker_id, None)
        self._silent.pop(worker_id, None)

    async def _answers(self, worker_id: str) -> bool:
        """Whether somebody is still interested in the probe; nobody needs to answer it."""
        header = await self._session.courier.poke(self._session.subjects.probe(worker_id))
        return not is_no_responders(header)

    async def _hand_back(self, word: Word, seen: float) -> int:
        """NAK its claims, unless their lease may have run out, and they may be somebody else's by now."""
        info = word.info
        # The worker renews every third of a lease, so at its last word a claim had two thirds left at least.
        if clock.monotonic() > seen + self._session.config.lease * 2 / 3 - self._session.margin:
            return 0
        elsewhere = self._elsewhere(info.id)
        claims = [receipt for receipt in info.claims if place(receipt) not in elsewhere]
        lost = await self._session.take_back(info, claims, word=word.sequence)
        _log.warning("worker %s is gone; %d of its jobs were handed back", info.id, lost)
        return lost

    def _elsewhere(self, worker_id: str) -> set[object]:
        """What other workers say they hold: it may have been given back after the dead one's last word.

        The broker would take a NAK of the old delivery for one of the new.
        """
        others = [word.info for word, _ in self._seen.values() if word.info.id != worker_id]
        return {place(receipt) for info in others for receipt in info.claims}
