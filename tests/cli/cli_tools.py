"""The command line as processes, and what they said."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

NAQ = (sys.executable, "-m", "naq")
DEADLINE = 30.0  # seconds; starting Python several times on a busy machine takes some

TASKS = '''
from datetime import date
import asyncio
from naq import Naq

app = Naq()

@app.task(name="hello", queue="mail", timeout=30, retries=2)
async def hello(name: str = "you", n: int = 1) -> str:
    """Greet somebody."""
    return f"hello {name} {n}"

@app.task(name="day")
def day(when: date) -> str:
    return when.strftime("%j")

@app.task(name="bad")
def bad() -> None:
    raise ValueError("no \\x1b[31mgood")

@app.task(name="slow")
async def slow() -> None:
    await asyncio.sleep(60)
'''


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Naqs:
    """`naq` in a folder, against one broker and one namespace."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NAQ_")},
            "NAQ_BROKER_URL": url,
            "NAQ_NAMESPACE": f"cli-{token_hex(4)}",
        }

    def __call__(self, *args: str, stdin: str = "", code: int | None = 0, **variables: str) -> Said:
        """Run a command to its end; fails unless its exit code is `code` (None: any)."""
        done = subprocess.run(
            [*NAQ, *args],
            cwd=self.folder,
            env={**self.env, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert code is None or said.code == code, said
        assert "\x1b" not in said.out + said.err
        return said

    def on_terminal(self, *args: str, typed: str = "", **variables: str) -> tuple[int, str]:
        """Run a command on a terminal; its exit code and all that the terminal was sent."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [*NAQ, *args],
            cwd=self.folder,
            env={**self.env, "COLUMNS": "160", "TERM": "xterm", **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        os.write(master, typed.encode())
        said = b""
        try:
            while part := os.read(master, 65536):
                said += part
        except OSError:  # the end of what a terminal is sent, on Linux
            pass
        finally:
            os.close(master)
        return process.wait(DEADLINE), said.decode()

    def until(self, *args: str, holds: str) -> Said:
        """Run a command again and again until its output contains `holds`."""
        end = time.monotonic() + DEADLINE
        while holds not in (said := self(*args, code=None)).out:
            assert time.monotonic() < end, said
        return said


@contextmanager
def running_worker(naq: Naqs, *args: str) -> Generator[None]:
    process = subprocess.Popen(
        [*NAQ, "worker", "tasks:app", *args], cwd=naq.folder, env=naq.env, stderr=subprocess.DEVNULL
    )
    try:
        naq.until("workers", "list", holds="running")
        yield
    finally:
        process.kill()
        process.wait()
