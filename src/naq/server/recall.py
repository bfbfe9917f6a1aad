"""What was looked up a moment ago: each entry ends by its own time, and room is made by the oldest, never by all."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from naq import clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recall(Generic[K, V]):
    """At most `most` values, each for `ttl` seconds from when it was put."""

    def __init__(self, *, ttl: float, most: int) -> None:
        self._ttl: Final = ttl
        self._most: Final = most
        self._held: Final[dict[K, tuple[float, V]]] = {}  # in the order in which they end

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """The value, if it has not ended."""
        until, value = self._held.get(key, (0.0, None))
        return value if clock.monotonic() < until else None

    def put(self, key: K, value: V) -> None:
        """Hold `value`, from now on."""
        now, held = clock.monotonic(), self._held
        held.pop(key, None)
        while held and (len(held) >= self._most or next(iter(held.values()))[0] <= now):
            del held[next(iter(held))]
        held[key] = now + self._ttl, value

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()
