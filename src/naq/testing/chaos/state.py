"""What the store holds in the end, read through the seam, so that it works with every backend."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from naq.backends.base import Backend, DeadLetter, QueueStats
from naq.codec.record import decode_record
from naq.job import JobRecord

AT_ONCE: Final = 500  # questions on their way together


class Stored(Struct, frozen=True):
    """A final record, and when the store took it (UNIX seconds by the store's clock)."""

    at: float
    record: JobRecord


class FinalState(Struct, frozen=True, kw_only=True):
    """Everything that a check needs of the store.

    Attributes:
        records: the final records in the log by job id, in the order in which they were stored.
        visible: jobs without a final record that the store still knows, as it describes them.
        dead: dead letters, newest first.
        stats: of the queues in question.
    """

    records: Mapping[str, Sequence[Stored]] = {}
    visible: Mapping[str, JobRecord] = {}
    dead: Sequence[DeadLetter] = ()
    stats: Sequence[QueueStats] = ()

    @property
    def unsettled(self) -> int:
        """Jobs that wait or run, by the store's own count."""
        return sum(queue.queued + queue.running + queue.scheduled for queue in self.stats)


async def read_state(backend: Backend, job_ids: Iterable[str], *, queues: Sequence[str] = ()) -> FinalState:
    """Read the log from its start, ask for those of `job_ids` that have no record, and count `queues`.

    Raises:
        NaqConnectionError: the store does not answer.
    """
    stats = await backend.stats(queues)
    records: dict[str, list[Stored]] = {}
    cursor: str | None = None
    while page := await backend.read(after=cursor):
        for cursor, event in page:  # noqa: B007 - the last cursor is where the next page begins
            if event.kind == "record":
                records.setdefault(event.job_id, []).append(Stored(event.at, decode_record(event.data)))
    visible: dict[str, JobRecord] = {}
    unknown = [job_id for job_id in job_ids if job_id not in records]
    for begin in range(0, len(unknown), AT_ONCE):
        part = unknown[begin : begin + AT_ONCE]
        known = await asyncio.gather(*(backend.get(job_id) for job_id in part))
        visible.update({job_id: record for job_id, record in zip(part, known, strict=True) if record is not None})
    return FinalState(records=records, visible=visible, dead=await backend.dead(limit=10_000), stats=stats)
