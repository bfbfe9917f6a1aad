"""Small values by name."""

from __future__ import annotations

from naq import clock
from naq.backends.base import Entry
from naq.backends.memory.instance import Instance
from naq.names import check_key, check_token


class EntryPart(Instance):
    """`Entries`."""

    async def put(
        self, kind: str, key: str, value: bytes, *, expect: int | None = None, ttl: float | None = None
    ) -> int | None:
        """Keep a value, compared and set."""
        await self._yield()
        _check(kind, key)
        until = float("inf") if ttl is None else clock.monotonic() + max(ttl, 1.0)
        with self._store.lock:
            there = self._living(kind, key)
            if expect is not None and expect != (0 if there is None else there.version):
                return None
            self._store.versions += 1
            entry = Entry(kind=kind, key=key, value=bytes(value), version=self._store.versions)
            self._store.entries[kind, key] = (until, entry)
            return entry.version

    async def entry(self, kind: str, key: str) -> Entry | None:
        """What is kept."""
        await self._yield()
        _check(kind, key)
        with self._store.lock:
            return self._living(kind, key)

    async def entries(self, kind: str, *, under: str = "") -> list[Entry]:
        """All of a kind, or of a part of it."""
        await self._yield()
        _check(kind, under or "all")
        begin = f"{under}." if under else ""
        with self._store.lock:
            keys = sorted(key for of, key in self._store.entries if of == kind and key.startswith(begin))
            return [entry for key in keys if (entry := self._living(kind, key)) is not None]

    async def remove(self, kind: str, key: str, *, expect: int | None = None) -> bool:
        """Remove a value."""
        await self._yield()
        _check(kind, key)
        with self._store.lock:
            there = self._living(kind, key)
            if there is None or expect not in {None, there.version}:
                return False
            del self._store.entries[kind, key]
            return True

    def _living(self, kind: str, key: str) -> Entry | None:
        """What is kept and has not run out; with the lock held."""
        until, entry = self._store.entries.get((kind, key), (0.0, None))
        if entry is not None and until <= clock.monotonic():
            del self._store.entries[kind, key]
            return None
        return entry


def _check(kind: str, key: str) -> None:
    check_token("kind", kind)
    check_key(kind, key)
