"""Resident memory of one worker process after many jobs; naq's also after five times as many: it must be flat."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Row, rounds, summary
from benchmarks.process import resident
from benchmarks.registry import System
from benchmarks.session import Session

STEPS = 5  # pieces of `jobs` that naq runs in one worker


def memory(systems: Sequence[System], jobs: int) -> list[Row]:
    """A row a system, in MB (10^6 bytes), the workers idle when looked at. One round: memory does not jitter."""
    rows: list[Row] = []
    for system in systems:
        steps = STEPS if system.name == "naq" else 1

        def once(system: System = system, steps: int = steps) -> Row:
            sizes: list[float] = []
            with Session(system, jobs * steps) as session, session.workers():
                for step in range(steps):
                    session.do("in_bulk", first=jobs * step, count=jobs)
                    drained = session.drain(jobs * (step + 1))
                    sizes.append(sum(map(resident, session.tally.look()[1])) / 1e6)
            growth = sizes[-1] - sizes[0]
            facts = {"lost": drained.lost, "twice": drained.twice}
            return {"rss_mb": sizes[0], "growth_mb": growth, "sizes_mb": sizes, **facts}

        (result,) = rounds(1, once, f"memory: {system.name}, {jobs * steps:,} jobs")
        facts = {"jobs": jobs, "then": jobs * steps, "lost": result["lost"], "twice": result["twice"]}
        rows.append(summary("memory", system.name, [result], "rss_mb", "growth_mb", **facts))
    return rows
