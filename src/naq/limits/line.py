"""A line of those who have to wait for a limit: each gets a time of its own, so that they do not all come at once."""

from __future__ import annotations

from typing import Final

LONGEST: Final = (
    3600.0  # seconds; who is put off further comes earlier and asks again: limits change, jobs are cancelled
)


def queue_up(line: float, now: float, *, first: float, spacing: float, count: int = 1) -> tuple[float, list[float]]:
    """The new end of the line, and the times (UNIX seconds) at which `count` more may come.

    `line` is the last time that was given out; `first` the earliest that makes sense; `spacing` the seconds in which
    one is served.
    """
    at = max(line + spacing, first, now)
    times: list[float] = []
    for _ in range(count):
        times.append(min(at, now + max(LONGEST, spacing)))
        at += spacing
    return times[-1], times
