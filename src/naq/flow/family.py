"""A job with all that it hangs together with: what waits for what, and what was enqueued by what."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from naq.codec.reader import Reader
from naq.codec.sealing import opened
from naq.flow.kin import PAGE, Kin, read_kin, unfinished
from naq.job import FINAL, JobRecord, JobSpec, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

ENDED: Final = 20_000  # records that are looked through for jobs that have ended; the newest
MOST: Final = 2_000  # members of a family that are named
_ASKED: Final = 200  # unfinished members whose state is asked for one by one: what is stored does not tell who runs


class Member(Struct, frozen=True, kw_only=True):
    """One job of a family.

    Attributes:
        id, task, queue, state: as everywhere; a state that is not known (any more) is "unknown".
        parent: the job that enqueued it, or "".
        after: the jobs that it waits for, or waited for.
        reason: why it waits, or why it ended as it did, in words.
    """

    id: str
    task: str = ""
    queue: str = ""
    state: str = "unknown"
    parent: str = ""
    after: list[str] = []
    reason: str = ""

    @property
    def above(self) -> list[str]:
        """Whom it comes of: those that it waits for, then the one that enqueued it."""
        return [*self.after, *([self.parent] if self.parent else [])]


class Family(Struct, frozen=True):
    """The members, the one that was asked for among them; `more` where there are others that are not named."""

    job_id: str
    members: dict[str, Member]
    more: bool = False

    @property
    def roots(self) -> list[str]:
        """Those that come of nobody who is named."""
        return [one.id for one in self.members.values() if not any(above in self.members for above in one.above)]

    def children(self) -> dict[str, list[str]]:
        """Who comes of whom, by the one above."""
        found: dict[str, list[str]] = {}
        for one in self.members.values():
            for above in dict.fromkeys(one.above):
                found.setdefault(above, []).append(one.id)
        return found


async def find_family(backend: Backend, config: Config, job_id: str) -> Family | None:
    """The family of `job_id`; None where there is no such job.

    All jobs that wait or run are looked at, and the newest 20,000 of those that have ended.
    """
    read = Reader(config)
    known: dict[str, Member] = {}
    async for spec in unfinished(backend):
        kin = read_kin(spec, read)
        if kin.parent or kin.waits_for or spec.id == job_id:
            known[spec.id] = _of_spec(spec, kin)
    for record in await backend.jobs(states=FINAL, limit=ENDED):
        if record.parent or record.after or record.id == job_id:
            known.setdefault(record.id, _of_record(record, config))
    if job_id not in known:
        await _add(backend, read, config, [job_id], known)
        if job_id not in known:
            return None
    members = await _gathered(backend, read, config, job_id, known)
    more = len(members) > MOST
    named = {one: known.get(one, Member(id=one)) for one in list(members)[:MOST]}
    return Family(job_id, await _with_states(backend, config, named), more)


async def _gathered(
    backend: Backend, read: Reader, config: Config, job_id: str, known: dict[str, Member]
) -> Collection[str]:
    """The ids that hang together with `job_id`, the nearest first; those above are looked up where need be."""
    children: dict[str, list[str]] = {}
    for one in known.values():
        for above in one.above:
            children.setdefault(above, []).append(one.id)
    seen, layer = {job_id: None}, [job_id]
    while layer and len(seen) <= MOST:
        await _add(backend, read, config, [one for one in layer if one not in known], known)
        layer = list(
            dict.fromkeys(
                near
                for one in layer
                for near in (*(known[one].above if one in known else ()), *children.get(one, ()))
                if near not in seen
            )
        )
        seen.update(dict.fromkeys(layer))
    return seen


async def _add(backend: Backend, read: Reader, config: Config, job_ids: list[str], known: dict[str, Member]) -> None:
    for start in range(0, len(job_ids), PAGE):
        part = job_ids[start : start + PAGE]
        known.update({one: _of_record(record, config) for one, record in (await backend.finals(part)).items()})
        known.update({one: _of_spec(spec, read_kin(spec, read)) for one, spec in (await backend.specs(part)).items()})


async def _with_states(backend: Backend, config: Config, members: dict[str, Member]) -> dict[str, Member]:
    """`members`, each in the state that it is in now, as far as that can be asked."""
    going_on = [one.id for one in members.values() if one.state == JobState.QUEUED][:_ASKED]
    records: Iterable[JobRecord | None] = await asyncio.gather(*(backend.get(one) for one in going_on))
    now = {record.id: _of_record(record, config) for record in records if record is not None}
    return {one: now.get(one, member) for one, member in members.items()}


def _of_record(record: JobRecord, config: Config) -> Member:
    record = opened(record, record.id, config)
    error = record.error
    return Member(
        id=record.id,
        task=record.task,
        queue=record.queue,
        state=record.state.value,
        parent=record.parent,
        after=record.after,
        reason=record.reason or ("" if error is None else f"{error.type.removeprefix('builtins.')}: {error.message}"),
    )


def _of_spec(spec: JobSpec, kin: Kin) -> Member:
    state = JobState.BLOCKED if spec.blocked else JobState.SCHEDULED if spec.run_at is not None else JobState.QUEUED
    return Member(
        id=spec.id,
        task=kin.task,
        queue=spec.queue,
        state=state.value,
        parent=kin.parent,
        after=list(kin.waits_for),
        reason=spec.reason,
    )
