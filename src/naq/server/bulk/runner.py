"""Works through a bulk action, page by page; each page is noted, so that another server can go on with the next.

A page that was done and not noted is done again: every action is one that, done twice, is done once (a job that was run
again is not failed any more).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from naq import clock
from naq.exceptions import NaqException
from naq.server.bulk import rows
from naq.server.bulk.rows import BulkRow
from naq.server.bulk.verbs import VERBS, Doing, Options
from naq.server.filters import read_filter
from naq.server.problems import Problem
from naq.server.store.conditions import Between, JobQuery
from naq.server.store.queries import jobs
from naq.server.store.rows import micros

if TYPE_CHECKING:
    from naq.server.core import Core

log = logging.getLogger("naq.server")

TTL: Final = 30.0  # seconds after which another server takes over from one that died
KEEP: Final = TTL / 3  # seconds between two words that it is still ours, while it rests
LOOK: Final = 5.0  # seconds between two looks for what nobody works on
AGAIN: Final = 1.0  # seconds after a page that could not be done
Job = tuple[str, str]  # id and state


class Did(Struct):
    """What came of a page: how many were done, how many skipped by reason, and what failed."""

    done: int = 0
    skips: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, str]] = []


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
        did = await self._act(row, found)
        ended = place is None
        listed: list[Any] = json.loads(row.failures)
        listed += did.failures[: max(0, self._core.settings.bulk_errors - len(listed))]
        skipped: dict[str, int] = json.loads(row.skips)
        skips = Counter(skipped) + did.skips
        values: dict[str, Any] = {
            "done": row.done + did.done, "skipped": row.skipped + did.skips.total(),
            "failed": row.failed + len(did.failures), "failures": json.dumps(listed), "skips": json.dumps(skips),
            "place": None if place is None else json.dumps(place),
        }  # fmt: skip
        async with self._core.writing() as connection:
            aborted = not await rows.lease(connection, bulk_id, self._core.id, ttl=TTL)
            if ended and not aborted:
                values |= {"state": "finished", "finished_at": micros(clock.now())}
            await rows.save(connection, bulk_id, **values)
        if ended or aborted:
            return False
        return row.pace is None or await self._rest(bulk_id, len(found) / row.pace - (clock.monotonic() - begun))

    async def _rest(self, bulk_id: str, seconds: float) -> bool:
        """Let `seconds` pass without letting it go; whether it is still ours, and was not broken off."""
        until = clock.monotonic() + seconds
        while (left := until - clock.monotonic()) > KEEP:
            await asyncio.sleep(KEEP)
            async with self._core.writing() as connection:
                if not await rows.lease(connection, bulk_id, self._core.id, ttl=TTL):
                    return False
        await asyncio.sleep(max(0.0, left))
        return True

    async def _next(self, row: BulkRow) -> tuple[list[Job], list[Any] | None]:
        """The next jobs, and where those behind them begin."""
        most = self._core.settings.bulk_page
        if row.pace is not None:
            most = min(most, max(1, int(row.pace)))
        place: Any = None if row.place is None else json.loads(row.place)
        if row.ids is not None:
            ids: list[str] = json.loads(row.ids)
            begin = 0 if place is None else place[0]
            page = ids[begin : begin + most]
            return [(one, "") for one in page], [begin + most] if begin + most < len(ids) else None
        # One more than people may write: the queues of who began it.
        wanted = read_filter(row.filter, most=self._core.settings.filter_terms + 1)
        query = JobQuery(
            conditions=(*wanted.conditions, Between("created_at", None, row.before_at)), limit=most,
            after=None if place is None else (place[0], place[1]),
        )  # fmt: skip
        async with self._core.reading() as connection:
            page_ = await jobs.find(connection, query)
        return [(one.id, one.state) for one in page_.jobs], None if page_.after is None else list(page_.after)

    async def _act(self, row: BulkRow, found: list[Job]) -> Did:
        """Do it to each."""
        verb = VERBS[row.action]  # pyright: ignore[reportArgumentType]
        doing = Doing(await self._core.connect(), self._core.config, msgspec.json.decode(row.options, type=Options))
        did = Did()
        fit: list[str] = []
        for job_id, state in found:
            if not state or state in verb.within:
                fit.append(job_id)
            else:
                did.skips[f"it is {state}"] += 1
        step = self._core.settings.bulk_at_once
        for start in range(0, len(fit), step):
            part = fit[start : start + step]
            async with self._core.broker.guard(timeout=60.0):
                outcomes = await verb.act(doing, part)
            for job_id, outcome in zip(part, outcomes, strict=True):
                match outcome:
                    case None:
                        did.done += 1
                    case str():
                        did.skips[outcome] += 1
                    case NaqException():
                        did.failures.append({"id": job_id, "reason": str(outcome)[:300]})
        return did
