"""The specification bites: each of these broken backends must fail the test that forbids what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest
from memory_harness import CONFIG, SetTime
from msgspec.structs import replace
from mutant import Mutant
from mutants_beside import BESIDE

from naq import clock
from naq.backends.base import CancelResult, Claim, EnqueueResult, Extended, Settled
from naq.backends.memory import forget
from naq.job import JobRecord, JobSpec
from naq.testing import conformance
from naq.testing.clock import FakeClock


class LosesWhatIsReleased(Mutant):
    async def release(self, claim: Claim, *, delay: float = 0.0, reason: str = "") -> None:
        await super().release(claim, delay=1e9)


class CountsReleases(Mutant):
    async def release(self, claim: Claim, *, delay: float = 0.0, reason: str = "") -> None:
        await self.retry(claim, delay=delay, reason=reason)


class DoesNotCountRetries(Mutant):
    async def retry(self, claim: Claim, *, delay: float, payload: bytes | None = None, reason: str = "") -> Settled:
        await self.release(claim, delay=delay)
        return Settled.DONE


class SaysEverySettlingWon(Mutant):
    async def complete(self, claim: Claim, record: JobRecord) -> Settled:
        await super().complete(claim, record)
        return Settled.DONE


class LastWriterWins(Mutant):
    async def complete(self, claim: Claim, record: JobRecord) -> Settled:
        settled = await super().complete(claim, record)
        self._store.records.put(record, 60)
        return settled


class DropsResults(Mutant):
    async def complete(self, claim: Claim, record: JobRecord) -> Settled:
        return await super().complete(claim, replace(record, result=None))


class KeepsClaimsForEver(Mutant):
    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        return await super().fetch(queues, limit=limit, lease=1e9, wait=wait)


class DoesNotExtend(Mutant):
    async def extend(self, claims: Sequence[Claim], *, lease: float) -> Extended:
        return Extended({claim.job.id: clock.monotonic() + lease * 0.75 for claim in claims})


class HidesCancelling(Mutant):
    async def extend(self, claims: Sequence[Claim], *, lease: float) -> Extended:
        return Extended((await super().extend(claims, lease=lease)).deadlines)


class HasNoMargin(Mutant):
    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        claims = await super().fetch(queues, limit=limit, lease=lease, wait=wait)
        return [replace(claim, deadline=claim.claimed_at + lease) for claim in claims]


class UsesTheTimeOfDay(Mutant):
    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        claims = await super().fetch(queues, limit=limit, lease=lease, wait=wait)
        return [replace(claim, deadline=clock.now() + lease - 2) for claim in claims]


class ClaimsOneAtLeast(Mutant):
    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        return await super().fetch(queues, limit=limit or 1, lease=lease, wait=wait)


class HandsOutTwice(Mutant):
    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        claims = await super().fetch(queues, limit=limit, lease=lease, wait=wait)
        return claims + claims[:1] if len(claims) > 20 else claims


class HighestFirstAlways(Mutant):
    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        for queue in queues:
            self._store.line(queue)._turn = 0  # pyright: ignore[reportPrivateUsage]
        return await super().fetch(queues, limit=min(limit, 1), lease=lease, wait=wait)


class IsEarly(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return await super().enqueue([replace(job, run_at=job.run_at and job.run_at - 0.2) for job in jobs])


class TakesEveryId(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        for job in jobs:
            self._store.jobs.pop(job.id, None)
        return await super().enqueue(jobs)


class LooksBeforeItStores(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        taken = {job.id for job in jobs if job.id in self._store.jobs}
        await asyncio.sleep(0)
        await super().enqueue([job for job in jobs if job.id not in taken])
        return [EnqueueResult(job.id, job.id in taken) for job in jobs]


class ForgetsFinishedIds(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return await super().enqueue([replace(job, fresh=True) for job in jobs])

    async def lookup(self, claim: Claim) -> JobRecord | None:
        return None


class ReversesBatches(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return (await super().enqueue(jobs[::-1]))[::-1]


class StoresPartOfABatch(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return [result for job in jobs for result in await super(StoresPartOfABatch, self).enqueue([job])]


class CancelsInWordsOnly(Mutant):
    async def cancel(self, job_id: str) -> CancelResult:
        return CancelResult.REMOVED


class ForgetsCancelMarks(Mutant):
    async def lookup(self, claim: Claim) -> JobRecord | None:
        return None


class LeavesTimersBehind(Mutant):
    async def run_now(self, job_id: str) -> bool:
        entry = self._store.jobs.get(job_id)
        if entry is None or entry.spec.run_at is None:
            return False
        await self.enqueue([replace(entry.spec, id=f"{job_id}-now", run_at=None)])
        return True


class LetsEverybodyWin(Mutant):
    async def run_now(self, job_id: str) -> bool:
        await super().run_now(job_id)
        return True


class CannotPause(Mutant):
    async def pause(self, queue: str) -> None:
        self._store.line(queue)


class HasNoLimits(Mutant):
    async def limit(self, queue: str, concurrency: int | None) -> None:
        self._store.line(queue)


class AnswersWithTheFirstRun(Mutant):
    async def get(self, job_id: str) -> JobRecord | None:
        return self._store.records.get(job_id) or await super().get(job_id)


class RunsTheSameRunAgain(Mutant):
    async def requeue(self, job_id: str, *, payload: bytes | None = None) -> bool:
        done = await super().requeue(job_id, payload=payload)
        if done:
            entry = self._store.jobs[job_id]
            entry.spec = replace(entry.spec, run=1)
        return done


class ForgetsWhatWasEdited(Mutant):
    async def requeue(self, job_id: str, *, payload: bytes | None = None) -> bool:
        return await super().requeue(job_id)


class MakesAnotherOfTheKey(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return await super().enqueue([replace(job, key="") for job in jobs])


class KeepsKeysOfRunningJobs(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return await super().enqueue([replace(job, scope="active") for job in jobs])


class ForgetsKeysOfRetries(Mutant):
    async def retry(self, claim: Claim, *, delay: float, payload: bytes | None = None, reason: str = "") -> Settled:
        settled = await super().retry(claim, delay=delay, payload=payload, reason=reason)
        self._store.keyed.clear()
        return settled


class ReplacesNothing(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return await super().enqueue([replace(job, replace=False) for job in jobs])


class LetsEverybodyUnblock(Mutant):
    async def unblock(self, job_id: str, record: JobRecord | None = None) -> bool:
        await super().unblock(job_id, record)
        return True


class ForgetsWhenToRun(Mutant):
    async def unblock(self, job_id: str, record: JobRecord | None = None) -> bool:
        if (entry := self._store.jobs.get(job_id)) is not None:
            entry.spec = replace(entry.spec, run_at=None)
        return await super().unblock(job_id, record)


class HandsOutBlockedJobs(Mutant):
    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        return await super().enqueue([replace(job, blocked=False) for job in jobs])


class TakesFailedParentsForNone(Mutant):
    async def finals(self, job_ids: Collection[str]) -> dict[str, JobRecord]:
        found = await super().finals(job_ids)
        return {job_id: record for job_id, record in found.items() if record.state == "succeeded"}


class ForgetsHowOftenItWasClaimed(Mutant):
    async def release(self, claim: Claim, *, delay: float = 0.0, reason: str = "") -> None:
        await super().release(claim, delay=delay, reason=reason)
        if (entry := self._store.jobs.get(claim.job.id)) is not None:
            entry.spec = replace(entry.spec, claims=0)


class ForgetsTheCall(Mutant):
    async def cancel(self, job_id: str) -> CancelResult:
        done = await super().cancel(job_id)
        record = self._store.records.get(job_id)
        assert record is not None
        self._store.records.put(replace(record, arguments=None), 60.0)
        return done


CASES: list[tuple[type[Mutant], Callable[..., None]]] = [
    (LosesWhatIsReleased, conformance.TestRelease.test_it_goes_to_the_next),
    (CountsReleases, conformance.TestRelease.test_it_goes_to_the_next),
    (DoesNotCountRetries, conformance.TestRetry.test_the_next_attempt),
    (SaysEverySettlingWon, conformance.TestFirstWriterWins.test_twice),
    (LastWriterWins, conformance.TestFirstWriterWins.test_twice),
    (DropsResults, conformance.TestComplete.test_the_record_is_what_remains),
    (KeepsClaimsForEver, conformance.TestLapse.test_another_gets_the_job),
    (DoesNotExtend, conformance.TestExtend.test_it_keeps_the_job),
    (HidesCancelling, conformance.TestCancelRunning.test_its_holder_learns_of_it),
    (HasNoMargin, conformance.TestDeadline.test_it_lies_before_the_end_of_the_lease),
    (UsesTheTimeOfDay, conformance.TestDeadline.test_it_lies_before_the_end_of_the_lease),
    (ClaimsOneAtLeast, conformance.TestFetch.test_limit_zero_touches_nothing),
    (HandsOutTwice, conformance.TestFetch.test_every_job_goes_to_one_worker),
    (HighestFirstAlways, conformance.TestPriorities.test_higher_ones_are_preferred),
    (IsEarly, conformance.TestDelay.test_it_is_never_early),
    (TakesEveryId, conformance.TestSameId.test_while_it_waits),
    (LooksBeforeItStores, conformance.TestSameId.test_racing),
    (ForgetsFinishedIds, conformance.TestSameId.test_after_it_has_finished),
    (ReversesBatches, conformance.TestEnqueue.test_a_large_batch_is_stored_in_order),
    (StoresPartOfABatch, conformance.TestRefused.test_a_payload_that_is_too_large),
    (CancelsInWordsOnly, conformance.TestCancelWaiting.test_queued),
    (ForgetsTheCall, conformance.TestCancelWaiting.test_its_arguments_are_in_its_record),
    (ForgetsCancelMarks, conformance.TestCancelRunning.test_the_next_holder_is_told),
    (LeavesTimersBehind, conformance.TestRunNow.test_a_scheduled_job),
    (LetsEverybodyWin, conformance.TestRunNow.test_one_of_many_wins),
    (MakesAnotherOfTheKey, conformance.TestUnique.test_racing),
    (KeepsKeysOfRunningJobs, conformance.TestUnique.test_while_it_runs),
    (ForgetsKeysOfRetries, conformance.TestUnique.test_through_retry_and_release),
    (ReplacesNothing, conformance.TestReplace.test_a_scheduled_job),
    (CannotPause, conformance.TestPause.test_nothing_is_handed_out),
    (HasNoLimits, conformance.TestLimit.test_it_holds_over_all_instances),
    (AnswersWithTheFirstRun, conformance.TestRequeue.test_it_is_seen_as_waiting),
    (RunsTheSameRunAgain, conformance.TestRequeue.test_a_new_run),
    (ForgetsWhatWasEdited, conformance.TestRequeue.test_edited),
    (ForgetsHowOftenItWasClaimed, conformance.TestRelease.test_claims_are_counted_on),
    (LetsEverybodyUnblock, conformance.TestUnblock.test_one_of_many_wins),
    (ForgetsWhenToRun, conformance.TestUnblock.test_a_time_of_its_own),
    (HandsOutBlockedJobs, conformance.TestUnblock.test_it_waits_until_it_is_let_go),
    (TakesFailedParentsForNone, conformance.TestFinals.test_ended_and_unfinished),
    *BESIDE,
]


@pytest.fixture
def time() -> Iterator[FakeClock]:
    with FakeClock() as fake:
        yield fake
    forget(CONFIG)


@pytest.mark.parametrize(
    ("mutant", "test"), CASES, ids=[f"{mutant.__name__}-{test.__name__}" for mutant, test in CASES]
)
def test_a_broken_backend_fails(time: FakeClock, mutant: type[Mutant], test: Callable[[Any, Any], None]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(None, SetTime(time, mutant.connect))
