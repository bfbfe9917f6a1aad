"""What the tests of this folder share: waiting for a condition, users of an embedded broker, NATS by hand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import nats
import psutil
from nats.js.api import StreamConfig

connect: Any = cast("Any", nats).connect  # nats-py's own types are not complete
DEADLINE = 20.0  # seconds; everything here takes far below one, the rest is for a busy machine

# A user of the embedded broker of a folder: says the url, then works until its standard input ends.
USER = """
import json, sys
from pathlib import Path
from naq.backends.nats.broker.embedded import ensure_broker
broker = ensure_broker(Path(sys.argv[1]), durability=sys.argv[2])
print(json.dumps({"url": broker.url, "version": broker.version}), flush=True)
sys.stdin.read()
broker.close()
"""


def wait_until(condition: Callable[[], object], what: str, *, timeout: float = DEADLINE) -> None:
    """Return when `condition()` is true; fail saying `what` was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s for {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a zombie that nobody has reaped yet has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class User:
    """A process that uses the embedded broker of `folder`."""

    def __init__(self, folder: Path, *, durability: str = "standard") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder), durability],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def said(self) -> dict[str, str]:
        """What it found; waits until it has."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the user ended: {self.process.stderr.read() if self.process.stderr else ''}"
        return json.loads(line)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self._reap()

    def interrupt(self) -> None:
        """Ctrl-C in its terminal: SIGINT to its whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        self._reap()

    def leave(self) -> None:
        """Let it close its share and end."""
        self._reap()

    def _reap(self) -> None:
        self.process.communicate(timeout=DEADLINE)


@contextmanager
def users(folder: Path, count: int, *, durability: str = "standard") -> Generator[list[User]]:
    """`count` users, started at the same time, killed at the end."""
    started = [User(folder, durability=durability) for _ in range(count)]
    try:
        yield started
    finally:
        for user in started:
            if user.process.poll() is None:
                user.kill()
        wait_until(lambda: not processes_of(folder), "the server to end with its last user")


def state_of(folder: Path) -> dict[str, Any]:
    """The state file of the embedded broker."""
    return json.loads((folder / "nats" / "state.json").read_bytes())


def processes_of(folder: Path) -> list[int]:
    """Processes that have the broker's folder in their command line: its supervisor and its server."""
    home = str(folder / "nats")
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and home in " ".join(process.info["cmdline"] or [])
    ]


def put(url: str, *, stream: str = "DATA", replicas: int = 1, **options: Any) -> int:
    """Store a message; the number of messages stored then."""

    async def run() -> int:
        client = await connect(url, connect_timeout=5, **options)
        try:
            jetstream = client.jetstream(timeout=10)
            await jetstream.add_stream(StreamConfig(name=stream, subjects=["data.>"], num_replicas=replicas))
            await jetstream.publish("data.x", b"payload")
            return (await jetstream.stream_info(stream)).state.messages
        finally:
            await client.close()

    return asyncio.run(run())


def count(url: str, *, stream: str = "DATA") -> int:
    """How many messages are stored."""

    async def run() -> int:
        client = await connect(url, connect_timeout=5)
        try:
            return (await client.jetstream(timeout=10).stream_info(stream)).state.messages
        finally:
            await client.close()

    return asyncio.run(run())
