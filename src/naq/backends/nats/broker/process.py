"""One nats-server process: start, wait until it is ready, stop, kill, pause, restart."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Final, Self, TypedDict, Unpack

import msgspec
from msgspec import Struct

from naq.backends.nats.broker import launch
from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.config import ANY_PORT, Cluster, ServerConfig, file_store_limit, render
from naq.backends.nats.broker.ports import free_ports
from naq.exceptions import NaqConnectionError

START_TIMEOUT: Final = 30.0  # seconds; ready in 15 ms when empty, 1 s per million stored messages
STOP_TIMEOUT: Final = 10.0  # seconds after SIGTERM until SIGKILL
_POLL: Final = 0.005  # seconds between looks at the ports file: nothing in the standard library waits for a file
_PORT_TAKEN: Final = "address already in use"  # as the server logs it
_TRIES: Final = 5  # other ports, when somebody was quicker to take the one we found free


class Ports(Struct, frozen=True):
    """What a server that is ready listens on."""

    url: str
    monitor_url: str


class Settings(TypedDict, total=False):
    """What of `ServerConfig` a caller may decide; the folder decides the rest."""

    durability: str
    port: int
    cluster: Cluster
    user: str
    password: str
    token: str
    max_payload: int
    max_file_store: int
    max_memory_store: int


class ServerProcess:
    """A nats-server on loopback with a folder of its own: configuration, log and streams live in it.

    Start and stop may repeat; port and streams stay the same. Not safe to use from several threads at once.

    Attributes:
        directory: the folder.
        config: as given; `port` is settled by the first start.
        log_path: what the server writes.
    """

    def __init__(self, directory: Path, config: ServerConfig, *, binary: Path | None = None) -> None:
        self.directory = directory.resolve()
        self.config = config
        self.log_path = self.directory / "nats.log"
        self._binary = binary
        self._ports_dir = self.directory / "ports"
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: Ports | None = None

    @classmethod
    def in_folder(cls, directory: Path, *, name: str = "naq", **settings: Unpack[Settings]) -> Self:
        """A server whose streams live in `directory`, with a limit that suits its disk.

        Args:
            directory: created if missing.
            name: of the server.
            settings: further fields of `ServerConfig`.
        """
        directory = directory.resolve()
        store = directory / "jetstream"
        store.mkdir(parents=True, exist_ok=True)
        settings.setdefault("max_file_store", disk_limit(store))
        return cls(
            directory,
            ServerConfig(server_name=name, store_dir=store, ports_file_dir=directory / "ports", **settings),
        )

    @property
    def url(self) -> str:
        """Where clients connect: nats://127.0.0.1:PORT.

        Raises:
            NaqConnectionError: it was never started.
        """
        return self._known_ports().url

    @property
    def monitor_url(self) -> str:
        """Where /healthz and /varz are: http://127.0.0.1:PORT."""
        return self._known_ports().monitor_url

    @property
    def port(self) -> int:
        """The port for clients; -1 before the first start if none was asked for."""
        return self.config.port

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self.is_running and self._process is not None else None

    @property
    def is_running(self) -> bool:
        """Whether the process lives (it may be paused)."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, timeout: float = START_TIMEOUT) -> None:
        """Start it and return when it accepts connections. Nothing happens where it runs.

        Raises:
            NaqConnectionError: it ended, or was not ready in `timeout` seconds; says what its log says.
            ConfigurationError: there is no nats-server, or the settings are refused.
        """
        asked = self.config
        for tries_left in range(_TRIES - 1, -1, -1):
            self.spawn()
            try:
                self.wait_ready(timeout=timeout)
            except NaqConnectionError as error:
                if asked.port != ANY_PORT or _PORT_TAKEN not in str(error) or not tries_left:
                    raise
                self.config = asked
            else:
                return

    def spawn(self) -> None:
        """Start it and return at once; `wait_ready` must follow."""
        if self.is_running:
            return
        if self.config.port == ANY_PORT:
            self.config = msgspec.structs.replace(self.config, port=free_ports(1)[0])
        self._ports_dir.mkdir(parents=True, exist_ok=True)
        for old in self._ports_dir.glob("*.ports"):  # left by a server that was killed
            old.unlink()
        config_file = self.directory / "nats.conf"
        config_file.touch(mode=0o600)  # it may hold a password
        config_file.write_text(render(self.config), encoding="utf-8")
        binary = self._binary or find_binary().path
        program = [str(binary), "-c", str(config_file)]
        if threading.current_thread() is threading.main_thread():
            program = launch.command(program)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a path we found, arguments we made
                program, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_ready(self, *, timeout: float = START_TIMEOUT) -> None:
        """Return when the server accepts connections, that is when it has written its ports file."""
        process = self._process
        if process is None:
            raise NaqConnectionError(f"the server in {self.directory} was not started: call start()")
        deadline = time.monotonic() + timeout
        while (ports := read_ports(self._ports_dir / f"nats-server_{process.pid}.ports")) is None:
            if process.poll() is not None:
                raise NaqConnectionError(f"nats-server ended with code {process.returncode}: {self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise NaqConnectionError(f"nats-server was not ready in {timeout:g} s: {self.log_tail()}")
            time.sleep(_POLL)
        self._ports = ports

    def stop(self, *, timeout: float = STOP_TIMEOUT) -> None:
        """End it in order (SIGTERM), by force after `timeout` seconds. Nothing happens where it does not run."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)  # a paused process would not see the next signal
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self, *, kill: bool = False, timeout: float = START_TIMEOUT) -> None:
        """Stop (or kill) it and start it on the same port with the same streams."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start(timeout=timeout)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers. Nothing happens where it does not run."""
        if self._process is None or not self.is_running:
            return
        self._process.send_signal(signal.SIGSTOP)
        if hasattr(os, "waitid"):  # not on macOS before Python 3.13, where its threads may go on for a moment
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def log_tail(self, lines: int = 5) -> str:
        """The end of its log, on one line."""
        if not self.log_path.exists():
            return "it wrote no log"
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return " | ".join(text.splitlines()[-lines:]) or "its log is empty"

    def _known_ports(self) -> Ports:
        if self._ports is None:
            raise NaqConnectionError(f"the server in {self.directory} was not started: call start()")
        return self._ports


def read_ports(file: Path) -> Ports | None:
    """What the server says it listens on; None as long as it is not ready."""
    try:
        said = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):  # ValueError: half written
        return None
    return Ports(said["nats"][0], (said.get("monitoring") or [""])[0])


def disk_limit(store: Path) -> int:
    """`file_store_limit` for the disk that `store` is on. Reads sizes; `store` must exist."""
    used = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    return file_store_limit(free=shutil.disk_usage(store).free, used=used)
