"""Functions in, results out: by queue, by module function, by client; on both backends."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import given_jobs
import pytest
from functional_tools import DEADLINE, until, working
from given_jobs import Order, add, fail, fail_times, greet, note, parent, ship

import naq
from naq import JobExecutionError, JobNotFoundError, JobState, Queue, ResultTimeout, SerializationError

pytestmark = pytest.mark.usefixtures("place")


def test_a_function_runs_by_its_import_path_and_its_result_comes_back() -> None:
    with working():
        job = naq.enqueue_sync(add, 2, b=3)
        assert job.result_sync(timeout=DEADLINE) == 5
        assert job.record_sync().task == "given_jobs.add"
        assert naq.enqueue_sync(greet, "ada", loud=True).result_sync(timeout=DEADLINE) == "ADA"


def test_the_async_names_do_the_same() -> None:
    async def main() -> None:
        queue = Queue("default")
        job = await queue.enqueue(add, 1, 2)
        other = await naq.enqueue(greet, "ada")
        assert await job.result(timeout=DEADLINE) == 3
        assert await other.result(timeout=DEADLINE) == "ada"
        assert await naq.fetch_job_result(job.job_id, timeout=DEADLINE) == 3
        assert {tuple(worker.queues) for worker in await naq.list_workers()} <= {("default",)}
        await naq.disconnect()

    with working():
        asyncio.run(main())


def test_types_survive_the_trip_and_a_wrong_one_is_refused_before_anything_is_stored() -> None:
    at = datetime(2030, 1, 2, tzinfo=UTC)
    with working():
        job = naq.enqueue_sync(ship, Order(1, at))
        assert job.result_sync(timeout=DEADLINE) == Order(2, at)
        # By id alone: this process knows the function, and so the type.
        assert naq.fetch_job_result_sync(job.job_id, timeout=DEADLINE) == Order(2, at)
    with pytest.raises(SerializationError, match="parameter 'a' expects int"):
        naq.enqueue_sync(add, "two")  # what a type checker cannot see here
    with pytest.raises(SerializationError, match="cannot be called with these arguments"):
        naq.enqueue_sync(add, 1, c=2)


def test_a_list_of_delays_is_kept_to_and_says_how_often() -> None:
    with working():
        job = naq.enqueue_sync(fail_times, "listed", 2, retry_delay=[0.01, 0.02])
        assert job.result_sync(timeout=DEADLINE) == 3
        with pytest.raises(JobExecutionError, match="attempt 3"):
            naq.enqueue_sync(fail_times, "too often", 3, retry_delay=[0.01, 0.01]).result_sync(timeout=DEADLINE)


def test_a_number_of_retries_with_one_delay() -> None:
    with working():
        job = naq.enqueue_sync(fail_times, "number", 3, max_retries=3, retry_delay=0.01)
        assert job.result_sync(timeout=DEADLINE) == 4
        with pytest.raises(JobExecutionError, match=r"at attempt 1: builtins\.ValueError: no"):
            naq.enqueue_sync(fail, "no").result_sync(timeout=DEADLINE)


def test_later_means_later() -> None:
    with working():
        begun = time.time()
        jobs = [
            naq.enqueue_in_sync(timedelta(seconds=0.3), note, "in"),
            naq.enqueue_in_sync(0.3, note, "in seconds"),
            naq.enqueue_at_sync(datetime.now(UTC) + timedelta(seconds=0.3), note, "at"),
            naq.enqueue_at_sync(datetime.now() + timedelta(seconds=0.3), note, "local time"),  # noqa: DTZ005
            naq.enqueue_at_sync(time.time() + 0.3, note, "at a timestamp"),
        ]
        past = Queue().enqueue_in_sync(-5, note, "already")
        for job in (*jobs, past):
            job.result_sync(timeout=DEADLINE)
        assert min(job.record_sync().started_at for job in jobs) >= begun + 0.3
        assert max(job.record_sync().started_at for job in jobs) < begun + 3600 - 60, "no zone got in the way"
        assert sorted(given_jobs.runs) == ["already", "at", "at a timestamp", "in", "in seconds", "local time"]


def test_later_without_the_sync() -> None:
    async def main() -> None:
        queue = Queue()
        jobs = [
            await queue.enqueue_in(timedelta(seconds=0.05), note, "in"),
            await queue.enqueue_at(time.time() + 0.05, note, "at"),
            await naq.enqueue_in(0.05, note, "in"),
            await naq.enqueue_at(datetime.now(UTC) + timedelta(seconds=0.05), note, "at"),
        ]
        for job in jobs:
            await job.result(timeout=DEADLINE)
        await naq.disconnect()

    with working():
        asyncio.run(main())
    assert sorted(given_jobs.runs) == ["at", "at", "in", "in"]


def test_a_scheduled_job_that_is_cancelled_never_runs_and_others_are_left_alone() -> None:
    later = naq.enqueue_in_sync(3600, note, "never")
    now = naq.enqueue_sync(note, "now")
    assert naq.cancel_scheduled_job_sync(later.job_id) is True
    assert naq.cancel_scheduled_job_sync(later.job_id) is False, "it is cancelled already"
    assert naq.cancel_scheduled_job_sync(now.job_id) is False, "it waits for no time"
    assert Queue().cancel_scheduled_job_sync("nobody") is False
    assert later.status_sync() is JobState.CANCELLED
    assert now.status_sync() is JobState.QUEUED

    async def main() -> None:
        other = await naq.enqueue_in(3600, note, "never")
        assert await naq.cancel_scheduled_job(other.job_id) is True
        assert await Queue().cancel_scheduled_job(other.job_id) is False
        await naq.disconnect()

    asyncio.run(main())


def test_a_purge_says_how_many_it_removed_and_of_which_queue() -> None:
    mail, other = Queue("mail"), Queue("other")
    for _ in range(3):
        mail.enqueue_sync(note, "mail")
    mail.enqueue_in_sync(3600, note, "mail")
    kept = other.enqueue_sync(note, "other")
    assert naq.purge_queue_sync("mail") == 4
    assert mail.purge_sync() == 0
    assert kept.status_sync() is JobState.QUEUED

    async def main() -> tuple[int, int]:
        counts = await naq.purge_queue("other"), await other.purge()
        await naq.disconnect()
        return counts

    assert asyncio.run(main()) == (1, 0)


def test_several_queues_with_results_of_one_worker() -> None:
    with working("high", "low"):
        jobs = [Queue(name).enqueue_sync(add, n) for n, name in enumerate(["high", "low", "high"])]
        assert [job.result_sync(timeout=DEADLINE) for job in jobs] == [0, 1, 2]
        assert [job.record_sync().queue for job in jobs] == ["high", "low", "high"]


def test_the_timeout_of_a_queue_holds_for_its_jobs() -> None:
    with working():
        job = Queue("default", default_timeout=0.05).enqueue_sync(given_jobs.hold)
        with pytest.raises(naq.TaskTimeoutError):
            job.result_sync(timeout=DEADLINE)


def test_a_job_that_enqueues_another_is_its_parent_across_the_bridge() -> None:
    with working(concurrency=4):
        mine, said = naq.enqueue_sync(parent).result_sync(timeout=DEADLINE)
        assert said == mine


def test_results_that_are_not_there() -> None:
    job = naq.enqueue_sync(note, "waits")
    with pytest.raises(ResultTimeout):
        job.result_sync(timeout=0.02)
    with pytest.raises(ResultTimeout, match="is queued"):
        naq.fetch_job_result_sync(job.job_id, timeout=0)
    with pytest.raises(JobNotFoundError):
        naq.fetch_job_result_sync("nobody", timeout=5)
    with pytest.raises(JobNotFoundError):
        naq.Job.fetch_result_sync("nobody", timeout=0)
    with working():
        until(lambda: given_jobs.runs)
        assert naq.Job.fetch_result_sync(job.job_id, timeout=DEADLINE) is None
        assert naq.Job.fetch_result_sync(job.job_id, timeout=0) is None, "timeout 0 finds what is there"


def test_who_works_is_told() -> None:
    assert naq.list_workers_sync() == []
    with working(worker_name="ada") as worker:
        until(naq.list_workers_sync, "its first word")
        (found,) = naq.Worker.list_workers_sync()
        assert (found.id, found.queues, "given_jobs.add" in found.tasks) == (worker.id, ["default"], True)
        assert asyncio.run(naq.Worker.list_workers())[0].id.startswith("ada-")
