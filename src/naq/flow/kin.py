"""Who comes of whom: jobs that a job enqueued, and jobs that wait for it, and so on downwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from graphlib import TopologicalSorter
from typing import Final

from msgspec import Struct

from naq.backends.base import Flow
from naq.codec.after import parents_of
from naq.codec.peek import peek
from naq.codec.reader import Reader
from naq.exceptions import SerializationError
from naq.job import JobSpec

PAGE: Final = 1000  # jobs looked at in one round trip


class Kin(Struct, frozen=True):
    """What an unfinished job says of those before it."""

    job_id: str
    task: str
    parent: str
    root: str
    waits_for: tuple[str, ...]


async def unfinished(backend: Flow, *, queue: str | None = None, blocked: bool = False) -> AsyncIterator[JobSpec]:
    """Every job that waits or runs, page by page."""
    after: str | None = None
    while page := await backend.unfinished(queue=queue, blocked=blocked, after=after, limit=PAGE):
        for _, spec in page:
            yield spec
        after = page[-1][0]


def read_kin(spec: JobSpec, read: Reader) -> Kin:
    """The kin of a job, as far as it can be read here."""
    try:
        envelope = read(spec)
        waits_for = () if envelope.after is None else tuple(parents_of(envelope.after))
        return Kin(spec.id, envelope.task, envelope.parent, envelope.root, waits_for)
    except SerializationError:
        said = peek(spec.payload)
        return Kin(spec.id, said.task, said.parent, said.root, tuple(said.waits_for))


async def descendants(backend: Flow, read: Reader, job_id: str) -> list[str]:
    """The unfinished jobs that come of `job_id`: it enqueued them or they wait for it, through others too.

    Those furthest away first, so that whoever ends them in this order ends nobody's parent before its child.
    """
    root = await _root_of(backend, read, job_id)
    kin: dict[str, Kin] = {}
    async for spec in unfinished(backend):
        one = read_kin(spec, read)
        if one.waits_for or (one.parent and one.root in {root, job_id}):
            kin[spec.id] = one
    children: dict[str, list[str]] = {}
    for one in kin.values():
        for parent in {*one.waits_for, one.parent} - {""}:
            children.setdefault(parent, []).append(one.job_id)
    await _climb(backend, [one.parent for one in kin.values() if one.parent and one.parent not in kin], children)
    # Which of them come of it; then those first that nobody comes of, and so on: children before their parents.
    mine, layer = {job_id}, [job_id]
    while layer := [child for parent in layer for child in children.get(parent, ()) if child not in mine]:
        mine.update(layer)
    order = TopologicalSorter({one: [child for child in children.get(one, ()) if child in mine] for one in mine})
    return [one for one in order.static_order() if one in kin and one != job_id]


async def _root_of(backend: Flow, read: Reader, job_id: str) -> str:
    specs = await backend.specs([job_id])
    if job_id in specs:
        return read_kin(specs[job_id], read).root or job_id
    finals = await backend.finals([job_id])
    return (finals[job_id].root if job_id in finals else "") or job_id


async def _climb(backend: Flow, above: Collection[str], children: dict[str, list[str]]) -> None:
    """Add to `children` the parents of jobs that have ended, upwards from `above`."""
    todo, seen = set(above), set[str]()
    while todo:
        seen |= todo
        finals = await backend.finals(todo)
        todo = set[str]()
        for job_id, record in finals.items():
            if record.parent:
                children.setdefault(record.parent, []).append(job_id)
                if record.parent not in seen:
                    todo.add(record.parent)
