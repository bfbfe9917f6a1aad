"""The running job, seen from inside: which context is current, and what its logger says."""

import asyncio
import contextvars
import logging
import threading

import pytest

from naq import Context, NaqException, clock, current_context
from naq.context import find_context, reset_context, set_context


def make(job_id: str = "J1", deadline: float | None = None) -> Context:
    return Context(job_id=job_id, task="mail.send", queue="mail", attempt=2, max_attempts=5, deadline=deadline)


def test_outside_a_job_there_is_none() -> None:
    assert find_context() is None
    with pytest.raises(NaqException, match="no job runs here"):
        current_context()


def test_set_and_reset() -> None:
    token = set_context(outer := make("outer"))
    inner_token = set_context(inner := make("inner"))
    assert current_context() is inner
    reset_context(inner_token)
    assert current_context() is outer
    reset_context(token)
    assert find_context() is None


def test_jobs_side_by_side_see_their_own() -> None:
    async def job(job_id: str) -> str:
        set_context(make(job_id))
        await asyncio.sleep(0)
        child = asyncio.create_task(asyncio.to_thread(lambda: current_context().job_id))
        await asyncio.sleep(0)
        assert current_context().job_id == job_id
        return await child

    async def main() -> list[str]:
        return await asyncio.gather(*(asyncio.create_task(job(str(number))) for number in range(10)))

    assert asyncio.run(main()) == [str(number) for number in range(10)]


def test_a_thread_of_ones_own_needs_the_context_handed_over() -> None:
    token = set_context(make("J9"))
    seen: list[Context | None] = []
    copied = contextvars.copy_context()
    for target in (lambda: seen.append(find_context()), lambda: copied.run(lambda: seen.append(find_context()))):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    reset_context(token)
    assert seen[0] is None
    assert seen[1] is not None
    assert seen[1].job_id == "J9"


def test_time_left() -> None:
    with clock.use(monotonic=lambda: 100.0):
        assert make().remaining() is None
        assert make(deadline=130.0).remaining() == 30.0
        assert make(deadline=90.0).remaining() == 0.0


def test_the_logger_carries_the_job(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="naq.task"):
        make().logger.info("sent to %s", "ada", extra={"card": "visa", "queue": "own"})
    (record,) = caplog.records
    assert record.name == "naq.task.mail.send"
    assert record.getMessage() == "sent to ada"
    fields = {name: getattr(record, name) for name in ("job_id", "task", "queue", "attempt", "card")}
    assert fields == {"job_id": "J1", "task": "mail.send", "queue": "own", "attempt": 2, "card": "visa"}


def test_contexts_do_not_share_their_tags() -> None:
    one, other = make(), make()
    one.tags["a"] = "b"
    assert other.tags == {}
