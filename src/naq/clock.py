"""The one place time comes from, so that tests can hold it still.

Two clocks, never mixed: `now()` is what people mean by the time (UNIX seconds, UTC) and may step;
`monotonic()` measures how long something took or may still take, and is the only one that leases use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime

_now: Callable[[], float] = time.time
_monotonic: Callable[[], float] = time.monotonic
_on_step: set[Callable[[], None]] = set()


def now() -> float:
    """Seconds since 1970-01-01 UTC, as a float."""
    return _now()


def monotonic() -> float:
    """Seconds on a clock that never steps; only differences mean anything."""
    return _monotonic()


def on_step(callback: Callable[[], None]) -> Callable[[], None]:
    """Call `callback` whenever a test sets the clock, so that sleepers look at it again; returns what ends that.

    Only `step` calls it: real time passes without telling anybody.
    """
    _on_step.add(callback)
    return lambda: _on_step.discard(callback)


def step() -> None:
    """Say that a replaced clock has been set (see `use`)."""
    for callback in tuple(_on_step):
        callback()


def as_timestamp(when: datetime) -> float:
    """UNIX seconds of `when`. A naive datetime is taken as UTC: a server's local zone is an accident."""
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def as_datetime(timestamp: float) -> datetime:
    """The aware UTC datetime of `timestamp` (UNIX seconds)."""
    return datetime.fromtimestamp(timestamp, UTC)


@contextmanager
def use(*, now: Callable[[], float] | None = None, monotonic: Callable[[], float] | None = None) -> Generator[None]:
    """Replace either clock while the block runs. For tests; process-wide."""
    global _now, _monotonic
    before = (_now, _monotonic)
    _now, _monotonic = now or _now, monotonic or _monotonic
    try:
        yield
    finally:
        _now, _monotonic = before
