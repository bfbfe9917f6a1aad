"""Ends that are no success, dead letters, and running a failed job again."""

from __future__ import annotations

import pytest

from naq.backends.base import Settled
from naq.exceptions import ResultTimeout
from naq.job import AttemptError, JobState
from naq.testing.conformance.bench import Bench, lapsing, record, scenario


class TestDiscard:
    """`discard`."""

    @scenario
    async def test_failed(self, bench: Bench) -> None:
        """A record with the errors, and a dead letter with the job as it was."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, headers={"Naq-Tag-a": "b"})
        error = AttemptError(type="builtins.ValueError", message="no such mailbox", attempt=1)
        failed = record(claim, JobState.FAILED, errors=[error])
        assert await backend.discard(claim, failed) is Settled.DONE
        known = await backend.get(claim.job.id)
        assert known is not None
        assert (known.state, known.errors) == (JobState.FAILED, [error])
        [letter] = await bench.letters(backend, queue, 1)
        assert (letter.id, letter.kind, letter.queue) == (claim.job.id, "failed", queue)
        assert (letter.payload, letter.headers.get("Naq-Tag-a")) == (claim.job.payload, "b")
        assert "no such mailbox" in letter.reason

    @scenario
    async def test_cancelled_and_expired_leave_no_dead_letter(self, bench: Bench) -> None:
        """They ended as somebody wished."""
        for state in (JobState.CANCELLED, JobState.EXPIRED):
            queue = bench.name()
            backend = await bench.open(queue)
            claim = await bench.claimed(backend, queue)
            assert await backend.discard(claim, record(claim, state)) is Settled.DONE
            known = await backend.get(claim.job.id)
            assert known is not None
            assert known.state is state
            assert await backend.letter(claim.job.id) is None
            await bench.silent(backend, queue)

    @lapsing
    async def test_the_job_is_gone(self, bench: Bench) -> None:
        """A failed job does not come back when its lease is over."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        await bench.silent(backend, queue, wait=bench.outlived)

    @scenario
    async def test_newest_first(self, bench: Bench) -> None:
        """`dead` shows the latest, at most as many as asked for."""
        queue = bench.name()
        backend = await bench.open(queue)
        ids: list[str] = []
        for _ in range(3):
            claim = await bench.claimed(backend, queue)
            await backend.discard(claim, record(claim, JobState.FAILED))
            ids.append(claim.job.id)
        assert [letter.id for letter in await bench.letters(backend, queue, 3)] == ids[::-1]
        assert len(await backend.dead(limit=2)) == 2


