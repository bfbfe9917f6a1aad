"""Jobs that wait, from the broker itself: an enqueue costs no event.

What is stored is read in the order it was stored, a page at a time, and becomes rows. A job that ended before its page
was read is not seen, and need not be: its record tells. Jobs that were removed without a record (a purge) are found by
asking for all that the history takes for waiting, now and then.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import select

from naq import clock
from naq.backends.base import Backend
from naq.codec.headers import TRACEPARENT, read_tags, trace_id
from naq.codec.peek import peek
from naq.job import JobSpec, JobState
from naq.server.ingest.fold import (
    Hide,
    archive,
    called_with,
    clean,
    hold_parent,
    introduce,
    rank,
    set_links,
    set_tags,
    start_row,
)
from naq.server.ingest.ids import made_at, schedule_of
from naq.server.ingest.reader import REFUSED
from naq.server.store import Store
from naq.server.store.changes import Changes
from naq.server.store.rows import micros
from naq.server.store.tables import jobs
from naq.server.store.write import load, lock, save

log = logging.getLogger("naq.server.ingest")

PAGE: Final = 1_000  # jobs of a transaction
SWEPT: Final = 1_000  # jobs looked up at once by a sweep
GRACE: Final = 30.0  # seconds that a job may be neither waiting nor recorded: its record is on the way
_WAITING: Final = (JobState.SCHEDULED, JobState.BLOCKED, JobState.QUEUED, JobState.RETRYING, JobState.RUNNING)
_WHOLE: Final = 1 << 30  # bytes of arguments: those too long to keep are seen to when they are kept
_encode: Final = msgspec.json.Encoder().encode


class Waiting:
    """Keeps rows of jobs that wait. One task uses it."""

    def __init__(self, backend: Backend, store: Store, namespace: str, *, hide: Hide | None = None) -> None:
        self._name = namespace
        self._backend = backend
        self._store = store
        self._hide = hide
        self._cursor: str | None = None
        self._swept_to = ("", "")
        self.is_bare = False  # whether the last sweep looked at all there is, and found nothing

    def restart(self) -> None:
        """Read from the beginning again: what is there is not known any more."""
        self._cursor = None

    async def step(self) -> Changes | None:
        """One page of what was stored since; None: nothing.

        Raises:
            NaqConnectionError: the database or the broker cannot be reached.
        """
        page = await self._backend.unfinished(after=self._cursor, limit=PAGE)
        if not page:
            return None
        changes = await self._write([spec for _, spec in page])
        self._cursor = page[-1][0]
        return changes

    async def _write(self, specs: Sequence[JobSpec]) -> Changes:
        """Write `specs`, halving them where the database refuses the data; what it refuses alone is left out."""
        try:
            return await self._commit(specs)
        except REFUSED:
            if len(specs) == 1:
                log.exception("job %s, which waits, was refused by the database", specs[0].id)
                return Changes({}, set())
            half = len(specs) // 2
            await self._write(specs[:half])
            return await self._write(specs[half:])

    async def _commit(self, specs: Sequence[JobSpec]) -> Changes:
        parents = {parent for spec in specs if (parent := peek(spec.payload).parent)}
        async with self._store.writing() as connection:
            await lock(connection, self._name)
            changes = await load(connection, {spec.id for spec in specs} | parents, ())
            now = micros(clock.now())
            for spec in specs:
                fold_waiting(changes, spec, now, hide=self._hide)
            await save(connection, changes)
        return changes

    async def sweep(self) -> int:
        """Look at the next thousand rows of jobs that wait or run; how many of them had gone without a record.

        Raises:
            NaqConnectionError: the database or the broker cannot be reached.
        """
        state, after = self._swept_to
        whole = not state
        before = micros(clock.now() - GRACE)
        found: list[tuple[str, int]] = []
        states = [each.value for each in _WAITING]
        async with self._store.reading() as connection:
            for each in states[states.index(state) if state else 0 :]:
                asked = select(jobs.c.created_at, jobs.c.id).where(jobs.c.state == each, jobs.c.rank > 0)
                if each == state:
                    at, _, job_id = after.partition(" ")
                    asked = asked.where(
                        (jobs.c.created_at > int(at)) | ((jobs.c.created_at == int(at)) & (jobs.c.id > job_id))
                    )
                asked = asked.order_by(jobs.c.created_at, jobs.c.id).limit(SWEPT - len(found))
                rows = [(str(row.id), int(row.created_at)) for row in await connection.execute(asked)]
                found += rows
                self._swept_to = (
                    (each, f"{rows[-1][1]} {rows[-1][0]}") if rows else (each, after if each == state else "0 ")
                )
                if len(found) == SWEPT:
                    break
            else:
                self._swept_to = ("", "")
        self.is_bare = whole and not found
        return await self._settle([job_id for job_id, at in found if at < before])

    async def _settle(self, job_ids: Sequence[str]) -> int:
        """Jobs that are neither with the broker nor recorded were removed by somebody: say so."""
        if not job_ids:
            return 0
        there = await self._backend.specs(job_ids)
        absent = [job_id for job_id in job_ids if job_id not in there]
        recorded = await self._backend.finals(absent) if absent else {}
        gone = [job_id for job_id in absent if job_id not in recorded]
        if not gone:
            return 0
        now = micros(clock.now())
        removed = 0
        async with self._store.writing() as connection:
            await lock(connection, self._name)
            changes = await load(connection, gone, ())
            for job_id in gone:
                row = changes.jobs.get(job_id)
                if row is None or row.finished_at is not None or row.updated_at > now - micros(GRACE):
                    continue
                # Not ranked as final: should it come back, or its record after all, that is what holds.
                row.state, row.finished_at, row.updated_at = JobState.CANCELLED.value, now, now
                row.reason = "removed from its queue without a record: purged, or lost with the broker's disk"
                changes.touched[job_id] = None
                changes.count(row.state, now, row.task, row.queue)
                removed += 1
            await save(connection, changes)
        return removed


def fold_waiting(changes: Changes, spec: JobSpec, now: int, *, hide: Hide | None = None) -> None:
    """Let a job that waits (or runs: that is not seen) change what is known."""
    said = peek(spec.payload)
    created = made_at(spec.id, micros(said.at) if 0 < said.at < 1e11 else now)
    # Put off after it ran, it is newer than that; otherwise anything that ran is newer than it.
    ranked_at = now if spec.claims else created
    ours = rank(spec.run, spec.attempt)
    row, is_new = start_row(changes, spec.id, spec.queue, created)
    if row.args is None or (row.rank, row.ranked_at) <= (ours, ranked_at):  # somebody may have edited it
        given = said.arguments(_WHOLE)
        row.args = row.args if given is None else called_with(said.task, bytes(given).decode(), row.args, hide)
    if (row.rank, row.ranked_at) > (ours, ranked_at) and not is_new:
        return
    if (row.rank, row.ranked_at) <= (ours, ranked_at):
        if row.run < spec.run and row.finished_at is not None:
            archive(changes, row)
        row.state = waiting_state(spec, now)
        row.run, row.attempt, row.rank, row.ranked_at = spec.run, spec.attempt, ours, ranked_at
        row.run_at = None if spec.run_at is None else micros(spec.run_at)
        row.reason, row.key, row.updated_at = clean(spec.reason), spec.key or None, now
        row.started_at = row.finished_at = row.duration_us = row.wait_us = row.result = None
        if spec.attempt == 1:
            row.error = row.error_type = row.fingerprint = None
    row.task, row.queue, row.priority = clean(said.task, 200), spec.queue, spec.priority
    row.schedule = schedule_of(spec.id)
    row.expires_at = micros(said.expires_at) if said.expires_at and said.expires_at < 1e11 else None
    row.limits = _encode(said.limits).decode() if said.limits else None
    if said.waits_for:
        set_links(changes, row, said.waits_for)
    if spec.headers:
        row.trace = trace_id(spec.headers.get(TRACEPARENT, "")) or row.trace
    if found := read_tags(spec.headers):
        set_tags(changes, row, found)
    hold_parent(changes, row, said.parent, said.root)
    if is_new and row.task:
        introduce(changes, row)


def waiting_state(spec: JobSpec, now: int) -> str:
    """What state a stored job is in, as far as that can be seen: one that runs looks queued."""
    if spec.blocked:
        return JobState.BLOCKED.value
    if spec.run_at is not None and micros(spec.run_at) > now:
        return JobState.RETRYING.value if spec.attempt > 1 else JobState.SCHEDULED.value
    return JobState.QUEUED.value
