"""Who is there, and who leads."""

from __future__ import annotations

from collections.abc import Sequence

from naq import clock
from naq.backends.base import WorkerInfo
from naq.backends.memory.instance import Instance
from naq.names import check_token


class RegistryPart(Instance):
    """`Registry`."""

    async def register(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Say that `worker` lives."""
        self._check_open()
        check_token("worker id", worker.id)
        with self._store.lock:
            self._store.workers[worker.id] = (clock.monotonic() + ttl, worker)

    async def unregister(self, worker_id: str) -> None:
        """Say that it has gone."""
        self._check_open()
        check_token("worker id", worker_id)
        with self._store.lock:
            self._store.workers.pop(worker_id, None)

    async def died(self, worker_id: str, claims: Sequence[bytes]) -> int:
        """Hand its claims back."""
        self._check_open()
        check_token("worker id", worker_id)
        store = self._store
        with store.lock:
            if store.workers.pop(worker_id, None) is None:
                return 0
            store.advance()
            held = [entry for receipt in claims if (entry := store.held(receipt)) is not None]
            for entry in held:
                store.hand_back(entry)
        return len(held)

    async def workers(self) -> list[WorkerInfo]:
        """Who said within their `ttl` that they live."""
        await self._yield()
        now = clock.monotonic()
        with self._store.lock:
            return [worker for until, worker in self._store.workers.values() if until > now]

    async def lead(self, name: str, holder: str, *, ttl: float) -> float | None:
        """Take or renew a leadership."""
        await self._yield()
        check_token("leadership", name)
        check_token("holder", holder)
        now = clock.monotonic()
        with self._store.lock:
            until, leader = self._store.leaders.get(name, (now, holder))
            if leader != holder and until > now:
                return None
            self._store.leaders[name] = (now + ttl, holder)
            return now + ttl

    async def resign(self, name: str, holder: str) -> None:
        """Give a leadership up."""
        self._check_open()
        check_token("leadership", name)
        with self._store.lock:
            if self._store.leaders.get(name, (0.0, ""))[1] == holder:
                del self._store.leaders[name]
