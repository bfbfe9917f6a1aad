"""Jobs that wait for others, and many jobs at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

from naq.backends.base import DeadLetter
from naq.backends.memory.instance import Instance
from naq.backends.memory.line import Entry
from naq.exceptions import ConfigurationError
from naq.job import JobRecord, JobSpec, JobState
from naq.names import check_token


class FlowPart(Instance):
    """`Flow`."""

    async def unblock(self, job_id: str, record: JobRecord | None = None) -> bool:
        """Blocked -> queued, scheduled, or ended."""
        await self._yield()
        check_token("job id", job_id)
        store = self._store
        with store.lock:
            entry = store.jobs.get(job_id)
            if entry is None or entry.state is not JobState.BLOCKED:
                return False
            if record is None:
                store.unblock(entry)
                return True
            spec = entry.spec
            done = store.finish(record, self._config.record_ttl)
            if done and record.state is JobState.FAILED:
                letter = DeadLetter(
                    id=spec.id, kind="failed", queue=spec.queue, reason=record.reason, payload=spec.payload,
                    headers=dict(spec.headers or {}), at=record.finished_at,
                )  # fmt: skip
                store.dead.put(letter, spec, self._config.dead_ttl)
            return done

    async def finals(self, job_ids: Collection[str]) -> dict[str, JobRecord]:
        """The records there are."""
        await self._yield()
        records = self._store.records
        with self._store.lock:
            found = ((job_id, records.get(check_token("job id", job_id))) for job_id in job_ids)
            return {job_id: record for job_id, record in found if record is not None}

    async def specs(self, job_ids: Collection[str]) -> dict[str, JobSpec]:
        """The jobs there are."""
        await self._yield()
        jobs = self._store.jobs
        with self._store.lock:
            found = (jobs.get(check_token("job id", job_id)) for job_id in job_ids)
            return {entry.spec.id: entry.spec for entry in found if entry is not None}

    async def unfinished(
        self, *, queue: str | None = None, blocked: bool = False, after: str | None = None, limit: int = 1000
    ) -> list[tuple[str, JobSpec]]:
        """Entries in the order they were stored."""
        await self._yield()
        if queue is not None:
            check_token("queue", queue)
        if after is not None and not after.isdecimal():
            raise ConfigurationError(f"{after[:80]!r} is no cursor: use one that unfinished() returned, or None")
        start, store = int(after or 0), self._store
        with store.lock:
            store.advance()
            fitting: Iterable[Entry] = (
                entry
                for entry in store.jobs.values()
                if entry.number > start
                and (queue is None or entry.spec.queue == queue)
                and (not blocked or entry.state is JobState.BLOCKED)
            )
            return [(str(entry.number), entry.spec) for entry in islice(fitting, limit)]
