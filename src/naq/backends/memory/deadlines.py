"""A heap of entries by time, from which nothing needs to be removed."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

from naq.backends.memory.line import Entry

_SLACK: Final = 1024  # void items that are not worth a sweep


class Deadlines:
    """Entries by the time something is due. An item is void once its entry's ticket has changed."""

    __slots__ = ("_heap", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._sweep_at = _SLACK

    def push(self, due: float, entry: Entry) -> None:
        """Note that something is due for `entry`, under its present ticket."""
        heappush(self._heap, (due, entry.ticket, entry))
        if len(self._heap) > self._sweep_at:
            self._heap = [item for item in self._heap if item[2].ticket == item[1]]
            heapify(self._heap)
            self._sweep_at = 2 * len(self._heap) + _SLACK

    def next(self) -> float:
        """When the next one is due; infinity where none is."""
        heap = self._heap
        while heap:
            due, ticket, entry = heap[0]
            if entry.ticket == ticket:
                return due
            heappop(heap)
        return float("inf")

    def pop_due(self, now: float) -> Entry | None:
        """An entry that is due at `now`, or None."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, ticket, entry = heappop(heap)
            if entry.ticket == ticket:
                return entry
        return None
