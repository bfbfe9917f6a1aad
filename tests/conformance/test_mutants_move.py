"""As `test_mutants`: backends that lose something of a job they move, or leave it where it was, must fail the suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from memory_harness import CONFIG, SetTime
from msgspec.structs import replace
from test_mutants import Mutant

from naq.backends.memory import forget
from naq.job import JobSpec, JobState, new_id
from naq.testing import conformance
from naq.testing.clock import FakeClock

Jobs = Sequence[tuple[JobSpec, JobSpec]]


class LeavesACopy(Mutant):
    """The job runs in both queues."""

    async def move(self, jobs: Jobs) -> list[bool]:
        done = await super().move(jobs)
        copies = [seen for (seen, _), is_done in zip(jobs, done, strict=True) if is_done]
        await self.enqueue([replace(seen, id=new_id(), fresh=True, key="", run_at=None) for seen in copies])
        return done


class MovesWhatRuns(Mutant):
    """A worker has the job, and another gets it there."""

    async def move(self, jobs: Jobs) -> list[bool]:
        store = self._store
        for seen, _ in jobs:
            with store.lock:
                if (entry := store.jobs.get(seen.id)) is not None and entry.state is JobState.RUNNING:
                    store.hand_back(entry)
        return await super().move(jobs)


class ForgetsItsTime(Mutant):
    """What waits for a time is in line there."""

    async def move(self, jobs: Jobs) -> list[bool]:
        done = await super().move(jobs)
        for seen, _ in jobs:
            await self.run_now(seen.id)
        return done


class ForgetsWhoWaits(Mutant):
    """What waits for others is in line there."""

    async def move(self, jobs: Jobs) -> list[bool]:
        done = await super().move(jobs)
        for seen, _ in jobs:
            await self.unblock(seen.id)
        return done


class ForgetsTheKey(Mutant):
    """Two jobs of one key may be in the queue."""

    async def move(self, jobs: Jobs) -> list[bool]:
        store = self._store
        keyed = dict(store.keyed)
        store.keyed.clear()
        done = await super().move(jobs)
        store.keyed.clear()
        store.keyed.update(keyed)
        return done


class EndsThePause(Mutant):
    """Whoever paused the queue finds it running."""

    async def move(self, jobs: Jobs) -> list[bool]:
        done = await super().move(jobs)
        for seen, _ in jobs:
            await self.resume(seen.queue)
        return done


class TurnsThemRound(Mutant):
    """The last comes first."""

    async def move(self, jobs: Jobs) -> list[bool]:
        return (await super().move(jobs[::-1]))[::-1]


class SaysAllWereMoved(Mutant):
    """Whatever came of it."""

    async def move(self, jobs: Jobs) -> list[bool]:
        await super().move(jobs)
        return [True] * len(jobs)


_plain = conformance.TestMove


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (LeavesACopy, _plain.test_jobs_in_line),
        (TurnsThemRound, _plain.test_jobs_in_line),
        (MovesWhatRuns, _plain.test_what_does_not_wait),
        (SaysAllWereMoved, _plain.test_what_does_not_wait),
        (ForgetsItsTime, _plain.test_a_scheduled_job),
        (ForgetsWhoWaits, _plain.test_a_blocked_job),
        (ForgetsTheKey, _plain.test_its_key),
        (EndsThePause, _plain.test_out_of_a_queue_that_is_held),
    ],
)
def test_a_broken_move_is_noticed(mutant: type[Mutant], test: Callable[[Any, Any], None]) -> None:
    try:
        with FakeClock() as time, pytest.raises((AssertionError, pytest.fail.Exception)):
            test(_plain(), SetTime(time, mutant.connect))
    finally:
        forget(CONFIG)


def test_one_that_races_is_noticed() -> None:
    try:
        with FakeClock() as time, pytest.raises((AssertionError, pytest.fail.Exception)):
            conformance.TestMoveRaces().test_with_workers(SetTime(time, MovesWhatRuns.connect))
    finally:
        forget(CONFIG)
