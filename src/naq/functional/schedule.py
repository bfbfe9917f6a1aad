"""Schedules without an app: a function that runs again and again, and what can be done to it while it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

from naq import sync
from naq.connections import Host, on_bridge, settings, shared
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


async def schedule(
    func: Callable[..., Any],
    /,
    *args: Any,
    cron: str | None = None,
    interval: float | timedelta | None = None,
    repeat: int | None = None,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    timing: Timing | None = None,
    schedule_id: str | None = None,
    **kwargs: Any,
) -> Schedule:
    """Run ``func(*args, **kwargs)`` by `cron` or every `interval`, in the queue `queue_name`; see `Queue.schedule`.

    Raises:
        NaqException: as `Queue.schedule`.
    """
    host = shared(settings(nats_url))
    what = make_what(func, args, kwargs, queue_name, None, max_retries, retry_delay)
    return await keep(host, schedule_id, what, make_when(cron, interval, repeat, timing))


def schedule_sync(
    func: Callable[..., Any],
    /,
    *args: Any,
    cron: str | None = None,
    interval: float | timedelta | None = None,
    repeat: int | None = None,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    timing: Timing | None = None,
    schedule_id: str | None = None,
    **kwargs: Any,
) -> Schedule:
    """`schedule` for code without an event loop; safe in threads."""
    host = shared(settings(nats_url))
    what = make_what(func, args, kwargs, queue_name, None, max_retries, retry_delay)
    when = make_when(cron, interval, repeat, timing)
    return sync.run("await naq.schedule(...)", keep, on_bridge(host), schedule_id, what, when)


async def pause_scheduled_job(job_id: str, nats_url: str | None = None) -> bool:
    """Pause the schedule `job_id`; False where there is none. See `Schedule.pause`.

    A job that runs once, at its time, cannot be paused, only cancelled: False.

    Raises:
        NaqConnectionError: the backend cannot be reached.
    """
    return await pause_one(shared(settings(nats_url)), job_id)


def pause_scheduled_job_sync(job_id: str, nats_url: str | None = None) -> bool:
    """`pause_scheduled_job` for code without an event loop; safe in threads."""
    return sync.run("await naq.pause_scheduled_job(...)", pause_one, shared(settings(nats_url)), job_id)


async def resume_scheduled_job(job_id: str, nats_url: str | None = None) -> bool:
    """End the pause of the schedule `job_id`; False where there is none. See `Schedule.resume`."""
    return await resume_one(shared(settings(nats_url)), job_id)


def resume_scheduled_job_sync(job_id: str, nats_url: str | None = None) -> bool:
    """`resume_scheduled_job` for code without an event loop; safe in threads."""
    return sync.run("await naq.resume_scheduled_job(...)", resume_one, shared(settings(nats_url)), job_id)


async def modify_scheduled_job(job_id: str, nats_url: str | None = None, **timing: Any) -> bool:
    """Change when the schedule `job_id` fires: cron, interval, repeat, tz, start, end, jitter, missed, overlap.

    False where there is none.

    Raises:
        ConfigurationError: an option that does not exist, or a value it cannot take. Nothing was changed.
    """
    return await modify_one(shared(settings(nats_url)), job_id, timing)


def modify_scheduled_job_sync(job_id: str, nats_url: str | None = None, **timing: Any) -> bool:
    """`modify_scheduled_job` for code without an event loop; safe in threads."""
    return sync.run("await naq.modify_scheduled_job(...)", modify_one, shared(settings(nats_url)), job_id, timing)


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
