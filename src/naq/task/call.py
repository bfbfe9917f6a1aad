"""A call not made yet: a task, its options and its arguments, to be enqueued with others in one go."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from msgspec import Struct

from naq import clock, sync
from naq.connections import AroundEnqueue, Host, on_bridge, store
from naq.exceptions import ConfigurationError
from naq.handle import Job
from naq.job import JobSpec, new_id
from naq.task.parents import known_id
from naq.task.plan import Plan

if TYPE_CHECKING:
    from naq.backends.base import EnqueueResult

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
_SLICE: Final = 1000  # calls encoded before other coroutines get a turn: about 10 ms of work


class Call(Struct, Generic[R_co], frozen=True, eq=False):
    """One call of a task, made by ``task.call(...)``; nothing is checked or stored until it is enqueued.

    Other calls that are enqueued in the same go may wait for it (``depends_on=[call]``, ``naq.result_of(call)``).
    """

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
    ids = Ids()
    for index, call in enumerate(calls):
        if index and not index % _SLICE:
            await asyncio.sleep(0)
        specs.append(_build(index, call, now, ids))
        batch.append(call)
    ids.check()
    return _handles(host, batch, await _store(host, host.around_enqueue, batch, specs) if specs else [], now)


def send_sync(host: Host, calls: Iterable[Call[R]], *, instead: str) -> list[Job[R]]:
    """`send` for code without an event loop; `instead` is what to write where one runs (see `naq.sync.run`)."""
    now = clock.now()
    batch = list(calls)
    ids = Ids()
    specs = [_build(index, call, now, ids) for index, call in enumerate(batch)]
    ids.check()
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


async def send_built(host: Host, call: Call[R], spec: JobSpec, now: float) -> Job[R]:
    """Enqueue the one job `spec` that `call` was built into."""
    return _handles(host, (call,), await _store(host, host.around_enqueue, (call,), (spec,)), now)[0]


class Ids:
    """The ids of a batch's calls: some of them may wait for others, before them in the batch or behind."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}  # by the identity of the call, which the batch keeps alive
        self._promised: dict[int, Call[Any]] = {}

    def __call__(self, parent: Any) -> str:
        """The id of a job, of a call of this batch, or the id itself."""
        if not isinstance(parent, Call):
            return known_id(parent)
        call = cast("Call[Any]", parent)
        if (found := self._known.get(id(call))) is None:
            found = self._known[id(call)] = call.plan.options.job_id or new_id()
            self._promised[id(call)] = call
        return found

    def build(self, call: Call[Any], now: float) -> JobSpec:
        """The job that `call` is, with the id that was promised for it, if one was."""
        key = id(call)
        own = self._known[key] if self._promised and self._promised.pop(key, None) is not None else ""
        spec = call.plan.build(call.args, call.kwargs, now, id_of=self, own_id=own)
        self._known[key] = spec.id
        return spec

    def check(self) -> None:
        """Refuse a batch that lacks a call which others wait for.

        Raises:
            ConfigurationError: it does; nothing was stored.
        """
        for call in self._promised.values():
            raise ConfigurationError(
                f"a job is to wait for {call!r}, which is not enqueued with it: put both into one batch "
                "(app.enqueue_many), or enqueue that one first and use its handle"
            )


async def _store(
    host: Host, around: AroundEnqueue | None, calls: Sequence[Call[Any]], specs: Sequence[JobSpec]
) -> Sequence[EnqueueResult]:
    """Store `specs` through `host`, with the middleware `around` it: the app's, though `host` may be its bridge."""
    if any(spec.blocked for spec in specs):
        from naq.flow.store import store_blocked

        return await store_blocked(host, calls, specs, lambda calls, specs: _store_all(host, around, calls, specs))
    return await _store_all(host, around, calls, specs)


async def _store_all(
    host: Host, around: AroundEnqueue | None, calls: Sequence[Call[Any]], specs: Sequence[JobSpec]
) -> Sequence[EnqueueResult]:
    if any(call.plan.gated for call in calls):
        put: Callable[[Sequence[JobSpec]], Awaitable[Sequence[EnqueueResult]]] = functools.partial(_gated, host, calls)
    else:
        put = functools.partial(store, host)
    if around is None:
        return await put(specs)
    from naq.middleware.outgoing import enqueue_through

    return await enqueue_through(around, calls, specs, put, max_headers=host.config.max_headers)


async def _gated(host: Host, calls: Sequence[Call[Any]], specs: Sequence[JobSpec]) -> Sequence[EnqueueResult]:
    """Store those of `specs` that their limits let in."""
    from naq.limits.gate import store_gated  # most programs have no such limit

    def again(index: int, job_id: str) -> JobSpec:
        call = calls[index]
        return call.plan.build(call.args, call.kwargs, clock.now(), own_id=job_id)

    gates = [call.plan.gate(call.args, call.kwargs) for call in calls]
    return await store_gated(await host.connect(), specs, gates, again)


def _build(index: int, call: Call[Any], now: float, ids: Ids) -> JobSpec:
    try:
        return ids.build(call, now)
    except Exception as error:
        error.add_note(f"in call {index} of the batch ({call.plan.task}); nothing of the batch was stored")
        raise


def _handles(host: Host, calls: Sequence[Call[R]], stored: Sequence[EnqueueResult], now: float) -> list[Job[R]]:
    jobs: list[Job[R]] = []
    for call, result in zip(calls, stored, strict=True):
        job = Job.of(result.job_id, host, call.plan.decode, result.duplicate, call, now)
        if result.dropped:
            job.dropped = True
        jobs.append(job)
    return jobs
