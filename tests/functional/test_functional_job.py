"""A job in the hand: what it carries, run here, as bytes and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import given_jobs
import pytest
from functional_tools import DEADLINE, working
from given_jobs import Order, add, fail, fail_later, greet, ship
from hypothesis import given
from hypothesis import strategies as st

import naq
from naq import (
    ConfigurationError,
    Job,
    JobExecutionError,
    JobNotFoundError,
    NaqException,
    SerializationError,
    UnknownTask,
)
from naq.codec.envelope import decode_envelope

NAMES = [
    *("job_id", "execute", "get_retry_delay", "serialize", "deserialize", "serialize_failed_job"),
    *("serialize_result", "deserialize_result", "fetch_result", "fetch_result_sync"),
]


def test_every_name_is_there() -> None:
    for name in NAMES:
        assert hasattr(Job, name), name


def test_a_job_carries_what_it_was_made_of() -> None:
    job = Job(add, (1,), {"b": 2}, job_id="mine", enqueue_time=5.0, max_retries=2, retry_delay=3, queue_name="mail")
    assert (job.job_id, job.function, job.args, job.kwargs) == ("mine", add, (1,), {"b": 2})
    assert (job.enqueue_time, job.max_retries, job.retry_delay, job.queue_name) == (5.0, 2, 3.0, "mail")
    bare = Job(add, [1])
    assert (bare.args, bare.kwargs, bare.max_retries, bare.retry_delay, bare.queue_name) == (
        (1,),
        {},
        0,
        0.0,
        "default",
    )
    assert bare.job_id != Job(add, [1]).job_id
    with pytest.raises(JobNotFoundError):
        bare.status_sync()


def test_one_that_was_enqueued_carries_it_too_and_one_that_was_asked_for_by_id_says_that_it_does_not() -> None:
    job = naq.enqueue_in_sync(60, add, 1, b=2, retry_delay=[1, 5], queue_name="mail")
    assert (job.function, job.args, job.kwargs, job.max_retries) == (add, (1,), {"b": 2}, 2)
    assert (job.retry_delay, job.queue_name, job.execute()) == ([1.0, 5.0], "mail", 3)
    typed = given_jobs.shop.get_task("given_jobs.charge").options(retries=1).enqueue_sync(7)
    assert (typed.args, typed.max_retries, asyncio.run(typed.execute())) == ((7,), 1, 7)
    by_id = naq.SyncClient().job(job.job_id)
    asked: list[Callable[[], object]] = [by_id.execute, by_id.serialize, lambda: by_id.args, lambda: by_id.enqueue_time]
    for ask in asked:
        with pytest.raises(NaqException, match="was made from its id"):
            ask()


@pytest.mark.parametrize(
    ("retries", "delay", "expected"),
    [
        (None, None, [0.0, 0.0]),
        (3, None, [0.0, 0.0, 0.0, 0.0]),
        (3, 2, [2.0, 2.0, 2.0, 2.0]),
        (None, [1, 5], [1.0, 5.0, 5.0]),
        (1, [1, 5, 9], [1.0, 5.0, 9.0, 9.0]),
        (5, [1, 5], [1.0, 5.0, 5.0, 5.0]),
        (2, [], [0.0, 0.0]),
        (None, [], [0.0, 0.0]),
    ],
)
def test_the_delay_before_each_retry(
    retries: int | None, delay: float | list[float] | None, expected: list[float]
) -> None:
    job = Job(add, (1,), max_retries=retries, retry_delay=delay)
    assert [job.get_retry_delay(attempt) for attempt in range(1, len(expected) + 1)] == expected
    listed = len(delay) if isinstance(delay, list) else 0
    assert job.max_retries == (listed if retries is None else retries)


@pytest.mark.parametrize(
    "wrong", [{"max_retries": -1}, {"max_retries": True}, {"max_retries": 1.5}, {"retry_delay": "1"}]
)
def test_retries_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Job(add, (1,), **wrong)


def test_execute_calls_here_and_keeps_what_went_wrong() -> None:
    assert Job(add, (1, 2)).execute() == 3
    job = Job(fail, ("oh",))
    assert job.error is None
    with pytest.raises(JobExecutionError, match=r"builtins\.ValueError: oh") as caught:
        job.execute()
    assert isinstance(caught.value.__cause__, ValueError)
    assert job.error is not None
    assert (job.error.type, job.error.message, caught.value.error) == ("builtins.ValueError", "oh", job.error)


def test_execute_gives_a_coroutine_for_a_coroutine_function() -> None:
    assert asyncio.run(Job(greet, ("ada",), {"loud": True}).execute()) == "ADA"
    job = Job(fail_later, ("oh",))
    with pytest.raises(JobExecutionError, match="oh"):
        asyncio.run(job.execute())
    assert job.error is not None


def test_a_job_as_bytes_is_what_goes_over_the_wire_and_comes_back_the_same() -> None:
    at = datetime(2030, 1, 2, tzinfo=UTC)
    job = Job(
        ship, (Order(1, at),), job_id="mine", queue_name="mail", retry_delay=[1, 5], timeout=9, enqueue_time=100.0
    )
    data = job.serialize()
    envelope = decode_envelope(data)
    assert (envelope.task, envelope.timeout, envelope.at) == ("given_jobs.ship", 9.0, 100.0)
    again = Job.deserialize(data)
    assert (again.id, again.function, again.args, again.kwargs) == ("mine", ship, (Order(1, at),), {})
    assert (again.queue_name, again.enqueue_time, again.retry_delay) == ("mail", 100.0, [1.0, 5.0])
    assert again.execute() == Order(2, at)
    assert again.serialize() == data


@given(
    st.integers(-(2**53), 2**53),
    st.none() | st.integers(0, 9),
    st.none() | st.floats(0, 1e6) | st.lists(st.floats(0, 1e6), max_size=4),
)
def test_bytes_and_back_is_the_identity(number: int, retries: int | None, delay: float | list[float] | None) -> None:
    job = Job(add, (number,), max_retries=retries, retry_delay=delay)
    again = Job.deserialize(job.serialize())
    assert (again.args, again.max_retries, again.retry_delay) == (job.args, job.max_retries, job.retry_delay)
    assert again.serialize() == job.serialize()


def test_a_failed_job_as_bytes_says_what_it_failed_with() -> None:
    job = Job(fail, ("oh",))
    with pytest.raises(NaqException, match="has not failed here"):
        job.serialize_failed_job()
    with pytest.raises(JobExecutionError):
        job.execute()
    again = Job.deserialize(job.serialize_failed_job())
    assert again.error == job.error
    assert again.error is not None
    assert again.error.frames[-1].function == "fail"


def test_bytes_import_nothing_and_name_only_what_is_allowed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("subprocess.getoutput", "os:system", "given_jobs.getoutput", "given_jobs.unheard"):
        with pytest.raises(UnknownTask, match="no function"):
            Job.deserialize(json.dumps({"v": 1, "task": name, "args": ["true"]}).encode())
    monkeypatch.setenv("NAQ_IMPORTS", "given_jobs")
    assert Job.deserialize(b'{"v":1,"task":"given_jobs.unheard"}').execute() == 1
    with pytest.raises(UnknownTask):
        Job.deserialize(b'{"v":1,"task":"given_jobs.getoutput","args":["true"]}')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"v":2,"task":"given_jobs.add"}',
        b'{"v":1,"task":"given_jobs.add","args":["x"]}',
        b'{"v":1,"task":"given_jobs.add","args":[1],"queue":5}',
        b'{"v":1,"task":"given_jobs.add","args":[1],"codec":"pickle"}',
        b"\x80\x05K\x01.",
    ],
)
def test_bytes_that_are_no_job_are_refused(data: bytes) -> None:
    Job(add, (1,))  # the function is known
    with pytest.raises(SerializationError):
        Job.deserialize(data)


@pytest.mark.parametrize("field", ['"queue":"a b"', '"id":"a/b"'])
def test_names_in_bytes_are_held_to_the_rule_for_names(field: str) -> None:
    Job(add, (1,))
    with pytest.raises(ConfigurationError, match="is not allowed"):
        Job.deserialize(b'{"v":1,"task":"given_jobs.add","args":[1],%s}' % field.encode())


def test_options_of_a_scheduled_job_survive_as_bytes() -> None:
    job = naq.enqueue_in_sync(timedelta(hours=1), add, 1)
    fields = json.loads(job.serialize())
    assert fields["run_at"] == pytest.approx(job.enqueue_time + 3600)
    assert Job.deserialize(job.serialize()).serialize() == job.serialize()


def test_results_as_bytes() -> None:
    data = Job.serialize_result({"n": [1, 2]})
    assert Job.deserialize_result(data) == {
        "status": "succeeded",
        "result": {"n": [1, 2]},
        "error": None,
        "traceback": None,
    }
    failed = Job.deserialize_result(Job.serialize_result(None, "failed", "ValueError: oh", "Traceback ..."))
    assert (failed["status"], failed["error"], failed["traceback"]) == ("failed", "ValueError: oh", "Traceback ...")
    with pytest.raises(ConfigurationError, match="did you mean 'failed'"):
        Job.serialize_result(None, "faild")
    with pytest.raises(SerializationError, match="cannot be stored as JSON"):
        Job.serialize_result(object())
    for wrong in (b"", b"[]", b'{"status":"gone"}', b"\xff"):
        with pytest.raises(SerializationError, match="are no result"):
            Job.deserialize_result(wrong)


def test_fetching_by_a_name_that_is_no_id_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="job id"):
        Job.fetch_result_sync("a/b")


def test_a_result_of_a_function_that_this_process_never_saw_is_plain_json(monkeypatch: pytest.MonkeyPatch) -> None:
    from naq.task import function

    with working():
        job = naq.enqueue_sync(ship, Order(1, datetime(2030, 1, 2, tzinfo=UTC)))
        job.result_sync(timeout=DEADLINE)
    monkeypatch.setattr(function, "_named", {})
    assert naq.fetch_job_result_sync(job.id, timeout=0) == {"number": 2, "at": "2030-01-02T00:00:00Z"}
