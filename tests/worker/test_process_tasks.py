"""Tasks in processes of their own: arguments, context, outcomes."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import process_tasks
import pytest
from process_tools import result, serving, start, story

from naq import Naq, ProcessDied
from naq.exceptions import ConfigurationError
from naq.job import JobState
from naq.worker import Worker
from tests.tools import DEADLINE, ended, put


def test_it_runs_in_another_process_which_is_used_again() -> None:
    async def test() -> None:
        async with serving() as (app, _):
            first, second = await result(app, "nth"), await result(app, "nth")
            assert first[0] != os.getpid()
            assert second == (first[0], 2), "an idle child is the next job's"

    story(test())


def test_arguments_of_an_older_version_are_upcast_in_the_child() -> None:
    async def test() -> None:
        async with serving() as (app, _):
            job_id = await put(app, b'{"v":1,"task":"grown","args":[1],"kwargs":{"second":2}}')
            assert await app.job(job_id).result(timeout=DEADLINE) == [1, 2]
            job_id = await put(app, b'{"v":1,"task":"grown","args":[3],"version":2}')
            assert await app.job(job_id).result(timeout=DEADLINE) == 3

    story(test())


def test_values_keep_their_types_both_ways() -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)

    async def test() -> None:
        async with serving() as (app, _):
            moved = await result(app, "move", process_tasks.Point(1, at), by=2)
            assert moved == process_tasks.Point(3, at)
            assert await result(app, "echo", {"a": [1, None, "ü"]}) == {"a": [1, None, "ü"]}

    story(test())


def test_the_context_and_its_logger_work_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def test() -> None:
        async with serving() as (app, _):
            task = app.get_task("context").options(tags={"team": "mail"}, timeout=60, retries=2)
            job = await task.enqueue()
            seen = await job.result(timeout=10)
            assert (seen["job"], seen["attempt"], seen["max"]) == (job.id, 1, 3)
            assert seen["tags"] == {"team": "mail"}
            assert 30 < seen["remaining"] <= 60
            assert seen["thread"], "tasks run in the main thread of their process"
        (record,) = [record for record in caplog.records if record.name == "naq.task.context"]
        assert record.getMessage() == "from the child"
        fields = vars(record)
        assert (fields["job_id"], fields["color"]) == (job.id, "red")
        assert "tmp" in fields["path"], "what is not plain comes as its repr"
        assert record.process != os.getpid()
        assert "nobody wants to know" not in caplog.text

    story(test())


@pytest.mark.parametrize(
    ("how", "state", "errors"),
    [
        ("flaky", JobState.SUCCEEDED, ["builtins.ValueError"]),
        ("always", JobState.FAILED, ["builtins.ValueError"] * 2),
        ("KeyError", JobState.FAILED, ["builtins.KeyError"]),  # not in the task's retry_on, which only the child knows
        ("retry", JobState.SUCCEEDED, ["naq.exceptions.RetryJob"]),
        ("snooze", JobState.SUCCEEDED, []),
        ("discard", JobState.FAILED, ["naq.exceptions.DiscardJob"]),
        ("cancel", JobState.CANCELLED, []),
        ("sys.exit", JobState.FAILED, ["builtins.SystemExit"]),
        ("unprintable", JobState.FAILED, ["process_tasks.Unprintable"]),
        ("recursion", JobState.FAILED, ["builtins.RecursionError"]),
        ("huge", JobState.FAILED, ["builtins.ValueError"] * 2),
    ],
)
def test_what_it_raises_comes_back_as_data(
    how: str, state: JobState, errors: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOOZED", str(tmp_path / "snoozed"))

    async def test() -> None:
        async with serving() as (app, _):
            record = await ended(await start(app, "fail", how))
            assert (record.state, record.attempt) == (state, 2 if how in {"flaky", "always", "retry", "huge"} else 1)
            if state is JobState.CANCELLED:
                assert record.reason == "changed my mind"
            if record.state is JobState.SUCCEEDED:
                assert await app.job(record.id).result(timeout=5) == record.attempt
            else:
                assert [error.type for error in record.errors] == errors
            for error in record.errors:
                assert len(error.message.encode()) <= 8192
                assert error.frames[0].function == "fail", "no frames of the child's own"

    story(test())


def test_arguments_and_results_that_do_not_fit_fail_without_a_retry() -> None:
    async def test() -> None:
        async with serving(process_tasks.build(max_result=1000)) as (app, _):
            job_id = await put(app, b'{"v":1,"task":"move","args":["no point"],"kwargs":{"by":1}}')
            unfit = await ended(app.job(job_id))
            none = await ended(await start(app, "unencodable"))
            large = await ended(await start(app, "long_result", 2000))
            for record, said in (
                (unfit, "does not fit"),
                (none, "cannot be stored as JSON"),
                (large, "max_result"),
            ):
                assert (record.state, record.attempt) == (JobState.FAILED, 1)
                assert record.error is not None
                assert said in record.error.message

    story(test())


def test_a_function_that_no_process_could_import_is_refused_at_the_start() -> None:
    app = Naq("test", broker_url="memory:")

    @app.task(name="local", executor="process")
    def local() -> None: ...

    with pytest.raises(ConfigurationError, match="no new process could import its function"):
        Worker(app)
    assert local.in_process


@pytest.mark.parametrize(("executor", "said"), [("proces", "did you mean 'process'"), ("fork", "thread")])
def test_an_executor_that_does_not_exist(executor: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Naq("test").task(executor=executor)  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownMemberType]


def test_a_coroutine_function_does_not_run_in_a_thread() -> None:
    app = Naq("test")
    with pytest.raises(ConfigurationError, match="cannot run in a thread"):

        @app.task(name="never", executor="thread")
        async def never() -> None: ...  # pyright: ignore[reportUnusedFunction]


def test_the_exception_says_that_the_process_died() -> None:
    async def test() -> None:
        async with serving() as (app, _):
            with pytest.raises(ProcessDied, match="exited with code 7"):
                await result(app, "die", "os._exit")

    story(test())
