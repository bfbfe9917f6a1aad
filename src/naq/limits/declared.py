"""Limits as a task declares them and a job changes them: checked, as data, and worked out once for many jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from naq.exceptions import ConfigurationError
from naq.job import KeyScope
from naq.limits.keys import KeyOf, Taker, check_key_of, token
from naq.limits.kinds import GROUPS, RATES
from naq.limits.rates import MODES, Rate, RateMode, read_rate
from naq.names import check_token

if TYPE_CHECKING:
    from naq.limits.gate import Gate

UniqueWhile = Literal["waiting", "active"]
SCOPES: Final[tuple[UniqueWhile, ...]] = ("waiting", "active")
NO_KEY: Final = "-"  # in an entry's name, where one limit is for all
DEBOUNCE_MOST: Final = 10.0  # times `debounce` after which a job runs though calls keep coming, unless said otherwise
_TASK: Final = 16  # hex digits of a task's name in an entry's


class TaskLimits(Struct, frozen=True, kw_only=True):
    """What ``@app.task`` says of limits; None where it says nothing. Times in seconds."""

    rate: Rate | None = None
    rate_key: KeyOf | None = None
    rate_mode: RateMode = "wait"
    group: str | None = None
    group_key: KeyOf | None = None
    group_max_concurrency: int | None = None
    unique_by: KeyOf | None = None
    unique_while: UniqueWhile | None = None
    unique_for: float | None = None
    debounce: float | None = None
    debounce_max: float | None = None

    @property
    def at_run_time(self) -> bool:
        """Whether a worker has to ask before it runs a job."""
        return self.group is not None or (self.rate is not None and self.rate_mode == "wait")


class JobLimits(Struct, frozen=True, kw_only=True):
    """What ``task.options`` says of limits, in place of what the task says."""

    unique: Any = None
    unique_while: UniqueWhile | None = None
    unique_for: float | None = None
    debounce: float | None = None
    debounce_max: float | None = None


def read_task_limits(
    where: str, settings: Mapping[str, Any], seconds: Callable[[str], float | None]
) -> TaskLimits | None:
    """The limits in the `settings` of a task, or None without any; `seconds` reads those that are times.

    Raises:
        ConfigurationError: one is no good, or they contradict each other.
    """
    rate = None if settings.get("rate") is None else read_rate(f"{where}: rate", settings["rate"])
    mode = settings.get("rate_mode")
    if mode is not None and mode not in MODES:
        raise ConfigurationError(f"{where}: rate_mode is {mode!r}; expected one of {', '.join(MODES)}")
    if rate is None and (mode is not None or settings.get("rate_key") is not None):
        raise ConfigurationError(f"{where}: rate_key and rate_mode belong to a rate: rate='100/m'")
    most = settings.get("group_max_concurrency")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ConfigurationError(f"{where}: group_max_concurrency is {most!r}; expected a whole number, 1 or more")
    group = settings.get("group")
    if group is not None:
        check_token("group", group)
    if most is None and (group is not None or settings.get("group_key") is not None):
        raise ConfigurationError(f"{where}: a group needs group_max_concurrency, how many of its jobs may run at once")
    read: dict[str, Any] = {
        "rate": rate,
        "rate_mode": mode,
        "group": group if group is not None or most is None else "",  # without a name: a group of the task's own
        "group_max_concurrency": most,
        **_read_unique(where, settings, seconds),
    }
    for name in ("rate_key", "group_key", "unique_by"):
        if (of := settings.get(name)) is not None:
            read[name] = check_key_of(f"{where}: {name}", of)
    if not (read := {name: value for name, value in read.items() if value is not None}):
        return None
    return TaskLimits(**read)


def read_job_limits(
    where: str, settings: Mapping[str, Any], seconds: Callable[[str], float | None]
) -> JobLimits | None:
    """The same of a single job."""
    read = {"unique": settings.get("unique"), **_read_unique(where, settings, seconds)}
    if not (read := {name: value for name, value in read.items() if value is not None}):
        return None
    if "unique" in read:
        token(read["unique"])  # so that the error points at this line
    if settings.get("job_id") is not None:
        raise ConfigurationError(
            f"{where}: job_id and {next(iter(read))} both say which job is the same; give one of them"
        )
    if "debounce" in read and (settings.get("delay") is not None or settings.get("run_at") is not None):
        raise ConfigurationError(f"{where}: debounce says when it runs; give neither delay nor run_at")
    return JobLimits(**read)


def _read_unique(where: str, settings: Mapping[str, Any], seconds: Callable[[str], float | None]) -> dict[str, Any]:
    scope = settings.get("unique_while")
    if scope is not None and scope not in SCOPES:
        raise ConfigurationError(f"{where}: unique_while is {scope!r}; expected 'waiting' or 'active' (waits or runs)")
    unique_for, throttle = seconds("unique_for"), seconds("throttle")
    if unique_for is not None and throttle is not None:
        raise ConfigurationError(f"{where}: throttle and unique_for are one thing; give one of them")
    unique_for = throttle if unique_for is None else unique_for
    debounce, most = seconds("debounce"), seconds("debounce_max")
    if sum(value is not None for value in (scope, unique_for, debounce)) > 1:
        raise ConfigurationError(
            f"{where}: unique_while, unique_for (throttle) and debounce each say how long a key is taken; give one"
        )
    if most is not None and (debounce is None or most < debounce):
        raise ConfigurationError(f"{where}: debounce_max is how long calls may put a job off; longer than its debounce")
    if unique_for is not None and unique_for < 1:
        raise ConfigurationError(f"{where}: unique_for is {unique_for:g} s; the shortest that stores keep is 1 s")
    return {"unique_while": scope, "unique_for": unique_for, "debounce": debounce, "debounce_max": most}


class Needs(Struct, frozen=True):
    """What has to be asked before a job may run, with the names of the entries; empty where there is no such limit."""

    task: str
    rate: Rate | None
    rate_entry: str
    group: str
    group_entry: str
    most: int


class Limits:
    """The limits of a task, or of a task with options, ready for use.

    Raises:
        ConfigurationError: the function has no such parameters.

    Attributes:
        gated: whether a producer has to ask before it stores a job.
    """

    __slots__ = ("_declared", "_group_taker", "_job", "_rate_taker", "_scope", "_task", "_unique_taker", "gated")

    def __init__(self, task: str, func: Callable[..., Any], declared: TaskLimits | None, job: JobLimits | None) -> None:
        self._task = task
        self._declared = declared = declared or TaskLimits()
        if job is not None and (job.unique_while or job.unique_for or job.debounce):
            # What the job says of how long replaces all that the task says of it.
            declared = msgspec.structs.replace(
                declared, unique_while=None, unique_for=None, debounce=None, debounce_max=None
            )
        self._job = _merged(declared, job or JobLimits())
        self._rate_taker = _taker(f"task {task}: rate_key", func, declared.rate_key)
        self._group_taker = _taker(f"task {task}: group_key", func, declared.group_key)
        self._unique_taker = None
        merged = self._job
        if declared.unique_by is not None or merged != JobLimits():
            self._unique_taker = Taker(f"task {task}: unique_by", func, declared.unique_by)
        keyed = self._unique_taker is not None and merged.unique_for is None and merged.debounce is None
        self._scope: KeyScope | None = (merged.unique_while or "active") if keyed else None
        self.gated: Final = (
            merged.unique_for is not None
            or merged.debounce is not None
            or (declared.rate is not None and declared.rate_mode != "wait")
        )

    def entries(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
        """The names of the limits that a job of this call falls under when it runs, for its envelope."""
        declared, found = self._declared, list[str]()
        if declared.rate is not None and declared.rate_mode == "wait":
            found.append(f"{RATES}.{self._rate_entry(args, kwargs)}")
        if declared.group is not None:
            key = NO_KEY if self._group_taker is None else token(self._group_taker(args, kwargs))
            found.append(f"{GROUPS}.{group_name(self._task, declared.group)}.{key}")
        return found

    def _rate_entry(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        key = NO_KEY if self._rate_taker is None else token(self._rate_taker(args, kwargs))
        return f"{token(self._task)[:_TASK]}.{key}"

    def key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, KeyScope]:
        """The unique key of a job of this call, and how long it is taken; an empty one for none."""
        return ("", "active") if self._scope is None else (self._token(args, kwargs), self._scope)

    def _token(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        assert self._unique_taker is not None
        value = self._job.unique
        return token(self._task, self._unique_taker(args, kwargs) if value is None else value)

    def gate(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], queue: str) -> Gate | None:
        """What a producer has to ask before it stores a job of this call."""
        if not self.gated:
            return None
        from naq.limits.gate import Gate  # most programs have no such limit

        declared, job = self._declared, self._job
        timed = job.unique_for is not None or job.debounce is not None
        asked = declared.rate if declared.rate_mode != "wait" else None
        return Gate(
            task=self._task,
            rate=asked,
            mode=declared.rate_mode,
            rate_entry="" if asked is None else self._rate_entry(args, kwargs),
            unique_entry=f"{queue}.{self._token(args, kwargs)}" if timed else "",
            unique_for=job.unique_for,
            debounce=job.debounce,
            debounce_max=job.debounce_max or (job.debounce or 0.0) * DEBOUNCE_MOST,
        )


def needs_of(task: str, declared: TaskLimits, said: list[str]) -> Needs:
    """What a worker has to ask before it runs a job of `task`, whose envelope `said` which keys it has.

    How much is allowed the worker's own code decides, not the message; a producer that says no key shares one limit.
    """
    rate_entry, group_entry, group = "", "", ""
    rate = declared.rate if declared.rate_mode == "wait" else None
    if rate is not None:
        rate_entry = _said(said, RATES, token(task)[:_TASK])
    if declared.group is not None:
        group = group_name(task, declared.group)
        group_entry = _said(said, GROUPS, group)
    return Needs(task, rate, rate_entry, declared.group or task, group_entry, declared.group_max_concurrency or 0)


def group_name(task: str, group: str) -> str:
    """What a group is called in the names of entries: as it is, or that of a task's own."""
    return group or token(task)[:_TASK]


def _said(said: list[str], kind: str, name: str) -> str:
    begin = f"{kind}.{name}."
    key = next((each[len(begin) :] for each in said if each.startswith(begin)), NO_KEY)
    return f"{name}.{key}"


def _merged(declared: TaskLimits, job: JobLimits) -> JobLimits:
    return JobLimits(
        unique=job.unique,
        unique_while=job.unique_while or declared.unique_while,
        unique_for=job.unique_for or declared.unique_for,
        debounce=job.debounce or declared.debounce,
        debounce_max=job.debounce_max or declared.debounce_max,
    )


def _taker(where: str, func: Callable[..., Any], of: KeyOf | None) -> Taker | None:
    return None if of is None else Taker(where, func, of)
