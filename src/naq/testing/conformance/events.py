"""The log that feeds the history: nothing missing, in order, resumable."""

from __future__ import annotations

import asyncio

import msgspec

from naq import clock
from naq.backends.base import Backend, Event
from naq.job import JobRecord, JobState
from naq.testing.conformance.bench import QUIET, Bench, record, scenario


async def _end(backend: Backend) -> str | None:
    """The cursor of the last event so far."""
    return await backend.latest()


async def _read(bench: Bench, backend: Backend, after: str | None, queue: str, count: int) -> list[tuple[str, Event]]:
    """The next `count` events of `queue`; others' events may lie between them."""
    mine: list[tuple[str, Event]] = []
    while len(mine) < count:
        found = await bench.passing(backend.read(after=after, limit=100, wait=10))
        assert found, f"{len(mine)} of {count} events"
        after = found[-1][0]
        mine += [(cursor, event) for cursor, event in found if event.queue == queue]
    return mine


class TestEvents:
    """`append` and `read`."""

    @scenario
    async def test_what_is_appended_can_be_read(self, bench: Bench) -> None:
        """Every field, in order, by any instance."""
        queue = bench.name()
        backend = await bench.open()
        start = await _end(backend)
        events = [
            Event(kind="progress", job_id=bench.name("j"), queue=queue, data=b'{"n":%d}' % n, at=clock.now())
            for n in range(20)
        ]
        await backend.append(events[:5])
        await backend.append(events[5:])
        await backend.append([])
        found = await _read(bench, await bench.open(), start, queue, 20)
        assert [event for _, event in found] == events

    @scenario
    async def test_final_records_appear(self, bench: Bench) -> None:
        """As kind ``record``, with the record as data, in the order they were stored."""
        queue = bench.name()
        backend = await bench.open(queue)
        start = await _end(backend)
        finals: list[JobRecord] = []
        for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            claim = await bench.claimed(backend, queue)
            finals.append(final := record(claim, state))
            await (backend.complete if state is JobState.SUCCEEDED else backend.discard)(claim, final)
        waiting = await bench.enqueued(backend, queue)
        await backend.cancel(waiting.id)
        found = [event for _, event in await _read(bench, backend, start, queue, 4)]
        assert [event.kind for event in found] == ["record"] * 4
        assert [event.job_id for event in found] == [*(final.id for final in finals), waiting.id]
        for event, final in zip(found, finals, strict=False):
            assert msgspec.json.decode(event.data, type=JobRecord).state is final.state
        last = msgspec.json.decode(found[3].data, type=JobRecord)
        assert (last.id, last.state) == (waiting.id, JobState.CANCELLED)

    @scenario
    async def test_a_superseded_record_does_not(self, bench: Bench) -> None:
        """What was not stored did not happen."""
        queue = bench.name()
        backend = await bench.open(queue)
        start = await _end(backend)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        await backend.discard(claim, record(claim, JobState.FAILED, worker="w2"))
        await backend.append([Event(kind="mark", job_id=claim.job.id, queue=queue, data=b"{}")])
        found = [event for _, event in await _read(bench, backend, start, queue, 2)]
        assert [event.kind for event in found] == ["record", "mark"]

    @scenario
    async def test_a_cursor_resumes(self, bench: Bench) -> None:
        """After any event of the past, in any instance: exactly the ones behind it."""
        queue = bench.name()
        backend = await bench.open()
        start = await _end(backend)
        await backend.append([Event(kind=f"e{n}", job_id=queue, queue=queue, data=b"{}") for n in range(10)])
        found = await _read(bench, backend, start, queue, 10)
        for n in (0, 4, 8):
            rest = await _read(bench, await bench.open(), found[n][0], queue, 9 - n)
            assert [event.kind for _, event in rest] == [f"e{k}" for k in range(n + 1, 10)]

    @scenario
    async def test_limit(self, bench: Bench) -> None:
        """No more than asked for, and nothing is skipped."""
        queue = bench.name()
        backend = await bench.open()
        cursor = await _end(backend)
        await backend.append([Event(kind=f"e{n}", job_id=queue, queue=queue, data=b"{}") for n in range(10)])
        kinds: list[str] = []
        while len(kinds) < 10:
            found = await bench.passing(backend.read(after=cursor, limit=3, wait=10))
            assert 1 <= len(found) <= 3
            cursor = found[-1][0]
            kinds += [event.kind for _, event in found if event.queue == queue]
        assert kinds == [f"e{n}" for n in range(10)]

    @scenario
    async def test_where_a_cursor_stands(self, bench: Bench) -> None:
        """In the same log for everybody: nothing behind the end, what was appended behind the start."""
        queue = bench.name()
        backend, other = await bench.open(), await bench.open()
        start = await _end(backend)
        before = await backend.standing(start)
        await backend.append([Event(kind="mark", job_id=queue, queue=queue, data=b"{}") for _ in range(5)])
        standing = await bench.passing(other.standing(start))
        assert (standing.log, standing.known, standing.missed) == (before.log, True, 0)
        assert standing.ahead >= 5
        whole = await other.standing(None)
        assert whole.log == before.log
        assert whole.ahead >= standing.ahead
        assert whole.known
        assert not (await other.standing(str(int(await other.latest()) + 1_000_000))).known

    @scenario
    async def test_waiting_for_the_next(self, bench: Bench) -> None:
        """An empty list after `wait` s; an event that comes meanwhile ends the wait."""
        queue = bench.name()
        backend, other = await bench.open(), await bench.open()
        end = await _end(backend)
        waiting = asyncio.ensure_future(_read(bench, backend, end, queue, 1))
        await bench.harness.advance(QUIET)
        await other.append([Event(kind="late", job_id=queue, queue=queue, data=b"{}")])
        [(_, event)] = await bench.passing(waiting)
        assert event.kind == "late"

    @scenario
    async def test_none_at_the_end(self, bench: Bench) -> None:
        """Without `wait`, reading at the end returns at once."""
        backend = await bench.open()
        await _end(backend)

    @scenario
    async def test_from_now_on(self, bench: Bench) -> None:
        """`latest` lies behind everything so far, and before what comes next."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        await backend.append([Event(kind="progress", job_id=bench.name("j"), queue=queue, data=b"1")])
        after = await other.latest()
        event = Event(kind="progress", job_id=bench.name("j"), queue=queue, data=b"2", at=clock.now())
        await backend.append([event])
        assert [found for _, found in await _read(bench, other, after, queue, 1)] == [event]

    @scenario
    async def test_of_one_kind(self, bench: Bench) -> None:
        """Only those; the cursor is one of all, and who waits is woken by them."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        kind = bench.name("kind")
        start = await backend.latest()
        reading = asyncio.ensure_future(other.read(after=start, wait=60, kind=kind))
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        events = [
            Event(kind=name, job_id=claim.job.id, queue=queue, data=b"{}", at=clock.now())
            for name in ("progress", kind, "progress")
        ]
        await backend.append(events)
        [(cursor, found)] = await bench.passing(reading)
        assert found == events[1]
        assert [each for _, each in await _read(bench, other, cursor, queue, 1)] == events[2:]
        records = await other.read(after=start, kind="record")
        assert claim.job.id in {each.job_id for _, each in records}
        assert {each.kind for _, each in records} == {"record"}
