"""``naq dev`` as a process, on a terminal or not, and what is left of it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

NAQ = (sys.executable, "-m", "naq")
DEADLINE = 60.0  # seconds; a busy machine takes several for a start
#: Seconds after which comes again what died, or was put back just before its broker ended. For every process of a test:
#: one that had the default would raise it for all.
LEASE = {"NAQ_LEASE": "5"}

TASKS = """
import asyncio
import os
from pathlib import Path
from naq import Naq

app = Naq()

@app.task(name="hello")
async def hello(name: str = "you") -> str:
    return f"hello {name}"

@app.task(name="slow")
async def slow(seconds: float) -> str:
    Path("running").touch()
    await asyncio.sleep(seconds)
    return "slept"

@app.task(name="die")
def die() -> None:
    if not Path("died").exists():
        Path("died").touch()
        os._exit(3)
"""


def clean_env(**variables: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("NAQ_")}, **variables}


def until(holds: Callable[[], bool], what: str = "") -> None:
    """Wait until `holds()`."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)


class Dev:
    """A running ``naq dev``, whose terminal (or pipe) is read as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self.text = ""
        self._fd = fd
        self._seen = 0

    def see(self, text: str) -> str:
        """Wait until `text` is printed, after what was seen before; all that was printed up to there."""
        end = time.monotonic() + DEADLINE
        while (at := self.text.find(text, self._seen)) < 0:
            assert time.monotonic() < end, f"{text!r} never came in:\n{self.text}"
            assert self._read(0.1) or self.process.poll() is None, f"ended without {text!r}:\n{self.text}"
        begin, self._seen = self._seen, at + len(text)
        return self.text[begin : self._seen]

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def deafen(self) -> None:
        """Read no more: whatever it prints from now on has no reader."""
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, self._fd)
        os.close(nothing)

    def tree(self) -> list[psutil.Process]:
        """Every process that belongs to it: its children, and the supervisor and server of its folder."""
        found = {each.pid: each for each in psutil.Process(self.process.pid).children(recursive=True)}
        folder = psutil.Process(self.process.pid).cwd()
        for each in psutil.process_iter(["cmdline"]):
            if any(f"{folder}/.naq" in word for word in each.info["cmdline"] or ()):
                found[each.pid] = each
        return list(found.values())

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.code()

    def code(self) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            self._read(0.05)
            assert time.monotonic() < end, f"did not end:\n{self.text}"
        while self._read(0):
            pass
        return self.process.wait()

    def _read(self, timeout: float) -> bool:
        if not select.select([self._fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the end of what a terminal is sent, on Linux
            return False
        self.text += data.decode(errors="replace")
        return bool(data)


@contextmanager
def running_dev(folder: Path, *args: str, terminal: bool = False, command: str = "dev", **env: str) -> Generator[Dev]:
    """``naq dev ARGS`` in `folder`; killed at the end if it has not ended."""
    if terminal:
        ours, theirs = pty.openpty()
        write = theirs
        # A session of its own, whose terminal this is: only then are keys its own.
        prefix = [sys.executable, "-c", _TAKE_TERMINAL]
    else:
        ours, write = os.pipe()
        theirs = os.open(os.devnull, os.O_RDONLY)
        prefix = []
    process = subprocess.Popen(
        [*prefix, *NAQ, command, *args],
        cwd=folder,
        env=clean_env(TERM="xterm", **{**LEASE, **env}),
        stdin=theirs,
        stdout=write,
        stderr=write,
        start_new_session=True,
    )
    os.close(theirs)
    if write != theirs:
        os.close(write)
    dev = Dev(process, ours)
    try:
        yield dev
    finally:
        process.kill()
        process.wait()
        os.close(ours)


_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def naq(folder: Path, *args: str, code: int = 0, **env: str) -> str:
    """What a command prints that is run in `folder`."""
    done = subprocess.run(
        [*NAQ, *args],
        cwd=folder,
        env=clean_env(**{**LEASE, **env}),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def gone(processes: list[psutil.Process], timeout: float = 5.0) -> None:
    """All of `processes` have ended, or do within `timeout` seconds."""
    alive = psutil.wait_procs(processes, timeout=timeout)[1]
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
