"""Several jobs as one thing: a chain, a group with a last job, many items a few at a time, waiting for some or all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, TypeVar, overload

from msgspec.structs import replace

from naq.codec.after import ParentFailure
from naq.connections import Host, settings, shared
from naq.exceptions import ConfigurationError, NaqException
from naq.handle import Job
from naq.job import JobState
from naq.task.call import Call, send, send_sync
from naq.task.parents import ResultOf, Wanted
from naq.task.task import Sender

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
_AT_ONCE: Final = 256  # results asked for at the same time; each is a subscription of its own
_POLICY: Final[ParentFailure] = "fail"


class Group(Generic[R_co]):
    """Jobs that were enqueued together, and the one that follows them, if one does.

    Attributes:
        jobs: their handles, in the order of the calls.
        then: that of the job that waits for all of them; None without one.
    """

    def __init__(self, jobs: Sequence[Job[R_co]], then: Job[Any] | None) -> None:
        self.jobs: Final = list(jobs)
        self.then: Final = then

    def __repr__(self) -> str:
        return f"<Group of {len(self.jobs)} jobs>"

    async def results(self, timeout: float | None = None) -> list[R_co]:
        """What they returned, in their order, within `timeout` seconds.

        Raises:
            NaqException: as `Job.result`, for the first that did not succeed; the others go on.
        """
        return await gather(*self.jobs, timeout=timeout)

    async def progress(self) -> dict[JobState, int]:
        """How many of them are in which state; those that are unknown (any more) are left out."""
        if not self.jobs:
            return {}
        ids, backend = [job.id for job in self.jobs], await self.jobs[0].connect()
        counts: dict[JobState, int] = {}
        finals = await backend.finals(ids)
        for record in finals.values():
            counts[record.state] = counts.get(record.state, 0) + 1
        specs = await backend.specs([job_id for job_id in ids if job_id not in finals])
        for spec in specs.values():
            state = JobState.BLOCKED if spec.blocked else JobState.SCHEDULED if spec.run_at else JobState.QUEUED
            counts[state] = counts.get(state, 0) + 1
        return counts

    async def cancel(self) -> int:
        """Cancel all of them and the one that follows; how many were waiting or running."""
        from naq.backends.base import CancelResult

        done = 0
        every = [*([self.then] if self.then is not None else []), *self.jobs]
        for start in range(0, len(every), _AT_ONCE):
            results = await asyncio.gather(*(job.cancel() for job in every[start : start + _AT_ONCE]))
            done += sum(result in {CancelResult.REMOVED, CancelResult.REQUESTED} for result in results)
        return done


async def chain(*calls: Call[Any], on_parent_failure: ParentFailure = _POLICY) -> list[Job[Any]]:
    """Enqueue `calls` so that each begins when the one before has ended; handles in their order.

    ::

        jobs = await naq.chain(fetch.call(url), parse.call(naq.PREVIOUS), store.call(naq.PREVIOUS, table="pages"))
        await jobs[-1].result()

    `PREVIOUS` among the arguments of a call is what the one before it returned. All are stored at once: no program has
    to stay for the rest to happen.

    Raises:
        ConfigurationError: there is no call, or the first one uses `PREVIOUS`.
        NaqException: as `enqueue_many`; nothing was stored.
    """
    return await send(_host(calls), _linked(calls, on_parent_failure))


def chain_sync(*calls: Call[Any], on_parent_failure: ParentFailure = _POLICY) -> list[Job[Any]]:
    """`chain` for code without an event loop; safe in threads."""
    return send_sync(_host(calls), _linked(calls, on_parent_failure), instead="await naq.chain(...)")


async def group(*calls: Call[R], then: Call[Any] | None = None, on_parent_failure: ParentFailure = _POLICY) -> Group[R]:
    """Enqueue `calls` to run side by side, and `then` to follow when all of them have ended.

    ::

        pages = await naq.group(*(fetch.call(url) for url in urls), then=index.call(naq.RESULTS))
        await pages.then.result()

    `RESULTS` among the arguments of `then` is the list of what they returned. `on_parent_failure` says what becomes of
    `then` when one of them does not succeed: "fail" (default), "cancel", or "run_anyway", with None for its result.
    It runs once, however many there are (50,000 are fine).

    Raises:
        NaqException: as `enqueue_many`; nothing was stored.
    """
    every = _with_last(calls, then, on_parent_failure)
    return _grouped(await send(_host(every), every) if every else [], then)


def group_sync(*calls: Call[R], then: Call[Any] | None = None, on_parent_failure: ParentFailure = _POLICY) -> Group[R]:
    """`group` for code without an event loop; safe in threads."""
    every = _with_last(calls, then, on_parent_failure)
    return _grouped(send_sync(_host(every), every, instead="await naq.group(...)") if every else [], then)


async def map(  # noqa: A001 - as naq.map, beside naq.group and naq.chain
    task: Sender[[T], R],
    items: Iterable[T],
    *,
    concurrency: int,
    then: Call[Any] | None = None,
    on_parent_failure: ParentFailure = _POLICY,
) -> Group[R]:
    """A job of `task` for each of `items`, at most `concurrency` of them at a time.

    ::

        pages = await naq.map(fetch, urls, concurrency=8, then=index.call(naq.RESULTS))

    The bound holds in the whole fleet and needs nobody who watches: the items make `concurrency` lines, and each begins
    when the one before it in its line has ended, whichever way. So a long one holds up its own line only. `then`,
    `RESULTS` and `on_parent_failure` are as in `group`.

    Raises:
        ConfigurationError: `concurrency` is less than 1.
        NaqException: as `enqueue_many`; nothing was stored.
    """
    return await group(*_lines(task, items, concurrency), then=then, on_parent_failure=on_parent_failure)


def map_sync(
    task: Sender[[T], R],
    items: Iterable[T],
    *,
    concurrency: int,
    then: Call[Any] | None = None,
    on_parent_failure: ParentFailure = _POLICY,
) -> Group[R]:
    """`map` for code without an event loop; safe in threads."""
    return group_sync(*_lines(task, items, concurrency), then=then, on_parent_failure=on_parent_failure)


@overload
async def gather(*jobs: Job[R], timeout: float | None = ...) -> list[R]: ...
@overload
async def gather(*jobs: Job[R], timeout: float | None = ..., return_exceptions: bool) -> list[R | NaqException]: ...
async def gather(
    *jobs: Job[R], timeout: float | None = None, return_exceptions: bool = False
) -> list[R] | list[R | NaqException]:
    """Wait for all of `jobs` and return their results in order, within `timeout` seconds in all.

    With `return_exceptions` the exception of a job that did not succeed stands in its place.

    Raises:
        NaqException: as `Job.result`, for the first in order that did not succeed.
        ResultTimeout: some have not ended yet.
    """
    loop = asyncio.get_running_loop()
    end = None if timeout is None else loop.time() + timeout
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(job: Job[R]) -> R | NaqException:
        async with limit:
            try:
                return await job.result(None if end is None else max(0.0, end - loop.time()))
            except NaqException as error:
                return error

    results = await asyncio.gather(*(one(job) for job in jobs))
    if return_exceptions:
        return results
    values: list[R] = []
    for result in results:
        if isinstance(result, NaqException):
            raise result
        values.append(result)
    return values


async def first_completed(*jobs: Job[R], timeout: float | None = None) -> Job[R]:
    """The one of `jobs` that has ended first, whichever way, as soon as one has; the others go on.

    Raises:
        ConfigurationError: there are none.
        ResultTimeout: none has ended within `timeout` seconds.
        JobNotFoundError: one of them does not exist.
    """
    if not jobs:
        raise ConfigurationError("the first of no jobs never comes: naq.first_completed(job, ...)")

    async def ended(job: Job[R]) -> Job[R]:
        backend = await job.connect()
        await backend.wait(job.id, timeout=timeout)
        return job

    waiting = [asyncio.ensure_future(ended(job)) for job in jobs]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return next(each for each in waiting if each.done()).result()
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _linked(calls: Sequence[Call[Any]], policy: ParentFailure) -> list[Call[Any]]:
    """`calls`, each behind the one before."""
    if not calls:
        raise ConfigurationError("a chain needs a call at least: naq.chain(task.call(...), ...)")
    linked: list[Call[Any]] = []
    for call in calls:
        linked.append(_behind(call, linked[-1:], policy) if linked else call)
    return linked


def _with_last(calls: Sequence[Call[Any]], then: Call[Any] | None, policy: ParentFailure) -> list[Call[Any]]:
    """`calls`, and `then` behind all of them."""
    return [*calls] if then is None else [*calls, _behind(then, calls, policy)]


def _grouped(jobs: list[Job[Any]], then: Call[Any] | None) -> Group[Any]:
    return Group(jobs, None) if then is None else Group(jobs[:-1], jobs[-1])


def _lines(task: Sender[[T], R], items: Iterable[T], concurrency: int) -> list[Call[R]]:
    """A call for each of `items`, in `concurrency` lines."""
    if concurrency < 1:
        raise ConfigurationError(f"concurrency is {concurrency}; at least one item has to run at a time")
    calls: list[Call[R]] = []
    for at, item in enumerate(items):
        call = task.call(item)
        calls.append(call if at < concurrency else _behind(call, [calls[at - concurrency]], "run_anyway"))
    return calls


def _behind(call: Call[Any], parents: Sequence[Call[Any]], policy: ParentFailure) -> Call[Any]:
    """`call`, waiting for `parents`, whose results go where the place holders are."""
    previous, every = ResultOf(tuple(parents[-1:])), ResultOf(tuple(parents), many=True)

    def put(value: Any) -> Any:
        if not isinstance(value, ResultOf) or value.sources is not None:
            return value
        return every if value.many else previous

    plan = call.plan
    own = plan.options.wanted
    wanted = Wanted((*own.parents, *parents), own.policy if own.parents else policy, own.any_of)
    return Call(
        plan.changed(replace(plan.options, wanted=wanted)),
        tuple([put(value) for value in call.args]),
        {name: put(value) for name, value in call.kwargs.items()},
    )


def _host(calls: Sequence[Call[Any]]) -> Host:
    """Where the jobs of `calls` go: all to one place.

    Raises:
        ConfigurationError: they are of several apps.
    """
    hosts = {id(call.plan.host): call.plan.host for call in calls if call.plan.host is not None}
    if len(hosts) > 1:
        raise ConfigurationError("these calls are of tasks of several apps: one chain or group lives in one place")
    return next(iter(hosts.values()), None) or shared(settings())
