"""Jobs that run as they are enqueued, and are jobs all the same: encoded, decoded, tried again, recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import datetime
from typing import Any

import market
import pytest
from market import Address, app, broken, flaky, outer, send, sign_up

import naq
from naq import JobExecutionError, JobState, SerializationError
from naq.testing import Sandbox, override

NAIVE = datetime(2027, 1, 15)  # noqa: DTZ001  what becomes of it is the matter


@pytest.fixture
def jobs() -> Generator[Sandbox]:
    with override(app, inline=True) as sandbox:
        yield sandbox


def test_it_has_run_when_enqueue_returns(jobs: Sandbox) -> None:
    job = send.enqueue_sync("a@b")
    assert market.ran == ["send a@b"]
    assert job.result_sync(timeout=0) == 3
    jobs.assert_enqueued(send)

    async def test() -> int:
        many = await app.enqueue_many([send.call(f"{number}@b") for number in range(3)])
        return sum([await each.result(timeout=0) for each in many])

    assert asyncio.run(test()) == 9


def test_one_within_another(jobs: Sandbox) -> None:
    assert outer.enqueue_sync(3).result_sync(timeout=0) == 3
    assert market.ran == ["outer 3", "outer 2", "outer 1", "outer 0"]
    jobs.assert_enqueued(outer, count=4)


def test_what_is_delayed_is_not_run(jobs: Sandbox) -> None:
    sign_up.enqueue_sync("ann")
    assert market.ran == ["sign up ann"]
    jobs.drain_sync(advance=True)
    assert market.ran == ["sign up ann", "send ann@b"]


def test_a_failure_is_the_jobs_and_not_the_callers(jobs: Sandbox) -> None:
    job = broken.enqueue_sync(Address("Elm"))
    assert job.status_sync() is JobState.FAILED
    with pytest.raises(JobExecutionError, match="no Elm"):
        job.result_sync(timeout=0)
    assert jobs.inline


def test_retries_come_at_once(jobs: Sandbox) -> None:
    begun = jobs.clock.now
    assert flaky.enqueue_sync(4).result_sync(timeout=0) == 4
    assert (jobs.clock.now - begun).total_seconds() < 5  # four delays would be more


def test_arguments_and_results_travel(jobs: Sandbox) -> None:
    own = naq.Naq("travel")
    seen: list[Any] = []

    @own.task(name="keep")
    async def keep(address: Address, when: datetime, plain: Any) -> Address:
        seen.extend([address, when, plain])
        return address

    given, plain = Address("Elm", 3), {"list": (1, 2)}
    with override(own, inline=True):
        job = keep.enqueue_sync(given, NAIVE, plain)
        assert seen[0] == given
        assert seen[0] is not given
        assert seen[1].tzinfo is not None  # as after any trip: a naive one means UTC
        assert seen[2] == {"list": [1, 2]}
        assert job.result_sync(0) == given
        assert job.result_sync(0) is not given
        with pytest.raises(SerializationError):
            keep.enqueue_sync(given, NAIVE, object())
    assert not jobs.enqueued()


def test_one_that_enqueues_itself_for_ever_is_found_out(jobs: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.testing.sandbox.DEEPEST", 5)
    job = outer.enqueue_sync(20)
    with pytest.raises(JobExecutionError, match="5 jobs run within each other"):
        job.result_sync(0)
    assert len(market.ran) == 5
    jobs.inline = False
    outer.enqueue_sync(0)
    assert len(market.ran) == 5


def test_it_can_be_switched_on_and_off(jobs: Sandbox) -> None:
    jobs.inline = False
    send.enqueue_sync("a@b")
    assert not market.ran
    jobs.inline = True
    send.enqueue_sync("c@d")
    assert market.ran == ["send a@b", "send c@d"]
