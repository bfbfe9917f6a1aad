"""What a `Queue` can do with schedules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

from naq import sync
from naq.connections import Host, on_bridge
from naq.exceptions import ConfigurationError, ScheduleNotFoundError
from naq.functional.moments import as_timestamp
from naq.job import new_id
from naq.names import is_token
from naq.scheduler.handle import Schedule, Schedules
from naq.schedules.timetable import Timing, read_timetable
from naq.task.call import Call
from naq.task.direct import direct_call
from naq.task.retries import RetryDelay

#: What `schedule` and `modify_scheduled_job` take of `Timing`; all else are arguments of the function.
_TIMING: Final = ("cron", "interval", "repeat", "tz", "start", "end", "jitter", "missed", "overlap")


class Recurring:
    """The part of `Queue` that is about schedules."""

    @abstractmethod
    def _place(self) -> tuple[Host, str, float | timedelta | None]:
        """Where its jobs live, what it is called, and how long an attempt of them may run."""

    async def schedule(
        self,
        func: Callable[..., Any],
        /,
        *args: Any,
        cron: str | None = None,
        interval: float | timedelta | None = None,
        repeat: int | None = None,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        timing: Timing | None = None,
        schedule_id: str | None = None,
        **kwargs: Any,
    ) -> Schedule:
        """Run ``func(*args, **kwargs)`` here again and again: by `cron`, or every `interval`, `repeat` times at most.

        ``await queue.schedule(report, "daily", cron="0 7 * * MON-FRI", timing={"tz": "Europe/Berlin"})``. `timing` is
        for everything else that `naq.schedules.timetable.Timing` knows; `schedule_id` names the schedule (default: an
        id of its own). Its jobs are enqueued as by `enqueue`.

        Raises:
            ConfigurationError: no cron and no interval, or both; an option that cannot be; an id that is taken.
            NaqException: as `enqueue`.
        """
        host, *_ = self._place()
        what, when = self._read(func, args, kwargs, max_retries, retry_delay, (cron, interval, repeat, timing))
        return await keep(host, schedule_id, what, when)

    def schedule_sync(
        self,
        func: Callable[..., Any],
        /,
        *args: Any,
        cron: str | None = None,
        interval: float | timedelta | None = None,
        repeat: int | None = None,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        timing: Timing | None = None,
        schedule_id: str | None = None,
        **kwargs: Any,
    ) -> Schedule:
        """`schedule` for code without an event loop; safe in threads."""
        what, when = self._read(func, args, kwargs, max_retries, retry_delay, (cron, interval, repeat, timing))
        host = on_bridge(self._place()[0])
        return sync.run("await queue.schedule(...)", keep, host, schedule_id, what, when)

    async def pause_scheduled_job(self, job_id: str) -> bool:
        """Pause a schedule; False where there is none. A job that runs once can only be cancelled."""
        return await pause_one(self._place()[0], job_id)

    def pause_scheduled_job_sync(self, job_id: str) -> bool:
        """`pause_scheduled_job` for code without an event loop; safe in threads."""
        return sync.run("await queue.pause_scheduled_job(...)", pause_one, on_bridge(self._place()[0]), job_id)

    async def resume_scheduled_job(self, job_id: str) -> bool:
        """End the pause of a schedule; False where there is none."""
        return await resume_one(self._place()[0], job_id)

    def resume_scheduled_job_sync(self, job_id: str) -> bool:
        """`resume_scheduled_job` for code without an event loop; safe in threads."""
        return sync.run("await queue.resume_scheduled_job(...)", resume_one, on_bridge(self._place()[0]), job_id)

    async def modify_scheduled_job(self, job_id: str, **timing: Any) -> bool:
        """Change when a schedule fires (cron, interval, repeat, tz, ...); False where there is none.

        Raises:
            ConfigurationError: an option that does not exist, or a value it cannot take. Nothing was changed.
        """
        return await modify_one(self._place()[0], job_id, timing)

    def modify_scheduled_job_sync(self, job_id: str, **timing: Any) -> bool:
        """`modify_scheduled_job` for code without an event loop; safe in threads."""
        host = on_bridge(self._place()[0])
        return sync.run("await queue.modify_scheduled_job(...)", modify_one, host, job_id, timing)

    def _read(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        max_retries: int | None,
        retry_delay: RetryDelay | None,
        when: tuple[str | None, float | timedelta | None, int | None, Timing | None],
    ) -> tuple[Any, dict[str, Any]]:
        _, queue, timeout = self._place()
        what = make_what(func, args, kwargs, queue, timeout, max_retries, retry_delay)
        return what, make_when(*when)


What = Callable[[Host], Call[Any]]  # a call, built where its settings are known


def make_what(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    queue: str,
    timeout: float | timedelta | None,
    max_retries: int | None,
    retry_delay: RetryDelay | None,
) -> What:
    """The call of a function, to be checked and built for the place where its jobs will live."""

    def build(host: Host) -> Call[Any]:
        return direct_call(
            func,
            args,
            kwargs,
            host.config,
            max_retries=max_retries,
            retry_delay=retry_delay,
            queue=queue,
            timeout=timeout,
        )

    return build


def make_when(
    cron: str | None, interval: float | timedelta | None, repeat: int | None, timing: Timing | None
) -> dict[str, Any]:
    """What was said about when, as one."""
    when: dict[str, Any] = {**(timing or {})}
    when |= {
        name: value for name, value in (("cron", cron), ("interval", interval), ("repeat", repeat)) if value is not None
    }
    return _local(when)


def _local(when: Mapping[str, Any]) -> dict[str, Any]:
    """Naive datetimes as local time, as everywhere in the functions without an app."""
    return {name: as_timestamp(value) if isinstance(value, datetime) else value for name, value in when.items()}


async def keep(host: Host, name: str | None, what: What, when: Mapping[str, Any]) -> Schedule:
    """A new schedule where `host` keeps its jobs; under an id of its own where it was not named."""
    read_timetable("schedule", cast("Timing", when))  # before anything is connected
    return await Schedules(host).create(name or new_id(), what(host), **cast("Any", when))


async def pause_one(host: Host, job_id: str) -> bool:
    """`pause_scheduled_job` where `host` keeps its jobs."""
    return await _tried(Schedule(job_id, host).pause)


async def resume_one(host: Host, job_id: str) -> bool:
    """`resume_scheduled_job` where `host` keeps its jobs."""
    return await _tried(Schedule(job_id, host).resume)


async def modify_one(host: Host, job_id: str, timing: Mapping[str, Any]) -> bool:
    """`modify_scheduled_job` where `host` keeps its jobs."""
    if not timing:
        raise ConfigurationError(f"modify_scheduled_job changes nothing without one of {', '.join(_TIMING)}")
    when = _local(timing)

    async def edit() -> object:
        return await Schedule(job_id, host).edit(**cast("Any", when))

    return await _tried(edit)


async def delete_one(host: Host, job_id: str) -> bool:
    """Remove a schedule by its id; False where it is none."""
    return bool(is_token(job_id)) and await Schedule(job_id, host).delete()


async def _tried(act: Callable[[], Any]) -> bool:
    try:
        await act()
    except ScheduleNotFoundError:
        return False
    return True
