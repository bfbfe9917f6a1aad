"""A call not made yet: a task, its options and its arguments, to be enqueued with others in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from naq import clock
from naq.handle import Host, Job
from naq.job import JobSpec
from naq.task.plan import Plan

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
_SLICE: Final = 1000  # calls encoded before other coroutines get a turn: about 10 ms of work


class Call(Struct, Generic[R_co], frozen=True, eq=False):
    """One call of a task, made by ``task.call(...)``; nothing is checked or stored until it is enqueued."""

    plan: Plan
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Call of {self.plan.task}>"


async def send(host: Host, calls: Iterable[Call[R]]) -> list[Job[R]]:
    """Enqueue `calls` together, in order: all are checked and encoded before the first is sent.

    Raises:
        NaqException: as `Task.enqueue`; a note on it says which call it was, and nothing was stored.
    """
    now = clock.now()
    plans: list[Plan] = []
    specs: list[JobSpec] = []
    for index, call in enumerate(calls):
        if index and not index % _SLICE:
            await asyncio.sleep(0)
        try:
            specs.append(call.plan.build(call.args, call.kwargs, now))
        except Exception as error:
            error.add_note(f"in call {index} of the batch ({call.plan.task}); nothing of the batch was stored")
            raise
        plans.append(call.plan)
    if not specs:
        return []
    backend = await host.connect()
    stored = await backend.enqueue(specs)
    return [Job(result.job_id, host, plan.decode, result.duplicate) for plan, result in zip(plans, stored, strict=True)]
