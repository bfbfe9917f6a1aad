"""How fast a backlog of no-op jobs is gone, results kept: from the first job's start until the broker holds nothing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import to_builtins

from benchmarks.measure import Row, rounds, summary
from benchmarks.registry import System
from benchmarks.session import Drained, Session

PROCESSES = (1, 2)


def drain(systems: Sequence[System], jobs: int, count: int, processes: Sequence[int] = PROCESSES) -> list[Row]:
    """A row a system and number of worker processes."""
    return [row(system, jobs * system.scale, count, number) for system in systems for number in processes]


def row(system: System, jobs: int, count: int, processes: int, measure: str = "drain") -> Row:
    """`count` rounds of one system with one number of processes."""

    def once() -> Row:
        with Session(system, jobs) as session:
            session.do("in_bulk", count=jobs)
            with session.workers(processes):
                return outcome(session.drain(jobs))

    results = rounds(count, once, f"{measure}: {system.name}, {jobs:,} jobs, {processes} worker process(es)")
    facts = {
        "jobs": jobs,
        "lost": sum(result["lost"] for result in results),
        "twice": sum(result["twice"] for result in results),
        "left": sum(result["left"] for result in results),
        "results": min((result["results"] for result in results if result["results"] is not None), default=None),
    }
    keys = ("jobs_per_s", "worker_cores", "broker_cores")
    return summary(measure, system.name, results, *keys, processes=processes, **facts)


def outcome(drained: Drained) -> Row:
    return {**to_builtins(drained), "jobs_per_s": drained.jobs / drained.seconds}
