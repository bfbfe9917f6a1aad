"""Exit codes, the same for every command (UX.md 4.2), and which error means which."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from naq.cli.errors import ConflictError, NotFoundError, UsageError
from naq.exceptions import (
    BackendError,
    ConfigurationError,
    JobCancelled,
    JobExecutionError,
    JobNotFoundError,
    NaqBackpressureError,
    NaqConnectionError,
    ResultTimeout,
    ScheduleNotFoundError,
    SerializationError,
)


class Exit(IntEnum):
    """What a command's exit code says."""

    DONE = 0
    FAILED = 1  # the thing asked about failed
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5  # the broker or the server
    FORBIDDEN = 6
    TIMEOUT = 7  # waiting took too long
    PARTLY = 8
    BUG = 70
    INTERRUPTED = 130


_BY_ERROR: Final[tuple[tuple[type[BaseException], Exit], ...]] = (
    (UsageError, Exit.USAGE),
    (NotFoundError, Exit.NOT_FOUND),
    (ConflictError, Exit.CONFLICT),
    (ConfigurationError, Exit.USAGE),
    (SerializationError, Exit.USAGE),
    (JobNotFoundError, Exit.NOT_FOUND),
    (ScheduleNotFoundError, Exit.NOT_FOUND),
    (NaqConnectionError, Exit.UNREACHABLE),
    (NaqBackpressureError, Exit.UNREACHABLE),
    (ResultTimeout, Exit.TIMEOUT),
    (JobExecutionError, Exit.FAILED),
    (JobCancelled, Exit.FAILED),
    (BackendError, Exit.FAILED),
    (KeyboardInterrupt, Exit.INTERRUPTED),
)


def exit_for(error: BaseException) -> Exit:
    """The code for a command that ended with `error`; what nobody foresaw is a bug."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.BUG)
