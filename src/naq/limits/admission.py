"""Whether a job may run now, by its limits: the one place that says so, for workers and for people who ask why.

Pure functions over the stored values. A worker puts what they return; `naq jobs why` only looks at it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from naq.limits import bucket, permits
from naq.limits.bucket import Bucket
from naq.limits.permits import Group

#: What the reason of a job that was put off begins with: it has waited already, and goes before those that have not.
WAITED: Final = "waiting for a limit: "


class Tokens(Struct, frozen=True):
    """What asking a rate for tokens came to. Times in UNIX seconds.

    Attributes:
        bucket: as it is from now on.
        got: tokens that were handed out, good until `until`; 0: none, and then:
        back: times at which to come back;
        closed: the time before which nobody gets one (now or earlier: those who have waited do).
    """

    bucket: Bucket
    got: int
    until: float = 0.0
    back: tuple[float, ...] = ()
    closed: float = 0.0


def ask_rate(there: Bucket, now: float, *, want: int, waited: bool, back: int = 1) -> Tokens:
    """Ask for up to `want` tokens; where there are none, for `back` times at which to come back."""
    after, got, until = bucket.take(there, now, want, waited=waited)
    if got:
        return Tokens(after, got, until)
    after, times = bucket.put_off(there, now, back)
    return Tokens(after, 0, now, tuple(times), bucket.available_at(there, now))


class Permits(Struct, frozen=True):
    """What asking a group for permits came to.

    Attributes:
        group: as it is from now on.
        held: permits that the worker holds now.
        back: times (UNIX seconds) at which to come back, where it got no more than it uses.
    """

    group: Group
    held: int
    back: tuple[float, ...] = ()


def ask_group(there: Group, worker: str, now: float, *, want: int, until: float, back: int = 1) -> Permits:
    """Ask for `want` permits in all for `worker`; where that is not granted, for `back` times to come back."""
    after, held = permits.hold(there, worker, want, now, until)
    if held >= want:
        return Permits(after, held)
    after, times = permits.put_off(after, now, back)
    return Permits(after, held, tuple(times))


def rate_reason(there: Bucket, at: float) -> str:
    """Why a job waits for a rate, in words."""
    return f"{WAITED}{_rate(there)} of task {there.name} is used up; it may start at {_clock(at)}"


def group_reason(there: Group, at: float) -> str:
    """Why a job waits for a group, in words."""
    return f"{WAITED}{there.most} of group {there.name} is full; it is looked at again at {_clock(at)}"


def _rate(there: Bucket) -> str:
    from naq.limits.rates import Rate

    return str(Rate(there.count, there.seconds))


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")
