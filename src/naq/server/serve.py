"""The server as a process: settings, uvicorn, signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from naq.config import Config
from naq.config.server import ServerConfig
from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from types import FrameType

    from naq.server.core import Core

BACKLOG: Final = 2048  # connections that wait to be taken
KEEP_ALIVE: Final = 75  # seconds; more than the 60 of most proxies, so that they hang up first
#: Bytes that the kernel keeps of an answer which its client does not take. By itself it keeps megabytes on loopback,
#: and a stalled stream is noticed minutes late; at 100 ms to the client and back this is still 2 MB/s of download.
UNSENT: Final = 262_144
#: Milliseconds after which the kernel gives up a connection whose client takes nothing: closing one would wait for it
#: for ever. More than the second or two that a network is gone for, and a multiple of `server_sse_write`.
UNTAKEN: Final = 30_000
TICK: Final = 1.0  # seconds for which answers carry the same date, which has seconds
HEADERS: Final = 65_536  # bytes of a request's line and headers
#: Objects made before Python looks for garbage among them. A batch of events makes some 30,000 that live until it is
#: written: with Python's own 700 a sixth of the ingest went into looking at them, with this some 1 %. An answer leaves
#: some 400 that hold each other: with 50,000 every 120th waited 60 ms for all of these at once, with this some 25.
COLLECT: Final = 20_000


class Serving:
    """A server that listens already; `run` answers.

    Attributes:
        address: its URL.
        core: what it holds.
        ending, loop: set once it is to end, and where that is waited for; None before it takes connections.
    """

    def __init__(self, config: Config, settings: ServerConfig) -> None:
        """Raises ConfigurationError: it would be open to all, the extra is missing, or the port is taken."""
        settings.refuse_public()
        try:
            import uvicorn

            from naq.server.alerts.trust import trust_of
            from naq.server.api.app import make_app
        except ImportError as error:
            raise ConfigurationError(f'the server needs its libraries: pip install "naq[server]" ({error})') from error
        trust_of(settings.ca_file)  # a file that cannot be used is said now, not when something is wrong
        app = make_app(config, settings)
        core: Core = app.state.core
        self.core: Final = core

        serving = self

        class Server(uvicorn.Server):
            """Lets those who watch go first: their streams would keep it from ending."""

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
                # Not uvicorn's own, which raises the signal once more at the end: who stops as asked ends with 0.
                core.retire()
                self.force_exit = self.should_exit
                serving.end()

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                if self.started:
                    serving.tell()

            async def main_loop(self) -> None:
                # Not uvicorn's own, which looks ten times a second whether it is to end; that is what idleness cost.
                serving.loop = asyncio.get_running_loop()
                while not await self.on_tick(0):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(TICK):
                            await serving.ending.wait()

        self.ending: Final = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._ready: Callable[[str], None] = lambda _: None
        self._socket: Final = listen(settings)
        host, port = self._socket.getsockname()[:2]
        self.address: Final = f"http://{f'[{host}]' if ':' in host else host}:{port}{settings.path_prefix}"
        how: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "lifespan": "on"}
        self._server: Final = Server(
            uvicorn.Config(
                app,
                proxy_headers=False,  # whom to believe is decided by naq.server.access.identify
                timeout_graceful_shutdown=max(1, round(settings.drain)),
                timeout_keep_alive=KEEP_ALIVE,
                h11_max_incomplete_event_size=HEADERS,
                **how,
            )
        )

    def tell(self) -> None:
        """Say that it answers."""
        self._ready(self.address)

    async def run(self, ready: Callable[[str], None] = lambda _: None) -> None:
        """Answer until SIGINT, SIGTERM, or `stop`; `ready` is told the address once it does."""
        self._ready = ready
        try:
            await self._server.serve([self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End gracefully; on the event loop that runs it."""
        self.core.retire()
        self.end()

    def end(self) -> None:
        """Take no more requests and end; from a signal's handler as well, which wakes no event loop by itself."""
        self._server.should_exit = True
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.ending.set)


def serve(config: Config, settings: ServerConfig, *, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is told the address once connections are taken.

    Raises:
        ConfigurationError: it would listen publicly without access control, the extra is missing, or the port is taken.
    """
    serving = Serving(config, settings)
    gc.freeze()  # what was imported stays
    gc.set_threshold(COLLECT)
    asyncio.run(serving.run(ready))


def listen(settings: ServerConfig) -> socket.socket:
    """A socket that listens where `settings` say.

    Raises:
        ConfigurationError: that cannot be.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named TCP, for asyncio lets small packets go at once only where a socket says what it is: without, every answer
    # of two packets waits some 40 ms for the client's acknowledgement of the first.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)  # connections have it from here
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; elsewhere it waits for as long as the client lives
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another with --port"
        ) from error
    return listening
