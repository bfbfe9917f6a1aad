"""Connections of code that has no app: one for each configuration, on each event loop that asks for it.

A backend belongs to the event loop that opened it. Code that has an app opens it there and says so
(``async with app:``). Functions called from anywhere cannot: they may be called from the program's loop, from another
thread's, or through the bridge of `naq.sync`, whose loop is one of its own. So a `Connection` keeps a backend for each.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from naq import sync
from naq.backends import from_url
from naq.codec.caution import caution
from naq.config import Config, load_config
from naq.config.load import PREFIX

if TYPE_CHECKING:
    from naq.backends.base import Backend, EnqueueResult
    from naq.job import JobSpec

#: As `naq.middleware.chain` has it, which lies above.
AroundEnqueue = Callable[[Sequence[Any], Callable[[], Awaitable[None]]], Awaitable[None]]


class Host(Protocol):
    """What jobs and tasks need to reach a backend: an app, or a `Connection`."""

    @property
    def config(self) -> Config:
        """The settings in force."""
        ...

    @property
    def around_enqueue(self) -> AroundEnqueue | None:
        """What runs around every enqueue, if anything does (`naq.middleware`)."""
        ...

    async def connect(self) -> Backend:
        """The backend, open on the running event loop."""
        ...


class Held:
    """A host over a backend that is open already and somebody else's: nothing runs around an enqueue."""

    def __init__(self, backend: Backend, config: Config) -> None:
        self.config: Final = config
        self._backend: Final = backend

    @property
    def around_enqueue(self) -> None:
        """Nothing."""
        return

    async def connect(self) -> Backend:
        """The backend."""
        return self._backend


class Hosted(Protocol):
    """What a worker runs beside its jobs, from its start to its end."""

    def start(self) -> None:
        """Begin, on the running event loop; the backend that it was made with is open."""
        ...

    async def stop(self) -> None:
        """End, and leave nothing behind; also where it never began."""
        ...


class Extension(Protocol):
    """What is built on an app without being a part of it (`Naq.extensions`)."""

    def hosted(self, backend: Backend) -> Hosted | None:
        """What every worker of the app is to run, for its `backend`; None: nothing.

        Raises:
            ConfigurationError: it cannot run here; the worker does not start.
        """
        ...


