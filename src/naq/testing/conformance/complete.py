"""Final records: at most one a run, the first writer wins, the others are told."""

from __future__ import annotations

import asyncio

from msgspec import Raw

from naq.backends.base import Settled
from naq.job import JobState
from naq.testing.conformance.bench import Bench, lapsing, record, scenario


class TestComplete:
    """`complete`."""

    @scenario
    async def test_the_record_is_what_remains(self, bench: Bench) -> None:
        """State, result and everything else of the record, as it was given."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        called = Raw(b'{"args":[1e3,"\xc3\xa9"],"kwargs":{}}')
        given = record(
            claim, result=Raw(b'{"a":[1,2.5,null,"\xc3\xa9"]}'), arguments=called, started_at=1.5, tags={"k": "v"}
        )
        assert await backend.complete(claim, given) is Settled.DONE
        known = await backend.get(claim.job.id)
        assert known is not None
        assert known.is_final
        assert bytes(known.result or b"") == bytes(given.result or b"")
        assert bytes(known.arguments or b"") == bytes(called)
        assert (known.id, known.state, known.queue, known.task) == (given.id, given.state, given.queue, given.task)
        assert (known.run, known.attempt, known.worker) == (given.run, given.attempt, given.worker)
        assert (known.started_at, known.finished_at, known.tags) == (1.5, given.finished_at, {"k": "v"})

    @lapsing
    async def test_the_job_is_gone(self, bench: Bench) -> None:
        """Nobody gets it again, also not after the lease."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        await bench.silent(backend, queue, wait=bench.outlived)

    @scenario
    async def test_another_instance_may_settle(self, bench: Bench) -> None:
        """The claim is all it needs."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        other = await bench.open()
        assert await other.complete(claim, record(claim)) is Settled.DONE
        known = await backend.get(claim.job.id)
        assert known is not None
        assert known.state is JobState.SUCCEEDED

    @scenario
    async def test_many_at_once(self, bench: Bench) -> None:
        """A worker settles what it holds side by side."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.enqueue([bench.job(queue, fresh=True) for _ in range(200)])
        claims = await bench.gather(backend, queue, count=200)
        settled = await asyncio.gather(*(backend.complete(claim, record(claim)) for claim in claims))
        assert set(settled) == {Settled.DONE}
        for claim in claims:
            known = await backend.get(claim.job.id)
            assert known is not None
            assert known.state is JobState.SUCCEEDED

    @scenario
    async def test_closing_keeps_what_was_settled(self, bench: Bench) -> None:
        """A record that `complete` returned for outlives the instance, and so does the end of the job."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        await backend.close()
        other = await bench.open(queue)
        known = await other.get(claim.job.id)
        assert known is not None
        assert known.state is JobState.SUCCEEDED
        await bench.silent(other, queue)


class TestFirstWriterWins:
    """Two that settle one run."""

    @scenario
    async def test_twice(self, bench: Bench) -> None:
        """The second of two workers is told, and changes nothing."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        assert await backend.complete(claim, record(claim)) is Settled.DONE
        assert await backend.complete(claim, record(claim, worker="w2", result=Raw(b"43"))) is Settled.SUPERSEDED
        await _stands(bench, claim.job.id, "w1", JobState.SUCCEEDED)

    @scenario
    async def test_at_once(self, bench: Bench) -> None:
        """Of many that race exactly one wins."""
        queue = bench.name()
        backends = [await bench.open(queue) for _ in range(4)]
        claim = await bench.claimed(backends[0], queue)
        settled = await asyncio.gather(
            *(backends[n % 4].complete(claim, record(claim, worker=f"w{n}")) for n in range(20))
        )
        assert settled.count(Settled.DONE) == 1
        await _stands(bench, claim.job.id, f"w{settled.index(Settled.DONE)}", JobState.SUCCEEDED)

    @scenario
    async def test_success_then_failure(self, bench: Bench) -> None:
        """A failure after the success is dropped, and leaves no dead letter."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        late = record(claim, JobState.FAILED, worker="w2")
        assert await backend.discard(claim, late) is Settled.SUPERSEDED
        await _stands(bench, claim.job.id, "w1", JobState.SUCCEEDED)

    @scenario
    async def test_failure_then_success(self, bench: Bench) -> None:
        """And the other way round."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        assert await backend.complete(claim, record(claim, worker="w2")) is Settled.SUPERSEDED
        await _stands(bench, claim.job.id, "w1", JobState.FAILED)

    @scenario
    async def test_telling_again_is_safe(self, bench: Bench) -> None:
        """A worker that did not hear the answer sends the same record again, and nothing changes."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        same = record(claim)
        assert await backend.complete(claim, same) is Settled.DONE
        await backend.complete(claim, same)
        await _stands(bench, claim.job.id, "w1", JobState.SUCCEEDED)

    @lapsing
    async def test_the_new_holder_first(self, bench: Bench) -> None:
        """A holder that comes back from the dead is told, whatever it tries; the job does not run again."""
        queue = bench.name()
        old, new = await bench.open(queue), await bench.open(queue)
        lost, held = await bench.lapsed(old, new, queue)
        assert await new.complete(held, record(held, worker="w2")) is Settled.DONE
        assert await old.complete(lost, record(lost)) is Settled.SUPERSEDED
        assert await old.discard(lost, record(lost, JobState.FAILED)) is Settled.SUPERSEDED
        assert await old.retry(lost, delay=0.0) is Settled.SUPERSEDED
        await old.release(lost)
        await _stands(bench, held.job.id, "w2", JobState.SUCCEEDED)
        await bench.silent(new, queue, wait=bench.outlived)

    @lapsing
    async def test_the_old_holder_first(self, bench: Bench) -> None:
        """Should it settle after all, the new holder is told; there is one record and no further run."""
        queue = bench.name()
        old, new = await bench.open(queue), await bench.open(queue)
        lost, held = await bench.lapsed(old, new, queue)
        assert await old.complete(lost, record(lost)) is Settled.DONE
        assert await new.complete(held, record(held, worker="w2")) is Settled.SUPERSEDED
        await _stands(bench, held.job.id, "w1", JobState.SUCCEEDED)
        await bench.silent(new, queue, wait=bench.outlived)


async def _stands(bench: Bench, job_id: str, worker: str, state: JobState) -> None:
    backend = await bench.open()
    known = await backend.get(job_id)
    assert known is not None
    assert (known.worker, known.state) == (worker, state)
    assert await backend.wait(job_id, timeout=5) == known
    assert (await backend.letter(job_id) is not None) == (state is JobState.FAILED)
