"""Events held in memory until they are written: in order, within bounds, and what gives way where they do not fit."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Final

from naq.backends.base import Event
from naq.inside.notes import LOG, METRIC, PROGRESS

#: Bytes that an event takes in memory beside its data; measured on CPython 3.13 (270), and some.
OVERHEAD: Final = 320
#: What gives way first. A later progress says what an earlier one said; a job's attempts are told once. All kinds that
#: are not named here come last.
FIRST_TO_GO: Final = (PROGRESS, METRIC, LOG)


def cost(event: Event) -> int:
    """Bytes that `event` counts for."""
    return OVERHEAD + len(event.data)


class Held:
    """A queue of events of at most `capacity` bytes.

    `drops`: what does not fit makes others give way, as `FIRST_TO_GO` says, the oldest first, or gives way itself where
    all that is held matters more. Otherwise everything is taken in, and the one who adds must heed `is_full`.

    Attributes:
        capacity: bytes.
        size: bytes held, what was taken among them until it is settled.
        dropped: how many were dropped so far, by kind.
        last: the number of the latest that was taken in; they count from 1.
    """

    def __init__(self, capacity: int, *, drops: bool) -> None:
        self.capacity: Final = capacity
        self.size = 0
        self.dropped: Final[Counter[str]] = Counter()
        self._drops = drops
        self._events: OrderedDict[int, Event] = OrderedDict()
        self._by_rank: Final = tuple(deque[int]() for _ in (*FIRST_TO_GO, None))  # numbers in `_events`, oldest first
        self._taken: list[tuple[int, Event]] = []
        self.last = 0

    def __len__(self) -> int:
        return len(self._events) + len(self._taken)

    @property
    def is_full(self) -> bool:
        """Whether it holds as much as it may."""
        return self.size >= self.capacity

    @property
    def first(self) -> int:
        """The number of the oldest that is held; above `last` where none is."""
        if self._taken:
            return self._taken[0][0]
        return next(iter(self._events), self.last + 1)

    def add(self, event: Event) -> None:
        """Take `event` in, behind all others."""
        need, rank = cost(event), _rank(event)
        if self._drops and not self._make_room(need, rank):
            self.dropped[event.kind] += 1
            return
        self.last += 1
        self._events[self.last] = event
        self._by_rank[rank].append(self.last)
        self.size += need

    def take(self, most: int) -> list[Event]:
        """The oldest, at most `most` bytes of them, but one in any case; until `settle` they are held, and not dropped.

        Nothing more can be taken before that.
        """
        assert not self._taken, "what was taken before is not settled"
        size = 0
        while self._events:
            number, event = next(iter(self._events.items()))
            size += cost(event)
            if self._taken and size > most:
                break
            del self._events[number]
            self._by_rank[_rank(event)].popleft()
            self._taken.append((number, event))
        return [event for _, event in self._taken]

    def settle(self, count: int) -> None:
        """Of what was taken, the first `count` are written; the rest are the oldest again."""
        for _, event in self._taken[:count]:
            self.size -= cost(event)
        for number, event in reversed(self._taken[count:]):
            self._events[number] = event
            self._events.move_to_end(number, last=False)
            self._by_rank[_rank(event)].appendleft(number)
        self._taken = []

    def _make_room(self, need: int, rank: int) -> bool:
        """Drop others until `need` bytes fit, none that matters more than `rank`; whether they do."""
        if need > self.capacity:
            return False
        while self.size + need > self.capacity:
            queue = next((queue for queue in self._by_rank[: rank + 1] if queue), None)
            if queue is None:
                return False
            gone = self._events.pop(queue.popleft())
            self.size -= cost(gone)
            self.dropped[gone.kind] += 1
        return True


def _rank(event: Event) -> int:
    return FIRST_TO_GO.index(event.kind) if event.kind in FIRST_TO_GO else len(FIRST_TO_GO)
