"""Functions to call at moments in a job's life: which there are, what they take, and where they are kept."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeVar

from naq.context import Context
from naq.exceptions import ConfigurationError
from naq.job import AttemptError, JobRecord

Reply = Awaitable[object] | None
OnStart = Callable[[Context], Reply]
OnSuccess = Callable[[Context, Any], Reply]
OnFailure = Callable[[Context, AttemptError], Reply]
OnRetry = Callable[[Context, AttemptError, float], Reply]
OnComplete = Callable[[Context, JobRecord], Reply]
Moment = Literal["on_start", "on_success", "on_failure", "on_retry", "on_complete"]
C = TypeVar("C", bound=Callable[..., Reply])

#: What the callbacks of each moment are called with, by position.
TAKES: Final[dict[Moment, tuple[str, ...]]] = {
    "on_start": ("context",),
    "on_success": ("context", "result"),
    "on_failure": ("context", "error"),
    "on_retry": ("context", "error", "delay"),
    "on_complete": ("context", "record"),
}


class Callbacks:
    """The callbacks of one task, or of a whole app, by moment; in the order in which they were added.

    Attributes:
        used: whether there are any: all that a worker looks at otherwise.
    """

    __slots__ = ("_by_moment", "_where", "used")

    def __init__(self, where: str) -> None:
        self._where = where
        self._by_moment: dict[Moment, tuple[Callable[..., Reply], ...]] = {}
        self.used = False

    def add(self, moment: Moment, callback: C) -> C:
        """Call `callback` at `moment`; returned as it is.

        Raises:
            ConfigurationError: it does not take what callbacks of this moment are called with.
        """
        check_callback(self._where, moment, callback)
        self._by_moment[moment] = (*self.at(moment), callback)
        self.used = True
        return callback

    def add_all(self, settings: Mapping[str, Any]) -> None:
        """Add those that `settings` names, leaving out None.

        Raises:
            ConfigurationError: as `add`.
        """
        for moment in TAKES:
            if (callback := settings.get(moment)) is not None:
                self.add(moment, callback)

    def at(self, moment: Moment) -> tuple[Callable[..., Reply], ...]:
        """What to call at `moment`."""
        return self._by_moment.get(moment, ())


def check_callback(where: str, moment: Moment, callback: object) -> None:
    """Whether `callback` can be called at `moment`. `where` begins the error.

    Raises:
        ConfigurationError: it cannot.
    """
    takes = TAKES[moment]
    wanted = f"{where}: a callback for {moment} is called with ({', '.join(takes)})"
    if not callable(callback):
        raise ConfigurationError(f"{wanted}, and {callback!r} cannot be called at all")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):  # built in, without a signature to look at
        return
    try:
        signature.bind(*takes)
    except TypeError as error:
        name = getattr(callback, "__qualname__", repr(callback))
        raise ConfigurationError(f"{wanted}, which {name}{signature} does not take: {error}") from None
