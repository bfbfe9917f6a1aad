"""Options of tasks and of single jobs: which there are, and what they may be. All checked before anything is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast

from msgspec import Struct

from naq import clock
from naq.codec.after import PARENT_FAILURES, ParentFailure
from naq.config import hint
from naq.config.fields import read_seconds
from naq.exceptions import ConfigurationError
from naq.job import PRIORITIES, Priority
from naq.limits.declared import JobLimits, TaskLimits, UniqueWhile, read_job_limits, read_task_limits
from naq.limits.keys import KeyOf
from naq.limits.rates import Rate, RateMode
from naq.names import check_token
from naq.retry import Decide, Retry
from naq.task.callbacks import TAKES, OnComplete, OnFailure, OnRetry, OnStart, OnSuccess, check_callback
from naq.task.parents import Wanted, read_parents
from naq.task.versions import check_version

if TYPE_CHECKING:
    from naq.handle import Job
    from naq.task.call import Call

    Parent = Job[Any] | Call[Any] | str
    DependsOn = Parent | Sequence[Parent] | Sequence[Job[Any]] | None

Duration = float | timedelta
Executor = Literal["thread", "process"]
WaitFor = Literal["all", "any"]
RetryLike = Retry | int | Sequence[float] | Decide
_LATEST: Final = 253_402_300_800.0  # UNIX seconds of the year 10000, which no datetime holds


class TaskSettings(TypedDict, total=False):
    """What ``@app.task(...)`` takes.

    Attributes:
        name: what the task is called; default: its module and qualified name.
        queue: the line its jobs wait in; default "default".
        priority: "high", "normal" (default) or "low".
        retry: a `Retry`, a number of retries, a list of delays, or a callable policy; default: no retries.
        retries: how many times to try again, with the default backoff; instead of `retry`.
        timeout: seconds or timedelta an attempt may run; default: no limit.
        tags: names and values that its jobs carry, for people and filters.
        executor: "process" for a child process of its own (docs/executors.md). Default: the worker's event loop for
            coroutine functions, a thread for plain ones.
        rate: how often its jobs may start in the whole fleet: "10/s", "100/m", "5/10s" (docs/limits.md).
        rate_key: one such rate for each value of a parameter (its name), of several, or of what a function returns.
        rate_mode: "wait" (default): jobs over the rate wait; or the rate is one of enqueueing, and those over it are
            refused ("reject": `RateLimited`), run later ("delay"), or are not stored ("drop").
        group, group_key, group_max_concurrency: so many jobs of a group at once in the whole fleet, by key if given;
            tasks that name the same group share it; without a name it is the task's own.
        unique_by: one job at a time for each value of a parameter, of several, or of what a function returns.
        unique_while, unique_for, throttle, debounce, debounce_max: as in ``task.options``.
        version: that of its parameters, 1 unless said otherwise: count it up where they change in a way that jobs which
            wait do not fit, and say with ``@task.upcast`` what becomes of those (docs/versions.md).
        on_start, on_success, on_failure, on_retry, on_complete: called at these moments (docs/callbacks.md).
    """

    name: str | None
    queue: str
    priority: Priority
    retry: RetryLike | None
    retries: int | None
    timeout: Duration | None
    tags: Mapping[str, str] | None
    executor: Executor | None
    rate: str | Rate | None
    rate_key: KeyOf | None
    rate_mode: RateMode | None
    group: str | None
    group_key: KeyOf | None
    group_max_concurrency: int | None
    unique_by: KeyOf | None
    unique_while: UniqueWhile | None
    unique_for: Duration | None
    throttle: Duration | None
    debounce: Duration | None
    debounce_max: Duration | None
    version: int | None
    on_start: OnStart | None
    on_success: OnSuccess | None
    on_failure: OnFailure | None
    on_retry: OnRetry | None
    on_complete: OnComplete | None


class JobSettings(TypedDict, total=False):
    """What ``task.options(...)`` takes; None leaves an option as the task declares it.

    Attributes:
        queue, priority, timeout: instead of the task's.
        retry, retries: instead of the task's; exception types and callables stay with the task, they do not travel.
        tags: added to the task's.
        delay: seconds or timedelta to wait before it may run; or
        run_at: a datetime (naive means UTC) or UNIX seconds before which it does not run.
        job_id: the job's identity, chosen by the caller: the same id is one job, however often it is enqueued.
        expires_in: seconds or timedelta after which it is not started any more; or
        expires_at: a datetime (naive means UTC) or UNIX seconds from which on it is not. No attempt begins after it.
        unique: a key, any JSON value: while there is a job of it, none is added, and the handle is on that one
            (docs/limits.md). Default for the options below: what the task's `unique_by` says, else all arguments.
        unique_while: "waiting", or "active" (default): until it has ended.
        unique_for, throttle: two names of one thing: one job of the key in this time (seconds or timedelta), whatever
            becomes of it.
        debounce: run this long after the last call of the key, with its arguments;
        debounce_max: and at the latest this long after the first (default: ten times `debounce`).
        depends_on: jobs (or their ids, or calls of the same batch) that have to end first (docs/workflows.md).
        on_parent_failure: what becomes of it when one of them does not succeed: "fail" (default), "run_anyway" or
            "cancel".
        wait_for: "all" of them (default), or "any": the first that succeeds is enough.
    """

    queue: str | None
    priority: Priority | None
    retry: RetryLike | None
    retries: int | None
    timeout: Duration | None
    tags: Mapping[str, str] | None
    delay: Duration | None
    run_at: datetime | float | None
    job_id: str | None
    expires_in: Duration | None
    expires_at: datetime | float | None
    unique: Any
    unique_while: UniqueWhile | None
    unique_for: Duration | None
    throttle: Duration | None
    debounce: Duration | None
    debounce_max: Duration | None
    depends_on: DependsOn
    on_parent_failure: ParentFailure | None
    wait_for: WaitFor | None


TASK_OPTIONS: Final = tuple(TaskSettings.__annotations__)
EXECUTORS: Final = ("thread", "process")
JOB_OPTIONS: Final = tuple(JobSettings.__annotations__)


class TaskOptions(Struct, frozen=True, kw_only=True):
    """A task's options as declared, checked and filled in; `timeout` in seconds, None for no limit."""

    queue: str = "default"
    priority: Priority = "normal"
    retry: Retry = Retry.of(None)
    timeout: float | None = None
    tags: dict[str, str] = {}
    executor: Executor | None = None
    limits: TaskLimits | None = None
    version: int = 1


