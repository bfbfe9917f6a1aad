"""Results of other jobs that are arguments of this one: fetched when it starts, a thousand in a round trip."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Raw

from naq import clock
from naq.backends.base import Flow
from naq.codec.after import ALL, FIRST, as_array, parents_of, some_parents
from naq.codec.failure import describe
from naq.codec.sealing import opened
from naq.config import Config
from naq.exceptions import NaqConnectionError, SerializationError
from naq.job import JobRecord, JobState
from naq.worker.flights import Flight, Flights
from naq.worker.outcome import Discarded, Outcome
from naq.worker.records import final_record

LOOK_AGAIN: Final = 0.5  # seconds between two tries while the backend is away
MAX_LINKS: Final = 100  # of a span: OpenTelemetry keeps 128
_NULL: Final = Raw(b"null")


class Gathering:
    """Looks results up in `backend`, opened as `config` asks."""

    def __init__(self, backend: Flow, flights: Flights, config: Config, worker: str, *, links: bool = False) -> None:
        self._backend = backend
        self._flights = flights
        self._config = config
        self._worker = worker
        self._links = links  # whether somebody wants to know the trace of each parent

    async def gather(self, flight: Flight) -> Outcome | None:
        """Fill `flight.values`, and `flight.links` if wanted; the outcome of a job whose arguments cannot be had.

        Raises:
            NaqConnectionError: the backend did not answer before the lease ended.
        """
        assert flight.envelope is not None
        after = flight.envelope.after
        if after is None or not (after.fill or self._links):
            return None
        try:
            parents = parents_of(after)
            sources = [source if isinstance(source, list) else [source] for source in after.fill.values()]
            named = [job_id for source in sources for job_id in source if job_id not in {ALL, FIRST}]
            wanted = parents if len(named) < sum(map(len, sources)) else named  # nothing, where nothing is filled in
            linked = some_parents(after, MAX_LINKS) if self._links else []
            records = await self._records(flight, list(dict.fromkeys([*wanted, *named, *linked])))
            traces = (records[job_id].trace for job_id in linked if job_id in records)
            flight.links = [trace for trace in traces if trace]
            flight.values = {
                place: self._value(source, parents, records, some=after.any) for place, source in after.fill.items()
            }
        except SerializationError as error:
            described = describe(error, attempt=flight.claim.job.attempt, at=clock.now())
            return Discarded(final_record(flight, self._worker, JobState.FAILED, error=described))
        return None

    async def _records(self, flight: Flight, job_ids: list[str]) -> dict[str, JobRecord]:
        while True:
            try:
                return await self._backend.finals(job_ids)
            except NaqConnectionError:
                if self._flights.lapsed(flight):
                    raise
            await asyncio.sleep(LOOK_AGAIN)

    def _value(self, source: str | list[str], parents: list[str], records: dict[str, JobRecord], *, some: bool) -> Raw:
        """What `source` stands for. `some`: parents that have not ended are no mistake."""
        if source == FIRST:
            done = [records[job_id] for job_id in parents if _succeeded(records.get(job_id))]
            first = min(done, key=lambda record: record.finished_at, default=None)
            return _NULL if first is None else self._result(first.id, records, some=some) or _NULL
        if source == ALL:
            return as_array([self._result(job_id, records, some=some) for job_id in parents])
        if isinstance(source, list):
            return as_array([self._result(job_id, records, some=some) for job_id in source])
        return self._result(source, records, some=some) or _NULL

    def _result(self, job_id: str, records: dict[str, JobRecord], *, some: bool) -> Raw | None:
        record = records.get(job_id)
        if record is None and not some:
            raise SerializationError(
                f"the result of job {job_id} is an argument, and there is no record of it (any more): records are "
                "kept for record_ttl"
            )
        return opened(record, job_id, self._config).result if record is not None and _succeeded(record) else None


def _succeeded(record: JobRecord | None) -> bool:
    return record is not None and record.state is JobState.SUCCEEDED
