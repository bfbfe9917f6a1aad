"""Middleware around enqueue: what it sees, what it may change, and what it may not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from naq import Naq, NaqException, PayloadTooLarge
from naq.context import Context
from naq.exceptions import ConfigurationError, NaqBackpressureError
from naq.middleware import Middleware, NewJob
from naq.middleware.base import Call, Store
from naq.middleware.chain import around_run

_numbers = count()


class Note(Middleware):
    """Says in `said` when it is entered and left."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name = name
        self.said = said

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
        self.said.append(f"{self.name} {len(jobs)}")
        await call_next()
        self.said.append(f"/{self.name} {[job.duplicate for job in jobs]}")


class Stamp(Middleware):
    """Adds headers to every job."""

    def __init__(self, headers: dict[Any, Any]) -> None:
        self.headers = headers

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
        for job in jobs:
            job.headers.update(self.headers)
        await call_next()


def make_app(*middleware: Middleware, **settings: Any) -> Naq:
    chosen: Any = {"broker_url": f"memory:middleware-{next(_numbers)}", **settings}
    return Naq("test", middleware=middleware, **chosen)


def test_the_first_is_outermost_and_a_batch_is_one_call() -> None:
    said: list[str] = []
    app = make_app(Note("a", said), Note("b", said))
    app.use(Note("c", said))

    @app.task(name="task")
    async def task(number: int) -> None: ...

    async def test() -> None:
        async with app:
            await task.options(job_id="one").enqueue(1)
            assert said == ["a 1", "b 1", "c 1", "/c [False]", "/b [False]", "/a [False]"]
            said.clear()
            again = await task.options(job_id="one").enqueue(1)
            assert again.duplicate
            assert said[-1] == "/a [True]"
            said.clear()
            await task.enqueue_many([task.call(number) for number in range(3)])
            assert said[0] == "a 3"
            assert len(said) == 6
            said.clear()
            await app.enqueue_many([])
            assert said == [], "nothing to enqueue, nothing around it"

    asyncio.run(test())


def test_it_sees_the_job_as_it_will_be_stored() -> None:
    seen: list[NewJob] = []

    class See(Middleware):
        async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
            seen.extend(jobs)
            await call_next()

    app = make_app(See())

    @app.task(name="task", queue="mail", tags={"team": "a"})
    async def task(number: int, *, text: str) -> None: ...

    async def test() -> None:
        async with app:
            job = await task.options(priority="high", delay=60).enqueue(5, text="x")
            assert job.id == seen[0].id

    asyncio.run(test())
    (job,) = seen
    assert (job.task, job.queue, job.priority, job.args, job.kwargs) == ("task", "mail", "high", (5,), {"text": "x"})
    assert job.headers == {"Naq-Tag-team": "a"}
    assert job.run_at is not None


def test_sync_calls_go_through_it_as_well() -> None:
    said: list[str] = []
    app = make_app(Note("a", said))

    @app.task(name="task")
    async def task(number: int) -> None: ...

    task.enqueue_sync(1)
    task.enqueue_many_sync([task.call(1), task.call(2)])
    assert task.enqueue_many_sync([]) == []
    assert [each for each in said if not each.startswith("/")] == ["a 1", "a 2"]


def test_what_it_raises_is_raised_and_nothing_is_stored() -> None:
    class Refuse(Middleware):
        async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
            raise NaqBackpressureError("too many")

    class Forget(Middleware):
        async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None: ...

    async def test(middleware: Middleware, error: type[Exception], match: str) -> None:
        app = make_app(middleware)

        @app.task(name="task")
        async def task() -> None: ...

        async with app:
            with pytest.raises(error, match=match):
                await task.options(job_id="one").enqueue()
            with pytest.raises(error, match=match):
                await task.enqueue_many([task.call()])
            with pytest.raises(NaqException, match="there is no job"):
                await app.job("one").status()

    asyncio.run(test(Refuse(), NaqBackpressureError, "too many"))
    asyncio.run(test(Forget(), NaqException, r"without awaiting call_next\(\)"))


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Nats-Msg-Id": "x"}, ConfigurationError),
        ({"nats-ttl": "x"}, ConfigurationError),
        ({"Naq-Attempt": "5"}, ConfigurationError),
        ({"naq-tag-x": "5"}, ConfigurationError),
        ({"": "x"}, ConfigurationError),
        ({"a b": "x"}, ConfigurationError),
        ({"a\r\nb": "x"}, ConfigurationError),
        ({"a": "x\r\nNats-TTL: 1"}, ConfigurationError),
        ({"a": "ü"}, ConfigurationError),
        ({"a": 5}, ConfigurationError),
        ({5: "a"}, ConfigurationError),
        ({"a": "x" * 5000}, PayloadTooLarge),
    ],
)
def test_headers_that_cannot_be_are_refused(headers: dict[Any, Any], error: type[Exception]) -> None:
    app = make_app(Stamp(headers))

    @app.task(name="task")
    async def task() -> None: ...

    async def test() -> None:
        async with app:
            with pytest.raises(error, match="header"):
                await task.enqueue()

    asyncio.run(test())


def test_tracing_never_stops_a_job() -> None:
    parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    app = make_app(Stamp({"a": "x" * 900, "traceparent": parent, "tracestate": "a=1"}), max_headers=950)
    stored: list[Any] = []

    @app.task(name="task")
    async def task() -> None: ...

    async def test() -> None:
        async with app:
            await task.enqueue()
            stored.extend(await (await app.connect()).fetch(["default"], limit=1, lease=5.0, wait=5.0))

    asyncio.run(test())
    assert stored[0].job.headers == {"a": "x" * 900}


def test_nothing_configured_is_nothing_around() -> None:
    class Idle(Middleware):
        pass

    class OnlyRun(Middleware):
        async def run(self, context: Context, call_next: Call) -> Any:
            return await call_next()

    assert make_app().around_enqueue is None
    assert make_app().around_run is None
    idle = make_app(Idle())
    assert idle.around_enqueue is idle.around_run is None
    assert make_app(OnlyRun()).around_enqueue is None
    assert make_app(OnlyRun()).around_run is not None
    assert around_run([Note("a", [])]) is None


def test_the_default_methods_only_pass_on() -> None:
    class Super(Middleware):
        async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
            await super().enqueue(jobs, call_next)

        async def run(self, context: Context, call_next: Call) -> Any:
            return await super().run(context, call_next)

    async def five() -> int:
        return 5

    app = make_app(Super())

    @app.task(name="task")
    async def task() -> None: ...

    async def test() -> None:
        async with app:
            assert not (await task.enqueue()).duplicate
            assert app.around_run is not None
            assert await app.around_run(Context(job_id="a", task="b"), five) == 5

    asyncio.run(test())


def test_what_is_no_middleware_is_refused() -> None:
    wrong: Any = Note
    with pytest.raises(ConfigurationError, match=r"Note is a class; a middleware is an object: Note\(\)"):
        make_app(wrong)
    wrong = print
    with pytest.raises(ConfigurationError, match=r"derive its class from naq\.middleware\.Middleware"):
        make_app().use(wrong)
