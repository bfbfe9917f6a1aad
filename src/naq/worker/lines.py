"""The lines that every job has in the log, written without `logging`'s machinery where nobody would see a difference.

At ten thousand jobs a second two records a job, each with its stack walk, its formatter and its dictionary, cost more
than running the jobs. Where exactly one handler would write the line, and it is naq's own, `Lines` writes what that
handler would have written; wherever anybody else listens, filters, or makes records of their own, `logging` does it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, TextIO, cast

import msgspec

from naq.logs import ECS_VERSION, FIELDS, OUTCOMES, JsonFormatter, TextFormatter

FORM: Final = "%s %s  %s  %s"  # a sign, the task, the job's id, what there is to say
_encode: Final = msgspec.json.Encoder().encode
_FACTORY: Final = logging.getLogRecordFactory()


class Lines:
    """Writes INFO lines of one logger; used from the worker's event loop only."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._chain = _chain(logger)
        self._second = -1
        self._stamp = ""

    def say(self, sign: str, task: str, job_id: str, text: str, fields: Mapping[str, Any]) -> None:
        """Log `text` about a job at INFO, with `fields` beside it."""
        handler = self._only()
        line = None if handler is None else self._line(handler, FORM % (sign, task, job_id, text), fields)
        if handler is None or line is None:
            self._logger.info(FORM, sign, task, job_id, text, extra=fields)
            return
        handler.acquire()
        try:
            handler.stream.write(line)
            handler.stream.flush()
        except OSError:
            pass  # as a handler whose stream is gone: nobody is left to be told
        finally:
            handler.release()

    def _only(self) -> logging.StreamHandler[TextIO] | None:
        """The one handler that would write the line, if it is naq's own and nothing stands before it."""
        found: logging.Handler | None = None
        for logger in self._chain:
            if logger.filters or len(logger.handlers) > 1:
                return None
            if logger.handlers:
                if found is not None:
                    return None
                found = logger.handlers[0]
            if not logger.propagate:
                break
        if (
            type(found) is not logging.StreamHandler
            or type(found.formatter) not in _OURS  # pyright: ignore[reportUnknownMemberType]
            or found.filters  # pyright: ignore[reportUnknownMemberType]
            or found.level > logging.INFO  # pyright: ignore[reportUnknownMemberType]
            or logging.getLogRecordFactory() is not _FACTORY
        ):
            return None
        return cast("logging.StreamHandler[TextIO]", found)

    def _line(self, handler: logging.Handler, text: str, fields: Mapping[str, Any]) -> str | None:
        if type(handler.formatter) is TextFormatter:
            return f"{time.strftime('%H:%M:%S')}  {text}\n"
        try:
            return self._json(text, fields)
        except UnicodeEncodeError:
            return None  # half a character in somebody's reason: the formatter knows what to make of it

    def _json(self, text: str, fields: Mapping[str, Any]) -> str:
        now = time.time()  # as log records do
        if (second := int(now)) != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        said: dict[str, object] = {
            "@timestamp": f"{self._stamp}.{int((now - second) * 1000):03d}Z",
            "log.level": "info",
            "message": text,
            "ecs.version": ECS_VERSION,
            "log.logger": self._logger.name,
            "process.pid": os.getpid(),
            "process.thread.name": threading.current_thread().name,
        }
        for name, value in fields.items():
            if name == "event":
                said["event.action"] = value
                if (outcome := OUTCOMES.get(value)) is not None:
                    said["event.outcome"] = outcome
            elif name == "seconds":
                said["event.duration"] = int(value * 1_000_000_000)
            else:
                said[FIELDS[name]] = value
        return _encode(said).decode() + "\n"


_OURS: Final = (TextFormatter, JsonFormatter)


def _chain(logger: logging.Logger) -> list[logging.Logger]:
    """The logger and all above it, root last."""
    found: list[logging.Logger] = []
    each: logging.Logger | None = logger
    while each is not None:
        found.append(each)
        each = each.parent
    return found
