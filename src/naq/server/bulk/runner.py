"""Works through a bulk action, page by page; each page is noted, so that another server can go on with the next.

A page that was done and not noted is done again: every action is one that, done twice, is done once (a job that was run
again is not failed any more).
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from naq import clock
from naq.exceptions import NaqException
from naq.server.bulk import rows
from naq.server.bulk.rows import BulkRow
from naq.server.bulk.verbs import VERBS, Verb
from naq.server.filters import read_filter
from naq.server.problems import Problem
from naq.server.store.conditions import Between, JobQuery
from naq.server.store.queries import jobs
from naq.server.store.rows import micros

if TYPE_CHECKING:
    from naq.server.core import Core

log = logging.getLogger("naq.server")

TTL: Final = 30.0  # seconds after which another server takes over from one that died
LOOK: Final = 5.0  # seconds between two looks for what nobody works on
AGAIN: Final = 1.0  # seconds after a page that could not be done
Job = tuple[str, str]  # id and state


class Runner:
    """The bulk actions of one server."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._running: set[str] = set()

    async def watch(self) -> None:
        """Take over what nobody works on, as long as the server runs."""
        while True:
            try:
                async with self._core.reading() as connection:
                    found = await rows.waiting(connection)
                for bulk_id in found:
                    self.begin(bulk_id)
            except Problem:
                log.debug("bulk actions wait for the database")
            await asyncio.sleep(LOOK)

    def begin(self, bulk_id: str) -> None:
        """Work on it, if nobody does."""
        if bulk_id not in self._running:
            self._running.add(bulk_id)
            self._core.spawn(self._run(bulk_id), f"bulk-{bulk_id}")

    async def _run(self, bulk_id: str) -> None:
        try:
            while True:
                try:
                    if not await self._page(bulk_id):
                        return
                except (Problem, NaqException) as error:
                    log.info("bulk action %s waits: %s", bulk_id, error)
                    await asyncio.sleep(AGAIN)
        finally:
            self._running.discard(bulk_id)

    async def _page(self, bulk_id: str) -> bool:
        """Do the next page; whether there is another."""
        async with self._core.writing() as connection:
            if not await rows.lease(connection, bulk_id, self._core.id, ttl=TTL):
                return False
            row = await rows.get(connection, bulk_id)
        if row is None:
            return False
        found, place = await self._next(row)
        begun = clock.monotonic()
        counts, failures = await self._act(VERBS[row.action], found)  # pyright: ignore[reportArgumentType]
        listed: list[Any] = json.loads(row.failures)
        listed += failures[: max(0, self._core.settings.bulk_errors - len(listed))]
        ended = place is None
        values: dict[str, Any] = {
            "done": row.done + counts[0], "skipped": row.skipped + counts[1], "failed": row.failed + counts[2],
            "failures": json.dumps(listed), "place": None if place is None else json.dumps(place),
        }  # fmt: skip
        async with self._core.writing() as connection:
            aborted = not await rows.lease(connection, bulk_id, self._core.id, ttl=TTL)
            if ended and not aborted:
                values |= {"state": "finished", "finished_at": micros(clock.now())}
            await rows.save(connection, bulk_id, **values)
        if row.rate is not None and not ended and not aborted:
            await asyncio.sleep(max(0.0, len(found) / row.rate - (clock.monotonic() - begun)))
        return not ended and not aborted

    async def _next(self, row: BulkRow) -> tuple[list[Job], list[Any] | None]:
        """The next jobs, and where those behind them begin."""
        most = self._core.settings.bulk_page if row.rate is None else min(self._core.settings.bulk_page, row.rate)
        place: Any = None if row.place is None else json.loads(row.place)
        if row.ids is not None:
            ids: list[str] = json.loads(row.ids)
            begin = 0 if place is None else place[0]
            page = ids[begin : begin + most]
            return [(one, "") for one in page], [begin + most] if begin + most < len(ids) else None
        wanted = read_filter(row.filter, most=self._core.settings.filter_terms)
        query = JobQuery(
            conditions=(*wanted.conditions, Between("created_at", None, row.before_at)), limit=most,
            after=None if place is None else (place[0], place[1]),
        )  # fmt: skip
        async with self._core.reading() as connection:
            page_ = await jobs.find(connection, query)
        return [(one.id, one.state) for one in page_.jobs], None if page_.after is None else list(page_.after)

    async def _act(self, verb: Verb, found: list[Job]) -> tuple[tuple[int, int, int], list[dict[str, str]]]:
        """Do it to each; how many were done, skipped and failed, and what failed."""
        failures: list[dict[str, str]] = []
        backend = await self._core.connect()
        done = skipped = 0

        async def one(job_id: str) -> bool:
            return await verb.act(backend, job_id)

        fit = [job_id for job_id, state in found if not state or state in verb.within]
        skipped += len(found) - len(fit)
        step = self._core.settings.bulk_at_once
        for start in range(0, len(fit), step):
            part = fit[start : start + step]
            async with self._core.broker.guard(timeout=60.0):
                results = await asyncio.gather(*map(one, part), return_exceptions=True)
            for job_id, result in zip(part, results, strict=True):
                match result:
                    case True:
                        done += 1
                    case False:
                        skipped += 1
                    case NaqException():
                        failures.append({"id": job_id, "reason": str(result)[:300]})
                    case _:
                        raise result
        return (done, skipped, len(failures)), failures
