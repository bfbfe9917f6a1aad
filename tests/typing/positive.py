"""What users write, and the types they get: every `assert_type` here is checked by `make types`."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from naq import (
    Call,
    CancelResult,
    Config,
    Context,
    Job,
    JobRecord,
    JobState,
    Naq,
    Retry,
    Task,
    current_context,
    load_config,
)

app = Naq("typing", broker_url="memory:typing", lease="1m", publish_timeout=timedelta(seconds=5), concurrency=4)


@dataclass
class Receipt:
    number: int


@app.task
async def charge(amount: int, currency: str = "EUR", *, note: str = "") -> Receipt:
    return Receipt(amount + len(currency) + len(note))


@app.task(queue="mail", retry=Retry(max_attempts=5), timeout=30, priority="high", tags={"team": "mail"})
def remind(to: str, when: datetime) -> bool:
    return bool(to and when)


@app.task(name="typing.tick", retry=[1, 10, 60], timeout=timedelta(minutes=1))
async def tick() -> None: ...


@app.task()
def many(*numbers: int, **named: str) -> list[int]:
    return [*numbers, len(named)]


def patience(attempt: int, error: BaseException) -> float | None:
    return None if isinstance(error, ValueError) else attempt * 2.0


@app.task(retry=patience)
def patient() -> int:
    return current_context().attempt


async def calls_are_typed_as_the_function_is() -> None:
    coroutine = assert_type(charge(1), Coroutine[Any, Any, Receipt])
    assert_type(await coroutine, Receipt)
    assert_type(await charge(1, "USD", note="x"), Receipt)
    assert_type(remind("ada", datetime.now(UTC)), bool)
    assert_type(many(1, 2, a="b"), list[int])


async def handles_carry_the_result() -> None:
    job = await charge.enqueue(1, note="x")
    assert_type(job, Job[Receipt])
    assert_type(await job.result(), Receipt)
    assert_type(await job.result(timeout=5), Receipt)
    assert_type(await job.status(), JobState)
    assert_type(await job.record(), JobRecord)
    assert_type(await job.cancel(), CancelResult)
    assert_type(job.id, str)
    assert_type(await remind.enqueue("ada", datetime.now(UTC)), Job[bool])
    assert_type(await tick.enqueue(), Job[None])
    assert_type(await many.enqueue(1, 2, a="b"), Job[list[int]])


async def options_keep_the_types() -> None:
    later = charge.options(delay=timedelta(hours=1), priority="low", tags={"a": "b"}, expires_in=7200)
    assert_type(await later.enqueue(1), Job[Receipt])
    assert_type(await later.options(job_id="order-7", retries=2).enqueue(1, "USD"), Job[Receipt])
    assert_type(await charge.options(run_at=datetime.now(UTC)).enqueue(1), Job[Receipt])
    assert_type(await charge.options(run_at=1.9e9, queue="slow", timeout=5).enqueue(1), Job[Receipt])


async def batches() -> None:
    assert_type(charge.call(1), Call[Receipt])
    assert_type(await charge.enqueue_many([charge.call(n) for n in range(3)]), list[Job[Receipt]])
    assert_type(await charge.options(delay=1).enqueue_many([charge.call(1)]), list[Job[Receipt]])
    mixed: list[Call[Receipt | bool]] = [charge.call(1), remind.call("ada", datetime.now(UTC))]
    assert_type(await app.enqueue_many(mixed), list[Job[Receipt | bool]])


async def apps() -> None:
    async with app as same:
        assert_type(same, Naq)
    assert_type(app.config, Config)
    assert_type(app.tasks, Mapping[str, Task[..., Any]])
    assert_type(app.get_task("typing.tick"), Task[..., Any])
    assert_type(app.job("01ABC"), Job[Any])
    assert_type(load_config(broker_url="memory:"), Config)


def a_task_can_be_passed_on(task: Task[[str, datetime], bool]) -> Callable[[str, datetime], Any]:
    return task


def a_job_of_a_kind_is_one_of_a_wider_kind(job: Job[bool], call: Call[bool]) -> tuple[Job[int], Call[int]]:
    return job, call


def contexts(context: Context) -> None:
    assert_type(current_context(), Context)
    assert_type(context.remaining(), float | None)
    assert_type(context.tags, dict[str, str])
    context.logger.info("attempt %d", context.attempt)
