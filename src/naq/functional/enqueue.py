"""Enqueueing a function, now, at a time, or after a delay, without making a `Queue` first."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from naq import sync
from naq.functional.queue import Queue
from naq.handle import Job
from naq.task.retries import RetryDelay

if TYPE_CHECKING:
    from naq.task.options import DependsOn

R = TypeVar("R")


async def enqueue(
    func: Callable[..., Coroutine[Any, Any, R] | R],
    /,
    *args: Any,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    depends_on: DependsOn = None,
    **kwargs: Any,
) -> Job[R]:
    """Store one job that calls ``func(*args, **kwargs)`` in the queue `queue_name`; see `Queue.enqueue`.

    Raises:
        NaqException: as `Queue.enqueue`.
    """
    queue = Queue(queue_name, nats_url)
    return await queue.enqueue(
        func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
    )


def enqueue_sync(
    func: Callable[..., Coroutine[Any, Any, R] | R],
    /,
    *args: Any,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    depends_on: DependsOn = None,
    **kwargs: Any,
) -> Job[R]:
    """`enqueue` for code without an event loop; safe in threads."""
    sync.refuse_on_loop("await naq.enqueue(...)")
    queue = Queue(queue_name, nats_url)
    return queue.enqueue_sync(
        func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
    )


async def enqueue_at(
    dt: datetime | float,
    func: Callable[..., Coroutine[Any, Any, R] | R],
    /,
    *args: Any,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    depends_on: DependsOn = None,
    **kwargs: Any,
) -> Job[R]:
    """As `enqueue`, but it does not run before `dt`: a datetime (naive means local time) or UNIX seconds."""
    queue = Queue(queue_name, nats_url)
    return await queue.enqueue_at(
        dt, func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
    )


def enqueue_at_sync(
    dt: datetime | float,
    func: Callable[..., Coroutine[Any, Any, R] | R],
    /,
    *args: Any,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    depends_on: DependsOn = None,
    **kwargs: Any,
) -> Job[R]:
    """`enqueue_at` for code without an event loop; safe in threads."""
    sync.refuse_on_loop("await naq.enqueue_at(...)")
    queue = Queue(queue_name, nats_url)
    return queue.enqueue_at_sync(
        dt, func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
    )


async def enqueue_in(
    delta: timedelta | float,
    func: Callable[..., Coroutine[Any, Any, R] | R],
    /,
    *args: Any,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    depends_on: DependsOn = None,
    **kwargs: Any,
) -> Job[R]:
    """As `enqueue`, but it does not run before `delta` (a timedelta or seconds) has passed."""
    queue = Queue(queue_name, nats_url)
    return await queue.enqueue_in(
        delta, func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
    )


def enqueue_in_sync(
    delta: timedelta | float,
    func: Callable[..., Coroutine[Any, Any, R] | R],
    /,
    *args: Any,
    queue_name: str = "default",
    nats_url: str | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    depends_on: DependsOn = None,
    **kwargs: Any,
) -> Job[R]:
    """`enqueue_in` for code without an event loop; safe in threads."""
    sync.refuse_on_loop("await naq.enqueue_in(...)")
    queue = Queue(queue_name, nats_url)
    return queue.enqueue_in_sync(
        delta, func, *args, max_retries=max_retries, retry_delay=retry_delay, depends_on=depends_on, **kwargs
    )
