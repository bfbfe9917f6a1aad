"""The slots of a timetable. One function says when it fires: preview, scheduler and tests all ask it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice, takewhile
from typing import Final, NamedTuple

from naq.schedules.cron import moments
from naq.schedules.timetable import Timetable

_WINDOW: Final = 64.0  # seconds looked back at first for slots that were missed; doubled until there are enough


class Slot(NamedTuple):
    """One firing. `at` is the moment that the timetable names, `due` that at which its job may run; UNIX seconds."""

    at: float
    due: float


def next_slots(table: Timetable, after: float, n: int, *, seed: str = "") -> list[Slot]:
    """The first `n` slots of `table` later than `after` (UNIX seconds), exactly as they will fire.

    Fewer where the timetable ends. `repeat` counts jobs already made, so it is the caller's to apply (`Kept.upcoming`).
    `seed` is the schedule's name: the jitter of a slot follows from it and the slot alone.
    """
    return list(islice(slots(table, after, seed), n))


def slots(table: Timetable, after: float, seed: str = "") -> Iterator[Slot]:
    """All slots of `table` later than `after`, in order."""
    found = _counted(table, after) if table.interval else moments(table.cron, table.tz, max(after, _before(table)))
    end = table.end
    for at in found if end is None else takewhile(lambda at: at < end, found):
        yield Slot(at, at + jitter(table, at, seed))


def newest_slots(table: Timetable, after: float, until: float, n: int, seed: str = "") -> list[Slot]:
    """The last `n` slots later than `after` and not after `until`, oldest first; quick however many lie between."""
    span = _WINDOW
    while True:
        start = max(after, until - span)
        found = list(takewhile(lambda slot: slot.at <= until, slots(table, start, seed)))
        if len(found) >= n or start == after:
            return found[-n:] if n else []
        span *= 2


def jitter(table: Timetable, at: float, seed: str) -> float:
    """Seconds by which the job of the slot at `at` is put off; the same whoever asks, and spread evenly over slots."""
    if not table.jitter:
        return 0.0
    digest = blake2b(f"{seed} {at:.0f}".encode(), digest_size=8).digest()
    return round(table.jitter * int.from_bytes(digest, "big") / 2**64, 3)


def _counted(table: Timetable, after: float) -> Iterator[float]:
    step = table.interval
    start = table.start or 0.0  # a stored schedule has one; a preview without counts from 1970, as if aligned
    count = max(0, int((after - start) // step) + 1) if after >= start else 0
    while (at := start + count * step) < 253_402_300_800:
        yield at
        count += 1


def _before(table: Timetable) -> float:
    """The last moment before the first slot that may be."""
    return 0.0 if table.start is None else table.start - 1
