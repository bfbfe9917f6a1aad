"""Saying that the event buffer fills up, or that events are dropped: once as it begins, and once when it is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

log = logging.getLogger("naq.worker")

#: Shares of the capacity: from which it is said that there is little left, and below which that is over.
NEARLY_FULL, OVER = 0.9, 0.5
_FOLLOWS: Final = {
    "block": "no jobs are claimed while it is full",
    "drop_oldest_progress": "what does not fit is dropped, progress first; how jobs ended is not among it",
    "spill": "what does not fit is dropped, progress first; how jobs ended is not among it",
}
_MORE: Final = {"spill": "event_spill_bytes"}


class Alarm:
    """`overflow` is the setting."""

    def __init__(self, overflow: str) -> None:
        self._follows = _FOLLOWS[overflow]
        self._more = _MORE.get(overflow, "event_buffer")
        self._said_full = self._said_dropped = False
        self._before: Mapping[str, int] = {}

    def look(self, fullness: float, dropped: Mapping[str, int]) -> None:
        """See how things are: what share is in use, and how many events were dropped so far, by kind."""
        if fullness >= NEARLY_FULL and not self._said_full:
            self._said_full = True
            log.warning(
                "the buffer of events is %d %% full: the broker does not take what jobs report as fast as they do. "
                "When it is full, %s. See to the broker, let jobs report less often, or raise %s (docs/worker.md)",
                int(fullness * 100),
                self._follows,
                self._more,
            )
        if not self._said_dropped and (lost := _since(dropped, self._before)):
            self._said_dropped = True
            log.warning("the buffer of events is full, and they are dropped from now on: %s so far", lost)
        if fullness < OVER and (self._said_full or self._said_dropped):
            lost = _since(dropped, self._before) or "none"
            log.warning("the buffer of events has room again; events dropped meanwhile: %s", lost)
            self._said_full = self._said_dropped = False
            self._before = dict(dropped)


def _since(dropped: Mapping[str, int], before: Mapping[str, int]) -> str:
    """What was dropped since `before`, in words; "" where nothing was."""
    lost = {kind: count - before.get(kind, 0) for kind, count in sorted(dropped.items())}
    return ", ".join(f"{count} {kind}" for kind, count in lost.items() if count > 0)
