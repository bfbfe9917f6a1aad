"""What a run should end in, as far as that differs from: every job succeeds, and nothing is left."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from naq.job import JobState


class Expected(Struct, frozen=True, kw_only=True):
    """What a checker measures a run by.

    Attributes:
        within: seconds after the last fault was healed (or the job was accepted, if that is later) in which every job
            must have its final record.
        states: the final state of jobs that should not succeed.
        attempts: of jobs, the attempt that must have ended them.
        settled: nothing may wait or run in the end.
        slack: seconds by which a call may outlast its deadline: one turn of a busy event loop.
        unready_within: seconds of an outage after which a process must say that it is not ready (K).
        ready_within: seconds after an outage within which it must be ready again (K).
        lines_per_second: warnings that one process may log while something is broken (M).
        tracebacks: types of exceptions whose tracebacks naq may log.
    """

    within: float = 40.0
    states: Mapping[str, JobState] = {}
    attempts: Mapping[str, int] = {}
    settled: bool = True
    slack: float = 1.0
    unready_within: float = 15.0
    ready_within: float = 5.0
    lines_per_second: float = 50.0
    tracebacks: frozenset[str] = frozenset()
