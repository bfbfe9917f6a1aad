"""A queue by its name: functions go in, handles come out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from naq import sync
from naq.connections import Host, on_bridge, settings, shared
from naq.exceptions import ConfigurationError
from naq.flow.purging import purge
from naq.functional.cancel import cancel_scheduled
from naq.functional.moments import as_seconds, as_timestamp
from naq.functional.recurring import Recurring
from naq.handle import Job
from naq.names import check_token
from naq.task import Call
from naq.task.call import send_one, send_one_sync
from naq.task.direct import direct_call
from naq.task.retries import RetryDelay

if TYPE_CHECKING:
    from naq.task.options import DependsOn

R = TypeVar("R")


class Queue(Recurring):
    """A named line of jobs.

    ::

        queue = Queue("mail")
        job = await queue.enqueue(send, "a@b", max_retries=3, retry_delay=[1, 10, 60])
        job = queue.enqueue_sync(send, "a@b")        # the same from code without an event loop

    Holds no connection: it uses the process's own for its settings (see `naq.connect`), on whichever event loop asks,
    so that it may be made at the top of a module and used in any thread and after a fork.

    Args:
        name: what it is called.
        nats_url: the broker; default: the setting `broker_url`.
        default_timeout: seconds that an attempt of its jobs may run; default: no limit, or the task's own.
        app: take the settings of this app instead; then tasks of that app may be enqueued too.

    Raises:
        ConfigurationError: the name or a setting is not allowed.
    """

    def __init__(
        self,
        name: str = "default",
        nats_url: str | None = None,
        default_timeout: float | timedelta | None = None,
        *,
        app: Host | None = None,
    ) -> None:
        if app is not None and nats_url is not None:
            raise ConfigurationError("Queue: app and nats_url both say where jobs live; give one of them")
        self.name: Final = check_token("queue", name)
        self._host: Final[Host] = shared(settings(nats_url)) if app is None else app
        self._timeout: Final = default_timeout

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"

    async def enqueue(
        self,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """Store one job that calls ``func(*args, **kwargs)``; it is durable when this returns.

        `func` is a function at the top of a module that the workers import, or a task of the queue's app; what it is
        called with is checked against its annotations. `max_retries` is how often to try again (default: once for each
        delay of a list, else the task's own, else 0); `retry_delay` the seconds before each retry, or a list of them,
        of which the last one repeats (default 0). `depends_on` are jobs, or their ids, that have to end first; a job
        among the arguments is its result then (docs/workflows.md).

        Raises:
            ConfigurationError: no worker could find the function by import, or an option cannot be.
            SerializationError: the arguments do not fit the function's parameters, or cannot be encoded.
            NaqException: as `Task.enqueue`.
        """
        return await send_one(
            self._host, self._call(func, args, kwargs, max_retries, retry_delay, depends_on=depends_on)
        )

    def enqueue_sync(
        self,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """`enqueue` for code without an event loop; safe in threads."""
        call = self._call(func, args, kwargs, max_retries, retry_delay, depends_on=depends_on)
        return send_one_sync(self._host, call, instead="await queue.enqueue(...)")

    async def enqueue_at(
        self,
        dt: datetime | float,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """As `enqueue`, but it does not run before `dt`: a datetime (naive means local time) or UNIX seconds."""
        call = self._call(func, args, kwargs, max_retries, retry_delay, depends_on=depends_on, run_at=as_timestamp(dt))
        return await send_one(self._host, call)

    def enqueue_at_sync(
        self,
        dt: datetime | float,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """`enqueue_at` for code without an event loop; safe in threads."""
        call = self._call(func, args, kwargs, max_retries, retry_delay, depends_on=depends_on, run_at=as_timestamp(dt))
        return send_one_sync(self._host, call, instead="await queue.enqueue_at(...)")

    async def enqueue_in(
        self,
        delta: timedelta | float,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """As `enqueue`, but it does not run before `delta` (a timedelta or seconds) has passed."""
        call = self._call(func, args, kwargs, max_retries, retry_delay, depends_on=depends_on, delay=as_seconds(delta))
        return await send_one(self._host, call)

    def enqueue_in_sync(
        self,
        delta: timedelta | float,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """`enqueue_in` for code without an event loop; safe in threads."""
        call = self._call(func, args, kwargs, max_retries, retry_delay, depends_on=depends_on, delay=as_seconds(delta))
        return send_one_sync(self._host, call, instead="await queue.enqueue_in(...)")

    def call(
        self,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Call[R]:
        """The same as `enqueue`, not done yet: for `naq.chain` and `naq.group`."""
        return self._call(func, args, kwargs, max_retries, retry_delay, depends_on=depends_on)

    def _place(self) -> tuple[Host, str, float | timedelta | None]:
        return self._host, self.name, self._timeout

    async def purge(self) -> int:
        """Remove every job that waits here (queued, scheduled, retrying); how many. Running ones go on."""
        return await self._purge(self._host)

    def purge_sync(self) -> int:
        """`purge` for code without an event loop; safe in threads."""
        return sync.run("await queue.purge()", self._purge, on_bridge(self._host))

    async def move(self, to: str, *, task: str = "", limit: int | None = None) -> int:
        """Move jobs that wait here (queued, scheduled, retrying, blocked) to the queue `to`; how many.

        Each keeps its id, priority, time, attempts, tags, key and whom it waits for. Of several callers one moves a
        job, and whatever is killed, it is in one of the two queues. A job that a worker has, or whose unique key a job
        in `to` has, stays. Nothing is handed out of this queue meanwhile, and who resumes it waits for us.

        Args:
            to: the other queue; it is made if there is none.
            task: only jobs of this task; ``*`` stands for anything. Default: all.
            limit: at most so many, those that have waited longest first. Default: all.

        Raises:
            ConfigurationError: `to` is no name, or this queue; or a job is signed or encrypted, and there are no keys.
            NaqConnectionError: the backend cannot be reached; some may have moved.
        """
        return await self._move(self._host, to, task, limit)

    def move_sync(self, to: str, *, task: str = "", limit: int | None = None) -> int:
        """`move` for code without an event loop; safe in threads."""
        return sync.run("await queue.move(...)", self._move, on_bridge(self._host), to, task, limit)

    async def pause(self, why: str = "") -> None:
        """Let workers take nothing more from here until `resume`; what runs goes on. `why` is for who asks later."""
        await self._pause(self._host, why)

    def pause_sync(self, why: str = "") -> None:
        """`pause` for code without an event loop; safe in threads."""
        sync.run("await queue.pause()", self._pause, on_bridge(self._host), why)

    async def resume(self) -> None:
        """End a pause; does nothing if there is none."""
        await self._resume(self._host)

    def resume_sync(self) -> None:
        """`resume` for code without an event loop; safe in threads."""
        sync.run("await queue.resume()", self._resume, on_bridge(self._host))

    async def limit(self, concurrency: int | None) -> None:
        """Let at most `concurrency` of its jobs run at once in the whole fleet; None: as many as workers take.

        Raises:
            ConfigurationError: less than 1; to hold a queue still there is `pause`.
        """
        await self._limit(self._host, concurrency)

    def limit_sync(self, concurrency: int | None) -> None:
        """`limit` for code without an event loop; safe in threads."""
        sync.run("await queue.limit(...)", self._limit, on_bridge(self._host), concurrency)

    async def cancel_scheduled_job(self, job_id: str) -> bool:
        """Cancel a job that waits for its time; True if it will never run. A schedule of this id is removed.

        False where it waits no longer (`Job.cancel` cancels those that run, too) or never existed.
        """
        return await cancel_scheduled(self._host, job_id)

    def cancel_scheduled_job_sync(self, job_id: str) -> bool:
        """`cancel_scheduled_job` for code without an event loop; safe in threads."""
        return sync.run("await queue.cancel_scheduled_job(...)", cancel_scheduled, on_bridge(self._host), job_id)

    def _call(
        self,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        max_retries: int | None,
        retry_delay: RetryDelay | None,
        **settings: Any,
    ) -> Call[R]:
        return direct_call(
            func,
            args,
            kwargs,
            self._host.config,
            host=self._host,
            max_retries=max_retries,
            retry_delay=retry_delay,
            queue=self.name,
            timeout=self._timeout,
            **settings,
        )

    async def _pause(self, host: Host, why: str) -> None:
        from naq.limits.pauses import pause, who

        await pause(await host.connect(), self.name, by=who(), why=why)

    async def _resume(self, host: Host) -> None:
        from naq.limits.pauses import resume

        await resume(await host.connect(), self.name)

    async def _limit(self, host: Host, concurrency: int | None) -> None:
        await (await host.connect()).limit(self.name, concurrency)

    async def _move(self, host: Host, to: str, task: str, limit: int | None) -> int:
        from naq.flow.moving import move

        return await move(await host.connect(), host.config, self.name, to, task=task, limit=limit)

    async def _purge(self, host: Host) -> int:
        backend = await host.connect()
        return await purge(backend, self.name)
