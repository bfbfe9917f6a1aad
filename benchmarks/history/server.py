"""A server of its own, as `naq server` starts it, for one measurement."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from benchmarks.process import OWN, Child

PATIENCE = 60.0  # seconds until it answers
NAMESPACE = "bench"
SAID = "naq server on "
SECRET = "of a measurement, no other; 32 characters are asked for"  # with it cursors are made to any place


@contextmanager
def served(folder: Path, broker: str, database: str, *, cores: Collection[int] = ()) -> Generator[tuple[str, Child]]:
    """Its address and its process, which may use `cores` alone (none: all)."""
    environment = {
        "NAQ_BROKER_URL": broker, "NAQ_NAMESPACE": NAMESPACE, "NAQ_SERVER_DATABASE": database,
        "NAQ_SERVER_PORT": "0", "NAQ_SERVER_RATE": "1000000/60s", "NAQ_SERVER_SECRET": SECRET,
    }  # fmt: skip
    server = Child([OWN / "naq", "server"], environment, folder / "server.log")
    try:
        if cores:
            os.sched_setaffinity(server.popen.pid, cores)
        yield _address(server), server
    finally:
        server.stop()


def _address(server: Child) -> str:
    """Where it listens, as it says once it answers."""
    until = monotonic() + PATIENCE
    while monotonic() < until:
        server.check()
        for line in server.log.read_text().splitlines():
            if line.startswith(SAID):
                return line.removeprefix(SAID)
        sleep(0.05)
    raise RuntimeError(f"the server said no address within {PATIENCE:g} s: {server.log.read_text()[-2000:]}")
