"""Workers and queues as the broker knows them now."""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from sqlalchemy import update

from naq import clock
from naq.backends.base import Backend
from naq.server.ingest.fold import clean
from naq.server.store import Store, bulk
from naq.server.store.queries import marks
from naq.server.store.rows import MICRO, micros
from naq.server.store.tables import depths, queues, worker_minutes, workers

log = logging.getLogger("naq.server.ingest")
_encode: Final = msgspec.json.Encoder().encode
_MINUTE: Final = 60 * MICRO
_WORKER: Final = (
    "id", "state", "host", "pid", "version", "queues", "tasks", "concurrency", "running", "processed", "failed",
    "started_at", "seen_at", "gone_at", "code",
)  # fmt: skip
_QUEUE: Final = ("name", "queued", "running", "scheduled", "blocked", "paused", "concurrency", "seen_at")
_COUNTS: Final = ("queued", "running", "scheduled", "blocked")
_DEEPEST: Final = "UPDATE SET " + ", ".join(
    f"{name} = CASE WHEN excluded.{name} > depths.{name} THEN excluded.{name} ELSE depths.{name} END"
    for name in _COUNTS
)

_MINUTES: Final = (
    "worker", "at", "memory", "children_memory", "cpu", "loop_lag", "running", "processed", "failed",
)  # fmt: skip
_WORST: Final = "UPDATE SET " + ", ".join(
    f"{name} = CASE WHEN excluded.{name} > worker_minutes.{name} THEN excluded.{name} ELSE worker_minutes.{name} END"
    for name in _MINUTES[2:]
)


class Presence:
    """Keeps the rows of workers and queues."""

    def __init__(self, backend: Backend, store: Store) -> None:
        self._backend = backend
        self._store = store
        self._codes: set[str] | None = None  # versions of the user's code at the look before

    async def step(self) -> None:
        """Look once.

        Raises:
            NaqConnectionError: the database or the broker cannot be reached.
        """
        alive = await self._backend.workers()
        stats = await self._backend.stats()
        now = micros(clock.now())
        rows = [
            (
                worker.id, worker.state, clean(worker.host, 200), worker.pid, clean(worker.version, 64),
                _encode(worker.queues).decode(), _encode(worker.tasks).decode(), worker.concurrency, worker.running,
                worker.processed, worker.failed, micros(worker.started_at), micros(worker.seen_at), None,
                clean(worker.code, 64),
            )
            for worker in sorted(alive, key=lambda worker: worker.id)
        ]  # fmt: skip
        lines = [
            (one.queue, one.queued, one.running, one.scheduled, one.blocked, one.paused, one.limit, now)
            for one in sorted(stats, key=lambda one: one.queue)
        ]
        deep = [(one.queue, now - now % _MINUTE, one.queued, one.running, one.scheduled, one.blocked) for one in stats]
        this = now - now % _MINUTE
        minutes = [
            (
                one.id,
                this,
                one.memory,
                one.children_memory,
                one.cpu,
                one.loop_lag,
                one.running,
                one.processed,
                one.failed,
            )
            for one in sorted(alive, key=lambda one: one.id)
        ]
        async with self._store.writing() as connection:
            await bulk.insert(connection, workers, _WORKER, rows, bulk.replaced(_WORKER[1:]))
            await bulk.insert(connection, worker_minutes, _MINUTES, minutes, _WORST)
            gone = update(workers).where(workers.c.gone_at.is_(None), workers.c.id.not_in([row[0] for row in rows]))
            await connection.execute(gone.values(state="gone", gone_at=now))
            await bulk.insert(connection, queues, _QUEUE, lines, bulk.replaced(_QUEUE[1:]))
            codes = {worker.code for worker in alive}
            if codes != self._codes:
                for mark in await marks.see_versions(connection, codes, self._codes):
                    log.info("workers run version %s of their code: it is marked on the charts", mark.version)
            await bulk.insert(connection, depths, ("queue", "at", *_COUNTS), sorted(deep), _DEEPEST)
        self._codes = codes
