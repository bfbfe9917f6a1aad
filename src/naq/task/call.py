"""A call not made yet: a task, its options and its arguments, to be enqueued with others in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from msgspec import Struct

from naq import clock, sync
from naq.connections import AroundEnqueue, Host, on_bridge, store
from naq.handle import Job
from naq.job import JobSpec
from naq.task.plan import Plan

if TYPE_CHECKING:
    from naq.backends.base import EnqueueResult

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
    batch: list[Call[R]] = []
    specs: list[JobSpec] = []
    for index, call in enumerate(calls):
        if index and not index % _SLICE:
            await asyncio.sleep(0)
        specs.append(_build(index, call, now))
        batch.append(call)
    return _handles(host, batch, await _store(host, host.around_enqueue, batch, specs) if specs else [], now)


def send_sync(host: Host, calls: Iterable[Call[R]], *, instead: str) -> list[Job[R]]:
    """`send` for code without an event loop; `instead` is what to write where one runs (see `naq.sync.run`)."""
    now = clock.now()
    batch = list(calls)
    specs = [_build(index, call, now) for index, call in enumerate(batch)]
    if not specs:
        return []
    return _handles(host, batch, sync.run(instead, _store, on_bridge(host), host.around_enqueue, batch, specs), now)


async def send_one(host: Host, call: Call[R]) -> Job[R]:
    """Enqueue one call.

    Raises:
        NaqException: as `Task.enqueue`.
    """
    now = clock.now()
    stored = await _store(host, host.around_enqueue, (call,), (call.plan.build(call.args, call.kwargs, now),))
    return _handles(host, (call,), stored, now)[0]


def send_one_sync(host: Host, call: Call[R], *, instead: str) -> Job[R]:
    """`send_one` for code without an event loop; `instead` as for `send_sync`."""
    now = clock.now()
    specs = (call.plan.build(call.args, call.kwargs, now),)
    stored = sync.run(instead, _store, on_bridge(host), host.around_enqueue, (call,), specs)
    return _handles(host, (call,), stored, now)[0]


async def _store(
    host: Host, around: AroundEnqueue | None, calls: Sequence[Call[Any]], specs: Sequence[JobSpec]
) -> Sequence[EnqueueResult]:
    """Store `specs` through `host`, with the middleware `around` it: the app's, though `host` may be its bridge."""
    if around is None:
        return await store(host, specs)
    from naq.middleware.outgoing import enqueue_through

    return await enqueue_through(
        around, calls, specs, lambda specs: store(host, specs), max_headers=host.config.max_headers
    )


def _build(index: int, call: Call[Any], now: float) -> JobSpec:
    try:
        return call.plan.build(call.args, call.kwargs, now)
    except Exception as error:
        error.add_note(f"in call {index} of the batch ({call.plan.task}); nothing of the batch was stored")
        raise


def _handles(host: Host, calls: Sequence[Call[R]], stored: Sequence[EnqueueResult], now: float) -> list[Job[R]]:
    return [
        Job.of(result.job_id, host, call.plan.decode, result.duplicate, call, now)
        for call, result in zip(calls, stored, strict=True)
    ]
