"""Looking at many jobs at once, and removing what is kept of one."""

from __future__ import annotations

import pytest

from naq import clock
from naq.exceptions import ConfigurationError
from naq.job import JobState
from naq.testing.conformance.bench import Bench, record, scenario


class TestJobs:
    """`jobs`."""

    @scenario
    async def test_waiting_ones_then_ended_ones(self, bench: Bench) -> None:
        """Newest first in both parts, each as `get` shows it, and only those of the queue asked for."""
        queue = bench.name()
        backend = await bench.open(queue)
        ended: list[str] = []
        for state in (JobState.SUCCEEDED, JobState.FAILED):
            claim = await bench.claimed(backend, queue)
            await (backend.complete if state is JobState.SUCCEEDED else backend.discard)(claim, record(claim, state))
            ended.append(claim.job.id)
        first = await bench.enqueued(backend, queue)
        later = await bench.enqueued(backend, queue, run_at=clock.now() + 3600)
        found = await bench.listed(backend, queue, later.id, first.id, *reversed(ended))
        assert [job.state for job in found] == ["scheduled", "queued", "failed", "succeeded"]
        assert found == [await backend.get(job.id) for job in found]
        assert await backend.jobs(queue=bench.name()) == []

    @scenario
    async def test_by_state(self, bench: Bench) -> None:
        """Only those in one of the states asked for."""
        queue = bench.name()
        backend = await bench.open(queue)
        done, failed, running = [await bench.claimed(backend, queue) for _ in range(3)]
        await backend.complete(done, record(done))
        await backend.discard(failed, record(failed, JobState.FAILED))
        waiting = await bench.enqueued(backend, queue)
        for states, expected in (
            ({JobState.FAILED}, [failed.job.id]),
            ({JobState.RUNNING}, [running.job.id]),
            ({JobState.QUEUED, JobState.SUCCEEDED}, [waiting.id, done.job.id]),
            ({JobState.CANCELLED}, []),
        ):
            await bench.listed(backend, queue, *expected, states=states)

    @scenario
    async def test_at_most_as_many_as_asked_for(self, bench: Bench) -> None:
        """The newest of them."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        jobs = [await bench.enqueued(backend, queue) for _ in range(3)]
        await bench.listed(backend, queue, jobs[2].id, jobs[1].id, limit=2)
        await bench.listed(backend, queue, *(job.id for job in reversed(jobs)), claim.job.id, limit=4)
        assert await backend.jobs(queue=queue, limit=0) == []

    @scenario
    async def test_a_job_that_runs_again_is_there_once(self, bench: Bench) -> None:
        """As its latest run, whether that waits or has ended."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        await backend.requeue(claim.job.id)
        [again] = await bench.listed(backend, queue, claim.job.id, states=[JobState.QUEUED])
        assert again.run == 2
        await bench.listed(backend, queue, claim.job.id)
        claim = await bench.claim(backend, queue)
        await backend.complete(claim, record(claim))
        [ended] = await bench.listed(backend, queue, claim.job.id, states=[JobState.SUCCEEDED])
        assert ended.run == 2
        await bench.listed(backend, queue, claim.job.id)

    @scenario
    async def test_a_queue_that_is_none(self, bench: Bench) -> None:
        """Refused as everywhere."""
        backend = await bench.open()
        with pytest.raises(ConfigurationError):
            await backend.jobs(queue="no queue")


class TestForget:
    """`forget`."""

    @scenario
    async def test_its_record_and_its_dead_letter_are_gone(self, bench: Bench) -> None:
        """And its id is free again."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        assert await backend.forget(claim.job.id)
        assert await backend.get(claim.job.id) is None
        assert await backend.letter(claim.job.id) is None
        await bench.listed(backend, queue)
        assert not await backend.forget(claim.job.id)
        [result] = await backend.enqueue([claim.job])
        assert not result.duplicate
        assert (await bench.claim(backend, queue)).job.id == claim.job.id

    @scenario
    async def test_not_what_waits_or_runs(self, bench: Bench) -> None:
        """That is what `cancel` is for."""
        queue = bench.name()
        backend = await bench.open(queue)
        running = await bench.claimed(backend, queue)
        waiting = await bench.enqueued(backend, queue)
        assert not await backend.forget(running.job.id)
        assert not await backend.forget(waiting.id)
        await bench.listed(backend, queue, waiting.id, running.job.id)


class TestLetter:
    """`letter` and `bury`."""

    @scenario
    async def test_of_a_failed_job(self, bench: Bench) -> None:
        """The same as in `dead`; buried, it cannot run again, and its record stays."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        letter = await backend.letter(claim.job.id)
        assert letter is not None
        assert await bench.letters(backend, queue, 1) == [letter]
        assert await backend.bury(claim.job.id)
        assert await backend.letter(claim.job.id) is None
        assert not await backend.bury(claim.job.id)
        assert not await backend.requeue(claim.job.id)
        assert await backend.get(claim.job.id) is not None

    @scenario
    async def test_of_what_is_no_job(self, bench: Bench) -> None:
        """Found and buried by the letter's own id."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, payload=b"\xff\x00")
        await backend.reject(claim, reason="no JSON")
        [letter] = await bench.letters(backend, queue, 1)
        assert await backend.letter(letter.id) == letter
        assert await backend.bury(letter.id)
        await bench.letters(backend, queue, 0)
