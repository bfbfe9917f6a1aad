"""Reporting what tasks raise to a service that collects errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from naq.context import Context
from naq.exceptions import TaskTimeoutError
from naq.middleware.base import Call, Middleware
from naq.middleware.ends import read_end

log = logging.getLogger("naq.middleware")

Report = Callable[[BaseException, Context], object]


class ErrorReporting(Middleware):
    """Calls ``report(error, context)`` for every attempt that failed, on the event loop: it must not block.

    Errors reach it as they were raised, with their tracebacks; a timeout as `TaskTimeoutError`; what a task in a child
    process raised as `JobExecutionError`, whose ``error`` is the original as data. What a task raises to say how its
    job goes on (`SnoozeJob` and so on), and interruptions, are no errors. A report that fails is logged.

    Args:
        report: such as ``lambda error, context: sentry_sdk.capture_exception(error)``.
        last_only: whether to leave out attempts that the retry policy may follow with another.
    """

    def __init__(self, report: Report, *, last_only: bool = False) -> None:
        self._report = report
        self._last_only = last_only

    async def run(self, context: Context, call_next: Call) -> Any:
        """Report what the attempt raised, and raise it."""
        try:
            return await call_next()
        except BaseException as error:
            if not self._last_only or context.attempt >= context.max_attempts:
                self._tell(error, context)
            raise

    def _tell(self, error: BaseException, context: Context) -> None:
        end = read_end(error, context)
        if end == "timeout":
            told: BaseException = TaskTimeoutError(
                f"task {context.task!r} ran longer than its timeout", job_id=context.job_id
            ).with_traceback(error.__traceback__)
        elif end == "raised":
            told = error
        else:
            return
        try:
            self._report(told, context)
        except Exception:  # whoever collects errors must not make any
            log.exception("reporting an error of task %s (job %s) failed", context.task, context.job_id)
