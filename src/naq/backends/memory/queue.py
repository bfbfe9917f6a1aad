"""The hot path: enqueue, fetch, extend, and the upkeep."""

from __future__ import annotations

from collections.abc import Sequence

from naq import clock
from naq.backends.base import Claim, EnqueueResult, Extended, Maintained, lease_margin
from naq.backends.check import check_jobs
from naq.backends.memory.instance import Instance
from naq.backends.memory.store import MAX_JOBS
from naq.exceptions import NaqBackpressureError
from naq.job import JobSpec


class QueuePart(Instance):
    """`JobQueue` but for settling."""

    async def open(self, queues: Sequence[str] = (), *, wait: float | None = None) -> None:  # noqa: ARG002  nothing to wait for
        """Make the queues known; there is nothing to connect to."""
        self._check_up()
        with self._store.lock:
            for queue in queues:
                self._store.line(queue)
            self._open = True

    async def close(self) -> None:
        """End what waits in this instance; its claims lapse by their lease, and the store stays."""
        with self._store.lock:
            self._open = False
            for sleeper in self._asleep:
                sleeper.wake()

    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:  # noqa: ARG002  never waits
        """Store `jobs`, all or none."""
        await self._yield()
        config, store = self._config, self._store
        check_jobs(jobs, max_payload=config.max_payload, max_headers=config.max_headers)
        results: list[EnqueueResult] = []
        with store.lock:
            if len(store.jobs) + len(jobs) > MAX_JOBS:
                raise NaqBackpressureError(
                    f"the memory backend holds {len(store.jobs)} jobs and at most {MAX_JOBS}; "
                    "run workers, or use a broker for so many"
                )
            for job in jobs:
                if job.key or job.replace:
                    store.advance()
                if job.key and (holder := store.holder(job)) is not None:
                    results.append(EnqueueResult(holder.spec.id, duplicate=True))
                    continue
                if job.replace and store.replace(job):
                    results.append(EnqueueResult(job.id))
                    continue
                taken = job.id in store.jobs or (
                    not job.fresh and (known := store.records.get(job.id)) is not None and known.run >= job.run
                )
                if not taken:
                    store.add(job)
                results.append(EnqueueResult(job.id, taken))
        return results

    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        """Claim up to `limit` jobs, waiting at most `wait` seconds for the first."""
        await self._yield()  # before the claim: cancelled here, it leaves nothing claimed
        store = self._store
        if limit <= 0 or not queues:
            return []
        strict = self._config.priorities == "strict"
        found = await self._until(
            lambda: store.claim(queues, limit, lease, strict=strict) or None,
            lambda: [store.line(queue).bell for queue in queues],
            wait,
        )
        return found or []

    async def extend(self, claims: Sequence[Claim], *, lease: float) -> Extended:
        """Renew `claims`; those that lapsed or were settled are lost."""
        self._check_open()
        store = self._store
        deadlines: dict[str, float] = {}
        cancelled: set[str] = set()
        lost: set[str] = set()
        with store.lock:
            store.advance()
            lapses = clock.monotonic() + lease
            for claim in claims:
                entry = store.holds(claim)
                if entry is None:
                    lost.add(claim.job.id)
                    continue
                store.renew(entry, lapses)
                deadlines[claim.job.id] = lapses - lease_margin(lease)
                if entry.cancelled:
                    cancelled.add(claim.job.id)
        return Extended(deadlines, frozenset(cancelled), frozenset(lost))

    async def maintain(self, *, limit: int = 1000) -> Maintained:
        """Hand back what workers held that have vanished; timers and leases need no upkeep here."""
        await self._yield()
        store = self._store
        rescued = 0
        with store.lock:
            store.advance()
            now = clock.monotonic()
            for worker_id in [worker_id for worker_id, (until, _) in store.workers.items() if until <= now]:
                for receipt in store.workers.pop(worker_id)[1].claims:
                    if rescued < limit and (entry := store.held(receipt)) is not None:
                        store.hand_back(entry)
                        rescued += 1
        return Maintained(rescued=rescued)
