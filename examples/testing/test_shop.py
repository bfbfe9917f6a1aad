"""Tests of the shop: run them here with ``pytest``. They need no broker, but for the last one, which brings its own."""

from datetime import timedelta

import pytest
import shop
from shop import app, charge, check_out, send_receipt, try_to_check_out

from naq import JobExecutionError
from naq.testing import FakeClock, Sandbox, override


@pytest.fixture
def till(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    charged: list[int] = []

    def take(order: int) -> int:
        charged.append(order)
        if len(charged) < 3:
            raise shop.TillIsAway("busy")
        return 100

    monkeypatch.setattr(shop.till, "charge", take)
    return charged


def test_checking_out_enqueues_a_charge_and_a_reminder(naq_jobs: Sandbox) -> None:
    check_out("ada@example.org", order=7)

    naq_jobs.assert_enqueued(charge, args={"order": 7})
    naq_jobs.assert_enqueued(send_receipt, queue="mail", delay=timedelta(days=1), tags={"kind": "reminder"})
    naq_jobs.assert_not_enqueued(charge, args={"order": 8})


def test_a_receipt_follows_a_charge(naq_jobs: Sandbox, till: list[int]) -> None:
    till += [0, 0]  # the till answers at once
    job = charge.enqueue_sync("ada@example.org", 7)
    done = naq_jobs.drain_sync(check=True)  # the charge, and the receipt that it enqueues

    assert [record.task for record in done.succeeded] == ["shop.charge", "shop.send_receipt"]
    assert job.result_sync(timeout=0) == 100


async def test_it_tries_again_while_the_till_is_busy(naq_jobs: Sandbox, till: list[int]) -> None:
    job = await charge.enqueue("ada@example.org", 7)
    done = await naq_jobs.drain(advance=True)  # over the minutes between the attempts

    assert till == [7, 7, 7]
    assert await job.result(timeout=0) == 100
    assert (done.runs, done.waiting) == (4, 0)


def test_it_gives_up_in_the_end(naq_jobs: Sandbox) -> None:
    charge.enqueue_sync("ada@example.org", 7)
    done = naq_jobs.drain_sync(advance=True)

    (failed,) = done.failed
    assert failed.attempt == 4
    with pytest.raises(JobExecutionError, match="no line for order 7"):
        done.check()


def test_the_reminder_comes_a_day_later(naq_jobs: Sandbox, naq_clock: FakeClock) -> None:
    send_receipt.options(delay=24 * 3600).enqueue_sync("ada@example.org", 7)

    naq_clock.advance(timedelta(hours=23))
    assert naq_jobs.drain_sync().runs == 0
    naq_clock.advance(timedelta(hours=1))
    assert naq_jobs.drain_sync().runs == 1


async def test_jobs_run_as_they_are_enqueued(naq_inline: Sandbox, till: list[int]) -> None:
    job = await charge.enqueue("ada@example.org", 7)  # has run, three times, when this returns

    assert till == [7, 7, 7]
    assert await job.result(timeout=0) == 100
    naq_inline.assert_enqueued(send_receipt)


def test_an_order_is_refused_while_the_broker_is_down(naq_jobs: Sandbox) -> None:
    with naq_jobs.broker_down():
        assert not try_to_check_out("ada@example.org", 7)

    naq_jobs.assert_not_enqueued()
    assert try_to_check_out("ada@example.org", 7)


def test_without_fixtures() -> None:
    with override(app) as jobs:
        check_out("ada@example.org", order=7)
        jobs.assert_enqueued(charge, count=1)


async def test_the_whole_system(naq_broker: Sandbox) -> None:
    async with app:
        with naq_broker.worker():
            job = await send_receipt.enqueue("ada@example.org", order=7)
            assert await job.result(timeout=30) == "receipt 7 to ada@example.org"
