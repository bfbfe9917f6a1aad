"""The switch: calls fail as in production, what waits goes on, and nothing is lost when it comes back."""

from __future__ import annotations

import asyncio
import time

import market
import pytest
from market import app, send

from naq import Job, NaqConnectionError
from naq.testing import Sandbox, on_server, override
from naq.testing.broker import bundled_server

PATIENCE = 0.5  # seconds a call to a server that is down takes to fail
DEADLINE = 30.0
TURNS = 20  # of the event loop, in which a task comes to wait


def test_in_memory_calls_fail_at_once_and_work_again_afterwards() -> None:
    with override(app) as jobs:
        before = send.enqueue_sync("before@b")
        with jobs.broker_down():
            for call in (
                lambda: send.enqueue_sync("down@b"),
                before.status_sync,
                before.cancel_sync,
                lambda: before.result_sync(timeout=1),
                jobs.drain_sync,
            ):
                with pytest.raises(NaqConnectionError, match="test says that it is down"):
                    call()
        jobs.assert_enqueued(send, count=1)
        assert jobs.drain_sync().runs == 1
        assert before.result_sync(0) == 8


def test_it_is_down_before_anything_has_connected() -> None:
    with override(app) as jobs, jobs.broker_down(), pytest.raises(NaqConnectionError):
        send.enqueue_sync("a@b")


def test_who_waits_already_waits_to_the_end_of_its_time() -> None:
    async def test(jobs: Sandbox) -> None:
        job = await send.enqueue("a@b")
        waiting = [asyncio.create_task(job.result(timeout=0.2)), asyncio.create_task(job.result(timeout=DEADLINE))]
        for _ in range(TURNS):
            await asyncio.sleep(0)
        jobs.stop_broker()
        with pytest.raises(NaqConnectionError):
            await waiting[0]
        assert not waiting[1].done()
        jobs.start_broker()
        await jobs.drain()
        assert await waiting[1] == 3

    with override(app) as jobs:
        asyncio.run(test(jobs))


def test_a_worker_waits_for_the_broker_and_goes_on() -> None:
    with override(app) as jobs, jobs.worker():
        assert send.enqueue_sync("a@b").result_sync(DEADLINE) == 3
        jobs.stop_broker()
        with pytest.raises(NaqConnectionError):
            send.enqueue_sync("down@b")
        jobs.start_broker()
        assert send.enqueue_sync("c@d").result_sync(DEADLINE) == 3
        assert market.ran == ["send a@b", "send c@d"]


def test_a_real_server_is_cut_off_and_comes_back() -> None:
    with (
        bundled_server() as server,
        on_server(app, server.url, publish_timeout=PATIENCE, connect_timeout=DEADLINE) as jobs,
    ):
        _enqueue("first@b")
        with jobs.broker_down():
            begun = time.monotonic()
            with pytest.raises(NaqConnectionError):
                send.enqueue_sync("down@b")
            assert time.monotonic() - begun < DEADLINE
        job = _enqueue("again@b")
        jobs.assert_enqueued(send, args={"to": "again@b"})
        with jobs.worker():
            assert job.result_sync(DEADLINE) == 7


def _enqueue(to: str) -> Job[int]:
    """On a busy machine a server may take longer than that, too."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return send.options(job_id=to.partition("@")[0]).enqueue_sync(to)
        except NaqConnectionError:
            assert time.monotonic() < end
