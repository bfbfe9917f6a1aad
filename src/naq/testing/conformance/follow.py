"""The log of one job, as those who watch it read it."""

from __future__ import annotations

import asyncio

from naq import clock
from naq.backends.base import Backend, Event
from naq.testing.conformance.bench import QUIET, Bench, record, scenario


def _event(queue: str, job_id: str, kind: str = "note", n: int = 0) -> Event:
    return Event(kind=kind, job_id=job_id, queue=queue, data=b'{"n":%d}' % n, at=clock.now())


async def _follow(
    bench: Bench, backend: Backend, job_id: str, count: int, *kinds: str, limit: int = 1000
) -> list[tuple[str, Event]]:
    """The first `count` events of a job, `limit` at a time."""
    found: list[tuple[str, Event]] = []
    while len(found) < count:
        after = found[-1][0] if found else None
        page = await bench.passing(backend.follow(job_id, kinds=kinds, after=after, limit=limit, wait=10))
        assert 1 <= len(page) <= limit
        found += page
    return found


class TestFollow:
    """`follow` and `newest`."""

    @scenario
    async def test_one_job(self, bench: Bench) -> None:
        """Its events and its record, in the order they were stored, and nobody else's."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        claim = await bench.claimed(backend, queue)
        job_id, stranger = claim.job.id, bench.name("j")
        mine = [_event(queue, job_id, n=n) for n in range(7)]
        for event in mine[:5]:
            await backend.append([event, _event(queue, stranger)])
        await backend.complete(claim, record(claim))
        await other.append(mine[5:])  # a holder that lost its lease may still talk
        found = await _follow(bench, other, job_id, 8)
        assert [event for _, event in found if event.kind != "record"] == mine
        assert [event.kind for _, event in found] == ["note"] * 5 + ["record"] + ["note"] * 2
        assert await other.follow(job_id, after=found[-1][0]) == []

    @scenario
    async def test_page_by_page(self, bench: Bench) -> None:
        """Nothing is skipped or repeated, wherever the record lies; a cursor resumes."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        job_id = claim.job.id
        await backend.append([_event(queue, job_id, n=n) for n in range(4)])
        await backend.complete(claim, record(claim))
        await backend.append([_event(queue, job_id, n=n) for n in range(4, 7)])
        whole = await _follow(bench, backend, job_id, 8)
        for limit in (1, 2, 3, 4, 5):
            assert await _follow(bench, backend, job_id, 8, limit=limit) == whole
        assert await bench.passing(backend.follow(job_id, after=whole[2][0], wait=10)) == whole[3:]

    @scenario
    async def test_of_some_kinds(self, bench: Bench) -> None:
        """Only those."""
        queue, job_id = bench.name(), bench.name("j")
        backend = await bench.open(queue)
        await backend.append([_event(queue, job_id, kind, n) for n, kind in enumerate(["a", "b", "c", "a", "b"])])
        kinds = [event.kind for _, event in await _follow(bench, backend, job_id, 2, "b")]
        assert kinds == ["b", "b"]
        kinds = [event.kind for _, event in await _follow(bench, backend, job_id, 3, "b", "c", limit=1)]
        assert kinds == ["b", "c", "b"]
        assert await backend.follow(job_id, kinds=("record", "d")) == []

    @scenario
    async def test_it_is_pushed(self, bench: Bench) -> None:
        """An event that comes while somebody waits ends the wait; others' do not."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        claim = await bench.claimed(backend, queue)
        job_id = claim.job.id
        waiting = asyncio.ensure_future(other.follow(job_id, wait=60))
        await bench.harness.advance(QUIET)
        await backend.append([_event(queue, bench.name("j"))])
        await bench.harness.advance(QUIET)
        assert not waiting.done()
        await backend.append([_event(queue, job_id, n=1)])
        [(cursor, event)] = await bench.passing(waiting)
        assert event.data == b'{"n":1}'
        waiting = asyncio.ensure_future(other.follow(job_id, kinds=("record",), after=cursor, wait=60))
        await bench.harness.advance(QUIET)
        await backend.complete(claim, record(claim))
        [(_, event)] = await bench.passing(waiting)
        assert (event.kind, event.job_id) == ("record", job_id)

    @scenario
    async def test_the_newest(self, bench: Bench) -> None:
        """The last of a kind, with the cursor that lies behind it; None where there is none."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        job_id = claim.job.id
        assert await backend.newest(job_id, "note") is None
        await backend.append([_event(queue, job_id, n=n) for n in range(3)])
        await backend.append([_event(queue, job_id, "other"), _event(queue, bench.name("j"), n=9)])
        newest = await backend.newest(job_id, "note")
        assert newest is not None
        assert newest[1].data == b'{"n":2}'
        [(_, event)] = await _follow(bench, backend, job_id, 1, "other")
        assert [found for _, found in await backend.follow(job_id, after=newest[0])] == [event]
        assert await backend.newest(job_id, "record") is None
        await backend.complete(claim, record(claim))
        last = await backend.newest(job_id, "record")
        assert last is not None
        assert last[1].kind == "record"
