"""What a middleware is, and what it sees of a job that is about to be stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from naq.context import Context
from naq.job import Priority

Store = Callable[[], Awaitable[None]]
Call = Callable[[], Awaitable[Any]]


class NewJob(Struct, kw_only=True, eq=False):
    """A job on its way to the backend: checked and encoded, not stored yet.

    Attributes:
        id, task, queue, priority: which job.
        args, kwargs: as they were given; what is done to them changes nothing, they are encoded already.
        run_at: UNIX seconds before which it does not run, or None.
        headers: travel with the job, readable to everybody: tags, trace context, and what a middleware adds. Names
            are letters, digits and dashes; values printable ASCII; together at most `max_headers` bytes.
        duplicate: after ``call_next``: whether the id was taken, so that nothing was added. None before.
    """

    id: str
    task: str
    queue: str
    priority: Priority
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    run_at: float | None
    headers: dict[str, str]
    duplicate: bool | None = None


class Middleware:
    """Derive from it and override one method or both; what is not overridden costs nothing.

    One object serves all jobs of an app, on several event loops where `enqueue_sync` is used: keep nothing in it that
    belongs to one loop. What it raises is raised to the caller of `enqueue`, or is the outcome of the attempt.

    Attributes:
        wants_links: whether `Context.links` is to be filled: for a job that waited for others, a read of their records.
    """

    wants_links: bool = False

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
        """Around storing `jobs`: one for `enqueue`, several for `enqueue_many`. Stored when `call_next()` returns."""
        _ = jobs
        await call_next()

    async def run(self, context: Context, call_next: Call) -> Any:
        """Around one attempt: `call_next()` runs the task and returns or raises what it does.

        What this returns or raises counts instead. `asyncio.CancelledError` means that the attempt was interrupted
        (cancel, timeout, shutdown): clean up and let it pass; nothing made of it changes how the job ends.
        """
        _ = context
        return await call_next()
