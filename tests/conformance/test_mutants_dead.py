"""As `test_mutants`: backends that believe too much or too little of a worker's death must fail the suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from memory_harness import CONFIG, SetTime
from test_mutants import Mutant

from naq.backends.base import WorkerInfo
from naq.backends.memory import forget
from naq.testing import conformance
from naq.testing.clock import FakeClock
from naq.testing.conformance import Harness


class LetsTheDeadKeep(Mutant):
    async def died(self, worker_id: str, claims: Sequence[bytes]) -> int:
        await self.unregister(worker_id)
        return len(claims)


class BelievesInAnyDeath(Mutant):
    async def died(self, worker_id: str, claims: Sequence[bytes]) -> int:
        await super().register(WorkerInfo(id=worker_id, queues=[]), ttl=60)
        return await super().died(worker_id, claims)


class TakesFromTheNext(Mutant):
    async def died(self, worker_id: str, claims: Sequence[bytes]) -> int:
        jobs = [self._store.jobs.get(receipt.partition(b".")[2].decode()) for receipt in claims]
        held = [entry.receipt for entry in jobs if entry is not None]
        await super().register(WorkerInfo(id=worker_id, queues=[]), ttl=60)
        return await super().died(worker_id, held)


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (LetsTheDeadKeep, conformance.TestDeath.test_its_claims_are_handed_out_at_once),
        (TakesFromTheNext, conformance.TestDeath.test_whoever_says_so_second_changes_nothing),
        (BelievesInAnyDeath, conformance.TestDeath.test_one_that_nobody_knows_or_that_has_left_was_not_alive),
    ],
)
def test_a_death_that_is_taken_wrong_is_noticed(
    mutant: type[Mutant], test: Callable[[conformance.TestDeath, Harness], None]
) -> None:
    try:
        with FakeClock() as time, pytest.raises((AssertionError, pytest.fail.Exception)):
            test(conformance.TestDeath(), SetTime(time, mutant.connect))
    finally:
        forget(CONFIG)
