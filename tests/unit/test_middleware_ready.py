"""The ready-made middleware: what each says of enqueues and attempts, with a real worker."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from naq import Context, Job, Naq, Retry, TaskTimeoutError, current_context
from naq.exceptions import JobExecutionError, NaqException, SnoozeJob
from naq.job import AttemptError
from naq.middleware import ErrorReporting, Logging, Middleware, Prometheus
from naq.middleware.ends import read_end
from naq.worker import Worker

_numbers = count()
DEADLINE = 10.0  # seconds any wait may take


@asynccontextmanager
async def working(app: Naq) -> AsyncGenerator[Worker]:
    worker = Worker(app)
    async with app:
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.wait_ready(), DEADLINE)
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(running, DEADLINE)


def make_app(*middleware: Middleware) -> Naq:
    app = Naq("test", broker_url=f"memory:ready-{next(_numbers)}", middleware=middleware)
    app.task(name="fine")(fine)
    app.task(name="fail", retry=Retry(max_attempts=2, base=0.0, jitter=False))(fail)
    app.task(name="hasty", timeout=0.05)(hang)
    app.task(name="hang")(hang)
    app.task(name="snooze")(snooze)
    return app


async def fine() -> int:
    return 1


async def fail() -> None:
    raise ValueError("no")


async def hang() -> None:
    await asyncio.sleep(30)


_snoozed: set[str] = set()


async def snooze() -> None:
    if current_context().job_id not in _snoozed:
        _snoozed.add(current_context().job_id)
        raise SnoozeJob(0.05)


async def run_all(app: Naq) -> None:
    """One job of each kind, one after another, each to its end."""
    async with working(app):
        for name in ("fine", "fail", "hasty", "snooze"):
            await ended(await app.tasks[name].enqueue())
        job = await app.tasks["hang"].enqueue()
        async with asyncio.timeout(DEADLINE):
            while await job.status() != "running":  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await job.cancel()
        await ended(job)


async def ended(job: Job[Any]) -> None:
    try:
        await job.result(timeout=DEADLINE)
    except NaqException:
        assert (await job.record()).is_final


def test_errors_are_reported_as_they_were_raised_and_nothing_else_is() -> None:
    told: list[tuple[BaseException, str, int]] = []

    def report(error: BaseException, context: Context) -> None:
        assert current_context() is context
        told.append((error, context.task, context.attempt))

    asyncio.run(run_all(make_app(ErrorReporting(report))))
    assert [(type(error), task, attempt) for error, task, attempt in told] == [
        (ValueError, "fail", 1),
        (ValueError, "fail", 2),
        (TaskTimeoutError, "hasty", 1),
    ]
    trace = told[0][0].__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "fail"


def test_only_the_last_attempt_where_that_is_wanted() -> None:
    told: list[tuple[str, int]] = []
    report = ErrorReporting(lambda _, context: told.append((context.task, context.attempt)), last_only=True)
    asyncio.run(run_all(make_app(report)))
    assert told == [("fail", 2), ("hasty", 1)]


def test_a_report_that_fails_is_logged_and_the_jobs_end_as_they_would(caplog: pytest.LogCaptureFixture) -> None:
    def report(error: BaseException, context: Context) -> None:
        raise OSError("the collector is away")

    app = make_app(ErrorReporting(report))

    async def test() -> None:
        async with working(app):
            with pytest.raises(JobExecutionError, match="ValueError: no"):
                await (await app.tasks["fail"].enqueue()).result(timeout=DEADLINE)

    asyncio.run(test())
    assert caplog.text.count("reporting an error of task fail") == 2


def test_metrics() -> None:
    registry = CollectorRegistry()
    asyncio.run(run_all(make_app(Prometheus(registry))))

    def value(name: str, task: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"task": task, "queue": "default", **labels})

    for task in ("fine", "fail", "hasty", "snooze", "hang"):
        assert value("naq_jobs_enqueued_total", task) == 1
        assert value("naq_attempts_running", task) == 0
    assert value("naq_attempt_seconds_count", "fine", end="returned") == 1
    assert value("naq_attempt_seconds_count", "fail", end="raised") == 2
    assert value("naq_attempt_seconds_count", "hasty", end="timeout") == 1
    assert value("naq_attempt_seconds_count", "snooze", end="asked") == 1
    assert value("naq_attempt_seconds_count", "hang", end="interrupted") == 1
    # Its timeout of 0.05 s, but for what lies between the timer's beginning and the measure's.
    assert 0.04 <= (value("naq_attempt_seconds_sum", "hasty", end="timeout") or 0.0) < DEADLINE
    assert value("naq_wait_seconds_count", "fail") == 1, "of the first attempt only"


def test_a_duplicate_is_not_counted() -> None:
    registry = CollectorRegistry()
    app = make_app(Prometheus(registry))

    async def test() -> None:
        async with app:
            for _ in range(2):
                await app.tasks["fine"].options(job_id="one").enqueue()

    asyncio.run(test())
    assert registry.get_sample_value("naq_jobs_enqueued_total", {"task": "fine", "queue": "default"}) == 1


def test_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "naq.jobs"):
        asyncio.run(run_all(make_app(Logging())))
    said = [
        (record.levelname, record.__dict__["event"], record.__dict__["task"], record.__dict__.get("attempt"))
        for record in caplog.records
        if record.name == "naq.jobs"
    ]
    assert [each for each in said if each[2] in {"fine", "fail"}] == [
        ("INFO", "enqueued", "fine", None),
        ("INFO", "returned", "fine", 1),
        ("INFO", "enqueued", "fail", None),
        ("WARNING", "raised", "fail", 1),
        ("WARNING", "raised", "fail", 2),
    ]
    ends = {each[1] for each in said if each[2] in {"hasty", "snooze", "hang"} and each[3] == 1}
    assert ends == {"timeout", "asked", "returned", "interrupted"}
    assert "fail raised ValueError  job " in caplog.text


def test_log_lines_on_a_logger_and_a_level_of_ones_own(caplog: pytest.LogCaptureFixture) -> None:
    chosen = logging.getLogger("mine")
    with caplog.at_level(logging.INFO, "mine"):
        asyncio.run(run_all(make_app(Logging(chosen, level=logging.DEBUG))))
    assert {(record.levelname, record.__dict__["task"]) for record in caplog.records if record.name == "mine"} == {
        ("WARNING", "fail"),
        ("WARNING", "hasty"),
    }


def test_what_a_task_in_a_child_process_asked_for_is_no_error() -> None:
    context = Context(job_id="a", task="b")

    def elsewhere(kind: str) -> JobExecutionError:
        return JobExecutionError("x", job_id="a", error=AttemptError(type=kind, message=""))

    assert read_end(elsewhere("naq.exceptions.SnoozeJob"), context) == "asked"
    assert read_end(elsewhere("builtins.ValueError"), context) == "raised"
    assert read_end(JobExecutionError("another job's", job_id="c"), context) == "raised"


def test_a_stray_cancellation_is_the_tasks_own() -> None:
    context = Context(job_id="a", task="b", deadline=0.0)
    assert read_end(asyncio.CancelledError(), context) == "raised"
    context.is_cancelled = True
    assert read_end(asyncio.CancelledError(), context) == "timeout"


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("OpenTelemetry", "opentelemetry", "naq[otel]"), ("Prometheus", "prometheus_client", "naq[prometheus]")],
)
def test_what_is_not_installed_is_said_when_it_is_asked_for(name: str, module: str, extra: str) -> None:
    program = f"""
import sys
import naq.middleware
assert {module!r} not in sys.modules
sys.modules[{module!r}] = None
from naq import ConfigurationError
try:
    naq.middleware.{name}()
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert extra in done.stdout
