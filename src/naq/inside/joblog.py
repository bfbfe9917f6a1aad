"""Log lines of running jobs, kept with them: a logging handler that knows whose line it is."""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

from naq.context import find_context, notes_of
from naq.inside.ground import find_ground
from naq.inside.notes import Line

#: Our own loggers say nothing that is a job's, but for those that jobs are given.
_OURS, _JOBS = "naq.", "naq.task."
_TRACEBACKS: Final = logging.Formatter()


class JobLogHandler(logging.Handler):
    """Keeps what is logged inside a job, in its coroutine, its thread, or its process. All else passes by."""

    def __init__(self) -> None:
        super().__init__()
        self._last = threading.local()  # by thread: a record passes all handlers in one

    def emit(self, record: logging.LogRecord) -> None:
        """Keep `record`, if a job's code logged it."""
        context = find_context()
        if context is None or find_ground() is None:
            return
        if record.process != os.getpid():  # a child process said it, and has kept it itself
            return
        if record.name.startswith(_OURS) and not record.name.startswith(_JOBS):
            return
        if getattr(self._last, "record", None) is record:  # it comes by the root logger as well
            return
        self._last.record = record
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[0] is not None:
                text = f"{text}\n{_TRACEBACKS.formatException(record.exc_info)}"
            notes_of(context).line(Line(record.created, record.levelname, record.name, text))
        except Exception:  # noqa: BLE001  as every handler does: a record that cannot be shown stops nobody
            self.handleError(record)


_installed = 0
_lock: Final = threading.Lock()
_handler: Final = JobLogHandler()
_LOGGERS: Final = ("", "naq")  # naq's own may be kept from the root by whoever set logging up


def install() -> None:
    """Keep log lines from now on; once for every `remove`."""
    global _installed
    with _lock:
        _installed += 1
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(_handler)  # nothing, where it is there


def remove() -> None:
    """Undo one `install`."""
    global _installed
    with _lock:
        _installed -= 1
        if not _installed:
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(_handler)
