"""What a worker without jobs costs: the CPU time of its process, and of the broker beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.measure import Row, rounds, summary
from benchmarks.process import cpu_seconds
from benchmarks.registry import System
from benchmarks.session import Session

JOBS = 100  # jobs before, which tell who the worker is
SETTLE = 3.0  # seconds for what those left to do
IDLE = 30.0  # seconds looked at


def idle(systems: Sequence[System], count: int, seconds: float = IDLE) -> list[Row]:
    """A row a system: percent of one core."""
    rows: list[Row] = []
    for system in systems:

        def once(system: System = system) -> Row:
            with Session(system, JOBS) as session, session.workers():
                session.do("in_bulk", count=JOBS)
                session.drain(JOBS)
                workers, servers = session.tally.look()[1], session.servers
                time.sleep(SETTLE)
                began, ours, theirs = time.monotonic(), cpu_seconds(workers), cpu_seconds(servers)
                time.sleep(seconds)
                took = time.monotonic() - began
                return {
                    "worker_percent": (cpu_seconds(workers) - ours) / took * 100,
                    "broker_percent": (cpu_seconds(servers) - theirs) / took * 100,
                }

        results = rounds(count, once, f"idle: {system.name}")
        rows.append(summary("idle", system.name, results, "worker_percent", "broker_percent", seconds=seconds))
    return rows
