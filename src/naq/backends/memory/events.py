"""The log that feeds the history."""

from __future__ import annotations

from collections.abc import Sequence

from naq.backends.base import Event
from naq.backends.memory.instance import Instance
from naq.backends.values import Standing
from naq.exceptions import ConfigurationError

_BEFORE_ALL = 0


class EventPart(Instance):
    """`EventLog`."""

    async def append(self, events: Sequence[Event]) -> None:
        """Store `events` in order."""
        await self._yield()
        store = self._store
        with store.lock:
            for event in events:
                store.log.append(event)
            store.logged.ring()

    async def read(
        self, *, after: str | None = None, limit: int = 1000, wait: float = 0.0, kind: str | None = None
    ) -> list[tuple[str, Event]]:
        """Events after the cursor, from the retained start where it is unknown."""
        await self._yield()
        cursor = read_cursor(after)
        log = self._store.log
        found = await self._until(lambda: log.after(cursor, limit, kind) or None, lambda: [self._store.logged], wait)
        return found or []

    async def latest(self) -> str:
        """The cursor of the last event."""
        await self._yield()
        with self._store.lock:
            return self._store.log.last

    async def standing(self, after: str | None) -> Standing:
        """Where a cursor stands."""
        await self._yield()
        cursor, store = read_cursor(after), self._store
        with store.lock:
            last, held = int(store.log.last), store.log.held
            missed = 0 if after is None else max(last - held - cursor, 0)
            return Standing(f"memory-{store.log.id}", min(max(last - cursor, 0), held), cursor <= last, missed)


def read_cursor(text: str | None) -> int:
    """The number that a cursor is; None stands before all events.

    Raises:
        ConfigurationError: it is no cursor.
    """
    if text is None:
        return _BEFORE_ALL
    if not text.isdecimal():
        raise ConfigurationError(f"{text[:80]!r} is no cursor: use one that read() returned, or None")
    return int(text)
