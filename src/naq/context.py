"""The running job, seen from inside its task."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar, Token
from typing import Any, Final

from msgspec import Struct

from naq import clock
from naq.exceptions import NaqException

_current: Final[ContextVar[Context]] = ContextVar("naq_context")


class Context(Struct, kw_only=True, eq=False):
    """The job that runs here. The worker makes one for every attempt; tasks read it with `current_context()`.

    Attributes:
        job_id, task, queue: which job.
        attempt: which attempt this is, from 1; `max_attempts` is the last one the retry policy allows.
        run: which run of the job, from 1; grows when a person runs a finished job again.
        tags: what the producer tagged the job with.
        enqueued_at: UNIX seconds.
        deadline: `naq.clock.monotonic` seconds at which the attempt times out, or None.
        is_cancelled: whether somebody cancelled the job. A coroutine is cancelled as well; a thread has to look.
        parent, root: the job that enqueued this one, and the first of that line; empty where there is none.
        headers: all that travels beside the job's arguments: tags and trace context as they are on the wire, and what
            middleware added.
    """

    job_id: str
    task: str
    queue: str = "default"
    attempt: int = 1
    max_attempts: int = 1
    run: int = 1
    tags: dict[str, str] = {}
    enqueued_at: float = 0.0
    deadline: float | None = None
    is_cancelled: bool = False
    parent: str = ""
    root: str = ""
    headers: dict[str, str] = {}

    @property
    def logger(self) -> JobLogger:
        """A logger named ``naq.task.<task>`` whose records carry job_id, task, queue and attempt."""
        fields = {"job_id": self.job_id, "task": self.task, "queue": self.queue, "attempt": self.attempt}
        return JobLogger(logging.getLogger(f"naq.task.{self.task}"), fields)

    def remaining(self) -> float | None:
        """Seconds until the attempt times out, never below 0; None where it has no timeout."""
        return None if self.deadline is None else max(0.0, self.deadline - clock.monotonic())


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the job's fields to every record, beside whatever ``extra`` the call brings."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the fields; the call's own win. The standard adapter drops those before Python 3.13."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def current_context() -> Context:
    """The context of the job that runs here: in its coroutine, what that awaits or starts, or its thread.

    Raises:
        NaqException: no job runs here.
    """
    context = _current.get(None)
    if context is None:
        raise NaqException(
            "no job runs here: current_context() works inside a task that a worker runs. "
            "Threads that a task starts by itself need contextvars.copy_context().run(...)"
        )
    return context


def find_context() -> Context | None:
    """`current_context`, or None outside a job."""
    return _current.get(None)


def set_context(context: Context) -> Token[Context]:
    """Make `context` current in this `contextvars` context; for workers. `reset_context` undoes it."""
    return _current.set(context)


def reset_context(token: Token[Context]) -> None:
    """What was current before the `set_context` that returned `token`."""
    _current.reset(token)
