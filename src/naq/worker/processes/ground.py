"""What the code inside a job stands on in a child: notes go to the worker, questions to its app's connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from naq import sync
from naq.connections import Host, on_bridge
from naq.exceptions import ConfigurationError
from naq.worker.processes.messages import Noted, ToWorker

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config
    from naq.context import Context
    from naq.inside.notes import Line

T = TypeVar("T")


class ChildGround:
    """A `naq.inside.ground.Ground` for the jobs of `host` in this process; also their `Notes`."""

    def __init__(self, host: Host, send: Callable[[ToWorker], None]) -> None:
        self._host: Final = host
        self._send = send

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self._host.config

    def notes(self, context: Context) -> ChildGround:  # noqa: ARG002  a child runs one job at a time
        """See `Ground.notes`."""
        return self

    def progress(self, value: float | None, message: str | None) -> None:
        """See `Notes.progress`."""
        self._send(Noted(value=value, message=message))

    def metric(self, name: str, value: float) -> None:
        """See `Notes.metric`."""
        self._send(Noted(value=value, metric=name))

    def line(self, line: Line) -> None:
        """See `Notes.line`."""
        self._send(Noted(line=line))

    async def ask(self, act: Callable[[Backend], Awaitable[T]]) -> T:
        """See `Ground.ask`."""
        self._check()
        return await act(await self._host.connect())

    def ask_sync(self, instead: str, act: Callable[[Backend], Awaitable[T]]) -> T:
        """See `Ground.ask_sync`."""
        self._check()
        return sync.run(instead, self._ask_on_bridge, act)

    async def _ask_on_bridge(self, act: Callable[[Backend], Awaitable[T]]) -> T:
        return await act(await on_bridge(self._host).connect())

    def _check(self) -> None:
        url = self.config.broker_url
        if url.startswith("memory:"):
            raise ConfigurationError(
                f"jobs of {url!r} live in the memory of the worker's process, so that one in a child process can keep "
                "nothing there: leave executor='process' out, or use embedded:.naq"
            )
