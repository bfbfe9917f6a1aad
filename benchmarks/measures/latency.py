"""How long a job takes on an idle system: enqueue to its start, and enqueue to its result in the caller's hands."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Row, percentile, rounds, summary
from benchmarks.registry import System
from benchmarks.session import Session

CALLS = 500  # jobs a round, one after the other
WARM = 50  # jobs before them that are not counted
GAP = 0.005  # seconds between a result and the next job, so that the worker is idle
KEYS = ("start_p50_ms", "start_p99_ms", "result_p50_ms", "result_p99_ms")


def latency(systems: Sequence[System], count: int, calls: int = CALLS) -> list[Row]:
    """A row a system, in milliseconds. Clocks: CLOCK_MONOTONIC, which all processes of a Linux machine share."""
    rows: list[Row] = []
    for system in systems:

        def once(system: System = system) -> Row:
            with Session(system, WARM + calls, measure="latency", stamps=True) as session, session.workers():
                session.do("calls", count=WARM, gap=GAP)
                times = session.do("calls", first=WARM, count=calls, gap=GAP)["times"]
                stamps = session.tally.stamps()[WARM:]
            starts = [(stamp - before) / 1e6 for (before, _), stamp in zip(times, stamps, strict=True)]
            ends = [(after - before) / 1e6 for before, after in times]
            values = [percentile(data, percent) for data in (starts, ends) for percent in (50, 99)]
            return dict(zip(KEYS, values, strict=True))

        rows.append(summary("latency", system.name, rounds(count, once, f"latency: {system.name}"), *KEYS, calls=calls))
    return rows
