"""Callbacks that fail or take too long: nothing of it reaches the job or its worker."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from naq import Context, Retry, current_context
from naq.task.callbacks import TAKES
from naq.worker import hooks
from tests.tools import DEADLINE, ended, make_app, run, until, working

NOW = Retry(max_attempts=2, base=0.0, jitter=False)


def noting(moment: str, said: list[str]) -> Any:
    """A callback for `moment`, whatever it is called with."""

    def note(*_: Any) -> None:
        said.append(moment)

    return note


class Hostile(Exception):
    def __str__(self) -> str:
        raise ValueError("from __str__")


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize(
    "error", [OSError("no"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), Hostile()]
)
def test_a_failing_callback_is_logged_and_changes_nothing(
    error: BaseException, sync: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    said: list[str] = []

    def fail(*_: Any) -> None:
        raise error

    async def async_fail(*_: Any) -> None:
        raise error

    chosen: Any = fail if sync else async_fail

    @app.task(
        name="fine",
        retry=NOW,
        on_start=chosen,
        on_success=chosen,
        on_retry=chosen,
        on_complete=chosen,
        on_failure=chosen,
    )
    async def fine(good: bool) -> int:
        if not good or current_context().attempt == 1:
            raise ValueError
        return 1

    for moment in TAKES:  # those after a failing one are called all the same
        fine.callbacks.add(moment, noting(moment, said))

    async def test() -> None:
        async with working(app):
            assert await (await fine.enqueue(True)).result(timeout=5) == 1
            assert (await ended(await fine.enqueue(False))).state == "failed"
            await until(lambda: len(said) == 10)

    with caplog.at_level(logging.CRITICAL, "naq.worker.jobs"), caplog.at_level(logging.ERROR, "naq.worker"):
        run(test())
    logged = [record for record in caplog.records if "callback" in record.getMessage()]
    assert len(logged) == 10
    assert all(record.exc_info and record.exc_info[1] is not None for record in logged)


@pytest.mark.parametrize("kind", ["sync", "async", "stubborn"])
def test_a_slow_callback_is_left_behind(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "LIMIT", 0.05)
    app = make_app()
    end, said = threading.Event(), list[str]()

    def slow(context: Context) -> None:
        end.wait(DEADLINE)

    async def async_slow(context: Context) -> None:
        try:
            await asyncio.sleep(DEADLINE)
        except asyncio.CancelledError:
            said.append("cancelled")
            raise

    async def stubborn(context: Context) -> None:
        while not end.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                said.append("cancelled")

    choices: dict[str, Any] = {"sync": slow, "async": async_slow, "stubborn": stubborn}

    @app.task(name="fine", on_start=choices[kind])
    async def fine() -> int:
        return 1

    async def test() -> None:
        async with working(app):
            assert await (await fine.enqueue()).result(timeout=5) == 1
            end.set()
            await until(lambda: kind == "sync" or said == ["cancelled"])

    run(test())
    assert "takes longer than 0.05 s" in caplog.text


def test_the_time_of_on_start_is_not_the_tasks_time() -> None:
    app = make_app()
    left: list[float | None] = []

    async def slow(context: Context) -> None:
        await asyncio.sleep(0.3)

    @app.task(name="fine", timeout=0.25, on_start=slow)
    async def fine() -> None:
        left.append(current_context().remaining())

    async def test() -> None:
        async with working(app):
            assert (await ended(await fine.enqueue())).state == "succeeded"
        assert left[0] is not None
        assert left[0] > 0.1

    run(test())
