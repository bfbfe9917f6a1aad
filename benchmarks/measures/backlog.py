"""Whether a long queue makes a job dearer: the drain of 10 k, 100 k and 1 M queued jobs, one worker process."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Row
from benchmarks.measures.drain import row
from benchmarks.registry import System

BACKLOGS = (10_000, 100_000, 1_000_000)


def backlog(systems: Sequence[System], largest: int, count: int) -> list[Row]:
    """A row a system and backlog, up to `largest` jobs; shorter drains get more rounds, as they jitter more."""
    sizes = [size for size in BACKLOGS if size <= largest] or [largest]
    return [
        row(system, size, count * (3 if size <= BACKLOGS[0] else 1), 1, measure="backlog")
        for system in systems
        for size in sizes
    ]
