"""Storing jobs through an app's middleware."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from naq.codec.headers import TAG, TRACEPARENT, TRACESTATE
from naq.exceptions import ConfigurationError, NaqException, PayloadTooLarge
from naq.job import JobSpec
from naq.middleware.base import NewJob
from naq.middleware.chain import AroundEnqueue

if TYPE_CHECKING:
    from naq.backends.base import EnqueueResult
    from naq.task import Call

_NAME: Final = re.compile(r"(?!nats-)[A-Za-z][A-Za-z0-9-]{0,127}", re.ASCII | re.IGNORECASE)
_LINE: Final = 4  # bytes around a header: colon, space, CR, LF


async def enqueue_through(
    around: AroundEnqueue,
    calls: Sequence[Call[Any]],
    specs: Sequence[JobSpec],
    store: Callable[[Sequence[JobSpec]], Awaitable[Sequence[EnqueueResult]]],
    *,
    max_headers: int,
) -> Sequence[EnqueueResult]:
    """Store `specs`, which were made of `calls`, with `around` around it. Headers may be added on the way.

    Raises:
        ConfigurationError: a middleware added a header that cannot be one.
        PayloadTooLarge: together they are longer than `max_headers` bytes.
        NaqException: a middleware neither stored the jobs nor said why; or what it, or storing, raised.
    """
    jobs = [_seen(call, spec) for call, spec in zip(calls, specs, strict=True)]
    stored: Sequence[EnqueueResult] | None = None

    async def last() -> None:
        nonlocal stored
        stored = await store([_with_headers(job, spec, max_headers) for job, spec in zip(jobs, specs, strict=True)])
        for job, result in zip(jobs, stored, strict=True):
            job.duplicate = result.duplicate

    await around(jobs, last)
    if stored is None:
        raise NaqException("nothing was stored: a middleware's enqueue returned without awaiting call_next()")
    return stored


def _seen(call: Call[Any], spec: JobSpec) -> NewJob:
    return NewJob(
        id=spec.id,
        task=call.plan.task,
        queue=spec.queue,
        priority=spec.priority,
        args=call.args,
        kwargs=call.kwargs,
        run_at=spec.run_at,
        headers={} if spec.headers is None else dict(spec.headers),
    )


def _with_headers(job: NewJob, spec: JobSpec, limit: int) -> JobSpec:
    headers = job.headers
    if headers == (spec.headers or {}):
        return spec
    for name, value in headers.items():
        # Names that brokers and naq itself give a meaning to are not for others to set.
        if not _may_be_set(name):
            raise ConfigurationError(
                f"a middleware added the header {name!r} to a job of {job.task}: use letters, digits and dashes, "
                f"and none of Nats- and Naq- in front (but {TAG}<name> for a tag)"
            )
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"a middleware set the header {name!r} of a job of {job.task} to {value!r}; expected printable ASCII"
            )
    if _size(headers) > limit:  # tracing never stops a job
        headers = {name: value for name, value in headers.items() if name not in {TRACEPARENT, TRACESTATE}}
    if (size := _size(headers)) > limit:
        raise PayloadTooLarge(f"the headers of a job of {job.task} are {size} bytes, more than the limit of {limit}")
    return replace(spec, headers=headers or None)


def _may_be_set(name: object) -> bool:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return False
    return name.startswith(TAG) or not name.lower().startswith("naq-")


def _size(headers: dict[str, str]) -> int:
    return sum(len(name) + len(value) + _LINE for name, value in headers.items())
