"""A user's share in the server of a folder: join it or have it started, hold it, give it up."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from naq.backends.nats.broker.durability import get_mode
from naq.backends.nats.broker.embedded import supervisor
from naq.backends.nats.broker.embedded.locks import lock, open_alive, pause_until, unlock, wait_for_end
from naq.backends.nats.broker.embedded.start import start, sync_interval
from naq.exceptions import ConfigurationError, NaqConnectionError

logger = logging.getLogger(__name__)

START_TIMEOUT: Final = 60.0  # seconds; 60 ms when the store is empty, about 1 s per million stored messages
_HOME: Final = "nats"  # everything of the server's lies in this folder of the user's folder
_START_LOCK: Final = "start.lock"
_RESCUE_BACKOFF: Final = (0.0, 1.0, 5.0, 30.0)  # seconds before each attempt to replace a killed supervisor
_WEAKER_PATIENCE: Final = 1.0  # seconds for a server with weaker durability, whose last user has just left, to end


class _WeakerServer(ConfigurationError):
    """The folder's server runs with weaker durability than asked for."""


def ensure_broker(folder: Path, *, durability: str = "standard", timeout: float = START_TIMEOUT) -> EmbeddedBroker:
    """Join the server of `folder`; start it if nobody uses it yet. Blocks: milliseconds to join, ~0.1 s to start.

    Args:
        folder: shared by name; created if missing. The server's files are in its subfolder "nats".
        durability: "standard" or "strict". Joining a server that runs as "strict" is fine for both.
        timeout: seconds.

    Raises:
        ConfigurationError: not possible here (Windows, no nats-server 2.14.2+, a replicated mode, a folder that cannot
            be written, or a server that already runs with weaker durability).
        NaqConnectionError: the server did not start within `timeout`; says what its log says.
    """
    mode = get_mode(durability)
    if mode.replicas > 1:
        raise ConfigurationError(
            f"durability {durability!r} needs {mode.replicas} servers and an embedded broker is one: use 'standard' or "
            "'strict', or set broker_url to a cluster"
        )
    if sys.platform == "win32":
        raise ConfigurationError(
            "an embedded broker needs file locks that Windows lacks: start a server yourself (docs/broker.md) and set "
            "broker_url=nats://127.0.0.1:4222, or use broker_url=memory: within one process"
        )
    try:
        broker = EmbeddedBroker(_make_home(folder), durability=durability)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder} of the embedded broker cannot be used ({error.strerror}): "
            "name one that can be written"
        ) from error
    try:
        broker.join(timeout)
    except BaseException:
        broker.close()
        raise
    return broker


class EmbeddedBroker:
    """A share in the server of a folder, held until `close` or the end of the process, however it ends.

    Attributes:
        home: the folder with the server's files.
        durability: what was asked for.
    """

    def __init__(self, home: Path, *, durability: str) -> None:
        self.home = home
        self.durability = durability
        self._pid = os.getpid()
        self._state: dict[str, Any] = {}
        self._users_fd = os.open(home / supervisor.USERS_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        self._wake_read, self._wake_write = os.pipe()
        self._guard: threading.Thread | None = None
        self._closing = threading.Event()

    @property
    def url(self) -> str:
        """Where clients connect: nats://127.0.0.1:PORT."""
        return self._state["url"]

    @property
    def monitor_url(self) -> str:
        """Where /healthz and /varz are. May change when the server was restarted."""
        return supervisor.read_state(self.home).get("monitor_url") or self._state["monitor_url"]

    @property
    def version(self) -> str:
        """Of the server, as "2.15.1"."""
        return self._state["server_version"]

    def close(self) -> None:
        """Give up the share. The server stops when this was the last one. May be called twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._guard is not None and os.getpid() == self._pid:  # a forked child has no guard, and shares the pipe
            os.write(self._wake_write, b"x")
            self._guard.join()
        for fd in (self._users_fd, self._wake_read, self._wake_write):
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def join(self, timeout: float) -> None:
        """Take the share: see `ensure_broker`, which calls it."""
        deadline = time.monotonic() + timeout
        patience = time.monotonic() + _WEAKER_PATIENCE
        while True:
            # A supervisor that is stopping the server holds this lock alone; then we start anew.
            lock(self._users_fd, shared=True, deadline=deadline, holder="a supervisor that stops the server")
            try:
                alive_fd = self._find_or_start(deadline)
                break
            except _WeakerServer:
                if time.monotonic() > patience:
                    raise
            unlock(self._users_fd)  # if nobody else holds it, the weaker server now ends
            pause_until(deadline, "a server with weaker durability is running")
        self._guard = threading.Thread(target=self._watch, args=(alive_fd,), name="naq-embedded-guard", daemon=True)
        self._guard.start()

    def _find_or_start(self, deadline: float) -> int:
        """Settle `_state`; returns the read end of the supervisor's pipe."""
        if (alive_fd := self._find()) is not None:
            return alive_fd
        start_fd = os.open(self.home / _START_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock(start_fd, shared=False, deadline=deadline, holder="another process that starts the server")
            while (alive_fd := self._find()) is None:
                if (pipe := open_alive(self.home)) is None:
                    start(self.home, self.durability, start_fd, deadline)
                else:
                    os.close(pipe)  # it is starting its server again after a crash, or about to end
                    pause_until(deadline, "the server is still starting")
            return alive_fd
        finally:
            os.close(start_fd)

    def _find(self) -> int | None:
        if (alive_fd := open_alive(self.home)) is None:
            return None
        state = supervisor.read_state(self.home)
        if not state.get("url"):
            os.close(alive_fd)
            return None
        if sync_interval(state["durability"]) > sync_interval(self.durability):
            os.close(alive_fd)
            raise _WeakerServer(
                f"the server of {self.home} runs with durability {state['durability']!r}, which is weaker than "
                f"{self.durability!r}: stop the other processes that use this folder, or name another folder"
            )
        self._state = state
        return alive_fd

    def _watch(self, alive_fd: int) -> None:
        """Sleep until the supervisor is gone, then have it replaced: other users may not come for hours."""
        while True:
            gone = wait_for_end(alive_fd, self._wake_read)
            os.close(alive_fd)
            if not gone:
                return
            url = self.url
            logger.warning("the supervisor of the embedded broker in %s is gone; starting another", self.home)
            replaced = self._replace()
            if replaced is None:
                return
            alive_fd = replaced
            if self.url != url:
                logger.error("the embedded broker in %s moved from %s to %s: connect anew", self.home, url, self.url)

    def _replace(self) -> int | None:
        attempt = 0
        while not self._closing.wait(_RESCUE_BACKOFF[min(attempt, len(_RESCUE_BACKOFF) - 1)]):
            attempt += 1
            try:
                return self._find_or_start(time.monotonic() + START_TIMEOUT)
            except (ConfigurationError, NaqConnectionError, OSError):
                logger.exception("the embedded broker in %s could not be started again; trying further", self.home)
        return None


def _make_home(folder: Path) -> Path:
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - not resolve(): a link may be moved on purpose
    home = folder / _HOME
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    home.mkdir(mode=0o700, exist_ok=True)
    return home
