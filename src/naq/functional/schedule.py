"""Schedules without an app: a function that runs again and again, and what can be done to it while it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from naq import sync
from naq.functional.queue import Queue
from naq.task.retries import RetryDelay

if TYPE_CHECKING:
    from naq.scheduler.handle import Schedule
    from naq.schedules.timetable import Timing


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
    return await Queue(queue_name, nats_url).schedule(
        func, *args, cron=cron, interval=interval, repeat=repeat, max_retries=max_retries, retry_delay=retry_delay,
        timing=timing, schedule_id=schedule_id, **kwargs,
    )  # fmt: skip


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
    sync.refuse_on_loop("await naq.schedule(...)")
    return Queue(queue_name, nats_url).schedule_sync(
        func, *args, cron=cron, interval=interval, repeat=repeat, max_retries=max_retries, retry_delay=retry_delay,
        timing=timing, schedule_id=schedule_id, **kwargs,
    )  # fmt: skip


async def pause_scheduled_job(job_id: str, nats_url: str | None = None) -> bool:
    """Pause the schedule `job_id`; False where there is none. See `Schedule.pause`.

    A job that runs once, at its time, cannot be paused, only cancelled: False.

    Raises:
        NaqConnectionError: the backend cannot be reached.
    """
    return await Queue(nats_url=nats_url).pause_scheduled_job(job_id)


def pause_scheduled_job_sync(job_id: str, nats_url: str | None = None) -> bool:
    """`pause_scheduled_job` for code without an event loop; safe in threads."""
    sync.refuse_on_loop("await naq.pause_scheduled_job(...)")
    return Queue(nats_url=nats_url).pause_scheduled_job_sync(job_id)


async def resume_scheduled_job(job_id: str, nats_url: str | None = None) -> bool:
    """End the pause of the schedule `job_id`; False where there is none. See `Schedule.resume`."""
    return await Queue(nats_url=nats_url).resume_scheduled_job(job_id)


def resume_scheduled_job_sync(job_id: str, nats_url: str | None = None) -> bool:
    """`resume_scheduled_job` for code without an event loop; safe in threads."""
    sync.refuse_on_loop("await naq.resume_scheduled_job(...)")
    return Queue(nats_url=nats_url).resume_scheduled_job_sync(job_id)


async def modify_scheduled_job(job_id: str, nats_url: str | None = None, **timing: Any) -> bool:
    """Change when the schedule `job_id` fires: cron, interval, repeat, tz, start, end, jitter, missed, overlap.

    False where there is none.

    Raises:
        ConfigurationError: an option that does not exist, or a value it cannot take. Nothing was changed.
    """
    return await Queue(nats_url=nats_url).modify_scheduled_job(job_id, **timing)


def modify_scheduled_job_sync(job_id: str, nats_url: str | None = None, **timing: Any) -> bool:
    """`modify_scheduled_job` for code without an event loop; safe in threads."""
    sync.refuse_on_loop("await naq.modify_scheduled_job(...)")
    return Queue(nats_url=nats_url).modify_scheduled_job_sync(job_id, **timing)
