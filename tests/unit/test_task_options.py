"""Options of tasks and jobs: checked when they are given, before anything is stored."""

import inspect
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq import ConfigurationError, Naq, PayloadTooLarge, Retry
from naq.task import JobSettings, TaskSettings
from naq.task.options import JOB_OPTIONS, TASK_OPTIONS, read_job_options, read_task_options


def job(**settings: Any) -> Any:
    return read_job_options("t.options", settings)


def task(**settings: Any) -> Any:
    return read_task_options("task t", settings)


def test_a_task_that_says_nothing() -> None:
    options = task()
    assert (options.queue, options.priority, options.timeout, options.tags) == ("default", "normal", None, {})
    assert options.retry.max_attempts == 1


def test_retries_in_every_spelling() -> None:
    assert task(retries=3).retry.max_attempts == 4
    assert task(retry=3).retry.max_attempts == 4
    assert task(retry=[1, 5]).retry.delays == (1.0, 5.0)
    assert task(retry=Retry(max_attempts=9)).retry.max_attempts == 9
    assert task(retries=0).retry.max_attempts == 1
    assert job(retries=2).retry.max_attempts == 3


def test_times() -> None:
    assert task(timeout=timedelta(minutes=2)).timeout == 120.0
    assert job(delay=5).delay == 5.0
    assert job(delay=timedelta(milliseconds=1)).delay == 0.001
    assert job(expires_in=timedelta(days=1)).expires_in == 86400.0
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert job(run_at=noon).run_at == noon.timestamp()
    assert job(run_at=noon.timestamp()).run_at == noon.timestamp()
    assert job(run_at=noon.astimezone(timezone(timedelta(hours=5)))).run_at == noon.timestamp()


def test_a_naive_datetime_is_utc_wherever_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert job(run_at=datetime(2030, 1, 1, 12)).run_at == datetime(2030, 1, 1, 12, tzinfo=UTC).timestamp()  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11))]), min_value=datetime(1971, 1, 1)))  # noqa: DTZ001
def test_any_datetime_is_the_same_moment(when: datetime) -> None:
    assert abs(job(run_at=when).run_at - when.timestamp()) < 1e-6


