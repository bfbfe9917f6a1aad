"""Log records on their way from a child to the handlers of its worker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from naq.worker.processes.messages import Said

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN: Final = (str, int, float, bool, type(None))
_TRACEBACKS: Final = logging.Formatter()


class LinkHandler(logging.Handler):
    """Sends records to the worker, as data; values that are not plain go as their repr."""

    def __init__(self, send: Callable[[Said], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send `record`."""
        try:
            self._send(_said(record))
        except OSError:  # the worker has gone; this process ends as well
            return
        except Exception:  # noqa: BLE001  as every handler does: a record that cannot be shown stops nobody
            self.handleError(record)


def levels() -> dict[str, int]:
    """The levels that were set in this process, by logger; the root's under ""."""
    root = logging.getLogger()
    found = {"": root.level}
    for name, logger in list(root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level:
            found[name] = logger.level
    return found


def say(said: Said, pid: int) -> None:
    """Log in this process what the child `pid` said."""
    logger = logging.getLogger(said.name)
    if not logger.isEnabledFor(said.level):
        return
    path, line, function = said.where
    record = logger.makeRecord(said.name, said.level, path, line, said.text, (), None, function)
    vars(record).update(said.fields, created=said.created, msecs=said.created % 1 * 1000, process=pid)
    logger.handle(record)


def _said(record: logging.LogRecord) -> Said:
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{_TRACEBACKS.formatException(record.exc_info)}"
    return Said(
        name=record.name,
        level=record.levelno,
        text=text,
        created=record.created,
        where=(record.pathname, record.lineno, record.funcName),
        fields={
            name: value if isinstance(value, _PLAIN) else repr(value)
            for name, value in vars(record).items()
            if name not in _OWN
        },
    )
