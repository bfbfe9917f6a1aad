"""The client: one connection for everything, with the same names."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_type

import given_jobs
import pytest
from functional_tools import DEADLINE, working
from given_jobs import add, greet, note

import naq
from naq import ConfigurationError, Job, JobState, NaqConnectionError, Queue, SyncClient, connections
from naq.backends import from_url
from naq.testing.broker import bundled_server


@pytest.mark.usefixtures("place")
def test_everything_goes_through_the_client() -> None:
    with working("default", "mail"), SyncClient() as client:
        job = client.enqueue(add, 1, b=2)
        assert_type(job, Job[int])
        assert_type(client.enqueue(greet, "ada"), Job[str])
        assert job.result_sync(timeout=DEADLINE) == 3
        assert client.fetch_job_result(job.id, timeout=DEADLINE) == 3
        assert client.job(job.id).status_sync() is JobState.SUCCEEDED
        assert client.enqueue(note, "mail", queue_name="mail").record_sync().queue == "mail"
        assert client.enqueue(given_jobs.fail_times, "c", 1, retry_delay=[0.01]).result_sync(DEADLINE) == 2
        client.enqueue_at(time.time() + 0.05, note, "at").result_sync(DEADLINE)
        client.enqueue_in(0.05, note, "in").result_sync(DEADLINE)
        later = client.enqueue_in(3600, note, "never", queue_name="slow")
        assert client.cancel_scheduled_job(later.id) is True
        client.enqueue_in(3600, note, "never", queue_name="slow")
        assert client.purge_queue("slow") == 1
        assert client.purge_queue() == 0
        queue = client.queue("mail", default_timeout=5)
        assert_type(queue, Queue)
        assert queue.enqueue_sync(add, 4).result_sync(DEADLINE) == 4
        assert [sorted(worker.queues) for worker in client.list_workers()] == [["default", "mail"]]


def test_it_opens_one_connection_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def count(config: naq.Config) -> Any:
        made.append(from_url(config))
        return made[-1]

    monkeypatch.setattr(connections, "from_url", count)
    with SyncClient() as client:
        jobs = [client.enqueue(add, n) for n in range(20)]
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(Job[int].status_sync, jobs)) == {JobState.QUEUED}
        client.list_workers()
        client.purge_queue()
        (backend,) = made
        assert backend.health().ready
    assert not backend.health().ready
    client.close()


def test_a_client_without_with_opens_at_its_first_call_and_may_be_opened_again() -> None:
    client = SyncClient()
    assert client.enqueue(add, 1).status_sync() is JobState.QUEUED
    client.close()
    with client:
        assert client.purge_queue() == 1


def test_its_settings_are_those_of_naq() -> None:
    client = SyncClient("memory:a-client", namespace="mine", publish_timeout="2s")
    config = client.config
    assert (config.broker_url, config.namespace, config.publish_timeout) == ("memory:a-client", "mine", 2.0)
    shown = repr(SyncClient("nats://ada:secret@host:4222", namespace="mine"))
    assert shown == "<SyncClient of <Connection host:4222 mine>>"
    with pytest.raises(ConfigurationError, match="did you mean 'namespace'"):
        SyncClient(namespce="x")  # pyright: ignore[reportCallIssue]


def test_a_broker_that_is_not_there_shows_at_once() -> None:
    with bundled_server() as server:
        url = server.url
    client = SyncClient(url, connect_timeout=0.2)
    with pytest.raises(NaqConnectionError, match="cannot reach the broker"):
        client.open()
    with pytest.raises(NaqConnectionError), client:
        pass
    client.close()


def test_under_a_running_loop_it_says_what_to_do() -> None:
    client = SyncClient()

    async def main() -> None:
        for call, said in [
            (client.open, "async with naq"),
            (lambda: client.enqueue(add, 1), "await queue.enqueue"),
            (client.list_workers, "await naq.list_workers"),
            (lambda: naq.enqueue_sync(add, 1), "await naq.enqueue"),
            (lambda: naq.enqueue_in_sync(1, add, 1), "await naq.enqueue_in"),
            (lambda: naq.enqueue_at_sync(1, add, 1), "await naq.enqueue_at"),
            (naq.purge_queue_sync, "await naq.purge_queue"),
            (lambda: naq.cancel_scheduled_job_sync("a"), "await naq.cancel_scheduled_job"),
            (naq.list_workers_sync, "await naq.list_workers"),
            (lambda: naq.fetch_job_result_sync("a"), "await job.result"),
            (naq.connect_sync, "await naq.connect"),
            (naq.disconnect_sync, "await naq.disconnect"),
        ]:
            with pytest.raises(ConfigurationError, match=rf"write '{said}"):
                call()

    asyncio.run(main())


def test_connecting_shows_whether_the_broker_is_there_and_disconnecting_lets_it_go() -> None:
    naq.connect_sync()
    naq.connect_sync("memory:elsewhere")
    naq.disconnect_sync()
    naq.disconnect_sync()
    with pytest.raises(ConfigurationError, match="nowhere"):
        naq.connect_sync("nowhere:4222")

    async def main() -> None:
        await naq.connect()
        job = await naq.enqueue(add, 1)
        await naq.disconnect()
        assert await job.status() is JobState.QUEUED, "it opens again by itself"
        await naq.disconnect()

    asyncio.run(main())


def test_a_queue_is_where_it_says_it_is() -> None:
    with pytest.raises(ConfigurationError, match="give one of them"):
        Queue("mail", "memory:", app=given_jobs.shop)
    with pytest.raises(ConfigurationError, match="queue"):
        Queue("no spaces")
    assert repr(Queue("mail")) == "Queue('mail')"
    elsewhere = Queue("mail", "memory:elsewhere")
    elsewhere.enqueue_sync(add, 1)
    assert Queue("mail").purge_sync() == 0
    assert elsewhere.purge_sync() == 1
