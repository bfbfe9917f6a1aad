"""Handles: how each end of a job reaches the one who waits for it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import pytest

from naq import (
    AttemptError,
    CancelResult,
    JobCancelled,
    JobExecutionError,
    JobExpired,
    JobNotFoundError,
    JobRecord,
    JobState,
    Naq,
    NaqException,
    ResultTimeout,
    SerializationError,
    TaskTimeoutError,
    WorkerLost,
)
from naq.backends.base import Claim
from naq.handle import failure

_stores = itertools.count()


@dataclass
class Receipt:
    number: int


class Shop:
    def __init__(self) -> None:
        self.app = Naq("shop", broker_url=f"memory:handle-{next(_stores)}")

        @self.app.task(name="charge")
        async def charge(amount: int) -> Receipt:
            return Receipt(amount)

        self.charge = charge

    async def claim(self) -> Claim:
        backend = await self.app.connect()
        (claim,) = await backend.fetch(["default"], limit=1, lease=30, wait=5)
        return claim

    async def end(
        self, state: JobState, *, result: bytes | None = None, errors: list[AttemptError] | None = None
    ) -> None:
        """Settle the next job as a worker would."""
        backend, claim = await self.app.connect(), await self.claim()
        record = JobRecord(
            id=claim.job.id,
            state=state,
            task="charge",
            result=None if result is None else msgspec.Raw(result),
            errors=errors or [],
        )
        settle = backend.complete if state is JobState.SUCCEEDED else backend.discard
        await settle(claim, record)


def with_shop(test: Callable[[Shop], Awaitable[None]]) -> Callable[[], None]:
    """Run a coroutine test with a shop whose connection is closed at the end."""

    def run() -> None:
        async def main() -> None:
            shop = Shop()
            async with shop.app:
                await test(shop)

        asyncio.run(main())

    return run


@with_shop
async def test_a_result_is_of_the_declared_type_and_comes_by_push(shop: Shop) -> None:
    job = await shop.charge.enqueue(7)
    waiting = asyncio.create_task(job.result(timeout=10))
    await shop.end(JobState.SUCCEEDED, result=b'{"number":7}')
    assert await waiting == Receipt(7)
    assert await job.result() == Receipt(7), "and again"
    assert await job.status() is JobState.SUCCEEDED
    assert (await job.record()).is_final


@with_shop
async def test_a_handle_made_from_an_id_is_as_good(shop: Shop) -> None:
    job = await shop.charge.enqueue(7)
    await shop.end(JobState.SUCCEEDED, result=b'{"number":7}')
    assert await shop.app.job(job.id).result() == Receipt(7)
    stranger = Naq("stranger", broker_url=shop.app.config.broker_url, namespace="shop")
    async with stranger:
        assert await stranger.job(job.id).result() == {"number": 7}, "a task unknown here: plain JSON"


@with_shop
async def test_not_yet(shop: Shop) -> None:
    job = await shop.charge.enqueue(7)
    with pytest.raises(ResultTimeout):
        await job.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        await job.result(timeout=0.01)
    assert await job.status() is JobState.QUEUED
    await shop.claim()
    assert await job.status() is JobState.RUNNING


@with_shop
async def test_no_such_job(shop: Shop) -> None:
    job = shop.app.job("nothing")
    for ask in (job.status, job.record, job.result):
        with pytest.raises(JobNotFoundError, match="nothing"):
            await ask()
    assert await job.cancel() is CancelResult.UNKNOWN


@with_shop
async def test_a_failure_carries_what_the_task_raised(shop: Shop) -> None:
    job = await shop.charge.enqueue(7)
    error = AttemptError(type="builtins.ValueError", message="no such card", attempt=3)
    await shop.end(JobState.FAILED, errors=[AttemptError(type="builtins.OSError", message="x", attempt=2), error])
    with pytest.raises(JobExecutionError) as caught:
        await job.result()
    assert type(caught.value) is JobExecutionError
    assert str(caught.value) == (f"task 'charge' failed at attempt 3: builtins.ValueError: no such card (job {job.id})")
    assert (caught.value.job_id, caught.value.error) == (job.id, error)


@with_shop
async def test_cancelling_a_waiting_job(shop: Shop) -> None:
    job = await shop.charge.enqueue(7)
    assert await job.cancel() is CancelResult.REMOVED
    with pytest.raises(JobCancelled, match="cancelled") as caught:
        await job.result()
    assert caught.value.job_id == job.id
    assert await job.cancel() is CancelResult.FINISHED


@with_shop
async def test_cancelling_a_running_job_asks_its_worker(shop: Shop) -> None:
    job = await shop.charge.enqueue(7)
    await shop.claim()
    assert await job.cancel() is CancelResult.REQUESTED


@with_shop
async def test_a_result_of_another_type_is_said_to_be_one(shop: Shop) -> None:
    job = await shop.charge.enqueue(7)
    await shop.end(JobState.SUCCEEDED, result=b'"text"')
    with pytest.raises(SerializationError, match="Receipt"):
        await job.result()


def ended(state: JobState, error: AttemptError | None = None, *, task: str = "t", reason: str = "") -> NaqException:
    return failure(JobRecord(id="J1", state=state, errors=[error] if error else [], task=task, reason=reason))


@pytest.mark.parametrize("kind", [TaskTimeoutError, WorkerLost, JobExpired])
def test_errors_of_ours_come_back_as_themselves(kind: type[JobExecutionError]) -> None:
    error = AttemptError(type=f"naq.exceptions.{kind.__name__}", message="why", attempt=2)
    raised = ended(JobState.FAILED, error)
    assert type(raised) is kind
    assert (raised.job_id, raised.error) == ("J1", error)  # pyright: ignore[reportAttributeAccessIssue]
    assert "task 't' failed at attempt 2" in str(raised)


@pytest.mark.parametrize(
    "name", ["os.system", "shop.TaskTimeoutError", "naq.exceptions.NaqException", "", "naq.app.Naq"]
)
def test_any_other_error_is_data_and_nothing_is_looked_up(name: str) -> None:
    assert type(ended(JobState.FAILED, AttemptError(type=name, message="x"))) is JobExecutionError


def test_ends_without_an_attempt() -> None:
    expired = ended(JobState.EXPIRED)
    assert type(expired) is JobExpired
    assert str(expired) == "task 't' was not started before its expires_at (job J1)"
    failed = ended(JobState.FAILED, reason="not a job", task="")
    assert str(failed) == "a message that names no task failed: not a job (job J1)"
    cancelled = ended(JobState.CANCELLED, reason="by ada")
    assert str(cancelled) == "task 't' was cancelled: by ada (job J1)"