@pytest.mark.parametrize("name", sorted(set(JOB_OPTIONS)))
def test_none_leaves_an_option_as_it_is(name: str) -> None:
    assert job(**{name: None}) == job()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dealy": 5}, "no option 'dealy'; did you mean 'delay'"),
        ({"max_retries": 5}, "no option 'max_retries'; did you mean 'retries'"),
        ({"name": "x"}, "'name' belongs to the task"),
        ({"delay": "5"}, "delay is '5'; expected seconds or a timedelta, 0 or more"),
        ({"delay": -1}, "0 or more"),
        ({"delay": True}, "expected seconds"),
        ({"delay": float("nan")}, "expected seconds"),
        ({"delay": float("inf")}, "expected seconds"),
        ({"delay": timedelta(days=99_999)}, "expected seconds"),
        ({"delay": datetime(2030, 1, 1, tzinfo=UTC)}, "expected seconds or a timedelta"),
        ({"expires_in": 0}, "more than 0"),
        ({"timeout": 0}, "more than 0"),
        ({"timeout": "1m"}, "expected seconds"),
        ({"run_at": "2030-01-01"}, "expected a datetime or UNIX seconds"),
        ({"run_at": True}, "expected a datetime"),
        ({"run_at": float("nan")}, "expected a datetime"),
        ({"run_at": -1}, "no time in UNIX seconds"),
        ({"run_at": 1_900_000_000_000}, "is it milliseconds"),
        ({"run_at": timedelta(hours=1)}, "expected a datetime"),
        ({"delay": 1, "run_at": 1.9e9}, "both say when"),
        ({"delay": 10, "expires_in": 10}, "longer than delay"),
        ({"priority": "urgent"}, "no priority 'urgent'; there are high, low, normal"),
        ({"priority": 1}, "no priority 1"),
        ({"priority": ["high"]}, "no priority"),
        ({"queue": "a b"}, "queue 'a b' is not allowed"),
        ({"queue": "*"}, "queue"),
        ({"queue": ">"}, "queue"),
        ({"queue": "a\r\nPUB"}, "queue"),
        ({"queue": "a\0"}, "queue"),
        ({"queue": "q" * 4096}, "queue"),
        ({"queue": ""}, "queue"),
        ({"queue": 5}, "queue 5"),
        ({"job_id": "a.b"}, "job id"),
        ({"job_id": ""}, "job id"),
        ({"job_id": 5}, "job id"),
        ({"retries": -1}, "retries"),
        ({"retries": True}, "whole number"),
        ({"retries": "3"}, "whole number"),
        ({"retries": 1, "retry": 1}, "both say how often"),
        ({"retry": "often"}, "retry"),
        ({"retry": ValueError}, "retry"),
        ({"tags": ["team"]}, "names and values"),
        ({"tags": "team"}, "names and values"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        job(**settings)
    if set(settings) <= set(TASK_OPTIONS) - {"name"}:
        with pytest.raises(ConfigurationError, match=says):
            task(**settings)


@pytest.mark.parametrize("name", ["delay", "run_at", "job_id", "expires_in"])
def test_an_option_of_one_job_is_pointed_to_its_place(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"'{name}' belongs to a single job: task\.options\({name}="):
        task(**{name: 1})


def test_an_unknown_task_option_fails_where_it_stands() -> None:
    wrong: Any = {"que": "mail"}
    with pytest.raises(ConfigurationError, match="did you mean 'queue'"):
        Naq(broker_url="memory:").task(**wrong)  # the decorator itself, before it is given a function


async def work(number: int = 0) -> int:
    return number


def test_chained_options_add_up() -> None:
    app = Naq(broker_url="memory:")
    declared = app.task(name="work", tags={"team": "mail", "tier": "1"}, queue="mail")(work)
    first = declared.options(delay=5, tags={"tier": "2"}, priority="high")
    second = first.options(tags={"who": "ada"}, run_at=1.9e9)
    spec = second.call().plan.build((), {}, 1.0)
    assert (spec.queue, spec.priority, spec.run_at) == ("mail", "high", 1.9e9)
    assert spec.headers == {"Naq-Tag-team": "mail", "Naq-Tag-tier": "2", "Naq-Tag-who": "ada"}
    assert first.call().plan.build((), {}, 100.0).run_at == 105.0, "the first is as it was"
    assert second.options(delay=None, run_at=None).call().plan.build((), {}, 1.0).run_at is None
    assert second.options(tags=None).call().plan.build((), {}, 1.0).headers == {
        "Naq-Tag-team": "mail",
        "Naq-Tag-tier": "1",
    }


def test_what_cannot_travel_with_a_job_is_refused() -> None:
    declared = Naq(broker_url="memory:").task(name="work")(work)
    with pytest.raises(ConfigurationError, match="retry_on cannot travel"):
        declared.options(retry=Retry(retry_on=(ValueError,)))
    with pytest.raises(ConfigurationError, match="decide cannot travel"):
        declared.options(retry=lambda attempt, error: None)


def test_tags_over_the_limit_fail_at_declaration() -> None:
    app = Naq(broker_url="memory:", max_headers=100)
    with pytest.raises(PayloadTooLarge, match="100"):
        app.task(name="work", tags={"a": "x" * 200})(work)
    assert app.tasks == {}
    declared = app.task(name="work")(work)
    with pytest.raises(PayloadTooLarge, match="100"):
        declared.options(tags={"a": "x" * 200})


@pytest.mark.parametrize("tags", [{"a b": "x"}, {"a": 5}, {5: "a"}, {"": "x"}, {"a": "\ud800"}])
def test_tags_that_no_header_takes(tags: Any) -> None:
    declared = Naq(broker_url="memory:").task(name="work")(work)
    with pytest.raises(ConfigurationError, match="tag"):
        declared.options(tags=tags)


def test_the_documented_options_are_the_ones_there_are() -> None:
    for settings, options in ((TaskSettings, TASK_OPTIONS), (JobSettings, JOB_OPTIONS)):
        lines = (inspect.getdoc(settings) or "").partition("Attributes:\n")[2].splitlines()
        starts = [line.partition(":")[0] for line in lines if line[4] != " "]
        assert {name.strip() for start in starts for name in start.split(",")} == set(options)
