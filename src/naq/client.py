"""Everything at once for code without an event loop, on one connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack

from naq import sync
from naq.backends.base import WorkerInfo
from naq.config import Config, Settings, load_config
from naq.connections import Connection
from naq.exceptions import ConfigurationError
from naq.functional.queue import Queue
from naq.functional.workers import workers_of
from naq.handle import Job, job_by_id
from naq.scheduler.handle import Schedule
from naq.task.retries import RetryDelay

if TYPE_CHECKING:
    from naq.task.options import DependsOn

R = TypeVar("R")


class SyncClient:
    """One connection for code without an event loop; every method blocks until it is done. Safe in threads.

    ::

        with naq.SyncClient(nats_url="nats://127.0.0.1:4222") as client:
            jobs = [client.enqueue(resize, path, queue_name="images") for path in paths]
            print([job.result_sync(timeout=60) for job in jobs])

    ``with`` opens the connection, so that a broker that cannot be reached shows at once, and closes it at the end.
    Handles that come from the client use its connection as long as it is open. A client that was opened before a fork
    is of no use to the child, and says so: open one there.

    Args:
        nats_url: the broker; default: the setting `broker_url`.
        settings: any other field of `naq.Config`, such as `namespace`.

    Raises:
        ConfigurationError: an unknown setting or an invalid value, with its source.
    """

    def __init__(self, nats_url: str | None = None, **settings: Unpack[Settings]) -> None:
        if nats_url is not None:
            settings["broker_url"] = nats_url
        self._connection: Final = Connection(load_config(**settings))
        self._opened_by: int | None = None

    def __repr__(self) -> str:
        return f"<SyncClient of {self._connection!r}>"

    @property
    def config(self) -> Config:
        """The settings in force, read when the client was made."""
        return self._connection.config

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Open the connection; ``with`` does it, and so does the first call that needs it.

        Raises:
            NaqConnectionError: the broker cannot be reached within `connect_timeout`.
            ConfigurationError: an event loop runs in this thread.
        """
        sync.run("async with naq.Naq(...) as app:", self._own().connect)

    def close(self) -> None:
        """Close the connection; idempotent. The client may be opened again."""
        if self._opened_by == os.getpid():  # else there is nothing of ours to close
            sync.run("async with naq.Naq(...) as app:", self._connection.close)
        self._opened_by = None

    def queue(self, name: str = "default", default_timeout: float | timedelta | None = None) -> Queue:
        """The queue `name` on this connection; use its ``..._sync`` methods."""
        return Queue(name, default_timeout=default_timeout, app=self._own())

    def job(self, job_id: str) -> Job[Any]:
        """A handle on a job by its id, on this connection; use its ``..._sync`` methods."""
        return job_by_id(job_id, self._own())

    def enqueue(
        self,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        queue_name: str = "default",
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """As `Queue.enqueue`."""
        queue = self.queue(queue_name)
        return queue.enqueue_sync(
            func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
        )

    def enqueue_at(
        self,
        dt: datetime | float,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        queue_name: str = "default",
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """As `Queue.enqueue_at`."""
        queue = self.queue(queue_name)
        return queue.enqueue_at_sync(
            dt, func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
        )

    def enqueue_in(
        self,
        delta: timedelta | float,
        func: Callable[..., Coroutine[Any, Any, R] | R],
        /,
        *args: Any,
        queue_name: str = "default",
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        depends_on: DependsOn = None,
        **kwargs: Any,
    ) -> Job[R]:
        """As `Queue.enqueue_in`."""
        queue = self.queue(queue_name)
        return queue.enqueue_in_sync(
            delta, func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
        )

    def purge_queue(self, queue_name: str = "default") -> int:
        """As `naq.purge_queue`."""
        return self.queue(queue_name).purge_sync()

    def cancel_scheduled_job(self, job_id: str) -> bool:
        """As `naq.cancel_scheduled_job`."""
        return self.queue().cancel_scheduled_job_sync(job_id)

    def schedule(
        self,
        func: Callable[..., Any],
        /,
        *args: Any,
        queue_name: str = "default",
        cron: str | None = None,
        interval: float | timedelta | None = None,
        repeat: int | None = None,
        **kwargs: Any,
    ) -> Schedule:
        """As `Queue.schedule`."""
        queue = self.queue(queue_name)
        return queue.schedule_sync(func, *args, cron=cron, interval=interval, repeat=repeat, **kwargs)

    def pause_scheduled_job(self, job_id: str) -> bool:
        """As `naq.pause_scheduled_job`."""
        return self.queue().pause_scheduled_job_sync(job_id)

    def resume_scheduled_job(self, job_id: str) -> bool:
        """As `naq.resume_scheduled_job`."""
        return self.queue().resume_scheduled_job_sync(job_id)

    def modify_scheduled_job(self, job_id: str, **timing: Any) -> bool:
        """As `naq.modify_scheduled_job`."""
        return self.queue().modify_scheduled_job_sync(job_id, **timing)

    def fetch_job_result(self, job_id: str, *, timeout: float | None = None) -> Any:
        """As `naq.fetch_job_result`."""
        return self.job(job_id).result_sync(timeout)

    def list_workers(self) -> list[WorkerInfo]:
        """As `naq.list_workers`."""
        return sync.run("await naq.list_workers()", workers_of, self._own())

    def _own(self) -> Connection:
        here = os.getpid()
        if self._opened_by is None:
            self._opened_by = here
        elif self._opened_by != here:
            raise ConfigurationError(
                f"this SyncClient was opened by process {self._opened_by}, and this is {here} (a fork): a connection "
                "cannot be shared by two processes; open a client of its own here, or use naq.enqueue_sync(...)"
            )
        return self._connection
