"""One who watches: what waits to be told, merged while it waits, and how it gets there."""

from __future__ import annotations

import asyncio
from typing import Final

from naq.server.live.matching import Matching
from naq.server.live.tidings import LIGHT, Tidings


class Client:
    """Bounded: what it is told about one thing replaces what waits about it; beyond `most` the light goes first.

    Attributes:
        topics: what it asked for.
        lagging: it did not keep up, and what waited was dropped: it must begin anew.
        reason: why it is to end; empty: it goes on.
    """

    def __init__(
        self, topics: frozenset[str], matching: Matching | None, most: int, queues: frozenset[str] | None = None
    ) -> None:
        self.topics: Final = topics
        self._queues: Final = queues
        self.lagging = False
        self.reason = ""
        self.last = ""  # the id up to which it was told everything
        self._matching = matching
        self._told: dict[str, int] = {} if matching is None else dict(matching.states)
        self._most = most
        self._waiting: dict[str, Tidings] = {}
        self._number = 0
        self.woken: Final = asyncio.Event()

    def offer(self, tidings: Tidings) -> None:
        """Tell it in its turn."""
        if self.lagging or (self._queues is not None and tidings.queue and tidings.queue not in self._queues):
            return
        key = tidings.entity
        if not key:
            self._number += 1
            key = f"#{self._number}"
        waiting = self._waiting
        waiting.pop(key, None)  # so that it comes last: ids only grow within a stream
        waiting[key] = tidings
        if len(waiting) > self._most:
            self._shed()
        if not self.woken.is_set():
            self.woken.set()

    def _shed(self) -> None:
        heavy = {key: one for key, one in self._waiting.items() if one.name not in LIGHT}
        if len(heavy) > self._most * 3 // 4:
            self._waiting.clear()
            self.lagging = True
        else:
            self._waiting = heavy

    def watches(self, matching: Matching) -> bool:
        """Whether it is told of this count."""
        return self._matching is matching

    def end(self, reason: str) -> None:
        """Let it end, with `bye` and the reason."""
        self.reason = self.reason or reason
        self.woken.set()

    def take(self, head: str) -> list[bytes]:
        """What there is to tell now; `head` is the id of the end of the log: whatever it has for us, waits here."""
        self.woken.clear()
        if self.lagging:
            self.lagging, self.last = False, head
            data = {"reason": "slow", "detail": "events were dropped: read again what is shown"}
            return [Tidings(name="reset", topics=(), data=data).wire(head)]
        found: list[bytes] = []
        for one in self._waiting.values():
            self.last = one.id or self.last
            found.append(one.wire(self.last))
        self._waiting.clear()
        if (new := self._new()) is not None:
            found.append(new.wire(self.last))
        self.last = head
        return found

    def _new(self) -> Tidings | None:
        if self._matching is None or self._matching.states == self._told:
            return None
        now = dict(self._matching.states)
        states = {state: count - self._told.get(state, 0) for state, count in now.items()}
        self._told = now
        data = {"count": sum(states.values()), "states": {state: count for state, count in states.items() if count}}
        return Tidings(name="jobs.matching", topics=(), data=data)