class TestReject:
    """`reject`: what is no job at all."""

    @lapsing
    async def test_raw_to_the_dead_letters(self, bench: Bench) -> None:
        """Byte for byte, with the reason; and it is not handed out again."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, payload=b"\x80\x04\x95 not JSON \x00\r\n")
        await backend.reject(claim, reason="not JSON: byte 0x80 at 0")
        [letter] = await bench.letters(backend, queue, 1)
        assert (letter.kind, letter.queue, letter.payload) == ("malformed", queue, claim.job.payload)
        assert letter.reason == "not JSON: byte 0x80 at 0"
        await bench.silent(backend, queue, wait=bench.outlived)

    @scenario
    async def test_nothing_else_remains(self, bench: Bench) -> None:
        """No state, no record; and nobody can run it again by its id."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, payload=b"")
        await backend.reject(claim, reason="empty")
        assert await backend.get(claim.job.id) is None
        assert not await backend.requeue(claim.job.id)

    @scenario
    async def test_a_reason_of_any_text(self, bench: Bench) -> None:
        """Reasons quote what arrived: line ends, quotes and long text do no harm."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.reject(claim, reason="bad\r\nHeader: x 'é' \x00 " + "x" * 5000)
        [letter] = await bench.letters(backend, queue, 1)
        assert letter.reason.startswith("bad")
        assert letter.payload == claim.job.payload
        assert not any(name.lower() == "header" for name in letter.headers)


class TestRequeue:
    """`requeue`: a person runs a failed job again."""

    @scenario
    async def test_a_new_run(self, bench: Bench) -> None:
        """Run 2, attempt 1, same id, payload, headers and priority; it ends with a record of its own."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, priority="high", headers={"Naq-Tag-a": "b"})
        await backend.retry(claim, delay=0.0)
        claim = await bench.claim(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        assert await backend.requeue(claim.job.id)
        again = await bench.claim(backend, queue)
        assert (again.job.id, again.job.run, again.job.attempt) == (claim.job.id, 2, 1)
        assert (again.job.payload, again.job.priority) == (claim.job.payload, "high")
        assert (again.job.headers or {}).get("Naq-Tag-a") == "b"
        assert await backend.lookup(again) is None
        assert await backend.complete(again, record(again)) is Settled.DONE
        known = await backend.get(claim.job.id)
        assert known is not None
        assert (known.state, known.run) == (JobState.SUCCEEDED, 2)

    @scenario
    async def test_edited(self, bench: Bench) -> None:
        """With another payload, and all else as it was."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, priority="low", headers={"Naq-Tag-a": "b"})
        await backend.discard(claim, record(claim, JobState.FAILED))
        assert await backend.requeue(claim.job.id, payload=b'{"v":1,"task":"another"}')
        again = await bench.claim(backend, queue)
        assert again.job.payload == b'{"v":1,"task":"another"}'
        assert (again.job.id, again.job.run, again.job.priority) == (claim.job.id, 2, "low")
        assert (again.job.headers or {}).get("Naq-Tag-a") == "b"

    @scenario
    async def test_the_letter_is_gone(self, bench: Bench) -> None:
        """A dead letter runs again once; a second `requeue` finds none."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        assert await backend.requeue(claim.job.id)
        assert await backend.letter(claim.job.id) is None
        await bench.letters(backend, queue, 0)
        assert not await backend.requeue(claim.job.id)
        await bench.claim(backend, queue)
        await bench.silent(backend, queue)

    @scenario
    async def test_it_is_seen_as_waiting(self, bench: Bench) -> None:
        """The record of the first run does not answer for the second, neither `get` nor `wait`."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        await backend.requeue(claim.job.id)
        known = await backend.get(claim.job.id)
        assert known is not None
        assert (known.state, known.run) == (JobState.QUEUED, 2)
        with pytest.raises(ResultTimeout):
            await bench.passing(backend.wait(claim.job.id, timeout=0.3))

    @scenario
    async def test_the_first_run_stays_settled(self, bench: Bench) -> None:
        """A late worker of run 1 cannot end run 2."""
        queue = bench.name()
        backend = await bench.open(queue)
        first = await bench.claimed(backend, queue)
        await backend.discard(first, record(first, JobState.FAILED))
        await backend.requeue(first.job.id)
        assert await backend.complete(first, record(first, worker="late")) is Settled.SUPERSEDED
        again = await bench.claim(backend, queue)
        assert await backend.complete(again, record(again, worker="w2")) is Settled.DONE
        known = await backend.get(first.job.id)
        assert known is not None
        assert (known.worker, known.run) == ("w2", 2)

    @scenario
    async def test_failing_again(self, bench: Bench) -> None:
        """A second failure is a dead letter again, and a third run is possible."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        for run in (2, 3):
            await backend.discard(claim, record(claim, JobState.FAILED))
            assert await backend.requeue(claim.job.id)
            claim = await bench.claim(backend, queue)
            assert claim.job.run == run

    @scenario
    async def test_only_failed_jobs(self, bench: Bench) -> None:
        """Unknown, waiting, running and succeeded ones are no dead letters."""
        queue = bench.name()
        backend = await bench.open(queue)
        assert not await backend.requeue(bench.name("nobody"))
        job = await bench.enqueued(backend, queue)
        assert not await backend.requeue(job.id)
        claim = await bench.claim(backend, queue)
        assert not await backend.requeue(job.id)
        await backend.complete(claim, record(claim))
        assert not await backend.requeue(job.id)
