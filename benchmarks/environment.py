"""The peers' virtual environment, beside this file and never in git."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import venv
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.process import PEERS

REQUIREMENTS = Path(__file__).with_name("requirements-peers.txt")


def make() -> None:
    """Create it, or bring it up to date."""
    if not (PEERS / "python").exists():
        venv.create(PEERS.parent, with_pip=True)
    pip = [PEERS / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--upgrade", "-r", REQUIREMENTS], check=True)
    subprocess.run([*pip, "list"], check=True)


@contextmanager
def alone() -> Generator[None]:
    """Wait until no other run is under way on this machine: two would share stores, and neither would mean anything."""
    with (Path(tempfile.gettempdir()) / "naq-benchmarks.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run of the benchmarks is under way; waiting for its end", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require(*, peers: bool) -> None:
    """Fail now, and not after an hour, when something is missing.

    Raises:
        SystemExit: with the command that mends it.
    """
    if peers and not (PEERS / "python").exists():
        raise SystemExit("the peers are not installed; run: python -m benchmarks setup")
    if not sys.platform.startswith("linux"):
        raise SystemExit("the benchmarks read /proc and need Linux")
