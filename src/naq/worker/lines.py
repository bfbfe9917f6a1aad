"""The lines that every job has in the log, written without `logging`'s machinery where nobody would see a difference.

At ten thousand jobs a second two records a job, each with its stack walk, its formatter and its dictionary, cost more
than running the jobs. Where exactly one handler would write the line, and it is naq's own, `Lines` writes what that
handler would have written; wherever anybody else listens, filters, or makes records of their own, `logging` does it.

JSON lines of one turn of the event loop are put into words and written together, and after what the turn sends: a job
starts, and its outcome is told, before its lines are. People see theirs at once: whoever watches wants to see a task
begin before it blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
import time
from typing import Any, Final, NamedTuple, cast

from naq.inside.joblog import JobLogHandler
from naq.logs import ECS_VERSION, JsonFormatter, TextFormatter

FORM: Final = "%s %s  %s  %s"  # a sign, the task, the job's id, what there is to say
_FACTORY: Final = logging.getLogRecordFactory()
_OURS: Final = (TextFormatter, JsonFormatter)
_ACTIONS: Final = {
    "started": '"event.action":"started"',
    "succeeded": '"event.action":"succeeded","event.outcome":"success"',
}
_SIGNS: Final = {"started": "▶", "succeeded": "✓"}


class Line(NamedTuple):
    """What there is to say of a job that begins, or has succeeded.

    Names and ids are of the characters that `naq.names` allows: nothing in them has to be escaped. `last` is the number
    of its last attempt, `waited` the seconds since it could have begun (None: not known), `seconds` how long it took
    (None where it begins), `trace` the id of its trace.
    """

    event: str
    task: str
    job_id: str
    queue: str
    attempt: int
    last: int = 1
    waited: float | None = None
    seconds: float | None = None
    trace: str = ""

    @property
    def sign(self) -> str:
        """What people see first."""
        return _SIGNS[self.event]

    @property
    def text(self) -> str:
        """What there is to say, in words."""
        if self.seconds is not None:
            return span(self.seconds)
        waited = "" if self.waited is None else f"  waited {span(self.waited)}"
        return f"attempt {self.attempt}/{self.last}{waited}"


class Lines:
    """Writes INFO lines of one logger, in the event loop that it was made in."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._chain = _chain(logger)
        self._handler: logging.Handler | None = None  # the last one that was looked at, and the file it writes to
        self._file: int | None = None
        self._waiting: list[tuple[float, Line]] = []
        self._loop = asyncio.get_running_loop()
        self._second = -1
        self._stamp = ""
        # What is the same in every line: see `JsonFormatter`, whose names and order these are.
        self._start = (
            f'"ecs.version":"{ECS_VERSION}","log.logger":{json.dumps(logger.name)},"process.pid":{os.getpid()},'
        )
        self._start += f'"process.thread.name":{json.dumps(threading.current_thread().name, ensure_ascii=False)},'

    def say(self, line: Line) -> None:
        """Log `line` at INFO."""
        if self._waiting:  # who listens was found out when the first of them came
            self._waiting.append((time.time(), line))  # the time that log records have
            return
        handler = self._only()
        if handler is None or (file := self._open(handler)) is None:
            self._logger.info(FORM, line.sign, line.task, line.job_id, line.text, extra=_fields(line))
        elif type(handler.formatter) is JsonFormatter:
            self._waiting.append((time.time(), line))
            self._loop.call_soon(self._loop.call_soon, self.flush)  # what was sent meanwhile goes first
        else:
            _write(file, f"{time.strftime('%H:%M:%S')}  {line.sign} {line.task}  {line.job_id}  {line.text}\n")

    def flush(self) -> None:
        """Write what waits; before anything else is logged that should stand behind it."""
        if self._waiting:
            text = "".join([self._json(at, line) for at, line in self._waiting])
            self._waiting.clear()
            if self._file is not None:
                _write(self._file, text)

    def _json(self, now: float, line: Line) -> str:
        event, task, job_id, queue, attempt, _, _, seconds, trace = line
        if (second := int(now)) != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        more = "" if seconds is None else f',"event.duration":{int(seconds * 1_000_000_000)}'
        if trace:
            more += f',"trace.id":"{trace}"'
        return (
            f'{{"@timestamp":"{self._stamp}.{int((now - second) * 1000):03d}Z","log.level":"info",'
            f'"message":"{line.sign} {task}  {job_id}  {line.text}",{self._start}{_ACTIONS[event]},'
            f'"naq.job_id":"{job_id}","naq.task":"{task}","naq.queue":"{queue}","naq.attempt":{attempt}{more}}}\n'
        )

    def _only(self) -> logging.Handler | None:
        """The one handler that would write the line, if it is naq's own and nothing stands before it."""
        found: logging.Handler | None = None
        for logger in self._chain:
            if logger.filters:
                return None
            for handler in logger.handlers:
                if type(handler) is JobLogHandler:
                    continue  # it keeps what jobs say, and passes by what is said of them
                if found is not None:
                    return None
                found = handler
            if not logger.propagate:
                break
        if found is None or type(found.formatter) not in _OURS or found.filters or found.level > logging.INFO:
            return None
        return found if logging.getLogRecordFactory() is _FACTORY else None

    def _open(self, handler: logging.Handler) -> int | None:
        """The file that `handler` writes to, where it is one."""
        if handler is not self._handler:
            self._handler, self._file = handler, None
            if type(handler) is logging.StreamHandler:
                stream: Any = cast("Any", handler).stream
                try:
                    self._file = stream.fileno()
                except (AttributeError, OSError, ValueError):
                    self._file = None  # not a file, or closed
        return self._file


def span(seconds: float) -> str:
    """A duration for people."""
    if seconds < 1:
        return f"{max(seconds, 0.0) * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min"


def _write(file: int, text: str) -> None:
    """Write `text`, whole: handlers flush what they write, so nothing of theirs lies before it."""
    rest = text.encode()
    with contextlib.suppress(OSError):  # nobody is left to be told
        while rest := rest[os.write(file, rest) :]:
            pass


def _fields(line: Line) -> dict[str, Any]:
    """What goes beside the message of a record."""
    fields: dict[str, Any] = {
        "event": line.event,
        "job_id": line.job_id,
        "task": line.task,
        "queue": line.queue,
        "attempt": line.attempt,
    }
    if line.seconds is not None:
        fields["seconds"] = line.seconds
    if line.trace:
        fields["trace_id"] = line.trace
    return fields


def _chain(logger: logging.Logger) -> list[logging.Logger]:
    """The logger and all above it, root last."""
    found: list[logging.Logger] = []
    each: logging.Logger | None = logger
    while each is not None:
        found.append(each)
        each = each.parent
    return found
