"""Times and delays as the functional surface takes them."""

from __future__ import annotations

from datetime import datetime, timedelta


def as_timestamp(dt: datetime | float) -> float:
    """UNIX seconds of `dt`. A naive datetime is local time here, as whoever writes ``datetime.now()`` means it."""
    return dt.timestamp() if isinstance(dt, datetime) else dt


def as_seconds(delta: timedelta | float) -> float:
    """Seconds of `delta`; a delay that lies in the past is none."""
    return max(0.0, delta.total_seconds() if isinstance(delta, timedelta) else delta)
