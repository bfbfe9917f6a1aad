"""How a claim ends: with a record, another attempt, or back in the queue."""

from __future__ import annotations

import msgspec

from naq import clock
from naq.backends.base import Claim, DeadLetter, Settled
from naq.backends.memory.instance import Instance
from naq.backends.memory.store import Store
from naq.backends.memory.view import describe_cancelled
from naq.job import JobRecord, JobState, new_id


class SettlePart(Instance):
    """`JobQueue`: what a worker does with a claim once it knows how the attempt went."""

    async def complete(self, claim: Claim, record: JobRecord) -> Settled:  # noqa: ARG002  the record says it all
        """Store `record` if there is none for this run, then drop the job."""
        self._check_open()
        with self._store.lock:
            return _settled(self._store.finish(record, self._config.record_ttl))

    async def discard(self, claim: Claim, record: JobRecord) -> Settled:
        """Store `record`, as `complete` does; a failed job also becomes a dead letter."""
        self._check_open()
        store = self._store
        with store.lock:
            done = store.finish(record, self._config.record_ttl)
            if done and record.state is JobState.FAILED:
                reason = record.reason or (f"{record.error.type}: {record.error.message}" if record.error else "failed")
                store.dead.put(_letter(claim, "failed", claim.job.id, reason), claim.job, self._config.dead_ttl)
            return _settled(done)

    async def retry(self, claim: Claim, *, delay: float, payload: bytes | None = None, reason: str = "") -> Settled:
        """Running -> retrying, one attempt further; SUPERSEDED where the claim has lapsed or a record exists."""
        self._check_open()
        store = self._store
        with store.lock:
            entry = store.holds(claim)
            if entry is None or _is_final(store, claim):
                return Settled.SUPERSEDED
            run_at = clock.now() + delay if delay > 0 else None
            entry.spec = msgspec.structs.replace(
                entry.spec,
                attempt=entry.spec.attempt + 1,
                claims=0,
                payload=entry.spec.payload if payload is None else payload,
                run_at=run_at,
                reason=reason,
            )
            entry.line.running -= 1
            if run_at is None:
                store.again(entry)
            else:
                store.delay(entry, run_at, JobState.RETRYING)
            return Settled.DONE

    async def release(self, claim: Claim, *, delay: float = 0.0, reason: str = "") -> None:
        """Back to the queue, first in line, or scheduled; does nothing where the claim has lapsed."""
        self._check_open()
        store = self._store
        with store.lock:
            entry = store.holds(claim)
            if entry is None:
                return
            if delay > 0:
                run_at = clock.now() + delay
                claims = entry.spec.claims + entry.delivered
                entry.spec = msgspec.structs.replace(entry.spec, run_at=run_at, reason=reason, claims=claims)
                entry.line.running -= 1
                store.delay(entry, run_at, JobState.SCHEDULED)
            else:
                if reason:
                    entry.spec = msgspec.structs.replace(entry.spec, reason=reason)
                store.hand_back(entry)

    async def reject(self, claim: Claim, *, reason: str) -> None:
        """To the dead letters, raw; whoever waits for the job learns that there is none."""
        self._check_open()
        store = self._store
        with store.lock:
            entry = store.holds(claim)
            if entry is not None:
                store.dead.put(_letter(claim, "malformed", new_id(), reason), None, self._config.dead_ttl)
                store.remove(entry, JobState.FAILED)

    async def drop(self, claim: Claim) -> None:  # noqa: ARG002
        """Remove a claim whose job is final; here a record takes its job along, so there is none left to remove."""
        self._check_open()

    async def lookup(self, claim: Claim) -> JobRecord | None:
        """The final record of this run, or a cancel mark."""
        self._check_open()
        store = self._store
        with store.lock:
            if (known := store.records.get(claim.job.id)) is not None and known.run >= claim.job.run:
                return known
            entry = store.jobs.get(claim.job.id)
            if entry is None or not entry.cancelled:
                return None
            return describe_cancelled(entry, self._config.record_arguments)


def _is_final(store: Store, claim: Claim) -> bool:
    known = store.records.get(claim.job.id)
    return known is not None and known.run >= claim.job.run


def _settled(done: bool) -> Settled:
    return Settled.DONE if done else Settled.SUPERSEDED


def _letter(claim: Claim, kind: str, letter_id: str, reason: str) -> DeadLetter:
    job = claim.job
    return DeadLetter(
        id=letter_id,
        kind="failed" if kind == "failed" else "malformed",
        queue=job.queue,
        reason=reason,
        payload=job.payload,
        headers=dict(job.headers or {}),
        at=clock.now(),
    )
