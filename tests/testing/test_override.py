"""An app under test: its jobs go elsewhere, its code stays as it is, and everything is as before when it ends."""

from __future__ import annotations

import asyncio
import threading

import market
import pytest
from market import app, double, later_double, send, sign_up

import naq
from naq import ConfigurationError, Naq, NaqConnectionError
from naq.testing import FakeClock, override


def test_jobs_are_kept_in_memory_and_run_when_the_test_says_so() -> None:
    with override(app) as jobs:
        job = sign_up.enqueue_sync("ann")
        jobs.assert_enqueued(sign_up, args={"name": "ann"})
        assert not market.ran
        done = jobs.drain_sync(advance=True, check=True)
        assert market.ran == ["sign up ann", "send ann@b"]
        assert (done.runs, done.waiting, len(done.succeeded)) == (2, 0, 2)
        assert job.result_sync(timeout=0) == "ann"


def test_the_same_in_a_test_with_an_event_loop() -> None:
    async def test() -> None:
        with override(app) as jobs:
            job = await send.enqueue("a@b")
            await jobs.drain(check=True)
            assert await job.result(timeout=0) == 3

    asyncio.run(test())
    asyncio.run(test())  # on another loop, as the next test would be


def test_afterwards_the_app_is_what_it_was() -> None:
    before = app.config
    with override(app) as jobs:
        assert app.config.broker_url.startswith("memory:")
        assert app.config.namespace == before.namespace
        send.enqueue_sync("a@b")
        assert jobs.enqueued(send)
    assert app.config == before
    with pytest.raises(NaqConnectionError):
        send.enqueue_sync("a@b")


def test_an_app_that_is_connected_elsewhere_goes_on_there_afterwards() -> None:
    own = Naq("connected", broker_url="memory:connected")

    @own.task(name="any")
    async def any_task() -> None: ...

    async def test() -> None:
        async with own:
            first = await any_task.enqueue()
            with override(own) as jobs:
                await any_task.enqueue()
                async with own:  # as code under test may do
                    await any_task.enqueue()
                assert len(jobs.enqueued()) == 2
                assert await (await own.connect()).get(first.id) is None
            assert (await first.status()).value == "queued"

    asyncio.run(test())


def test_tests_do_not_see_each_others_jobs_nor_within_each_other() -> None:
    with override(app) as one:
        send.enqueue_sync("a@b")
        with override(app) as two:
            two.assert_not_enqueued()
            send.enqueue_sync("c@d")
            assert two.drain_sync().runs == 1
        one.assert_enqueued(send, args={"to": "a@b"}, count=1)
        assert one.drain_sync().runs == 1


def test_threads_and_loops_share_one_store() -> None:
    with override(app) as jobs:
        threads = [threading.Thread(target=send.enqueue_sync, args=(f"{number}@b",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        async def here() -> int:
            await send.enqueue("here@b")
            return (await jobs.drain()).runs

        assert asyncio.run(here()) == 9


def test_functions_without_an_app() -> None:
    with override() as jobs, naq.SyncClient(nats_url="nats://127.0.0.1:1") as client:
        job = naq.enqueue_sync(double, 4)
        other = naq.Queue("other", nats_url="nats://127.0.0.1:1").enqueue_sync(double, 5)
        third = client.enqueue(later_double, 6)
        jobs.assert_enqueued(double, args=(4,), queue="default")
        jobs.assert_enqueued(double, args={"number": 5}, queue="other")
        assert jobs.drain_sync(check=True).runs == 4  # the last of which was enqueued by the third
        jobs.assert_enqueued(double, args={"number": 6})
        assert (job.result_sync(0), other.result_sync(0), third.result_sync(0)) == (8, 10, None)


def test_settings_hold_for_the_time_and_where_the_jobs_are_is_none() -> None:
    with override(app, max_payload=200) as jobs:
        with pytest.raises(naq.PayloadTooLarge):
            send.enqueue_sync("a@b", body="x" * 300)
        jobs.assert_not_enqueued()
    with pytest.raises(ConfigurationError, match="on_server"), override(app, broker_url="nats://here:4222"):
        pass


def test_a_real_worker_in_any_kind_of_test() -> None:
    with override(app) as jobs, jobs.worker(concurrency=2):
        assert sign_up.enqueue_sync("bob").result_sync(timeout=30) == "bob"

        async def test() -> int:
            return await (await send.enqueue("a@b")).result(timeout=30)

        assert asyncio.run(test()) == 3


def test_a_worker_that_cannot_start_says_why() -> None:
    with override(app) as jobs:
        with pytest.raises(ConfigurationError, match="no_such_module"), jobs.worker(imports=["no_such_module"]):
            pass
        with jobs.worker() as worker:
            pass
        assert worker.left_behind == 0


def test_the_clock_of_a_block_around_it_is_taken() -> None:
    with FakeClock() as clock, override(app) as jobs:
        assert jobs.clock is clock
    with override(app) as jobs:
        assert jobs.clock is not clock
