"""Jobs by what they are: of a queue, a task, in some states, due before a time."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from naq import clock
from naq.codec.sealing import opened
from naq.exceptions import ConfigurationError
from naq.job import JobRecord, JobState

if TYPE_CHECKING:
    from naq.connections import Host

ALL: Final = 1_000_000  # jobs; more than the listing of any backend goes back
_WAITS: Final = frozenset({JobState.SCHEDULED, JobState.RETRYING})


async def find_jobs(
    host: Host,
    *,
    queue: str | None,
    task: str | None,
    states: Collection[JobState],
    tags: Mapping[str, str] | None,
    due_before: datetime | float | None,
    limit: int,
) -> list[JobRecord]:
    """The jobs that fit all that is given; see `Naq.jobs`."""
    wanted = frozenset(map(JobState, states))
    if due_before is not None:
        if wanted and not wanted & _WAITS:
            raise ConfigurationError("due_before is for jobs that wait for a time: scheduled or retrying")
        wanted = (wanted or _WAITS) & _WAITS
    until = clock.as_timestamp(due_before) if isinstance(due_before, datetime) else due_before
    some = task is not None or bool(tags) or until is not None
    backend = await host.connect()
    found = [
        record
        for record in await backend.jobs(queue=queue, states=wanted, limit=ALL if some else limit)
        if (task is None or fnmatch.fnmatchcase(record.task, task))
        and (not tags or tags.items() <= record.tags.items())
        and (until is None or record.run_at < until)
    ]
    if until is not None:
        found.sort(key=lambda record: record.run_at)
    return [opened(record, record.id, host.config) for record in found[:limit]]
