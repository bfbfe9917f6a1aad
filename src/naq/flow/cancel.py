"""Cancelling many jobs: a job with all that comes of it, or all that fit a description. Needs no worker."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from naq.backends.base import CancelResult
from naq.codec.headers import read_tags
from naq.codec.peek import peek
from naq.codec.reader import Reader
from naq.exceptions import ConfigurationError
from naq.flow.kin import descendants, unfinished
from naq.job import FINAL, JobSpec, JobState
from naq.names import check_token

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.connections import Host

AT_ONCE: Final = 64  # jobs cancelled at the same time
_ONLY_BLOCKED: Final = frozenset({JobState.BLOCKED})
_ROUNDS: Final = 5  # looks for descendants; a job that runs may enqueue more until it has stopped


class Cancelled(Struct, frozen=True):
    """How many jobs were cancelled.

    Attributes:
        removed: they were waiting and will never run.
        requested: they were running and are told.
        finished: they had ended before it came to them.
    """

    removed: int = 0
    requested: int = 0
    finished: int = 0


async def cancel_tree(host: Host, job_id: str) -> dict[str, CancelResult]:
    """Cancel the job `job_id` and all that comes of it: jobs that wait for it, and jobs that it enqueued.

    What became of each, by id. Children come before their parents, so that none of them ends as failed because of one.
    Cancelled is also what a running job enqueues meanwhile, as long as it does not go on for long.

    Raises:
        ConfigurationError: `job_id` cannot be one.
    """
    check_token("job id", job_id)
    backend, read = await host.connect(), Reader(host.config)
    results: dict[str, CancelResult] = {}
    for _ in range(_ROUNDS):
        below = [one for one in await descendants(backend, read, job_id) if one not in results]
        for one in below:
            results[one] = await backend.cancel(one)
        if job_id not in results:
            results[job_id] = await backend.cancel(job_id)
        elif not below:
            break
    return results


async def cancel_where(
    host: Host,
    *,
    queue: str | None = None,
    task: str | None = None,
    states: Collection[JobState] = (),
    tags: Mapping[str, str] | None = None,
) -> Cancelled:
    """Cancel every unfinished job that fits all that is given; see `Naq.cancel_where`."""
    if queue is None and task is None and not states and not tags:
        raise ConfigurationError("cancel_where was asked to cancel everything: name a queue, task, state or tag")
    wanted = frozenset(map(JobState, states)) or frozenset(JobState) - FINAL
    if ended := wanted & FINAL:
        raise ConfigurationError(f"a job that is {', '.join(sorted(ended))} has ended, and cannot be cancelled")
    backend = await host.connect()
    fitting = [
        spec.id
        async for spec in unfinished(backend, queue=queue, blocked=wanted == _ONLY_BLOCKED)
        if _fits(spec, wanted, task, tags or {})
    ]
    # The newest first: a job that waits for another is younger, and is not to end as failed because of it.
    return await _cancel_all(backend, fitting[::-1], wanted)


def _fits(spec: JobSpec, states: Collection[JobState], task: str | None, tags: Mapping[str, str]) -> bool:
    if not _states(spec) & frozenset(states):
        return False
    if task is not None and not fnmatch.fnmatchcase(peek(spec.payload).task, task):
        return False
    return not tags or tags.items() <= read_tags(spec.headers).items()


def _states(spec: JobSpec) -> frozenset[JobState]:
    """The states that a job may be in, as far as what is stored tells."""
    if spec.blocked:
        return frozenset({JobState.BLOCKED})
    if spec.run_at is not None:
        return frozenset({JobState.SCHEDULED, JobState.RETRYING})
    return frozenset({JobState.QUEUED, JobState.RUNNING, JobState.SCHEDULED, JobState.RETRYING})


async def _cancel_all(backend: Backend, job_ids: Sequence[str], states: Collection[JobState]) -> Cancelled:
    counts = dict.fromkeys(CancelResult, 0)
    asks = not frozenset(states) >= frozenset(JobState) - FINAL

    async def one(job_id: str) -> CancelResult | None:
        if asks:  # what is stored does not tell a job that waits from one that runs
            record = await backend.get(job_id)
            if record is None or record.state not in states:
                return None
        return await backend.cancel(job_id)

    for start in range(0, len(job_ids), AT_ONCE):
        for result in await asyncio.gather(*(one(job_id) for job_id in job_ids[start : start + AT_ONCE])):
            if result is not None:
                counts[result] += 1
    finished = counts[CancelResult.FINISHED] + counts[CancelResult.UNKNOWN]
    return Cancelled(counts[CancelResult.REMOVED], counts[CancelResult.REQUESTED], finished)
