"""As `test_mutants`: backends that lose a change to a waiting job, or its place, must fail the suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from memory_harness import CONFIG, SetTime
from test_mutants import Mutant

from naq.backends.memory import forget
from naq.job import JobSpec, JobState
from naq.testing import conformance
from naq.testing.clock import FakeClock


class AmendsWithoutLooking(Mutant):
    """The last one wins, whatever it has seen."""

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        while (now := (await self.specs([seen.id])).get(seen.id)) is not None:
            if await super().amend(now, changed):
                return True
        return False


class AmendsManyUnseen(Mutant):
    """Of many at once the last one wins, whatever it has seen."""

    async def amend_many(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        there = await self.specs([seen.id for seen, _ in jobs])
        return await super().amend_many([(there.get(seen.id, seen), changed) for seen, changed in jobs])


class KeepsTheOldTimer(Mutant):
    """It runs when it was to run before."""

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        entry = self._store.jobs.get(seen.id)
        if entry is None or entry.spec != seen:
            return await super().amend(seen, changed)
        entry.spec = changed
        return True


class ForgetsWhoWaits(Mutant):
    """A job that waits for others is put in line when it is changed."""

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        done = await super().amend(seen, changed)
        return await self.unblock(seen.id) if done and seen.blocked else done


class KeepsItsPlace(Mutant):
    """A job in line is changed where it stands, in the lane in which it stands."""

    state = JobState.QUEUED

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        entry = self._store.jobs.get(seen.id)
        if entry is None or entry.state is not self.state or entry.spec != seen:
            return await super().amend(seen, changed)
        entry.spec = changed
        return True


class ChangesWhatRuns(KeepsItsPlace):
    """As if its worker had not read it."""

    state = JobState.RUNNING


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (KeepsItsPlace, conformance.TestAmend.test_in_line),
        (KeepsItsPlace, conformance.TestAmend.test_in_line_and_given_a_time),
        (ChangesWhatRuns, conformance.TestAmend.test_a_job_that_does_not_wait),
        (AmendsManyUnseen, conformance.TestAmend.test_many_at_once),
        (AmendsWithoutLooking, conformance.TestAmend.test_one_of_many_wins),
        (KeepsTheOldTimer, conformance.TestAmend.test_its_earlier_time_is_void),
        (ForgetsWhoWaits, conformance.TestAmend.test_a_blocked_job),
    ],
)
def test_a_broken_amend_is_noticed(mutant: type[Mutant], test: Callable[[Any, Any], None]) -> None:
    try:
        with FakeClock() as time, pytest.raises((AssertionError, pytest.fail.Exception)):
            test(conformance.TestAmend(), SetTime(time, mutant.connect))
    finally:
        forget(CONFIG)