class JobOptions(Struct, frozen=True, kw_only=True):
    """What one job does differently from its task; None for the same. Seconds; the two `..._at` in UNIX seconds."""

    queue: str | None = None
    priority: Priority | None = None
    retry: Retry | None = None
    timeout: float | None = None
    tags: dict[str, str] = {}
    delay: float | None = None
    run_at: float | None = None
    job_id: str | None = None
    expires_in: float | None = None
    expires_at: float | None = None
    limits: JobLimits | None = None
    wanted: Wanted = Wanted()


def read_task_options(where: str, settings: Mapping[str, Any]) -> TaskOptions:
    """`settings` of ``@app.task``, without `name`, checked. `where` begins every error."""
    _check_names(where, settings, TASK_OPTIONS)
    read = _common(where, settings)
    read["executor"] = executor = settings.get("executor")
    if executor not in {None, *EXECUTORS}:
        raise ConfigurationError(f"{where}: there is no executor {executor!r}; {hint(str(executor), EXECUTORS)}")
    for moment in TAKES:
        if (callback := settings.get(moment)) is not None:
            check_callback(where, moment, callback)
    if (version := settings.get("version")) is not None:
        read["version"] = check_version(where, version)
    read["limits"] = read_task_limits(where, settings, _limit_seconds(where, settings))
    return TaskOptions(**{name: value for name, value in read.items() if value is not None})


