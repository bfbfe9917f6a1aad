"""How fast jobs are stored: one awaited call at a time, and with the system's own means for many. No worker runs."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Row, rounds, summary
from benchmarks.registry import System
from benchmarks.session import Session


def enqueue(systems: Sequence[System], jobs: int, count: int) -> list[Row]:
    """A row a system: jobs a second, one by one and batched. Batches are of `jobs` times the system's scale."""
    rows: list[Row] = []
    for system in systems:
        many = jobs * system.scale

        def once(system: System = system, many: int = many) -> Row:
            with Session(system, jobs + many) as session:
                alone = session.do("one_by_one", first=0, count=jobs)["seconds"]
                together = session.do("in_bulk", first=jobs, count=many)["seconds"]
                stored = session.do("pending", count=jobs + many)["pending"]
            if stored != jobs + many:
                raise RuntimeError(f"{system.name}: {jobs + many:,} jobs enqueued, {stored:,} in the store")
            return {"one_by_one_per_s": jobs / alone, "batched_per_s": many / together}

        results = rounds(count, once, f"enqueue: {system.name}")
        rows.append(summary("enqueue", system.name, results, "one_by_one_per_s", "batched_per_s", jobs=jobs, many=many))
    return rows
