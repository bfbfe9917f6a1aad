"""One system, ready to be measured: its broker clean, its producer connected, its workers startable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic_ns
from typing import Any, Self

from msgspec import Struct

from benchmarks import settings
from benchmarks.process import ROOT, Child, cpu_seconds, find
from benchmarks.registry import System
from benchmarks.tally import Tally
from naq.testing.broker import bundled_server

POLL = 0.01  # seconds between looks at the tally while jobs run
SETTLE_POLL = 0.002  # seconds between looks at the broker once every job has run
LOGS = "BENCH_LOGS"  # set: show what the workers said
STALL = 20.0  # seconds without any job running after which what has not run counts as lost
TIMEOUT = 1800.0  # seconds for a drain
SWEEP_TIMEOUT = 60.0  # seconds to empty a store after an error
SERVERS = {"nats": "nats-server", "redis": "redis-server", "postgres": "postgres"}  # what their processes are called


class Drained(Struct, frozen=True):
    """What a drain took. `seconds` from the first job's start to the broker holding nothing."""

    jobs: int
    seconds: float
    lost: int
    twice: int
    left: int  # what the broker still held when nothing had changed for `STALL` seconds; `seconds` ends before those
    results: int | None
    settle_seconds: float  # of `seconds`: after the last job had run, until the broker held nothing
    shares: list[int]  # jobs that each worker process ran
    worker_cores: float  # CPU seconds a second of all worker processes together
    broker_cores: float


class Session:
    """Use as a context manager; everything it started is stopped and removed at the end."""

    def __init__(self, system: System, jobs: int, *, measure: str = "", stamps: bool = False) -> None:
        self.system = system
        self._cleanup = ExitStack()
        self._folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="naq-bench-")))
        tallies = self._folder / "tally"
        tallies.mkdir()
        self.tally = Tally(tallies, jobs, stamps=stamps)
        self._environment = {**self.tally.environment, settings.MEASURE: measure, settings.CONCURRENCY: system.at_once}
        self._producer = [str(system.python), "-m", "benchmarks.driver", system.module]
        self._workers: list[Child] = []
        self._servers: list[int] = []

    def __enter__(self) -> Self:
        try:
            if self.system.store == "nats":
                server = self._cleanup.enter_context(bundled_server(self._folder / "nats"))
                self._servers = [server.pid] if server.pid else []
                self._environment |= {settings.NATS: server.url, "NAQ_BROKER_URL": server.url}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._driver = Child(self._producer, self._environment, self._folder / "driver.log", **pipes)
            self._cleanup.callback(self._driver.stop)
            self.do("clean")
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        with self._cleanup:
            if error[0] is None:
                self.do("close")
            else:
                self._sweep()

    def _sweep(self) -> None:
        """Empty the store through another producer: ours may be in the middle of something."""
        self._driver.stop()
        if self.system.store != "nats":  # that server goes, and its folder with it
            orders = '{"do": "clean"}\n{"do": "close"}\n'
            environment = {**os.environ, **self._environment, "PYTHONPATH": str(ROOT)}
            subprocess.run(
                self._producer,
                input=orders,
                stdout=subprocess.DEVNULL,
                env=environment,
                text=True,
                cwd=ROOT,
                timeout=SWEEP_TIMEOUT,
                check=False,
            )

    def do(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Have the producer do `name`; its answer.

        Raises:
            RuntimeError: it failed; with its traceback.
        """
        popen = self._driver.popen
        assert popen.stdin is not None
        assert popen.stdout is not None
        try:
            popen.stdin.write(json.dumps({"do": name, **arguments}).encode() + b"\n")
            popen.stdin.flush()
            line = popen.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            popen.wait(5)
            self._driver.check()
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise RuntimeError(f"{self.system.name}: {name} failed:\n{reply['error']}")
        return reply

    @contextmanager
    def workers(self, processes: int = 1) -> Generator[None]:
        """Workers run while the block does."""
        with ExitStack() as stack:
            for number, command in enumerate(self.system.commands(processes)):
                child = Child(command, self._environment, self._folder / f"worker{number}.log")
                stack.callback(child.stop)
                self._workers.append(child)
            try:
                yield
            finally:
                if os.environ.get(LOGS):
                    print(*(child.log.read_text(errors="replace") for child in self._workers), file=sys.stderr)
                self._workers.clear()

    @property
    def servers(self) -> list[int]:
        """The broker's processes: our own server's, else all of its name."""
        return self._servers or find(SERVERS[self.system.store])

    def drain(self, jobs: int) -> Drained:
        """Wait until the broker holds nothing of jobs 0 ... `jobs` - 1."""
        first = self._first_job()
        servers = self.servers
        started, broker_cpu = time.monotonic(), cpu_seconds(servers)
        workers_cpu = self._wait_until_run(jobs)
        ran = monotonic_ns()
        end, left = self._wait_until_empty(jobs)
        elapsed = max(time.monotonic() - started, 0.001)
        worker_cpu = sum(cpu_seconds([pid]) - before for pid, before in workers_cpu.items())
        broker_cpu = cpu_seconds(servers) - broker_cpu
        lost, twice = self.tally.verdict(jobs)
        return Drained(
            jobs=jobs,
            seconds=(end - first) / 1e9,
            lost=lost,
            twice=twice,
            left=left,
            results=self.do("results")["results"],
            settle_seconds=(end - ran) / 1e9,
            shares=self.tally.shares(),
            worker_cores=worker_cpu / elapsed,
            broker_cores=broker_cpu / elapsed,
        )

    def _first_job(self) -> int:
        deadline = time.monotonic() + 60
        while (first := self.tally.first()) is None:
            for worker in self._workers:
                worker.check()
            if time.monotonic() > deadline:
                said = self._workers[0].log.read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{self.system.name}: no job ran within 60 s; the worker said:\n{said}")
            time.sleep(SETTLE_POLL)
        return first

    def _wait_until_empty(self, jobs: int) -> tuple[int, int]:
        """When the broker's count of what is left last fell, monotonic ns, and that count: 0 unless it is stuck."""
        left, since = jobs, monotonic_ns()
        while left and monotonic_ns() - since < STALL * 1e9:
            held = self.do("pending", count=jobs)["pending"]
            if held < left:
                left, since = held, monotonic_ns()
            time.sleep(SETTLE_POLL if held else 0)
        return since, left

    def _wait_until_run(self, jobs: int) -> dict[int, float]:
        """Until all have run, or none has for `STALL` seconds; the CPU time of each worker at its first job."""
        seen, since = -1, time.monotonic()
        deadline = since + TIMEOUT
        used: dict[int, float] = {}
        while time.monotonic() < min(since + STALL, deadline):
            ran, pids = self.tally.look()
            used |= {pid: cpu_seconds([pid]) for pid in pids if pid not in used}
            if ran >= jobs:
                break
            if ran != seen:
                seen, since = ran, time.monotonic()
            for worker in self._workers:
                worker.check()
            time.sleep(POLL)
        return used