def read_job_options(where: str, settings: Mapping[str, Any]) -> JobOptions:
    """`settings` of ``task.options``, checked. `where` begins every error."""
    _check_names(where, settings, JOB_OPTIONS)
    read = _common(where, settings)
    read["delay"] = _seconds(where, "delay", settings.get("delay"), above=False)
    read["run_at"] = _moment(where, "run_at", settings.get("run_at"))
    read["expires_in"] = _seconds(where, "expires_in", settings.get("expires_in"), above=True)
    read["expires_at"] = _moment(where, "expires_at", settings.get("expires_at"))
    if read["expires_in"] is not None and read["expires_at"] is not None:
        raise ConfigurationError(f"{where}: expires_in and expires_at both say until when; give one of them")
    read["limits"] = read_job_limits(where, settings, _limit_seconds(where, settings))
    if (job_id := settings.get("job_id")) is not None:
        read["job_id"] = check_token("job id", job_id)
    if read["delay"] is not None and read["run_at"] is not None:
        raise ConfigurationError(f"{where}: delay and run_at both say when; give one of them")
    if read["delay"] is not None and read["expires_in"] is not None and read["expires_in"] <= read["delay"]:
        raise ConfigurationError(f"{where}: expires_in must be longer than delay, or it expires before it may start")
    read["wanted"] = _wanted(where, settings)
    return JobOptions(**{name: value for name, value in read.items() if value is not None})


def _wanted(where: str, settings: Mapping[str, Any]) -> Wanted | None:
    given, policy, wait_for = (settings.get(name) for name in ("depends_on", "on_parent_failure", "wait_for"))
    if policy not in {None, *PARENT_FAILURES}:
        known = hint(str(policy), PARENT_FAILURES)
        raise ConfigurationError(f"{where}: on_parent_failure cannot be {policy!r}; {known}")
    if wait_for not in {None, "all", "any"}:
        raise ConfigurationError(f"{where}: wait_for is {wait_for!r}; expected 'all' or 'any'")
    if given is None and policy is None and wait_for is None:
        return None
    return Wanted(read_parents(where, given), policy or "fail", wait_for == "any")


def _limit_seconds(where: str, settings: Mapping[str, Any]) -> Callable[[str], float | None]:
    return lambda name: _seconds(where, name, settings.get(name), above=True)


def _check_names(where: str, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in settings:
        if name in known:
            continue
        if name in JOB_OPTIONS:
            raise ConfigurationError(
                f"{where}: {name!r} belongs to a single job: task.options({name}=...).enqueue(...)"
            )
        if name in TASK_OPTIONS:
            raise ConfigurationError(f"{where}: {name!r} belongs to the task: @app.task({name}=...)")
        raise ConfigurationError(f"{where}: there is no option {name!r}; {hint(name, known)}")


def _common(where: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    queue, priority, tags = settings.get("queue"), settings.get("priority"), settings.get("tags")
    if queue is not None:
        check_token("queue", queue)
    if priority is not None and priority not in PRIORITIES:
        raise ConfigurationError(f"{where}: there is no priority {priority!r}; {hint(str(priority), PRIORITIES)}")
    return {
        "queue": queue,
        "priority": priority,
        "retry": _retry(where, settings.get("retry"), settings.get("retries")),
        "timeout": _seconds(where, "timeout", settings.get("timeout"), above=True),
        "tags": None if tags is None else _tags(where, tags),
    }


def _retry(where: str, retry: RetryLike | None, retries: int | None) -> Retry | None:
    if retry is not None and retries is not None:
        raise ConfigurationError(f"{where}: retry and retries both say how often; give one of them")
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{where}: retries is {retries!r}; expected a whole number, 0 or more")
    value = retry if retry is not None else retries
    return None if value is None else Retry.of(value)


def _seconds(where: str, name: str, value: object, *, above: bool) -> float | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):  # text is how settings files say durations; in code it hides a mistake
            raise ValueError
        seconds = read_seconds(value)
        if seconds < 0 or (above and seconds == 0):
            raise ValueError
    except ValueError:
        bound = "more than 0" if above else "0 or more"
        raise ConfigurationError(f"{where}: {name} is {value!r}; expected seconds or a timedelta, {bound}") from None
    return seconds


def _moment(where: str, name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return clock.as_timestamp(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{where}: {name} is {value!r}; expected a datetime or UNIX seconds")
    if not 0 <= value < _LATEST:
        raise ConfigurationError(
            f"{where}: {name} is {value!r}, which is no time in UNIX seconds (is it milliseconds?)"
        )
    return float(value)


def _tags(where: str, tags: object) -> dict[str, str]:
    if not isinstance(tags, Mapping):
        raise ConfigurationError(f"{where}: tags is {tags!r}; expected names and values, such as {{'team': 'mail'}}")
    return dict(cast("Mapping[str, str]", tags))
