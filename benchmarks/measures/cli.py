"""What a person waits for: commands, the first job of `naq dev --new`, a reload; and what an idle `naq dev` costs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.measure import Row, median, rounds, summary
from benchmarks.process import OWN, cpu_seconds
from naq.testing.broker import bundled_server

REPEATS = 15  # starts of each command a round
DEADLINE = 60.0  # seconds until what is waited for must have come
SETTLE = 3.0  # seconds after which a start has nothing left to do
IDLE = 20.0  # seconds looked at
COMMANDS = {
    "version_ms": ("--version",),
    "help_ms": ("--help",),
    "group_help_ms": ("jobs", "--help"),
    "list_ms": ("queues", "list"),
    "enqueue_ms": ("enqueue", "hello", "name=world"),
    "completion_ms": ("__complete", "3", "naq", "queues", "show", ""),
}


def cli(count: int) -> list[Row]:
    """Two rows: milliseconds of commands beyond a bare Python, and seconds and percent of a core of `naq dev`."""

    def commands() -> Row:
        with bundled_server() as server:
            env = _environment(server.url)
            bare = _median_ms([str(OWN / "python"), "-c", "pass"], env)
            taken = {key: _median_ms([str(OWN / "naq"), *words], env) for key, words in COMMANDS.items()}
        # The target of these two is the whole time, that of the others what they add to Python's own start.
        whole = {"version_ms", "help_ms"}
        return {"bare_ms": bare, **{key: ms - (0 if key in whole else bare) for key, ms in taken.items()}}

    def dev() -> Row:
        folder = Path(tempfile.mkdtemp(prefix="naq-bench-dev-"))
        try:
            return _dev(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return [
        summary("cli", "naq", rounds(count, commands, "cli: commands"), "bare_ms", *COMMANDS),
        summary(
            "dev", "naq", rounds(count, dev, "cli: naq dev"), "green_s", "reload_s", "idle_percent", "broker_percent"
        ),
    ]


def _environment(url: str = "") -> dict[str, str]:
    # With it nothing that is imported would be kept compiled, as it is where naq is installed.
    not_ours = {"PYTHONDONTWRITEBYTECODE"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("NAQ_") and name not in not_ours}
    return {**env, "NAQ_BROKER_URL": url} if url else env


def _median_ms(command: Sequence[str], env: dict[str, str]) -> float:
    """Median time of `command`, its first run, in which files are compiled, not counted."""
    taken: list[float] = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        subprocess.run(command, env=env, check=True, capture_output=True)
        taken.append((time.perf_counter() - start) * 1000)
    return median(taken[1:])


def _dev(folder: Path) -> Row:
    """One `naq dev --new` in `folder`."""
    log = folder / "said"
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(OWN / "naq"), "dev", "--new"],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        _wait(log, '"Hello, world!"')
        green = time.perf_counter() - began
        time.sleep(SETTLE)
        ours, servers = _pids(process.pid, folder)
        at, cpu, theirs = time.monotonic(), cpu_seconds(ours), cpu_seconds(servers)
        time.sleep(IDLE)
        took = time.monotonic() - at
        idle, broker = (cpu_seconds(ours) - cpu) / took * 100, (cpu_seconds(servers) - theirs) / took * 100
        began = time.perf_counter()
        (folder / "tasks.py").write_text((folder / "tasks.py").read_text() + "\n# changed\n")
        _wait(log, "reloaded in ")
        reload = time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE)
    return {"green_s": green, "reload_s": reload, "idle_percent": idle, "broker_percent": broker}


def _wait(log: Path, text: str) -> None:
    end = time.monotonic() + DEADLINE
    while text not in log.read_text():
        if time.monotonic() > end:
            raise RuntimeError(f"{text!r} never came: {log.read_text()}")
        time.sleep(0.01)


def _pids(pid: int, folder: Path) -> tuple[list[int], list[int]]:
    """Every process of the tree: those of Python, and the server."""
    found = {each.pid for each in psutil.Process(pid).children(recursive=True)} | {pid}
    servers: list[int] = []
    for each in psutil.process_iter(["cmdline", "name"]):
        if any(str(folder) in word for word in each.info["cmdline"] or ()):
            found.add(each.pid)
        if each.pid in found and each.info["name"] == "nats-server":
            servers.append(each.pid)
    return sorted(found - set(servers)), servers
