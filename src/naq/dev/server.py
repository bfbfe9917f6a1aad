"""``naq server`` of the tree: the history of the folder's jobs and its API, never in the way of the workers."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from naq.config.server import ServerConfig
from naq.dev.workers import Workers

#: Ports above it that are tried before any free one is taken: more than a person has projects running.
_NEXT: Final = 20
_HOST: Final = "127.0.0.1"
#: Seconds that open requests get when it ends, and the whole tree with it.
_DRAIN: Final = 1.0
#: A library that only the extra brings.
_NEEDED: Final = "fastapi"


def can_serve() -> bool:
    """Whether the libraries of the server are installed."""
    return importlib.util.find_spec(_NEEDED) is not None


class DevServer:
    """A server on loopback without logins: started, kept running, and gone with the tree.

    Args:
        database: the file of its history; None for one that is forgotten when the tree ends.
        port: the port to try first, by default that of ``naq server``; where others have it, the next free one.
        env: variables for it beside ours.
        output: an open file for what it prints.
        log_format: text or json.
        say: what is to be told to a person.

    Attributes:
        url: where it answers, about a second after `start` has returned.
    """

    def __init__(
        self,
        database: Path | None,
        port: int | None = None,
        *,
        env: Callable[[], Mapping[str, str]],
        output: int,
        log_format: str,
        say: Callable[[str], None],
    ) -> None:
        self.url = ""
        self._database = database
        self._port = ServerConfig().port if port is None else port
        self._format = log_format
        self._home: Path | None = None
        self._kept = Workers(self._command, what="server", env=env, drain=_DRAIN, output=output, say=say)

    async def start(self) -> None:
        """Have it started. It is not waited for: jobs run without it."""
        self._port = _free_port(self._port)
        self.url = f"http://{_HOST}:{self._port}"
        if self._database is None:
            self._home = Path(tempfile.mkdtemp(prefix="naq-dev-server-"))
            self._database = self._home / "dev.db"
        self._kept.begin()

    async def stop(self) -> None:
        """End it, and remove what is to be forgotten."""
        await self._kept.stop()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)

    def hurry(self, asked: int) -> None:
        """Have it wait for nobody, or kill it."""
        self._kept.hurry(asked)

    def _command(self, _number: int) -> list[str]:
        # What the project sets for its real server is not for this one: its database least of all.
        assert self._database is not None
        options = {
            "--host": _HOST,
            "--port": str(self._port),
            "--db": f"sqlite:///{self._database}",
            "--auth": "off",
            "--path-prefix": "",
            "--log-level": "warning",
            "--log-format": self._format,
        }
        return [sys.executable, "-m", "naq", "server", *(word for option in options.items() for word in option)]


def _free_port(first: int) -> int:
    """`first`, or the next one that nobody listens on."""
    for port in (*range(first, min(first + _NEXT, 65536)), 0):
        with socket.socket() as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trying.bind((_HOST, port))
            except OSError:
                continue
            return int(trying.getsockname()[1])
    raise AssertionError("port 0 is always free")
