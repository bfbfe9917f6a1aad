"""Releasing jobs whose parents have ended: told by the log, sure by looking.

Whoever expires while it waits is ended by this, at its time.

Three ways lead to a release, and each is enough. The log says that a job waits: then its parents are looked up once.
The log says that a parent has ended: then those who wait for it are known. And every minute all that is blocked is
looked at, whatever was said. A release has one winner, so two who do this at once do no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from naq import clock
from naq.backends.base import Event, EventLog, Flow, JobAdmin
from naq.codec.after import parents_of
from naq.codec.headers import read_tags
from naq.codec.peek import peek
from naq.codec.reader import Reader
from naq.exceptions import ParentFailed, SerializationError
from naq.faults import fault
from naq.flow.graph import GONE, Decision, Graph, Then
from naq.flow.purging import PURGED
from naq.flow.store import BLOCKED
from naq.job import AttemptError, JobRecord, JobSpec, JobState

log = logging.getLogger("naq.flow")

AT_ONCE: Final = 64  # releases on their way at the same time
PAGE: Final = 1000  # jobs looked at in one go
_PARENT_FAILED: Final = f"{ParentFailed.__module__}.{ParentFailed.__qualname__}"


_STATES: Final = {Then.FAIL: JobState.FAILED, Then.CANCEL: JobState.CANCELLED, Then.EXPIRE: JobState.EXPIRED}


class Watched(JobAdmin, Flow, EventLog, Protocol):
    """What releasing needs of a backend."""


class _End(msgspec.Struct):
    """Of a final record, how it ended."""

    state: str = ""


_read_end: Final = msgspec.json.Decoder(_End).decode


class Resolver:
    """Releases what waits, for as long as it is asked to. `read` opens jobs.

    Attributes:
        looking: whether a look at everything is about to begin, or goes on: somebody may be found who waits.
    """

    def __init__(self, backend: Watched, read: Reader) -> None:
        self.looking = False
        self._backend = backend
        self._read = read
        self._graph = Graph()
        self._todo: list[Decision] = []
        self._cursor: str | None = None
        self._unread: set[str] = set()  # jobs that cannot be read here; each is complained about once

    def __len__(self) -> int:
        """How many jobs wait for others, as far as it is known."""
        return len(self._graph)

    async def begin(self) -> None:
        """Listen from now on; what was stored before is found by `audit`."""
        self._cursor = await self._backend.latest()

    async def step(self, *, wait: float) -> int:
        """Carry out what follows from the next events, which come within `wait` seconds; how many jobs moved."""
        if self._todo:
            return await self._carry_out()
        # While nobody waits, it does not matter who ends: only that somebody begins to wait.
        kind = None if self.looking or len(self._graph) else BLOCKED
        wait = max(min(wait, self._graph.next_deadline - clock.now()), 0.0)
        events = await self._backend.read(after=self._cursor, limit=PAGE, wait=wait, kind=kind)
        if events:
            await self._heed([event for _, event in events])
            self._cursor = events[-1][0]
        # After what was read: a child whose last parent ended in time goes on.
        self._todo += self._graph.expired(clock.now())
        return await self._carry_out()

    async def _heed(self, events: Iterable[Event]) -> None:
        begun: list[str] = []
        purged = False
        for event in events:
            if event.kind == BLOCKED:
                begun.append(event.job_id)
            elif event.kind == "record":
                self._graph.drop(event.job_id)
                if self._graph.is_parent(event.job_id):
                    self._todo += self._graph.ended(event.job_id, _state(event))
            elif event.kind == PURGED:
                purged = True
        if begun:
            await self._take_in((await self._backend.specs(begun)).values())
        if purged:
            await self._look_for_parents()

    async def _take_in(self, specs: Iterable[JobSpec]) -> None:
        """Take in jobs that may wait, and look at their parents once: from here on the log tells of them."""
        parents: dict[str, None] = {}
        for spec in specs:
            if not spec.blocked or spec.id in self._graph:
                continue
            try:
                envelope = self._read(spec)
                after = envelope.after
                ids = [] if after is None else parents_of(after)
            except SerializationError as error:
                self._complain(spec.id, error)
                continue
            if after is None:
                self._complain(spec.id, "its message names nobody that it waits for")
                continue
            decided = self._graph.add(spec.id, after, ids, expires=envelope.expires_at)
            if decided is not None:
                self._todo.append(decided)
            parents.update(dict.fromkeys(ids))
        if parents:
            await self._look_at(list(parents))

    def _complain(self, job_id: str, why: object) -> None:
        if job_id not in self._unread:
            self._unread.add(job_id)
            log.error(
                "job %s waits for others and cannot be released here: %s. Cancel it, or mend the keys", job_id, why
            )

    async def _look_at(self, parents: list[str]) -> list[str]:
        """Note which of `parents` have ended; those that have not."""
        going_on: list[str] = []
        for start in range(0, len(parents), PAGE):
            part = parents[start : start + PAGE]
            finals = await self._backend.finals(part)
            # One that did not succeed may have been put in line again: then its next run counts.
            bad = [job_id for job_id, record in finals.items() if record.state is not JobState.SUCCEEDED]
            again = await self._backend.specs(bad) if bad else {}
            for job_id in part:
                record = finals.get(job_id)
                if record is None or (job_id in again and again[job_id].run > record.run):
                    going_on.append(job_id)
                else:
                    self._todo += self._graph.ended(job_id, record.state.value)
        return going_on

    async def audit(self) -> int:
        """Look at every job that waits and at all their parents; how many jobs moved. Needs no events at all."""
        begun, seen = self._graph.now, set[str]()
        after: str | None = None
        while page := await self._backend.unfinished(blocked=True, after=after, limit=PAGE):
            after = page[-1][0]
            waiting = await self._still_waiting({spec.id: spec for _, spec in page})
            seen |= waiting.keys()
            await self._take_in(waiting.values())
        for child in self._graph.older(begun):
            if child not in seen:
                self._graph.drop(child)
        self._graph.prune()
        await self._look_for_parents()
        return await self._carry_out()

    async def _look_for_parents(self) -> None:
        """Note of all parents which have ended, and which are gone without a record."""
        going_on = await self._look_at(self._graph.parents())
        for start in range(0, len(going_on), PAGE):
            part = going_on[start : start + PAGE]
            for job_id in set(part) - (await self._backend.specs(part)).keys():
                await self._mourn(job_id)

    async def _still_waiting(self, specs: dict[str, JobSpec]) -> dict[str, JobSpec]:
        """Those of `specs` without a final record. One with: whoever cancelled it died before it took it away."""
        for job_id, record in (await self._backend.finals(specs)).items():
            if record.run >= specs[job_id].run:
                self._graph.drop(job_id)
                await self._backend.unblock(job_id, record)
                del specs[job_id]
        return specs

    async def _mourn(self, parent: str) -> None:
        """`parent` does not seem to be anywhere: make sure, for a replica may have been behind."""
        record = await self._backend.get(parent)
        if record is None:
            self._todo += self._graph.ended(parent, GONE)
        elif record.is_final:
            self._todo += self._graph.ended(parent, record.state.value)

    async def _carry_out(self) -> int:
        """Do what was decided; what fails is done again by the next step."""
        moved = 0
        while self._todo:
            # Taken out first: the audit runs beside the steps.
            part, self._todo = self._todo[:AT_ONCE], self._todo[AT_ONCE:]
            try:
                ended = [decision.child for decision in part if decision.then is not Then.GO]
                specs = await self._backend.specs(ended) if ended else {}
                moved += sum(await asyncio.gather(*(self._do(decision, specs) for decision in part)))
            except BaseException:
                self._todo = part + self._todo  # what was done already does no harm a second time
                raise
        return moved

    async def _do(self, decision: Decision, specs: dict[str, JobSpec]) -> bool:
        if decision.then is Then.GO:
            fault("release.decided")
            done = await self._backend.unblock(decision.child)
            fault("release.after_edge")
            return done
        spec = specs.get(decision.child)
        return spec is not None and await self._backend.unblock(
            spec.id, end_record(spec, decision, self._read.record_arguments)
        )


def end_record(spec: JobSpec, decision: Decision, limit: int) -> JobRecord:
    """The record of a job that does not run because of a parent, or because its time is over, with at most `limit`
    bytes of its arguments.
    """  # noqa: D205
    said, now, failed = peek(spec.payload), clock.now(), decision.then is Then.FAIL
    error = AttemptError(type=_PARENT_FAILED, message=decision.reason, attempt=spec.attempt, at=now)
    return JobRecord(
        id=spec.id,
        state=_STATES[decision.then],
        queue=spec.queue,
        priority=spec.priority,
        task=said.task,
        run=spec.run,
        attempt=spec.attempt,
        errors=[error] if failed else [],
        enqueued_at=said.at,
        finished_at=now,
        reason=decision.reason,
        tags=read_tags(spec.headers),
        arguments=said.arguments(limit),
        parent=said.parent,
        root=said.root,
        after=said.waits_for,
        expires_at=said.expires_at or 0.0,
    )


def _state(event: Event) -> str:
    try:
        return _read_end(event.data).state
    except (msgspec.DecodeError, UnicodeDecodeError):  # a stranger's record: nothing that succeeded
        return JobState.FAILED.value
