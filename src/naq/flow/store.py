"""Storing jobs that wait for others: parents first, circles refused, and whoever releases them told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final

from naq.backends.base import Event
from naq.exceptions import ConfigurationError, JobNotFoundError, NaqException
from naq.task.parents import find_holes, known_id, unproven

if TYPE_CHECKING:
    from naq.backends.base import Backend, EnqueueResult
    from naq.connections import Host
    from naq.job import JobSpec
    from naq.task.call import Call

log = logging.getLogger("naq.flow")

BLOCKED: Final = "blocked"  # kind of the event that says that a job waits for others
Store = Callable[[Sequence[Any], Sequence["JobSpec"]], Awaitable[Sequence["EnqueueResult"]]]


async def store_blocked(
    host: Host, calls: Sequence[Call[Any]], specs: Sequence[JobSpec], store: Store
) -> list[EnqueueResult]:
    """Store `specs`, which `calls` were built into, some of which wait for others; results in their order.

    Raises:
        ConfigurationError: some of them wait for each other in a circle.
        JobNotFoundError: one waits for an id that is no job's; nothing was stored.
        NaqException: as `store`.
    """
    backend = await host.connect()
    places = {spec.id: at for at, spec in enumerate(specs)}
    await _must_exist(backend, calls, places)
    # Parents before children: whoever sees a child may take a parent that is not there for one that was removed.
    order = sort_calls(specs, calls, places)
    stored = await store([calls[at] for at in order], [specs[at] for at in order])
    results: list[Any] = [None] * len(specs)
    for at, result in zip(order, stored, strict=True):
        results[at] = result
    await announce(backend, [spec for spec in specs if spec.blocked])
    return results


async def announce(backend: Backend, specs: Sequence[JobSpec]) -> None:
    """Tell whoever releases jobs that `specs` wait. They are stored: untold, they are found a minute later."""
    try:
        await backend.append([Event(kind=BLOCKED, job_id=spec.id, queue=spec.queue, data=b"{}") for spec in specs])
    except NaqException as error:
        log.warning("%d jobs wait for others and could not be announced (%s): found later", len(specs), error)


async def _must_exist(backend: Backend, calls: Sequence[Call[Any]], places: Mapping[str, int]) -> None:
    named: dict[str, str] = {}
    for call in calls:
        for parent in parents_of(call):
            if unproven(parent) and (job_id := known_id(parent)) not in places:
                named.setdefault(job_id, call.plan.task)
    for job_id in await missing_of(backend, named):
        raise JobNotFoundError(
            f"{named[job_id]} is to wait for the job {job_id!r}, and there is none: it was never enqueued in this "
            "namespace, or its record has expired. Nothing was stored"
        )


async def missing_of(backend: Backend, job_ids: Collection[str]) -> set[str]:
    """Those of `job_ids` that neither wait nor run, nor have a record."""
    missing = set(job_ids)
    if missing:
        missing -= (await backend.specs(missing)).keys()
    if missing:  # the record last: what ended between the two looks has one
        missing -= (await backend.finals(missing)).keys()
    return missing


def parents_of(call: Call[Any]) -> list[Any]:
    """Whom a call waits for, as its producer said it: jobs, calls, ids."""
    found = list(call.plan.options.wanted.parents)
    for hole in find_holes(call.args, call.kwargs).values():
        found += hole.sources or ()
    return found


def sort_calls(specs: Sequence[JobSpec], calls: Sequence[Call[Any]], places: Mapping[str, int]) -> list[int]:
    """The places of `specs`, each behind those it waits for, else as they are.

    Raises:
        ConfigurationError: some wait for each other.
    """
    ids = {id(call): spec.id for call, spec in zip(calls, specs, strict=True)}
    graph = {
        at: [
            places[parent]
            for given in parents_of(call)
            if (parent := ids.get(id(given)) or (known_id(given) if id(given) not in ids else "")) in places
        ]
        for at, (call, spec) in enumerate(zip(calls, specs, strict=True))
        if spec.blocked
    }
    if all(parent < at for at, parents in graph.items() for parent in parents):
        return list(range(len(specs)))
    for at in range(len(specs)):
        graph.setdefault(at, [])
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        around: list[int] = error.args[1]
        names = [f"{calls[at].plan.task} ({specs[at].id})" for at in around]
        raise ConfigurationError(
            f"jobs that wait for each other in a circle would never run: {' -> '.join(names)}. Nothing was stored"
        ) from None
