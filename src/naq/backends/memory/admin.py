"""What people and handles ask for."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from itertools import chain, islice
from math import inf

import msgspec

from naq.backends.base import CancelResult, DeadLetter, QueueStats, Signal, Storage
from naq.backends.check import check_amended, check_moved
from naq.backends.memory.line import Line
from naq.backends.memory.signals import SignalPart
from naq.backends.memory.store import Store
from naq.backends.memory.view import describe, describe_cancelled
from naq.backends.memory.wake import Bell
from naq.exceptions import ConfigurationError, JobNotFoundError, ResultTimeout
from naq.job import JobRecord, JobSpec, JobState
from naq.names import check_token


class AdminPart(SignalPart):
    """`JobAdmin`."""

    async def get(self, job_id: str) -> JobRecord | None:
        """What is known of a job, whatever its state."""
        await self._yield()
        check_token("job id", job_id)
        store = self._store
        with store.lock:
            store.advance()
            entry = store.jobs.get(job_id)
            return store.records.get(job_id) if entry is None else describe(entry, self._config.record_arguments)

    async def wait(self, job_id: str, *, timeout: float | None = None) -> JobRecord:
        """The final record, as soon as it is stored."""
        await self._yield()
        check_token("job id", job_id)
        store = self._store

        def look() -> JobRecord | None:
            if job_id in store.jobs:
                return None
            record = store.records.get(job_id)
            if record is None:
                raise JobNotFoundError(f"there is no job {job_id}, and no record of one")
            return record

        try:
            found = await self._until(
                look, lambda: [store.finals.setdefault(job_id, Bell())], inf if timeout is None else timeout
            )
        finally:
            with store.lock:
                if not store.finals.get(job_id):
                    store.finals.pop(job_id, None)
        if found is None:
            raise ResultTimeout(f"job {job_id} was not final within {timeout:g} s; it goes on, ask again")
        return found

    async def cancel(self, job_id: str) -> CancelResult:
        """End a waiting job; mark a running one and tell its worker."""
        await self._yield()
        check_token("job id", job_id)
        store = self._store
        with store.lock:
            store.advance()
            entry = store.jobs.get(job_id)
            if entry is None:
                return CancelResult.UNKNOWN if store.records.get(job_id) is None else CancelResult.FINISHED
            if entry.state is not JobState.RUNNING:
                store.finish(describe_cancelled(entry, self._config.record_arguments), self._config.record_ttl)
                return CancelResult.REMOVED
            entry.cancelled = True
        await self.send(Signal(kind="cancel", subject=job_id))
        return CancelResult.REQUESTED

    async def run_now(self, job_id: str) -> bool:
        """Scheduled or retrying -> queued."""
        await self._yield()
        check_token("job id", job_id)
        store = self._store
        with store.lock:
            store.advance()
            entry = store.jobs.get(job_id)
            if entry is None or entry.state not in {JobState.SCHEDULED, JobState.RETRYING}:
                return False
            store.set_off(entry)
            return True

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        """Whatever waits, with other contents."""
        await self._yield()
        config, store = self._config, self._store
        check_amended(seen, changed, max_payload=config.max_payload, max_headers=config.max_headers)
        with store.lock:
            store.advance()
            entry = store.jobs.get(seen.id)
            if entry is None or entry.state is JobState.RUNNING or entry.spec != seen:
                return False
            store.amend(entry, changed)
            return True

    async def amend_many(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        """Whatever waits, each with other contents."""
        config = self._config
        for seen, changed in jobs:
            check_amended(seen, changed, max_payload=config.max_payload, max_headers=config.max_headers)
        return [await self.amend(seen, changed) for seen, changed in jobs]

    async def move(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        """Whatever waits -> the same in another queue."""
        await self._yield()
        config, store = self._config, self._store
        for seen, changed in jobs:
            check_moved(seen, changed, max_payload=config.max_payload, max_headers=config.max_headers)
        with store.lock:
            store.advance()
            return [_move(store, seen, changed) for seen, changed in jobs]

    async def requeue(self, job_id: str, *, payload: bytes | None = None) -> bool:
        """A failed job -> queued, as a new run."""
        await self._yield()
        check_token("job id", job_id)
        store = self._store
        with store.lock:
            if job_id in store.jobs or (spec := store.dead.take(job_id)) is None:
                return False
            again = msgspec.structs.replace(
                spec,
                payload=spec.payload if payload is None else payload,
                run=spec.run + 1,
                attempt=1,
                run_at=None,
                blocked=False,
                reason="run again",
            )
            store.add(again)
            return True

    async def pause(self, queue: str) -> None:
        """Hand out nothing more of `queue`."""
        await self._yield()
        with self._store.lock:
            self._store.line(queue).paused = True
        await self.send(Signal(kind="pause", subject=queue))

    async def resume(self, queue: str) -> None:
        """End a pause."""
        await self._yield()
        with self._store.lock:
            line = self._store.line(queue)
            line.paused = False
            line.bell.ring()
        await self.send(Signal(kind="resume", subject=queue))

    async def limit(self, queue: str, concurrency: int | None) -> None:
        """At most `concurrency` jobs of `queue` at once; what runs already goes on."""
        await self._yield()
        if concurrency is not None and concurrency < 1:
            raise ConfigurationError(
                f"a limit of {concurrency} is not allowed: use 1 or more, None, or pause the queue"
            )
        with self._store.lock:
            line = self._store.line(queue)
            line.limit = concurrency
            line.bell.ring()

    async def purge(self, queue: str) -> int:
        """Remove every waiting job of `queue`; how many."""
        await self._yield()
        store = self._store
        with store.lock:
            store.advance()
            line = store.line(queue)
            waiting = [e for e in store.jobs.values() if e.line is line and e.state is not JobState.RUNNING]
            for entry in waiting:
                store.remove(entry, JobState.CANCELLED)
            return len(waiting)

    async def stats(self, queues: Sequence[str] = ()) -> list[QueueStats]:
        """Counts by queue."""
        await self._yield()
        store = self._store
        with store.lock:
            store.advance()
            return [
                QueueStats(line.name, line.queued, line.running, line.waiting, line.paused, line.limit, line.blocked)
                for line in ([_line(store, queue) for queue in queues] or list(store.lines.values()))
            ]

    async def storage(self) -> list[Storage]:
        """The payloads of jobs and of dead letters; nothing limits them but the machine."""
        await self._yield()
        store = self._store
        with store.lock:
            jobs = sum(len(entry.spec.payload) for entry in store.jobs.values())
            dead = sum(len(letter.payload) for letter in store.dead.newest(sys.maxsize))
        parts = [Storage(part="jobs", used=jobs), Storage(part="dead letters", used=dead)]
        return [Storage(used=jobs + dead), *parts]

    async def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        await self._yield()
        with self._store.lock:
            return self._store.dead.newest(limit)

    async def jobs(
        self, *, queue: str | None = None, states: Collection[JobState] = (), limit: int = 100
    ) -> list[JobRecord]:
        """Jobs, the newest first: those that have not ended, then those that have."""
        await self._yield()
        if queue is not None:
            check_token("queue", queue)
        store = self._store
        with store.lock:
            store.advance()
            open_ones = (describe(entry, self._config.record_arguments) for entry in reversed(store.jobs.values()))
            ended = (record for record in store.records.newest() if record.id not in store.jobs)
            fitting = (
                record
                for record in chain(open_ones, ended)
                if (queue is None or record.queue == queue) and (not states or record.state in states)
            )
            return list(islice(fitting, limit))

    async def forget(self, job_id: str) -> bool:
        """Remove the record and the dead letter of a job that has ended."""
        await self._yield()
        check_token("job id", job_id)
        store = self._store
        with store.lock:
            if job_id in store.jobs:
                return False
            had_letter = store.dead.drop(job_id)
            return store.records.drop(job_id) or had_letter

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """The dead letter with this id."""
        await self._yield()
        with self._store.lock:
            return self._store.dead.get(check_token("letter id", letter_id))

    async def bury(self, letter_id: str) -> bool:
        """Remove a dead letter."""
        await self._yield()
        with self._store.lock:
            return self._store.dead.drop(check_token("letter id", letter_id))


def _move(store: Store, seen: JobSpec, changed: JobSpec) -> bool:
    entry = store.jobs.get(seen.id)
    if entry is None or entry.state is JobState.RUNNING or entry.spec != seen:
        return False
    if changed.key and store.holder(changed) is not None:
        return False
    store.move(entry, changed)
    return True


def _line(store: Store, queue: str) -> Line:
    """The queue, or an empty one: asking for its counts does not make it known."""
    return store.lines.get(queue) or Line(check_token("queue", queue))
