"""Log lines on stderr: readable ones for people, JSON lines for machines."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final, Literal

from naq.exceptions import ConfigurationError

Format = Literal["text", "json"]

LEVELS: Final = ("debug", "info", "warning", "error")
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
    """One JSON object a line: time, level, logger, message, and every extra field of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback is a field of it."""
        said: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said.update((name, value) for name, value in vars(record).items() if name not in _OWN)
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, default=repr, ensure_ascii=False)


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
