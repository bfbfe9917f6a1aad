"""A rate as a value: what was handed out within its time, and how far the line of those who wait reaches.

Tokens are handed out in leases, a few at once, so that not every job costs a round trip. A lease counts from its end,
the last moment at which it can be used: so there is no window of the rate's length with more than its count.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
from msgspec import Struct

from naq.limits.line import queue_up
from naq.limits.rates import Rate

PARTS: Final = 50  # of a rate's time: how finely what was handed out is remembered; it costs 2 % of the rate
LEASE_PART: Final = 0.05  # of a rate's time that a lease of tokens is good for ...
LEASE_PLENTY: Final = 0.5  # ... while no more than half of the rate is used ...
PLENTY: Final = 0.5  # of the count: free tokens beside those of the lease, for a long lease
LEASE_MOST: Final = 1.0  # ... and seconds it is at most
LEASE_SHARE: Final = 0.1  # of the count: what one worker may hold, so that none of a fleet takes all
KEPT_BACK: Final = 0.1  # of the count: tokens for those only who have waited before


class Bucket(Struct, frozen=True, array_like=True):
    """What is stored. Times in UNIX seconds.

    Attributes:
        name: of the limit, for people.
        count, seconds: the rate as it was last applied.
        used: pairs of a time and how many tokens were handed out to be used until then, oldest first.
        line: the last time at which somebody was told to come back.
    """

    name: str
    count: int
    seconds: float
    used: tuple[tuple[float, int], ...] = ()
    line: float = 0.0


_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(Bucket).decode


def new(name: str, rate: Rate) -> Bucket:
    """A bucket of which nothing was used."""
    return Bucket(name, rate.count, rate.seconds)


def read(value: bytes | None, name: str, rate: Rate) -> Bucket:
    """The stored bucket, with today's rate; a new one where there is none, or what is there cannot be read."""
    if value is None:
        return new(name, rate)
    try:
        there = _decode(value)
    except msgspec.DecodeError:
        return new(name, rate)
    return msgspec.structs.replace(there, name=name, count=rate.count, seconds=rate.seconds)


def peek(value: bytes) -> Bucket | None:
    """The stored bucket as it is, or None where it is none."""
    try:
        return _decode(value)
    except msgspec.DecodeError:
        return None


def write(bucket: Bucket) -> bytes:
    """What is stored."""
    return _encode(bucket)


def lifetime(bucket: Bucket, now: float) -> float:
    """Seconds after which it says nothing any more."""
    return max(bucket.seconds + LEASE_MOST, bucket.line - now) + 1.0


def lease_of(seconds: float, *, plenty: bool = False) -> float:
    """Seconds that a lease of tokens is good for, where a rate counts over `seconds`.

    A long lease keeps its tokens from others for longer, which is no loss where there are `plenty`.
    """
    return min(seconds * (LEASE_PLENTY if plenty else LEASE_PART), LEASE_MOST)


def taken(bucket: Bucket, now: float) -> int:
    """How many tokens count against the rate at `now`."""
    since = now - bucket.seconds
    return sum(count for until, count in bucket.used if until > since)


def take(bucket: Bucket, now: float, want: int, *, waited: bool, leased: bool = True) -> tuple[Bucket, int, float]:
    """Hand out up to `want` tokens; how many, and until when they are good. One is used at once; several have a lease.

    `leased`: False where all of them are used at once, and none is kept.

    `waited`: for one that was told to come back. Others leave the last few tokens to those while there is a line.
    """
    free = bucket.count - taken(bucket, now)
    if not waited and bucket.line > now:
        free -= max(1, int(bucket.count * KEPT_BACK))
    got = min(want, free, max(1, int(bucket.count * LEASE_SHARE)) if leased else want)
    if got <= 0:
        return bucket, 0, now
    plenty = free - got >= bucket.count * PLENTY
    until = now + (lease_of(bucket.seconds, plenty=plenty) if leased and got > 1 else 0.0)
    return msgspec.structs.replace(bucket, used=_with(bucket, until, got, now)), got, until


def _with(bucket: Bucket, until: float, count: int, now: float) -> tuple[tuple[float, int], ...]:
    """`used` with `count` more. Where they are many, times are rounded up to a part of the rate's time."""
    if bucket.count > PARTS:
        step = bucket.seconds / PARTS
        until = math.ceil(until / step) * step
    since = now - bucket.seconds
    kept = {at: used for at, used in bucket.used if at > since}
    kept[until] = kept.get(until, 0) + count
    return tuple(sorted(kept.items()))


def available_at(bucket: Bucket, now: float, count: int = 1) -> float:
    """The time at which `count` tokens are free; `now` where they are, and the end of all times of use if never."""
    over = taken(bucket, now) - bucket.count + count
    if over <= 0:
        return now
    since = now - bucket.seconds
    for until, used in bucket.used:
        if until > since:
            over -= used
            if over <= 0:
                return until + bucket.seconds
    return now + bucket.seconds


def reserve(bucket: Bucket, now: float, count: int) -> tuple[Bucket, list[float]]:
    """Hand out `count` tokens, each for a time of its own: at once while there are, then one after the other."""
    spacing = bucket.seconds / bucket.count
    # What was given out of the line's times lies evenly before its end, and counts as used within the rate's time.
    lined = max(0, math.ceil((bucket.line - (now - bucket.seconds)) / spacing)) if bucket.line else 0
    at_once = max(0, min(count, bucket.count - taken(bucket, now) - lined)) if bucket.line <= now else 0
    times = [now] * at_once
    if at_once:
        bucket = msgspec.structs.replace(bucket, used=_with(bucket, now, at_once, now))
    line = bucket.line
    for number in range(lined + 1, lined + 1 + count - at_once):
        line = max(line + spacing, available_at(bucket, now, min(number, bucket.count)))
        times.append(line)
    return msgspec.structs.replace(bucket, line=line), times


def put_off(bucket: Bucket, now: float, count: int = 1) -> tuple[Bucket, list[float]]:
    """Let `count` more wait: the times at which they may come back."""
    spacing = bucket.seconds / bucket.count
    line, times = queue_up(bucket.line, now, first=available_at(bucket, now), spacing=spacing, count=count)
    return msgspec.structs.replace(bucket, line=line), times
