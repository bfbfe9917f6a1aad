"""A PostgreSQL of one's own, to be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

START_TIMEOUT = 60.0  # seconds; a killed one looks through its log first
USER = "postgres"  # the system's: PostgreSQL refuses to run as root


class Postgres:
    """A cluster in a folder. What it has committed outlives `kill`."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._as: dict[str, Any] = {"user": USER} if os.geteuid() == 0 else {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._process: subprocess.Popen[Any] | None = None
        # Without syncing its new files: nobody takes the power away here.
        made = [binaries / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "-N"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, **self._as)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Return when it takes connections."""
        command = [self._binaries / "postgres", "-D", self._folder / "data", "-p", str(self._port), "-k", self._folder]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **self._as)
        until = time.monotonic() + START_TIMEOUT
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self._folder / "log").read_text()[-2000:]
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it at once, with all that it has started, as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def postgres() -> Generator[Postgres]:
    """One that runs, and is gone afterwards."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    which = shutil.which("postgres") or (str(found[-1]) if found else None)
    if which is None:
        pytest.skip("missing: the binaries of a PostgreSQL server; apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="naq-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
    one = Postgres(Path(which).parent, folder)
    try:
        one.start()
        yield one
    finally:
        one.kill()
        shutil.rmtree(folder)
