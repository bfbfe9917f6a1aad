"""What a `Queue` can do with schedules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from naq import sync
from naq.connections import Host, on_bridge
from naq.functional.schedule import keep, make_what, make_when, modify_one, pause_one, resume_one
from naq.scheduler.handle import Schedule
from naq.schedules.timetable import Timing
from naq.task.retries import RetryDelay


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
