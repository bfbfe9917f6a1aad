"""Running what is due: in order, to the end, with the time that it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta

import market
import pytest
from market import add, again, app, broken, flaky, hang, refuse, send, sign_up, snoozing, sum_of_sums

import naq
from naq import ConfigurationError, JobExecutionError, JobState, Naq
from naq.testing import FakeClock, Sandbox, draining, override


@pytest.fixture
def jobs() -> Generator[Sandbox]:
    with FakeClock(), override(app) as sandbox:
        yield sandbox


def test_one_after_the_other_oldest_first_and_the_same_each_time(jobs: Sandbox) -> None:
    for number in range(5):
        send.enqueue_sync(f"{number}@b")
    send.options(priority="high").enqueue_sync("high@b")
    first = jobs.drain_sync()
    order = list(market.ran)
    market.ran.clear()
    for number in range(5):
        send.enqueue_sync(f"{number}@b")
    send.options(priority="high").enqueue_sync("high@b")
    assert jobs.drain_sync().runs == first.runs == 6
    assert order[0] == "send high@b"
    assert [each for each in order if "high" not in each] == [f"send {number}@b" for number in range(5)]
    assert sorted(market.ran) == sorted(order)


def test_what_is_not_due_waits_unless_time_may_pass(jobs: Sandbox) -> None:
    sign_up.enqueue_sync("ann")
    done = jobs.drain_sync()
    assert (done.runs, done.waiting) == (1, 1)
    assert str(done) == "1 attempts: 1 succeeded; 1 jobs left"
    begun = jobs.clock.now
    done = jobs.drain_sync(advance=3599)
    assert (done.runs, done.waiting, jobs.clock.now - begun) == (0, 1, timedelta(seconds=3599))
    done = jobs.drain_sync(advance=timedelta(seconds=2))
    assert (done.runs, done.waiting, jobs.clock.now - begun) == (1, 0, timedelta(seconds=3601))


def test_true_lets_as_much_time_pass_as_jobs_wait_and_no_more(jobs: Sandbox) -> None:
    begun = jobs.clock.now
    assert jobs.drain_sync(advance=True).runs == 0
    assert jobs.clock.now == begun
    job = flaky.enqueue_sync(4)
    done = jobs.drain_sync(advance=True)
    assert (done.runs, market.ran) == (4, [f"flaky {attempt}" for attempt in (1, 2, 3, 4)])
    assert job.result_sync(0) == 4
    assert timedelta(0) < jobs.clock.now - begun < timedelta(hours=1)


def test_the_clock_alone_makes_jobs_due(jobs: Sandbox) -> None:
    send.options(delay=60).enqueue_sync("a@b")
    assert jobs.drain_sync().runs == 0
    jobs.clock.advance(60)
    assert jobs.drain_sync().runs == 1


def test_a_job_expires_by_the_clock(jobs: Sandbox) -> None:
    job = send.options(expires_in=30).enqueue_sync("a@b")
    jobs.clock.advance(31)
    assert [record.state for record in jobs.drain_sync().records] == [JobState.EXPIRED]
    with pytest.raises(naq.JobExpired):
        job.result_sync(0)
    assert not market.ran


def test_snoozes_and_their_time(jobs: Sandbox) -> None:
    snoozing.enqueue_sync(2)
    begun = jobs.clock.now
    done = jobs.drain_sync(advance=True, check=True)
    assert (done.runs, len(done.succeeded)) == (3, 1)
    assert abs((jobs.clock.now - begun).total_seconds() - 60) < 0.01


def test_failures_are_told_or_raised(jobs: Sandbox) -> None:
    broken.enqueue_sync(market.Address("Elm"))
    refuse.enqueue_sync()
    done = jobs.drain_sync()
    assert [record.task for record in done.failed] == ["market.broken", "market.refuse"]
    assert done.failed[0].error is not None
    assert done.failed[0].error.message == "no Elm"
    broken.enqueue_sync(market.Address("Oak"))
    with pytest.raises(JobExecutionError, match="no Oak") as caught:
        jobs.drain_sync(check=True)
    (note,) = caught.value.__notes__
    assert "market.py" in note
    assert "in broken" in note


def test_limit_and_until(jobs: Sandbox) -> None:
    again.enqueue_sync()
    assert jobs.drain_sync(limit=3).runs == 3
    job = send.enqueue_sync("a@b")
    done = jobs.drain_sync(until=job)
    assert done.records[-1].id == job.id
    assert done.waiting == 1
    assert jobs.drain_sync(until=lambda: len(jobs.enqueued(again)) >= 8).waiting == 1


def test_only_some_queues(jobs: Sandbox) -> None:
    send.enqueue_sync("a@b")
    add.enqueue_sync(1, 2)
    assert [record.task for record in jobs.drain_sync(queues=["mail"]).records] == ["market.send"]
    send.options(delay=5).enqueue_sync("a@b")
    assert jobs.drain_sync(queues=["default"], advance=True).runs == 1
    assert jobs.drain_sync().waiting == 1


def test_queues_are_a_list(jobs: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match=r"queues=\['mail'\]"):
        jobs.drain_sync(queues="mail")


def test_a_queue_that_is_paused_stays_so(jobs: Sandbox) -> None:
    async def test() -> None:
        await send.enqueue("a@b")
        backend = await app.connect()
        await backend.pause("mail")
        assert (await jobs.drain(advance=True)).waiting == 1
        await backend.resume("mail")
        assert (await jobs.drain()).runs == 1

    asyncio.run(test())


def test_one_that_never_ends_is_told_instead_of_waited_for(jobs: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "MOST", 20)
    again.enqueue_sync()
    with pytest.raises(AssertionError, match=r"does not end: after 20 attempts \(market\.again 20 times\)"):
        jobs.drain_sync()
    hang.options(priority="high").enqueue_sync()
    with pytest.raises(AssertionError, match=r"within 0\.3 s; task market\.hang \(job "):
        jobs.drain_sync(timeout=0.3)


def test_jobs_that_wait_for_others(jobs: Sandbox) -> None:
    async def test() -> None:
        first, second = await add.enqueue(1, 2), await add.enqueue(3, 4)
        total = await add.enqueue(naq.result_of(first), naq.result_of(second))
        jobs.assert_enqueued(add, where=lambda job: job.blocked, count=1)
        done = await jobs.drain(check=True)
        assert (done.runs, await total.result(0)) == (3, 10)

    asyncio.run(test())


def test_jobs_that_wait_for_others_within_a_job_inline(jobs: Sandbox) -> None:
    jobs.inline = True
    assert asyncio.run(sum_of_sums()) == 10


def test_schedules_tick_when_they_are_asked_to(jobs: Sandbox) -> None:
    assert jobs.drain_sync(advance=600).runs == 0
    done = jobs.drain_sync(schedules=True, advance=600)
    assert market.ran == ["tick"] * done.runs
    assert 9 <= done.runs <= 11
    assert done.waiting > 0


def test_callbacks_middleware_and_limits_are_a_workers() -> None:
    own = Naq("hooked")
    said: list[str] = []

    @own.task(name="job", retries=1, on_success=lambda context, result: said.append(f"{context.task} {result}"))
    async def job(text: str) -> str:
        return text

    @own.on_complete
    async def complete(context: naq.Context, record: naq.JobRecord) -> None:
        said.append(f"{context.attempt} {record.state}")

    with override(own) as jobs:
        job.enqueue_sync("done")
        jobs.drain_sync(check=True)
    assert said == ["job done", "1 succeeded"]


def test_what_advance_may_be(jobs: Sandbox) -> None:
    for wrong in (-1, float("nan")):
        with pytest.raises(ConfigurationError, match="advance is"):
            jobs.drain_sync(advance=wrong)


def test_it_needs_no_loop_or_says_what_to_write(jobs: Sandbox) -> None:
    async def test() -> None:
        with pytest.raises(ConfigurationError, match=r"await jobs\.drain"):
            jobs.drain_sync()

    asyncio.run(test())


def test_events_reach_their_handlers(jobs: Sandbox) -> None:
    async def test() -> None:
        await app.event("order.placed").publish({"number": 7})
        done = await jobs.drain(check=True)
        assert [record.task for record in done.records] == ["market.on_order"]
        await app.event("order.paid").publish({"number": 8})
        await jobs.drain(check=True)
        assert market.ran == ["order 7", "order 8"]

    asyncio.run(test())


def test_steps_progress_and_sleeping_without_a_slot(jobs: Sandbox) -> None:
    job = market.long.enqueue_sync()
    assert jobs.drain_sync().waiting == 1
    jobs.drain_sync(advance=timedelta(hours=2), check=True)
    assert job.result_sync(0) == "after 1"
    assert market.ran == ["step"]


def test_what_is_for_child_processes_runs_here(jobs: Sandbox) -> None:
    job = market.compute.enqueue_sync(12)
    jobs.drain_sync(check=True)
    assert job.result_sync(0) == 144
    assert market.ran == ["compute"]
