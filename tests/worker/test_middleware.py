"""Middleware around attempts: what it makes of them, on the loop and around threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from naq import Context, Retry, current_context
from naq.exceptions import SnoozeJob
from naq.middleware import Middleware, NewJob
from naq.middleware.base import Call, Store
from tests.tools import ended, make_app, run, running_state, working

NOW = Retry(max_attempts=2, base=0.0, jitter=False)
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Note(Middleware):
    def __init__(self, name: str, said: list[str]) -> None:
        self.name = name
        self.said = said

    async def run(self, context: Context, call_next: Call) -> Any:
        assert current_context() is context
        self.said.append(f"{self.name} {context.task} {context.attempt}")
        try:
            value = await call_next()
        except BaseException as error:
            self.said.append(f"/{self.name} {type(error).__name__}")
            raise
        self.said.append(f"/{self.name} {value}")
        return value


class Tenant(Middleware):
    """Carries a context variable from the producer into the task."""

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
        for job in jobs:
            job.headers["X-Tenant"] = tenant.get()
        await call_next()

    async def run(self, context: Context, call_next: Call) -> Any:
        tenant.set(context.headers["X-Tenant"])
        return await call_next()


class Decide(Middleware):
    """Returns, raises and asks for itself, depending on the task."""

    def __init__(self, ran: list[str]) -> None:
        self.ran = ran

    async def run(self, context: Context, call_next: Call) -> Any:
        match context.task:
            case "replaced":
                return await call_next() + 1
            case "skipped":
                return 7
            case "refused":
                raise PermissionError("not here")
            case "saved":
                try:
                    return await call_next()
                except ValueError:
                    return 3
            case _ if len(self.ran) < 4:
                self.ran.append("snoozed")
                raise SnoozeJob(0.05)
            case _:
                return await call_next()


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_the_first_is_outermost_around_every_attempt(kind: str) -> None:
    app = make_app()
    said: list[str] = []
    app.use(Note("a", said), Note("b", said))

    def body() -> int:
        if current_context().attempt == 1:
            raise ValueError("no")
        return 5

    async def async_body() -> int:
        return body()

    task: Any = app.task(name="task", retry=NOW)(body if kind == "sync" else async_body)

    async def test() -> None:
        async with working(app):
            job = await task.enqueue()
            assert await job.result(timeout=5) == 5
            record = await job.record()
        assert said[:4] == ["a task 1", "b task 1", "/b ValueError", "/a ValueError"]
        assert said[4:] == ["a task 2", "b task 2", "/b 5", "/a 5"]
        assert any(frame.file == __file__ for frame in record.errors[0].frames)

    run(test())


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_headers_and_context_variables_reach_the_task(kind: str) -> None:
    app = make_app()
    app.use(Tenant())

    def body() -> str:
        return tenant.get()

    async def async_body() -> str:
        return tenant.get()

    task: Any = app.task(name="task", tags={"team": "a"})(body if kind == "sync" else async_body)

    async def test() -> None:
        tenant.set("acme")
        async with working(app):
            job = await task.enqueue()
            assert await job.result(timeout=5) == "acme"
            assert (await job.record()).tags == {"team": "a"}, "headers of others are no tags"
        assert tenant.get() == "acme"

    run(test())


def test_what_it_returns_or_raises_counts() -> None:
    app = make_app()
    ran: list[str] = []

    app.use(Decide(ran))

    async def body() -> int:
        ran.append(current_context().task)
        return 1

    async def failing() -> int:
        ran.append("saved")
        raise ValueError

    async def test() -> None:
        for name in ("replaced", "skipped", "refused", "snoozed"):
            app.task(name=name)(body)
        app.task(name="saved")(failing)
        results: dict[str, Any] = {}
        async with working(app):
            for name in ("replaced", "skipped", "saved", "refused", "snoozed"):
                record = await ended(await app.tasks[name].enqueue())
                results[name] = record.errors[0].message if record.errors else bytes(record.result or b"")
        assert results == {
            "replaced": b"2",
            "skipped": b"7",
            "saved": b"3",
            "refused": "not here",
            "snoozed": b"1",
        }
        assert ran == ["replaced", "saved", "snoozed", "snoozed", "snoozed"]

    run(test())


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_an_interruption_passes_through_and_cannot_be_undone(how: str, kind: str) -> None:
    app = make_app()
    said: list[str] = []

    class Swallow(Middleware):
        async def run(self, context: Context, call_next: Call) -> Any:
            try:
                return await call_next()
            except asyncio.CancelledError:
                return "swallowed"

    app.use(Swallow(), Note("a", said))

    async def async_body() -> None:
        await asyncio.sleep(30)

    def body() -> None:
        context = current_context()
        while not context.is_cancelled:
            time.sleep(0.001)

    task: Any = app.task(name="task")(body if kind == "sync" else async_body)

    async def test() -> None:
        async with working(app):
            job = await task.options(timeout=0.2 if how == "timeout" else None).enqueue()
            if how == "cancel":
                await running_state(job)
                await job.cancel()
            record = await ended(job)
        assert record.state == ("failed" if how == "timeout" else "cancelled")
        assert said[-1] == "/a CancelledError"

    run(test())
