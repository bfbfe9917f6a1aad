"""Log lines on stderr: readable ones for people, JSON lines for machines, with the names of docs/logging.md."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final, Literal, cast

from naq.exceptions import ConfigurationError

Format = Literal["text", "json"]

LEVELS: Final = ("debug", "info", "warning", "error")
#: The Elastic Common Schema whose names these are.
ECS_VERSION: Final = "8.11.0"
#: Fields of naq's own records, and those that log integrations of OpenTelemetry put beside them -> their names.
FIELDS: Final = {
    "job_id": "naq.job_id",
    "task": "naq.task",
    "queue": "naq.queue",
    "attempt": "naq.attempt",
    "worker": "naq.worker",
    "queues": "naq.queues",
    "concurrency": "naq.concurrency",
    "broker": "naq.broker",
    "app": "naq.app",
    "processes": "naq.processes",
    "health_port": "naq.health_port",
    "request_id": "http.request.id",
    "trace_id": "trace.id",
    "otelTraceID": "trace.id",
    "otelSpanID": "span.id",
    "otelServiceName": "service.name",
}
#: What those integrations say outside of a span.
NO_SPAN: Final = "0"
#: What an event (``event.action``) came to, as far as that is one of two things.
OUTCOMES: Final = {
    "succeeded": "success",
    "returned": "success",
    "failed": "failure",
    "retrying": "failure",
    "rejected": "failure",
    "raised": "failure",
    "timeout": "failure",
}
#: What every line says that is logged within it, beside its own fields: the request of a server, for one.
about: Final[ContextVar[Mapping[str, object]]] = ContextVar("naq_logs", default=MappingProxyType({}))
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET: Final = "naq.worker"  # loggers whose lines need no name in front of them


class TextFormatter(logging.Formatter):
    """``12:04:01  message``; the level where it is worth a word, and the logger where it is not the worker's own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback where there is one."""
        name = "" if record.name.startswith(_QUIET) else f"{record.name}: "
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING and not _is_job(record) else ""
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))}  {level}{name}{record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the field names of the Elastic Common Schema; docs/logging.md lists them.

    What a record brings beside its message (``extra``) comes as ``naq.<name>`` where naq knows the name, unchanged
    where it is a name of that schema (one with a dot), else as ``labels.<name>``: a field of its own at the top would
    collide with the schema's objects, and a log store drops the line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback is a field of it."""
        said: dict[str, object] = {
            "@timestamp": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "log.level": record.levelname.lower(),
            "message": record.getMessage(),
            "ecs.version": ECS_VERSION,
            "log.logger": record.name,
            "process.pid": record.process,
            "process.thread.name": record.threadName,
        }
        if record.levelno >= logging.WARNING:
            said["log.origin.file.name"] = record.filename
            said["log.origin.file.line"] = record.lineno
            said["log.origin.function"] = record.funcName
        if record.exc_info and record.exc_info[1] is not None:
            said |= _error(record.exc_info[1], self.formatException(record.exc_info))
        elif record.stack_info:
            said["error.stack_trace"] = record.stack_info
        for name, value in {**about.get(), **vars(record)}.items():
            if name not in _OWN:
                _add(said, name, value)
        line = json.dumps(said, default=repr, ensure_ascii=False, separators=(",", ":"))
        return line.encode("utf-8", "backslashreplace").decode()  # half a character, as JSON writes it


def _error(error: BaseException, trace: str) -> dict[str, object]:
    kind = type(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  an error of the user's may fail to say what it is; its line must not fail as well
        text = "<exception str() failed>"
    return {"error.type": f"{kind.__module__}.{kind.__qualname__}", "error.message": text, "error.stack_trace": trace}


def _add(said: dict[str, object], name: str, value: object) -> None:
    """Put an extra field of a record where it belongs; what is said already stays."""
    if name == "event" and isinstance(value, str):
        said["event.action"] = value
        if (outcome := OUTCOMES.get(value)) is not None:
            said["event.outcome"] = outcome
    elif name == "seconds" and isinstance(value, int | float):
        said["event.duration"] = int(value * 1_000_000_000)
    elif name in FIELDS:
        if value != NO_SPAN or not name.startswith("otel"):
            said[FIELDS[name]] = _plain(value)
    elif "." in name:
        said.setdefault(name, _plain(value))
    else:
        said[f"labels.{name}"] = value if isinstance(value, bool | int | str) else _text(value)


def _plain(value: object) -> object:
    """`value`, unless JSON has no such number."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> object:
    """A label: they hold plain values only, so what has parts comes as JSON text."""
    if value is None or isinstance(value, float):
        return _plain(value)
    if not isinstance(value, dict | list | tuple):
        return repr(value)
    try:
        return json.dumps(value, default=repr, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, circles
        return repr(cast("object", value))


def handler(form: Format | None = None) -> tuple[logging.Handler, Format]:
    """What writes log lines to stderr as `form` (default: text for a terminal, else JSON); and the form chosen."""
    chosen: Format = form or ("text" if sys.stderr.isatty() else "json")
    made = logging.StreamHandler(sys.stderr)
    made.setFormatter(TextFormatter() if chosen == "text" else JsonFormatter())
    return made, chosen


def check_level(name: str, level: str) -> str:
    """`level` as `logging` knows it; `name` is what the setting is called.

    Raises:
        ConfigurationError: there is no such level.
    """
    if level.lower() not in LEVELS:
        raise ConfigurationError(f"{name} is {level!r}; use one of {', '.join(LEVELS)}")
    return level.upper()


def setup_logging(level: str = "info", form: Format | None = None) -> None:
    """Show what naq and the loggers of running jobs say, on stderr from `level` on; doing it again replaces it.

    For scripts. A program that sets up `logging` itself needs nothing: the loggers are ``naq`` and below. The root
    logger, and so what everybody else logs, is left alone.

    Args:
        level: debug, info, warning or error.
        form: "text" (for people) or "json" (one object a line); default: text on a terminal, else JSON.

    Raises:
        ConfigurationError: there is no such level.
    """
    chosen = check_level("level", level)
    ours = logging.getLogger("naq")
    for old in [each for each in ours.handlers if isinstance(each.formatter, TextFormatter | JsonFormatter)]:
        ours.removeHandler(old)
    ours.addHandler(handler(form)[0])
    ours.setLevel(chosen)
    ours.propagate = False  # else a root logger that has a handler says everything twice


def _is_job(record: logging.LogRecord) -> bool:
    return hasattr(record, "job_id") and record.name.startswith(_QUIET)
