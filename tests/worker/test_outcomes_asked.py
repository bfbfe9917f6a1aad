"""Outcomes that a task asks for, as whoever waits for its job sees them: from coroutines and from threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from naq import JobCancelled, JobExecutionError, NaqException, Retry, current_context
from naq.exceptions import CancelJob, DiscardJob, RetryJob, SnoozeJob, TaskOutcome
from tests.tools import make_app, run, working

THRICE = Retry(max_attempts=3, base=0.01, jitter=False)


def declare(kind: str, body: Callable[[], Any]) -> Any:
    """An app's task that does what `body` does."""

    async def async_body() -> Any:
        return body()

    return make_app().task(name="task", retry=THRICE)(body if kind == "sync" else async_body)


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize(
    ("asked", "attempts"),
    [(RetryJob("x", delay=0.0), [1, 2]), (RetryJob(), [1, 2]), (SnoozeJob(0.05), [1, 1])],
    ids=["at once", "by the policy", "snooze"],
)
def test_it_comes_again(asked: TaskOutcome, attempts: list[int], kind: str) -> None:
    seen: list[int] = []

    def body() -> str:
        seen.append(current_context().attempt)
        try:
            if len(seen) == 1:
                raise asked
        except NaqException:  # outcomes are none, so that a task cannot swallow what it asked for
            return "swallowed"
        return "done"

    task = declare(kind, body)

    async def test() -> None:
        async with working(task.host):
            assert await (await task.enqueue()).result(timeout=5) == "done"
        assert seen == attempts

    run(test())


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize(
    ("asked", "error"), [(DiscardJob("hopeless"), JobExecutionError), (CancelJob("not needed"), JobCancelled)]
)
def test_it_ends(asked: TaskOutcome, error: type[NaqException], kind: str) -> None:
    seen: list[int] = []

    def body() -> None:
        seen.append(current_context().attempt)
        raise asked

    task = declare(kind, body)

    async def test() -> None:
        async with working(task.host):
            with pytest.raises(error, match=str(asked)):
                await (await task.enqueue()).result(timeout=5)
            letters = await (await task.host.connect()).dead()
        assert seen == [1]
        assert len(letters) == (1 if error is JobExecutionError else 0), "a cancelled job is nobody's failure"

    run(test())