class _Place:
    """A connection on one event loop."""

    __slots__ = ("backend", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.backend: Backend | None = None


class Connection:
    """A configuration with an open backend on every event loop that asked for one. Safe in threads."""

    def __init__(self, config: Config) -> None:
        caution(config, "client")
        self._config: Final = config
        self._places: Final[dict[asyncio.AbstractEventLoop, _Place]] = {}

    def __repr__(self) -> str:
        return f"<Connection {self._config.broker_url.rpartition('@')[2]} {self._config.namespace}>"

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self._config

    @property
    def around_enqueue(self) -> None:
        """Nothing: middleware belongs to an app."""
        return

    async def connect(self) -> Backend:
        """The backend of the running event loop; the first call there opens it.

        Raises:
            NaqConnectionError: not reachable within `connect_timeout`; the next call tries again.
        """
        if _stand_in is not None and (other := _stand_in(self)) is not None:
            return await other.connect()
        loop = asyncio.get_running_loop()
        while True:
            place = self._places.get(loop) or self._begin(loop)
            if place.backend is not None:
                return place.backend
            async with place.lock:
                if self._places.get(loop) is not place:
                    continue  # closed while we waited
                if place.backend is None:
                    place.backend = await self._opened()
                return place.backend

    def _begin(self, loop: asyncio.AbstractEventLoop) -> _Place:
        self._drop_ended()
        _open.setdefault(loop, set()).add(self)
        return self._places.setdefault(loop, _Place())

    async def _opened(self) -> Backend:
        backend = from_url(self._config)
        try:
            await backend.open()
        except BaseException:
            await backend.close()
            raise
        return backend

    async def close(self) -> None:
        """Close the backend of the running event loop; idempotent. The next `connect` opens another."""
        loop = asyncio.get_running_loop()
        _open.get(loop, set[Connection]()).discard(self)
        if (place := self._places.pop(loop, None)) is not None:
            async with place.lock:  # an opening that is under way comes to its end first
                backend, place.backend = place.backend, None
                if backend is not None:
                    await backend.close()

    def let_go(self) -> None:
        """Forget what is open, on every loop, without closing it: for what holds nothing outside of the process."""
        for loop in list(self._places):
            _open.get(loop, set[Connection]()).discard(self)
        self._places.clear()

    @property
    def is_open(self) -> bool:
        """Whether it is open on any loop that has not ended."""
        return any(not loop.is_closed() for loop in list(self._places))

    def _drop_ended(self) -> None:
        """Let go of what belonged to loops that are closed: they took its sockets along."""
        for loop in [loop for loop in list(self._places) if loop.is_closed()]:
            self._places.pop(loop, None)
            _open.pop(loop, None)


_shared: Final[dict[Config, Connection]] = {}
_settings: Final[dict[tuple[str | None, tuple[tuple[str, str], ...]], Config]] = {}
_stand_in: Callable[[Connection], Connection | None] | None = None
_open: Final[dict[asyncio.AbstractEventLoop, set[Connection]]] = {}


def shared(config: Config) -> Connection:
    """The process's connection for `config`: one, whoever asks."""
    found = _shared.get(config)
    return _shared.setdefault(config, Connection(config)) if found is None else found


@contextmanager
def lent(connection: Connection) -> Generator[None]:
    """While the block runs, `shared` gives `connection` to whoever asks for its configuration."""
    config = connection.config
    before = _shared.get(config)
    _shared[config] = connection
    try:
        yield
    finally:
        _shared.pop(config, None)
        if before is not None:
            _shared[config] = before


@contextmanager
def diverted(stand_in: Callable[[Connection], Connection | None]) -> Generator[None]:
    """While the block runs, every connection connects through the one that `stand_in` has for it (None: itself).

    For tests (`naq.testing.override`); process-wide.
    """
    global _stand_in
    before, _stand_in = _stand_in, stand_in
    try:
        yield
    finally:
        _stand_in = before


def settings(nats_url: str | None = None) -> Config:
    """The settings in force for code without an app: those of the environment and the project, at `nats_url`.

    Read again when a ``NAQ_*`` variable changes, or after `forget_settings`; the project's file is not watched.

    Raises:
        ConfigurationError: an invalid setting, with its source.
    """
    key = (nats_url, tuple((name, value) for name, value in os.environ.items() if name.startswith(PREFIX)))
    if (found := _settings.get(key)) is None:
        found = _settings[key] = load_config() if nats_url is None else load_config(broker_url=nats_url)
    return found


def forget_settings() -> None:
    """Read the settings anew when they are next asked for."""
    _settings.clear()


def on_bridge(host: Host) -> Connection:
    """What `host` connects through in a sync call: its own connection may belong to another event loop."""
    return host if isinstance(host, Connection) else shared(host.config)


async def store(host: Host, specs: Sequence[JobSpec]) -> list[EnqueueResult]:
    """Store `specs` where `host` keeps its jobs; see `JobQueue.enqueue`."""
    backend = await host.connect()
    return await backend.enqueue(specs)


async def run_now(host: Host, job_id: str) -> bool:
    """Let a job go that waits for a time; see `JobAdmin.run_now`."""
    backend = await host.connect()
    return await backend.run_now(job_id)


async def close_all() -> None:
    """Close every connection that is open on the running event loop."""
    closing: list[Any] = [connection.close() for connection in _open.pop(asyncio.get_running_loop(), set[Connection]())]
    await asyncio.gather(*closing)


sync.at_stop(close_all)
