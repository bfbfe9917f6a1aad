"""The broker of the tree: one that keeps its jobs in a folder, one that forgets them, or one that runs elsewhere."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from naq.backends.nats.broker.durability import show_version
from naq.backends.nats.broker.embedded import EmbeddedBroker, ensure_broker
from naq.backends.nats.broker.embedded.locks import open_alive
from naq.backends.nats.broker.process import ServerProcess
from naq.exceptions import NaqException

#: Seconds until an embedded server whose last user has gone must be seen to end; if not, others use it.
_NOTICED: Final = 0.5
#: Seconds it then gets.
_ENDS: Final = 10.0
_POLL: Final = 0.01  # seconds between looks at a server that ends


class GivenBroker:
    """A broker that somebody else runs, at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.about = "yours"

    async def start(self) -> None:
        """Nothing is to be done."""

    async def stop(self) -> None:
        """It goes on."""

    def hurry(self, asked: int) -> None:
        """It goes on."""


class FolderBroker:
    """The embedded broker of `folder`: shared with whoever names that folder, gone with its last user.

    Attributes:
        url: where clients connect, once it was started.
        about: its version, and where its data are.
    """

    def __init__(self, folder: Path, durability: str) -> None:
        self.url = ""
        self.about = ""
        self._folder = folder
        self._durability = durability
        self._joining: asyncio.Future[EmbeddedBroker] | None = None

    async def start(self) -> None:
        """Join the server of the folder, or have it started.

        Raises:
            ConfigurationError: not possible here, or there is no nats-server; says what to install.
            NaqConnectionError: the server did not start; says why.
        """
        loop = asyncio.get_running_loop()
        self._joining = loop.run_in_executor(None, lambda: ensure_broker(self._folder, durability=self._durability))
        broker = await asyncio.shield(self._joining)
        self.url = broker.url
        self.about = f"NATS {broker.version}, data in {self._folder}"

    async def stop(self) -> None:
        """Give it up, and wait for its end, unless others use it."""
        if self._joining is None:
            return
        try:
            broker = await self._joining
        except NaqException:  # it never started, which `start` has told whoever asked
            return
        await asyncio.to_thread(_leave, broker)

    def hurry(self, asked: int) -> None:
        """It needs no more time than it takes to close its files."""


def _leave(broker: EmbeddedBroker) -> None:
    broker.close()
    begin = time.monotonic()
    while (alive := open_alive(broker.home)) is not None:
        os.close(alive)
        passed = time.monotonic() - begin
        if passed > _ENDS or (passed > _NOTICED and not _is_ending(broker.home)):
            return
        time.sleep(_POLL)


def _is_ending(home: Path) -> bool:
    """Whether the supervisor of the server holds the lock that it gets when nobody uses the server any more."""
    import fcntl

    from naq.backends.nats.broker.embedded.supervisor import USERS_LOCK

    with (home / USERS_LOCK).open("rb") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class PassingBroker:
    """A server of its own in a temporary folder, which goes with it."""

    def __init__(self) -> None:
        self.url = ""
        self.about = ""
        self._home: Path | None = None
        self._server: ServerProcess | None = None

    async def start(self) -> None:
        """Start it; some 50 ms, in which nothing else happens: the server is tied to this very thread.

        Raises:
            ConfigurationError: there is no nats-server; says what to install.
            NaqConnectionError: it did not start; says why.
        """
        from naq.backends.nats.broker.binary import find_binary

        binary = find_binary()
        self._home = Path(tempfile.mkdtemp(prefix="naq-dev-"))
        self._server = ServerProcess.in_folder(self._home, name="naq-dev")
        self._server.start()
        self.url = self._server.url
        self.about = f"NATS {show_version(binary.version)}, in a temporary folder"

    async def stop(self) -> None:
        """End it, and remove its folder."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)

    def hurry(self, asked: int) -> None:
        """Force it, if asked to."""
        if self._server is not None and asked > 2:
            self._server.kill()
