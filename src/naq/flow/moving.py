"""Moving jobs that wait to another queue, sealed anew for their place there where there are keys."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from fnmatch import fnmatchcase
from typing import Final, Protocol

from msgspec.structs import replace

from naq.backends.base import Flow, JobAdmin
from naq.codec.peek import peek
from naq.codec.seal import is_sealed
from naq.codec.sealing import seal_for
from naq.config import Config
from naq.exceptions import ConfigurationError, SerializationError
from naq.job import JobSpec
from naq.names import check_token

log = logging.getLogger("naq.flow")

PAGE: Final = 500  # jobs read, and moved, at once


class Movable(JobAdmin, Flow, Protocol):
    """What moving needs of a backend."""


async def move(
    backend: Movable,
    config: Config,
    queue: str,
    to: str,
    *,
    task: str = "",
    limit: int | None = None,
    tell: Callable[[int], object] | None = None,
) -> int:
    """Move what waits in `queue` to the queue `to`; how many. See `Queue.move`; `tell` is told after every page."""
    check_token("queue", to)
    if check_token("queue", queue) == to:
        raise ConfigurationError(f"jobs of queue {queue!r} are in {to!r} already: name another queue to move them to")
    if limit is not None and limit < 1:
        raise ConfigurationError(f"a limit of {limit} moves nothing: 1 or more, or None for all")
    moved = 0
    stuck: set[str] = set()  # refused already, each with a line in the log
    while True:
        before = moved
        async for page in _pages(backend, queue, task):
            pairs = [(spec, changed) for spec in page if (changed := _moved(spec, to, config, stuck)) is not None]
            while pairs:
                size = PAGE if limit is None else min(limit - moved, PAGE)
                part, pairs = pairs[:size], pairs[size:]
                now = sum(await backend.move(part))
                moved += now
                if tell is not None:
                    tell(now)
                if moved == limit:
                    return moved
        # Once more for those that were on their way from one state to another, until only what runs is left.
        if moved == before:
            return moved


async def _pages(backend: Flow, queue: str, task: str) -> AsyncIterator[list[JobSpec]]:
    """The jobs of `queue` that wait or run, of `task` where that is given, in the order in which they were stored."""
    after: str | None = None
    while page := await backend.unfinished(queue=queue, after=after, limit=PAGE):
        after = page[-1][0]
        yield [spec for _, spec in page if not task or fnmatchcase(peek(spec.payload).task, task)]


def _moved(spec: JobSpec, to: str, config: Config, stuck: set[str]) -> JobSpec | None:
    """`spec` as it is to be stored in the queue `to`; None where it has to stay."""
    try:
        return moved_job(spec, to, config)
    except SerializationError as error:
        if spec.id not in stuck:
            stuck.add(spec.id)
            log.warning("job %s stays in queue %s: %s", spec.id, spec.queue, error)
        return None


def moved_job(spec: JobSpec, to: str, config: Config) -> JobSpec:
    """`spec` as it is to be stored in the queue `to`.

    Raises:
        SerializationError: it cannot be sealed anew for its place there.
        ConfigurationError: it is sealed, and the keys are not here.
    """
    seal, payload = seal_for(config), spec.payload
    if seal is not None:
        payload = seal.move_job(payload, job_id=spec.id, queue=spec.queue, to=to, limit=config.max_payload)
    elif is_sealed(payload):
        raise ConfigurationError(
            f"job {spec.id} is signed or encrypted for its place in queue {spec.queue!r}: moved without the keys, it"
            " would be refused there; set signing_keys and encryption_keys as its workers have them"
        )
    return replace(spec, queue=to, payload=payload)
