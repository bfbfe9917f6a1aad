"""Processes that never outlive the harness, and what /proc says of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / ".venv" / "bin"
OWN = Path(sys.executable).parent
STOP_TIMEOUT = 10.0  # seconds between asking a process group to stop and killing it
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Child:
    """A process in a group of its own (so that Ctrl-C reaches only us, and stopping it reaches its children)."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path, **pipes: int) -> None:
        self.log = log
        self._stopped = False
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdin=pipes.get("stdin", subprocess.DEVNULL),
                stdout=pipes.get("stdout", out),
                stderr=out,
                start_new_session=True,
            )

    def check(self) -> None:
        """Fail, with what it said last, if it has ended."""
        if self.popen.poll() is not None:
            said = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.popen.args!r} ended with {self.popen.returncode}; it said:\n{said}")

    def stop(self) -> None:
        """End the whole group: ask, wait, kill. Safe twice."""
        if self._stopped:
            return
        self._signal(signal.SIGTERM)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(STOP_TIMEOUT)
        finally:
            self._signal(signal.SIGKILL)  # also what the leader may have left behind
            self.popen.wait()
            self._stopped = True

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone
            os.killpg(self.popen.pid, number)


def resident(pid: int) -> int:
    """Resident memory of `pid` in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time that `pids` have used so far; those gone count nothing."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def find(name: str) -> list[int]:
    """Pids of processes whose executable is called `name` (to read their CPU time, never to end them)."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == name:
                found.append(int(entry.name))
        except OSError:
            continue
    return found
