"""A concurrency group as a value: who holds how many permits until when, and how far the line of waiting jobs reaches.

A worker's permits run out by themselves unless it renews them, so that one that died frees its slots within a lease.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from naq.limits.line import queue_up

SKEW: Final = 1.0  # seconds that two hosts' clocks may differ: nobody else's permits are taken for gone before
FIRST_GUESS: Final = 0.1  # seconds a job of the group is thought to take before one has ended
SMOOTHING: Final = 0.2  # weight of the latest job in the guess of how long the next one takes
SOONEST, LATEST = 0.02, 10.0  # seconds between two who come back: below it costs more than it gains, above it is idle
LOOK_MOST: Final = 30.0  # seconds; a permit may come free at any time, so nobody waits longer before asking again


class Holder(Struct, frozen=True, array_like=True):
    """One worker's permits: how many, and until when (UNIX seconds)."""

    worker: str
    count: int
    until: float


class Group(Struct, frozen=True, array_like=True):
    """What is stored.

    Attributes:
        name: of the group, for people.
        most: how many jobs may run at once, as it was last applied.
        holders: who holds permits.
        takes: seconds that a job is thought to take.
        line: the last time (UNIX seconds) at which somebody was told to come back.
    """

    name: str
    most: int
    holders: tuple[Holder, ...] = ()
    takes: float = FIRST_GUESS
    line: float = 0.0


_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(Group).decode


def read(value: bytes | None, name: str, most: int) -> Group:
    """The stored group, with today's limit; a new one where there is none, or what is there cannot be read."""
    there = None if value is None else peek(value)
    return Group(name, most) if there is None else msgspec.structs.replace(there, name=name, most=most)


def peek(value: bytes) -> Group | None:
    """The stored group as it is, or None where it is none."""
    try:
        return _decode(value)
    except msgspec.DecodeError:
        return None


def write(group: Group) -> bytes:
    """What is stored."""
    return _encode(group)


def lifetime(group: Group, now: float) -> float:
    """Seconds after which it says nothing any more."""
    return max([group.line, *(holder.until for holder in group.holders)]) - now + SKEW + 1.0


def living(group: Group, now: float) -> tuple[Holder, ...]:
    """Who holds permits that have not run out."""
    return tuple(holder for holder in group.holders if holder.until + SKEW > now)


def held(group: Group, now: float) -> int:
    """How many permits are held."""
    return sum(holder.count for holder in living(group, now))


def hold(group: Group, worker: str, count: int, now: float, until: float) -> tuple[Group, int]:
    """Let `worker` hold `count` permits until `until`; how many it has now, which may be fewer, never more than `most`.

    What it held before is part of it; 0 gives all back.
    """
    others = tuple(holder for holder in living(group, now) if holder.worker != worker)
    room = group.most - sum(holder.count for holder in others)
    mine = next((holder.count for holder in living(group, now) if holder.worker == worker), 0)
    # Never below what runs already: a limit that was lowered lets those end.
    got = min(count, max(room, mine))
    holders = (*others, Holder(worker, got, until)) if got > 0 else others
    return msgspec.structs.replace(group, holders=holders), max(got, 0)


def learn(group: Group, took: float) -> Group:
    """Think again of how long a job takes, now that one took `took` seconds."""
    return msgspec.structs.replace(group, takes=group.takes + (took - group.takes) * SMOOTHING)


def put_off(group: Group, now: float, count: int = 1) -> tuple[Group, list[float]]:
    """Let `count` more wait: the times at which they may come and look."""
    spacing = min(max(group.takes / group.most, SOONEST), LATEST)
    line, times = queue_up(group.line, now, first=now + spacing, spacing=spacing, count=count)
    times = [min(at, now + LOOK_MOST) for at in times]
    return msgspec.structs.replace(group, line=min(line, now + LOOK_MOST)), times
