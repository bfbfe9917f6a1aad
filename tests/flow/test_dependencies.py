"""Jobs that wait for others: released, failed or cancelled by how these end; on memory and on NATS."""

from __future__ import annotations

import asyncio

import pytest
from flow_tasks import Tasks
from msgspec.structs import replace

import naq
from naq import CancelResult, JobState, ParentFailed
from naq.codec.after import ParentFailure
from naq.codec.envelope import decode_envelope, encode_envelope
from naq.codec.reader import Reader
from naq.flow.purging import purge
from naq.flow.resolver import Resolver
from naq.job import JobSpec
from tests.tools import Place, ended, run, store, until_so, working


def test_a_job_waits_and_gets_results(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            a, b = await tasks.fetch.enqueue("a"), await tasks.fetch.enqueue("bbb")
            counts = [await tasks.count.enqueue(naq.result_of(each)) for each in (a, b)]
            whole = await tasks.total.enqueue(naq.results_of(counts), naq.result_of(counts[1]), pages=[a, b])  # pyright: ignore[reportArgumentType]
            after = await tasks.note.options(depends_on=[whole, a.id]).enqueue("last")
            assert {await job.status() for job in (*counts, whole, after)} == {JobState.BLOCKED}
            assert not tasks.ran
            async with working(app):
                assert await after.result(30) == "last"
                assert await whole.result(30) == 7
            assert tasks.ran[-2:] == ["total", "last"]
            assert len(tasks.ran) == 6
            record = await after.record()
            assert record.after == [whole.id, a.id]
            assert (await whole.record()).after == [counts[0].id, counts[1].id, a.id, b.id]

    run(body())


def test_parents_that_ended_before(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app):
            page = await tasks.fetch.enqueue("abc")
            await page.result(30)
            assert await (await tasks.count.enqueue(naq.result_of(page))).result(30) == 3
            lost = await tasks.fail.enqueue()
            assert (await ended(lost)).state is JobState.FAILED
            child = await tasks.note.options(depends_on=lost.id).enqueue("never")
            assert (await ended(child)).state is JobState.FAILED
        assert "never" not in tasks.ran

    run(body())


def test_while_parents_end(place: Place):
    """Enqueued just when its parent ends, a hundred times over: each runs, once."""

    async def body() -> None:
        app = place.make(concurrency=8)
        tasks = Tasks(app)
        async with app, working(app):
            children: list[naq.Job[str]] = []
            for number in range(100):
                parent = await tasks.fetch.enqueue("x")
                if number % 3:
                    await asyncio.sleep(0.0005 * (number % 7))
                children.append(await tasks.note.options(depends_on=parent).enqueue(f"n{number}"))
            for child in children:
                await child.result(30)
        notes = [text for text in tasks.ran if text.startswith("n")]
        assert sorted(notes) == sorted(f"n{number}" for number in range(100))

    run(body())


@pytest.mark.parametrize("policy", ["fail", "run_anyway", "cancel"])
def test_a_parent_that_does_not_succeed(place: Place, policy: ParentFailure):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            good, bad = await tasks.note.enqueue("good"), await tasks.fail.enqueue()
            child = await tasks.total.options(on_parent_failure=policy).enqueue(naq.results_of([bad, bad]))
            mixed = await tasks.note.options(depends_on=[good, bad], on_parent_failure=policy).enqueue("mixed")
            below = await tasks.note.options(depends_on=[child]).enqueue("below")
            async with working(app):
                records = [await ended(job) for job in (child, mixed, below)]
        if policy == "run_anyway":
            assert {record.state for record in records} == {JobState.SUCCEEDED}
            return
        expected = JobState.FAILED if policy == "fail" else JobState.CANCELLED
        assert [record.state for record in records] == [expected, expected, JobState.FAILED]
        assert not {"total", "mixed", "below"} & set(tasks.ran)
        assert bad.id in records[0].reason
        assert child.id in records[2].reason
        assert records[0].task == "total"
        async with app:
            with pytest.raises(ParentFailed, match="waited for"):
                await below.result(30)

    run(body())


def test_failed_by_a_parent_it_is_a_dead_letter_and_may_run_again(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app):
            bad = await tasks.fail.enqueue()
            child = await tasks.note.options(depends_on=bad).enqueue("second life")
            with pytest.raises(ParentFailed):
                await child.result(30)
            backend = await app.connect()
            letter = await backend.letter(child.id)
            assert letter is not None
            assert await backend.requeue(child.id)
            assert (await backend.wait(child.id, timeout=30)).run == 2
        assert tasks.ran[-1] == "second life"

    run(body())


def test_any_of_several(place: Place):
    async def body() -> None:
        app = place.make(concurrency=1)
        tasks = Tasks(app)
        async with app:
            bad, slow = await tasks.fail.enqueue(), await tasks.note.options(delay=3600).enqueue("slow")
            fast = await tasks.note.enqueue("fast")
            mirrors = [slow, bad, fast]
            first = await tasks.note.options(depends_on=bad, wait_for="any").enqueue(naq.first_of([slow, fast]))
            every = await tasks.total.options(depends_on=mirrors, wait_for="any").enqueue([], pages=None)
            none = await tasks.note.options(depends_on=[bad, bad.id], wait_for="any").enqueue("none")
            async with working(app):
                assert await first.result(30) == "fast"
                assert await every.result(30) == 0
                with pytest.raises(ParentFailed):
                    await none.result(30)
            assert await slow.status() is JobState.SCHEDULED
            assert await slow.cancel() is CancelResult.REMOVED

    run(body())


def test_a_cancelled_parent(place: Place):
    """Resolves its children, though no worker was there when it happened."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            parent = await tasks.note.enqueue("parent")
            strict = await tasks.note.options(depends_on=parent).enqueue("strict")
            tolerant = await tasks.note.options(depends_on=parent, on_parent_failure="run_anyway").enqueue("tolerant")
            assert await parent.cancel() == "removed"
            async with working(app):
                assert (await ended(strict)).state is JobState.FAILED
                assert (await ended(tolerant)).state is JobState.SUCCEEDED
            assert tasks.ran == ["tolerant"]

    run(body())


def test_a_parent_that_was_removed(place: Place):
    """Purged, it leaves no record: the next look at everything finds that out."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            parent = await tasks.note.options(queue="other").enqueue("parent")
            child = await tasks.note.options(depends_on=parent).enqueue("child")
            backend = await app.connect()
            assert await backend.purge("other") == 1
            async with working(app, queues=["default"]):
                record = await ended(child)
            assert record.state is JobState.FAILED
            assert "removed" in record.reason

    run(body())


def test_a_job_cancelled_while_it_waits(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            parent = await tasks.note.enqueue("parent")
            child = await tasks.note.options(depends_on=parent).enqueue("child")
            assert await child.cancel() == "removed"
            async with working(app):
                await parent.result(30)
                done = await tasks.note.options(depends_on=parent).enqueue("done")
                await done.result(30)
            assert tasks.ran == ["parent", "done"]
            assert (await ended(child)).state is JobState.CANCELLED

    run(body())


def test_a_time_of_its_own(place: Place):
    """Counts as well as the parents."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app):
            parent = await tasks.note.enqueue("parent")
            child = await tasks.note.options(depends_on=parent, delay=3600).enqueue("child")

            async def scheduled() -> bool:
                return await child.status() is JobState.SCHEDULED

            await until_so(scheduled)
            assert await child.cancel() == "removed"

    run(body())


def test_nobody_was_told(place: Place):
    """The announcement of a job is lost, and those of its parents' ends are over: a look at everything finds it."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, store(app) as backend:
            parent = await tasks.note.enqueue("parent")
            child = await tasks.note.options(depends_on=parent).enqueue("child")
            [spec] = (await backend.specs([child.id])).values()
            await backend.purge("default")
            assert await backend.get(child.id) is None
            quiet = await tasks.note.enqueue("parent")
            await backend.enqueue([waiting_for(spec, quiet.id)])
            async with working(app):
                assert await child.result(30) == "child"

    run(body())


def waiting_for(spec: JobSpec, parent: str) -> JobSpec:
    """`spec`, waiting for another parent."""
    envelope = decode_envelope(spec.payload)
    assert envelope.after is not None
    after = replace(envelope.after, ids=[parent])
    return replace(spec, payload=encode_envelope(replace(envelope, after=after)))


def test_two_who_release(place: Place):
    """Two workers that both lead: every job runs once."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, store(app) as one, store(app) as two:
            resolvers = [Resolver(backend, Reader(app.config)) for backend in (one, two)]
            for resolver in resolvers:
                await resolver.begin()
            parents = [await tasks.note.enqueue("parent") for _ in range(20)]
            children = [
                await tasks.note.options(depends_on=parent).enqueue(f"child {n}") for n, parent in enumerate(parents)
            ]
            async with working(app):
                for parent in parents:
                    await parent.result(30)
                await asyncio.gather(*(resolver.audit() for resolver in resolvers))
                for child in children:
                    await child.result(30)
                await asyncio.gather(*(resolver.step(wait=0.1) for resolver in resolvers))
            notes = [text for text in tasks.ran if text != "parent"]
            assert sorted(notes) == sorted(f"child {n}" for n in range(20))

    run(body())


def test_a_job_expires_while_it_waits_for_others(place: Place):
    """At its time, though its parent goes on; whoever waits for it learns of that, and one with more time goes on."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app):
            parent = await tasks.note.options(delay=3600).enqueue("parent")
            patient = await tasks.note.options(depends_on=parent, expires_in=3600 * 2).enqueue("patient")
            child = await tasks.note.options(depends_on=parent, expires_in=0.5).enqueue("child")
            after = await tasks.note.options(depends_on=child).enqueue("after")
            record = await ended(child)
            assert record.state is JobState.EXPIRED
            assert record.finished_at >= record.expires_at > 0
            assert "still waited for others" in record.reason
            assert (await ended(after)).state is JobState.FAILED
            assert await parent.status() is JobState.SCHEDULED
            assert await patient.status() is JobState.BLOCKED
        assert not tasks.ran

    run(body())


def test_whoever_waits_for_a_purged_job_learns_of_it_at_once(place: Place):
    """Long before the next look at everything that waits; one that may run without it does."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app, queues=["default"]):
            parent = await tasks.note.options(queue="elsewhere").enqueue("parent")
            other = await tasks.note.options(queue="kept").enqueue("other")
            child = await tasks.note.options(depends_on=parent).enqueue("child")
            anyway = await tasks.note.options(depends_on=parent, on_parent_failure="run_anyway").enqueue("anyway")
            patient = await tasks.note.options(depends_on=other).enqueue("patient")
            assert await purge(await app.connect(), "elsewhere") == 1
            record = await ended(child)
            assert record.state is JobState.FAILED
            assert "removed without a trace" in record.reason
            assert await anyway.result(30) == "anyway"
            assert await patient.status() is JobState.BLOCKED
        assert tasks.ran == ["anyway"]

    run(body())
