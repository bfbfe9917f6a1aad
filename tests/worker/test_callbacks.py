"""Callbacks: when they are called, with what, and that nothing they do reaches the job."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import process_tasks
import pytest

from naq import AttemptError, Context, JobRecord, Naq, Retry, current_context
from naq.exceptions import CancelJob, ConfigurationError, DiscardJob, RetryJob, SnoozeJob
from tests.tools import ended, make_app, put, run, take, until, working

NOW = Retry(max_attempts=2, base=0.0, jitter=False)
Said = list[tuple[Any, ...]]


def listen(to: Any, said: Said, *, sync: bool = False) -> None:
    """Have every moment of `to`, an app or a task, noted in `said`."""

    def note(moment: str) -> Any:
        def callback(context: Context, *args: Any) -> None:
            assert current_context() is context
            said.append((moment, context.attempt, *args))

        async def async_callback(context: Context, *args: Any) -> None:
            callback(context, *args)

        return callback if sync else async_callback

    for moment in ("on_start", "on_success", "on_failure", "on_retry", "on_complete"):
        getattr(to, moment)(note(moment))


def moments(said: Said) -> list[str]:
    return [each[0] for each in said]


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("of", ["app", "task"])
def test_each_moment_of_a_job_that_is_tried_twice_and_succeeds(of: str, sync: bool) -> None:
    app = make_app()
    said: Said = []

    @app.task(name="twice", retry=NOW, tags={"team": "mail"})
    async def twice(number: int) -> tuple[int, str]:
        if current_context().attempt == 1:
            raise ValueError("not yet")
        return number, "two"

    listen(app if of == "app" else twice, said, sync=sync)

    async def test() -> None:
        async with working(app, concurrency=1):  # with room beside it the second attempt may begin before on_retry
            job = await twice.enqueue(2)
            assert await job.result(timeout=5) == (2, "two")
            await until(lambda: len(said) == 5)
            record = await job.record()
        (_, _, error, delay), (_, _, result), (_, _, told) = said[1], said[3], said[4]
        assert moments(said) == ["on_start", "on_retry", "on_start", "on_success", "on_complete"]
        assert [each[1] for each in said] == [1, 1, 2, 2, 2], "the attempt of the context"
        assert isinstance(error, AttemptError)
        assert (error.type, error.message, delay) == ("builtins.ValueError", "not yet", 0.0)
        assert result == (2, "two"), "typed as the task declares it"
        assert isinstance(told, JobRecord)
        assert (told.id, told.state, told.attempt) == (record.id, "succeeded", 2)

    run(test())


ENDS: dict[str, tuple[BaseException, list[str]]] = {
    "failed": (ValueError("no"), ["on_start", "on_retry", "on_start", "on_failure", "on_complete"]),
    "asked": (RetryJob("no", delay=0.0), ["on_start", "on_retry", "on_start", "on_failure", "on_complete"]),
    "discarded": (DiscardJob("no"), ["on_start", "on_failure", "on_complete"]),
    "cancelled": (CancelJob("no"), ["on_start", "on_complete"]),
}


@pytest.mark.parametrize("end", ENDS)
def test_each_moment_of_a_job_that_does_not_succeed(end: str) -> None:
    app = make_app()
    said: Said = []
    error, expected = ENDS[end]

    @app.task(name="ends", retry=NOW)
    async def ends() -> None:
        raise error

    listen(ends, said)

    async def test() -> None:
        async with working(app, concurrency=1):
            record = await ended(await ends.enqueue())
            await until(lambda: "on_complete" in moments(said))
        assert moments(said) == expected
        assert said[-1][2] == record
        if "on_failure" in expected:
            assert said[-2][2] == record.errors[-1]

    run(test())


def test_a_snoozed_job_has_not_ended() -> None:
    app = make_app()
    said: Said = []

    @app.task(name="snooze")
    async def snooze() -> None:
        if len(said) == 1:
            raise SnoozeJob(0.05)

    listen(snooze, said)

    async def test() -> None:
        async with working(app):
            await ended(await snooze.enqueue())
            await until(lambda: "on_complete" in moments(said))
        assert moments(said) == ["on_start", "on_start", "on_success", "on_complete"]

    run(test())


def test_of_the_task_first_then_of_the_app_and_options_are_callbacks_like_any_other() -> None:
    app = make_app()
    said: list[str] = []

    def as_option(context: Context, result: int) -> None:
        said.append(f"option {context.task} {result}")

    @app.task(name="one", on_success=as_option)
    def one() -> int:
        return 1

    @one.on_success
    async def decorated(context: Context, result: int) -> None:
        said.append(f"task {context.task} {result}")

    @app.on_success
    def everywhere(context: Context, result: Any) -> None:
        said.append(f"app {context.task} {result}")

    @app.task(name="other")
    async def other() -> int:
        return 2

    async def test() -> None:
        async with working(app):
            await one.enqueue()
            await until(lambda: len(said) == 3)
            await other.enqueue()
            await until(lambda: len(said) == 4)
        assert said == ["option one 1", "task one 1", "app one 1", "app other 2"]
        assert decorated.__name__ == "decorated", "a decorator gives the function back"
        assert everywhere.__name__ == "everywhere"

    run(test())


def test_jobs_that_never_run_have_callbacks_too() -> None:
    app = make_app(crash_limit=1, lease=1.0)
    said: Said = []

    @app.task(name="never")
    async def never(number: int) -> None: ...

    listen(never, said)

    async def test() -> None:
        await put(app, b'{"v":1,"task":"never","args":["text"]}')
        await put(app, b'{"v":1,"task":"never","args":[1],"expires_at":1}')
        await put(app, b"no job at all")
        async with working(app):
            await until(lambda: len(said) == 3)
        assert sorted(moments(said)) == ["on_complete", "on_complete", "on_failure"]
        assert {each[2].state for each in said if each[0] == "on_complete"} == {"failed", "expired"}
        said.clear()
        await put(app, b'{"v":1,"task":"never","args":[1]}')
        await take(app, lease=0.2)
        async with working(app):
            await until(lambda: len(said) == 2)
        assert said[0][2].type == "naq.exceptions.WorkerLost"

    run(test())


def test_a_job_cancelled_during_on_start_does_not_run() -> None:
    app = make_app(lease=0.3)
    ran: list[int] = []
    begun, go = asyncio.Event(), asyncio.Event()

    async def hold(context: Context) -> None:
        begun.set()
        await go.wait()

    @app.task(name="held", on_start=hold)
    async def held() -> None:
        ran.append(1)

    async def test() -> None:
        async with working(app) as worker:
            job = await held.enqueue()
            await begun.wait()
            await job.cancel()
            assert worker._crew is not None  # pyright: ignore[reportPrivateUsage]
            flight = worker._crew.flights.get(job.id)  # pyright: ignore[reportPrivateUsage]
            assert flight is not None
            await until(lambda: flight.verdict is not None)
            go.set()
            assert (await ended(job)).state == "cancelled"
        assert ran == []

    run(test())


def test_a_stopping_worker_waits_for_callbacks_and_holds_no_claim_for_them() -> None:
    app = make_app()
    begun, go = asyncio.Event(), asyncio.Event()
    said: list[str] = []

    async def hold(context: Context, result: None) -> None:
        begun.set()
        await go.wait()
        said.append(context.job_id)

    @app.task(name="fine", on_success=hold)
    async def fine() -> None: ...

    async def test() -> None:
        async with working(app) as worker:
            job = await fine.enqueue()
            await begun.wait()
            assert (await job.record()).state == "succeeded", (
                "whoever waits for the job does not wait for its callbacks"
            )
            assert worker._crew is not None  # pyright: ignore[reportPrivateUsage]
            assert worker._crew.flights.snapshot() == []  # pyright: ignore[reportPrivateUsage]
            assert len(worker._crew.flights) == 1, "but it counts"  # pyright: ignore[reportPrivateUsage]
            asyncio.get_running_loop().call_later(0.1, go.set)
        assert said == [job.id]

    run(test())


def test_a_record_that_somebody_else_stored_first_calls_nothing() -> None:
    app = make_app()
    said: Said = []
    begun, go = asyncio.Event(), asyncio.Event()

    @app.task(name="late")
    async def late() -> None:
        begun.set()
        await go.wait()

    listen(late, said)

    async def test() -> None:
        async with working(app) as worker:
            job = await late.enqueue()
            await begun.wait()
            assert worker._crew is not None  # pyright: ignore[reportPrivateUsage]
            flight = worker._crew.flights.get(job.id)  # pyright: ignore[reportPrivateUsage]
            assert flight is not None
            record = JobRecord(id=job.id, state="cancelled", task="late")  # pyright: ignore[reportArgumentType]
            await (await app.connect()).discard(flight.claim, record)
            go.set()
            await until(lambda: not len(worker._crew.flights))  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
        assert moments(said) == ["on_start"]

    run(test())


def test_plain_callbacks_run_in_threads_as_many_as_jobs_at_most() -> None:
    app = make_app(concurrency=2)
    now, most, lock = [0], [0], threading.Lock()
    threads: set[int] = set()

    @app.on_complete
    def count(context: Context, record: JobRecord) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threads.add(threading.get_ident())
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    _ = count

    @app.task(name="fine")
    async def fine() -> None: ...

    async def test() -> None:
        async with working(app):
            jobs = await fine.enqueue_many([fine.call() for _ in range(20)])
            for job in jobs:
                await job.result(timeout=5)
        assert most[0] == 2
        assert threading.get_ident() not in threads

    run(test())


def test_a_task_in_a_child_process_has_callbacks_in_the_worker() -> None:
    app = process_tasks.build()
    said: Said = []
    listen(app, said, sync=True)

    async def test() -> None:
        async with working(app):
            job = await app.tasks["where"].enqueue()
            pid = await job.result(timeout=30)
            await until(lambda: len(said) == 3)
            assert said[1] == ("on_success", 1, pid)
            said.clear()
            await ended(await app.tasks["fail"].enqueue("discard"))
            await until(lambda: "on_complete" in moments(said))
        assert moments(said)[0] == "on_start"
        assert moments(said)[-2:] == ["on_failure", "on_complete"]
        assert said[-2][2].type == "naq.exceptions.DiscardJob"

    run(test())


def test_objects_and_lambdas_are_callbacks_and_what_they_enqueue_is_the_jobs_child() -> None:
    app = make_app()
    children: list[str] = []

    @app.task(name="child")
    async def child() -> str:
        return current_context().parent

    class Follow:
        async def __call__(self, context: Context, result: int) -> None:
            children.append((await child.enqueue()).id)

    @app.task(name="fine", on_success=Follow())
    async def fine() -> int:
        return 1

    fine.on_success(lambda context, _: Follow()(context, 1))

    async def test() -> None:
        async with working(app):
            job = await fine.enqueue()
            await until(lambda: len(children) == 2)
            assert [await app.job(each).result(timeout=5) for each in children] == [job.id, job.id]

    run(test())


def test_what_cannot_be_a_callback_is_refused_where_it_is_declared() -> None:
    app = Naq("refused", broker_url="memory:")

    def one(context: Context) -> None: ...

    wrong: Any = one
    with pytest.raises(ConfigurationError, match=r"on_failure is called with \(context, error\), which .*one"):

        @app.task(name="task", on_failure=wrong)
        async def _task() -> None: ...

    assert dict(app.tasks) == {}

    @app.task(name="fine")
    async def fine() -> None: ...

    with pytest.raises(ConfigurationError, match="task fine: a callback for on_retry is called with"):
        fine.on_retry(wrong)
    with pytest.raises(ConfigurationError, match=r"app refused: .* 5 cannot be called"):
        app.on_start(5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="there is no option 'on_fail'; did you mean 'on_failure'"):
        app.task(on_fail=one)  # pyright: ignore[reportCallIssue]
