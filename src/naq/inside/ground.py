"""What the code inside a job stands on: a worker, or the child process that it runs in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from naq.exceptions import NaqException

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config
    from naq.context import Context
    from naq.inside.notes import Line

T = TypeVar("T")


class Notes(Protocol):
    """Takes what an attempt says of itself and nobody waits for; from any thread, and never waits itself."""

    def progress(self, value: float | None, message: str | None) -> None:
        """It has come so far (0 to 1; None: as before), in words (None: as before)."""
        ...

    def metric(self, name: str, value: float) -> None:
        """It has measured something."""
        ...

    def line(self, line: Line) -> None:
        """It has logged something."""
        ...


class Ground(Protocol):
    """Where jobs run."""

    @property
    def config(self) -> Config:
        """The settings in force."""
        ...

    def notes(self, context: Context) -> Notes:
        """What takes the notes of this attempt."""
        ...

    async def ask(self, act: Callable[[Backend], Awaitable[T]]) -> T:
        """What `act` returns, given a backend; from any event loop."""
        ...

    def ask_sync(self, instead: str, act: Callable[[Backend], Awaitable[T]]) -> T:
        """The same for a thread without an event loop.

        Raises:
            ConfigurationError: there is one; `instead` is what to write.
        """
        ...


_ground: Final[ContextVar[Ground]] = ContextVar("naq_ground")


def set_ground(ground: Ground) -> None:
    """Let whatever is started from here on stand on `ground`."""
    _ground.set(ground)


def current_ground() -> Ground:
    """What the running job stands on.

    Raises:
        NaqException: no job runs here.
    """
    ground = _ground.get(None)
    if ground is None:
        raise NaqException(
            "no worker runs this: what a job reports and keeps needs one. In a test, run the job with a worker on "
            "broker_url='memory:'"
        )
    return ground


def find_ground() -> Ground | None:
    """`current_ground`, or None outside a worker."""
    return _ground.get(None)
