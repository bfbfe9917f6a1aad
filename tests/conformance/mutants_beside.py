"""Backends that break what is beside jobs: the log, entries, leadership, signals, lists."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec.structs import replace
from mutant import Mutant

from naq import clock
from naq.backends.base import Event, Signal
from naq.backends.values import Standing, Storage
from naq.job import JobSpec
from naq.testing import conformance


class KnowsEveryCursor(Mutant):
    """Takes any cursor for one of its log's, so that whoever follows a log that was cut back waits for ever."""

    async def standing(self, after: str | None) -> Standing:
        return replace(await super().standing(None), ahead=0, known=True)


class RepeatsEvents(Mutant):
    async def read(
        self, *, after: str | None = None, limit: int = 1000, wait: float = 0.0, kind: str | None = None
    ) -> list[tuple[str, Event]]:
        before = after and str(max(0, int(after) - 1))
        return await super().read(after=before, limit=limit, wait=wait, kind=kind)


class HasTwoLeaders(Mutant):
    async def lead(self, name: str, holder: str, *, ttl: float) -> float | None:
        return clock.monotonic() + ttl


class MakesSignalsUp(Mutant):
    async def send(self, signal: Signal) -> None:
        await super().send(signal)
        await super().send(signal)


class ComparesNothing(Mutant):
    async def put(
        self, kind: str, key: str, value: bytes, *, expect: int | None = None, ttl: float | None = None
    ) -> int | None:
        return await super().put(kind, key, value, ttl=ttl)


class KeepsEntriesForEver(Mutant):
    async def put(
        self, kind: str, key: str, value: bytes, *, expect: int | None = None, ttl: float | None = None
    ) -> int | None:
        return await super().put(kind, key, value, expect=expect)


class ShowsOnePage(Mutant):
    async def unfinished(
        self, *, queue: str | None = None, blocked: bool = False, after: str | None = None, limit: int = 1000
    ) -> list[tuple[str, JobSpec]]:
        page = await super().unfinished(queue=queue, blocked=blocked, after=after, limit=limit)
        return page if after is None else []


class ReadsEveryKind(Mutant):
    async def read(
        self, *, after: str | None = None, limit: int = 1000, wait: float = 0.0, kind: str | None = None
    ) -> list[tuple[str, Event]]:
        return await super().read(after=after, limit=limit, wait=wait)


class FollowsEverybody(Mutant):
    async def follow(
        self,
        job_id: str,
        *,
        kinds: Collection[str] = (),
        after: str | None = None,
        limit: int = 1000,
        wait: float = 0.0,
    ) -> list[tuple[str, Event]]:
        return await super().read(after=after, limit=limit, wait=wait)


class KeepsTheFirstForTheNewest(Mutant):
    async def newest(self, job_id: str, kind: str) -> tuple[str, Event] | None:
        found = await super().follow(job_id, kinds=(kind,), limit=1)
        return found[0] if found else None


class CountsNoBytes(Mutant):
    async def storage(self) -> list[Storage]:
        return [replace(one, used=0) for one in await super().storage()]


BESIDE: list[tuple[type[Mutant], Callable[..., None]]] = [
    (KnowsEveryCursor, conformance.TestEvents.test_where_a_cursor_stands),
    (RepeatsEvents, conformance.TestEvents.test_a_cursor_resumes),
    (HasTwoLeaders, conformance.TestLeadership.test_one_leads),
    (MakesSignalsUp, conformance.TestSignals.test_what_is_heard_was_sent),
    (ComparesNothing, conformance.TestEntries.test_counting_together),
    (KeepsEntriesForEver, conformance.TestEntries.test_what_runs_out),
    (ShowsOnePage, conformance.TestUnfinished.test_all_in_pages),
    (ReadsEveryKind, conformance.TestEvents.test_of_one_kind),
    (FollowsEverybody, conformance.TestFollow.test_one_job),
    (KeepsTheFirstForTheNewest, conformance.TestFollow.test_the_newest),
    (CountsNoBytes, conformance.TestStorage.test_what_is_stored_is_counted),
]
