"""A log line for every enqueue and every attempt."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from naq import clock
from naq.context import Context
from naq.middleware.base import Call, Middleware, NewJob, Store
from naq.middleware.ends import read_end


class Logging(Middleware):
    """Says what was enqueued and what was run, on `logger` at `level`; failures at WARNING.

    A worker logs its jobs anyway (``naq.worker.jobs``); this one also speaks in producers, and within the attempt,
    where the context variables of other middlewares (a trace, a tenant) are set. The fields of the records are
    ``event``, ``job_id``, ``task``, ``queue``, ``attempt`` and ``seconds``. Arguments and results are never logged.
    """

    def __init__(self, logger: logging.Logger | None = None, *, level: int = logging.INFO) -> None:
        self._log = logging.getLogger("naq.jobs") if logger is None else logger
        self._level = level

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
        """One line a job, once it is stored."""
        await call_next()
        if not self._log.isEnabledFor(self._level):
            return
        for job in jobs:
            event = "duplicate" if job.duplicate else "enqueued"
            fields = {"event": event, "job_id": job.id, "task": job.task, "queue": job.queue}
            self._log.log(self._level, "%s %s  job %s on %s", event, job.task, job.id, job.queue, extra=fields)

    async def run(self, context: Context, call_next: Call) -> Any:
        """One line an attempt, once it has ended."""
        began = clock.monotonic()
        try:
            value = await call_next()
        except BaseException as error:
            end = read_end(error, context)
            level = logging.WARNING if end in {"raised", "timeout"} else self._level
            self._say(level, context, end, began, f" {type(error).__name__}")
            raise
        self._say(self._level, context, "returned", began, "")
        return value

    def _say(self, level: int, context: Context, event: str, began: float, what: str) -> None:
        if not self._log.isEnabledFor(level):
            return
        seconds = clock.monotonic() - began
        fields = {
            "event": event,
            "job_id": context.job_id,
            "task": context.task,
            "queue": context.queue,
            "attempt": context.attempt,
            "seconds": round(seconds, 6),
        }
        text = "%s %s%s  job %s, attempt %d, %.0f ms"
        self._log.log(
            level, text, context.task, event, what, context.job_id, context.attempt, seconds * 1000, extra=fields
        )
