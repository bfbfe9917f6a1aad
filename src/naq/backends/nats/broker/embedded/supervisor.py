"""The parent of an embedded server: keeps it running as long as anybody uses its folder, and ends with the last user.

Run by `embedded` as a script, ``python -I -S supervisor.py FOLDER``, with its order on standard input and nothing but
the standard library, so that it starts in milliseconds and stays small. It polls nothing; the kernel tells it:

- every user holds a shared lock on ``users.lock``; the exclusive lock is granted exactly when the last one is gone,
  however it went. While we hold it to stop the server, a newcomer waits for its shared lock and then starts anew;
- ``server.lock`` is inherited by the server, so it is held until the last server of this folder is really gone: no two
  servers ever share a store;
- ``start.lock`` is inherited from whoever started us and held until the server is ready: even if the starter is killed,
  nobody starts a second supervisor meanwhile;
- ``alive`` is a named pipe that only we hold open for writing: who reads end-of-file knows that we are gone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

FORMAT = 1  # of the state file; one of another format is as good as none
STATE_FILE = "state.json"
ALIVE_FIFO = "alive"
USERS_LOCK = "users.lock"
SERVER_LOCK = "server.lock"
CONFIG_FILE = "nats.conf"
LOG_FILE = "nats.log"
PORTS_DIR = "ports"
PARENT = "{parent}"  # stands for our process id in the program we are told to run

READY_TIMEOUT = 120.0  # seconds; a store of many millions of messages is read before the server is ready
STOP_TIMEOUT = 10.0  # seconds after SIGTERM until SIGKILL
EVICT_AFTER = 3.0  # seconds that an earlier server may take to go by itself
POLL = 0.005  # seconds between looks for the ports file, only while a server starts
BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before each restart of a server that does not stay up
STEADY = 10.0  # seconds up, after which the next crash is the first again
PORT_TAKEN = "address already in use"  # as the server logs it


def read_state(home: Path) -> dict[str, Any]:
    """What the folder's last supervisor wrote; empty where there is nothing to read (also after a power cut)."""
    try:
        state: object = json.loads((home / STATE_FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(state, dict):
        return {}
    known = cast("dict[str, Any]", state)
    return known if known.get("format") == FORMAT else {}


def write_state(home: Path, state: dict[str, Any]) -> None:
    """Replace the state file in one step."""
    fresh = home / f"{STATE_FILE}.new"
    fresh.write_text(json.dumps({"format": FORMAT, **state}), encoding="utf-8")
    fresh.replace(home / STATE_FILE)


class Supervisor:
    """One server of one folder. `run` returns when nobody uses it any more."""

    def __init__(self, home: Path, program: list[str], facts: dict[str, Any], ports: list[int]) -> None:
        self.home = home
        self.program = [str(os.getpid()) if word == PARENT else word for word in program]
        self.facts = facts
        self.ports = ports
        self.leaving = threading.Event()
        self.server: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.server_fd = self._open(SERVER_LOCK)

    def run(self, ready: Callable[[], None]) -> None:
        """Start, call `ready`, keep up, stop.

        Raises:
            RuntimeError: the server could not be started; says why.
        """
        last = read_state(self.home)
        self.port = last.get("port") or 0
        write_state(self.home, {"ready": False, "port": self.port})  # before the flag: nobody may join the last server
        alive_fd, users_fd = self._raise_flag(), self._open(USERS_LOCK)
        try:
            self._wait_for_store(last.get("server_pid"))
            signal.signal(signal.SIGTERM, self._leave)
            threading.Thread(target=self._wait_for_users, args=(users_fd,), daemon=True).start()
            self._start_first()
            ready()
            self._keep_up()
        finally:
            self._stop()
            if self._owns_folder(alive_fd):
                write_state(self.home, {"ready": False, "port": self.port})
            os.close(alive_fd)  # before users.lock: who gets that lock must find us gone
            os.close(users_fd)

    def _keep_up(self) -> None:
        failures = 0
        while not self.leaving.is_set():
            assert self.server is not None
            started = time.monotonic()
            code = self.server.wait()
            if self.leaving.is_set():
                return
            failures = 1 if time.monotonic() - started > STEADY else failures + 1
            say(f"the server ended with code {code}; starting it again on port {self.port}")
            if self.leaving.wait(BACKOFF[min(failures - 1, len(BACKOFF) - 1)]):
                return
            try:
                self._start(self.port)
            except RuntimeError as error:
                say(str(error))

    def _start_first(self) -> None:
        """Start on the port of the last time, which clients may still know; where it is taken, on another."""
        ports = [self.port, *self.ports] if self.port else self.ports
        for port in ports:
            try:
                self._start(port)
            except RuntimeError as error:
                if PORT_TAKEN not in str(error) or port == ports[-1]:
                    raise
            else:
                return

    def _start(self, port: int) -> None:
        ports_dir = self.home / PORTS_DIR
        ports_dir.mkdir(exist_ok=True)
        for old in ports_dir.iterdir():
            old.unlink()
        with (self.home / LOG_FILE).open("ab") as log:
            begin = log.tell()
            self.server = subprocess.Popen(  # noqa: S603 - what our starter found
                [*self.program, "-c", str(self.home / CONFIG_FILE), "-p", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self.server_fd,),
            )
        self.port = port
        self._save(ready=False)
        ports = self._wait_ready(ports_dir / f"nats-server_{self.server.pid}.ports", begin)
        self._save(ready=True, url=ports["nats"][0], monitor_url=(ports.get("monitoring") or [""])[0])

    def _wait_ready(self, ports_file: Path, log_begin: int) -> dict[str, Any]:
        assert self.server is not None
        deadline = time.monotonic() + READY_TIMEOUT
        while time.monotonic() < deadline:
            try:
                return json.loads(ports_file.read_bytes())
            except (FileNotFoundError, ValueError):  # ValueError: half written
                pass
            if (code := self.server.poll()) is not None:
                raise RuntimeError(f"nats-server ended with code {code}: {self._log_since(log_begin)}")
            if self.leaving.wait(POLL):
                raise RuntimeError("told to stop while the server started")
        self._stop()
        raise RuntimeError(f"nats-server was not ready in {READY_TIMEOUT:g} s: {self._log_since(log_begin)}")

    def _log_since(self, begin: int) -> str:
        written = (self.home / LOG_FILE).read_bytes()[begin:]
        return " | ".join(written.decode(errors="replace").splitlines()[-5:])

    def _stop(self) -> None:
        if self.server is None or self.server.poll() is not None:
            return
        self.server.send_signal(signal.SIGCONT)  # a paused server would not see the next signal
        self.server.terminate()
        try:
            self.server.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()

    def _wait_for_users(self, users_fd: int) -> None:
        import fcntl  # here and below: Windows has none, and must be able to import this module to say so

        fcntl.flock(users_fd, fcntl.LOCK_EX)
        self._leave()

    def _leave(self, *_: object) -> None:
        self.leaving.set()
        if self.server is not None:
            self.server.send_signal(signal.SIGCONT)
            self.server.terminate()

    def _raise_flag(self) -> int:
        path = self.home / ALIVE_FIFO
        if not path.exists():
            os.mkfifo(path, 0o600)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening for writing needs a reader
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        finally:
            os.close(reader)

    def _open(self, name: str) -> int:
        return os.open(self.home / name, os.O_RDWR | os.O_CREAT, 0o600)

    def _wait_for_store(self, last_pid: int | None) -> None:
        """Wait until no earlier server uses the store. One without a parent (not on Linux) is ended first."""
        import fcntl

        deadline = time.monotonic() + EVICT_AFTER
        evicted = False
        while True:
            try:
                fcntl.flock(self.server_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    if evicted or not self._evict(last_pid):
                        raise RuntimeError(
                            "another nats-server still uses this folder and cannot be ended: end it by hand"
                        ) from None
                    evicted, deadline = True, time.monotonic() + STOP_TIMEOUT
                time.sleep(POLL)
            else:
                return

    def _evict(self, pid: int | None) -> bool:
        if pid is None:
            return False
        ask = ["ps", "-ww", "-p", str(pid), "-o", "command="]
        try:
            said = subprocess.run(ask, capture_output=True, check=False).stdout.decode(errors="replace")  # noqa: S603
        except FileNotFoundError:  # a container without ps, where the parent-death signal does this
            return False
        if str(self.home / CONFIG_FILE) not in said:  # the number belongs to somebody else by now
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    def _save(self, *, ready: bool, **more: Any) -> None:
        assert self.server is not None
        pids = {"server_pid": self.server.pid, "supervisor_pid": os.getpid()}
        write_state(self.home, {**self.facts, **pids, "ready": ready, "port": self.port, **more})

    def _owns_folder(self, alive_fd: int) -> bool:
        """Whether the folder is still the one we serve: somebody may have removed it and begun another."""
        try:
            return (self.home / ALIVE_FIFO).stat().st_ino == os.fstat(alive_fd).st_ino
        except FileNotFoundError:
            return False


def say(text: str) -> None:
    """A line in the supervisor's log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} [{os.getpid()}] {text}\n")
    sys.stderr.flush()


def answer(ready_fd: int, message: dict[str, Any]) -> None:
    """Tell the process that started us how it went; it may be gone, and users.lock says whether others are here."""
    try:
        os.write(ready_fd, json.dumps(message).encode())
    except BrokenPipeError:
        say("the process that asked for the server is gone")
    os.close(ready_fd)


def main(order: dict[str, Any]) -> None:
    """Leave the caller's session and process tree, then supervise.

    Args:
        order: `home` folder, `program` that starts the server, `facts` for the state file, `ports` to try, `ready_fd`
            to answer on, `start_fd` that holds the start lock.
    """
    if os.fork():
        os._exit(0)  # the caller waits for this, and need not wait for us
    os.setsid()  # Ctrl-C in the caller's terminal is for the caller
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ready_fd = order["ready_fd"]
    say("started")
    told: list[bool] = []

    def ready() -> None:
        told.append(True)
        os.close(order["start_fd"])
        answer(ready_fd, {"ready": True})

    try:
        Supervisor(Path(order["home"]), order["program"], order["facts"], order["ports"]).run(ready)
    except (OSError, RuntimeError) as error:
        say(f"gave up: {error}")
        if not told:
            answer(ready_fd, {"error": str(error)})
        sys.exit(1)
    say("nobody uses the server any more: stopped")


if __name__ == "__main__":
    main(json.load(sys.stdin))
