"""The pull loop: shares a worker's free slots out to lanes, and hands over what comes.

Pulls stand at the broker, so an idle worker asks nothing and a new job is delivered at once. Never more is asked for
than there are free slots, but for one message a lane that seems empty, so that no lane is overlooked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from naq import clock
from naq.backends.nats.client.lane import Delivered, Lane

REFILL: Final = 0.5  # share of a lane's slots that must be free before it is asked again: one request for many jobs
HELD_TOO_LONG: Final = 1.0  # seconds a delivered job may wait for a slot before it is handed back


def allot(want: int, lanes: Sequence[Lane], *, strict: bool = False) -> list[int]:
    """How many messages to ask of each lane so that together they fill `want` slots.

    Lanes with a backlog share the slots by weight, to the fraction: what a lane did not get now is its credit for the
    next time. One that seems empty keeps a standing pull of one, so that it is heard of; its first message says how
    many more there are. `strict`: only lanes of the highest priority that has a backlog share, the next take what they
    leave.
    """
    if want <= 0:
        return [0] * len(lanes)
    busy = [lane for lane in lanes if lane.backlog > 0]
    outstanding = sum(lane.outstanding for lane in busy)
    free = want - outstanding
    batches = {id(lane): 1 for lane in lanes if lane.backlog <= 0 and lane.outstanding == 0}
    if busy and free > 0 and (outstanding == 0 or free >= want * REFILL):
        if not strict:
            _share(free, want, busy, batches)
        for weight in sorted({lane.weight for lane in busy}, reverse=True) if strict else ():
            equals = [lane for lane in busy if lane.weight == weight]
            part = min(free, sum(lane.backlog + 1 for lane in equals))
            _share(part, want, equals, batches)
            free -= part
    return [batches.get(id(lane), 0) for lane in lanes]


def _share(free: int, want: int, busy: Sequence[Lane], batches: dict[int, int]) -> None:
    """Share `free` slots out to `busy` lanes by weight, into `batches`."""
    weights = sum(lane.weight for lane in busy)
    for lane in busy:
        # What was not needed for long is not saved up: it would let a burst shut the others out.
        lane.credit = min(max(lane.credit, -want), want) + free * lane.weight / weights
    for lane in busy:
        batches[id(lane)] = batch = min(max(int(lane.credit), 0), free, lane.backlog + 1)
        lane.credit -= batch
        free -= batch
    if free > 0:  # what rounding down left over goes to whom most is due
        lane = max(busy, key=_credit)
        batches[id(lane)] += free
        lane.credit -= free


def _credit(lane: Lane) -> float:
    return lane.credit


class Puller:
    """The lanes of one worker."""

    def __init__(self, lease: float, *, strict: bool = False) -> None:
        self._lease = lease
        self._strict = strict
        self._arrival = asyncio.Event()
        self.lanes: dict[str, list[Lane]] = {}

    def arrived(self) -> None:
        """Wake `wait`: something was delivered, or it is time to ask again."""
        self._arrival.set()

    def ask(self, lanes: Sequence[Lane], want: int) -> None:
        """Let standing pulls for `lanes` fill `want` slots."""
        for lane, batch in zip(lanes, allot(want, lanes, strict=self._strict), strict=True):
            if batch > 0:
                lane.pull(batch)

    async def wait(self, timeout: float) -> None:
        """Until something arrives, at most `timeout` seconds."""
        self._arrival.clear()
        # Waking for nothing does no harm, and this is half of what `asyncio.timeout` costs between a job and its start.
        patience = asyncio.get_running_loop().call_later(timeout, self._arrival.set)
        try:
            await self._arrival.wait()
        finally:
            patience.cancel()

    def take(self, lanes: Sequence[Lane], limit: int) -> list[tuple[Lane, float, Delivered]]:
        """Up to `limit` delivered messages, most urgent lane first; lapsed ones are left to the broker."""
        out: list[tuple[Lane, float, Delivered]] = []
        oldest = clock.monotonic() - self._lease
        for lane in lanes:
            buffer = lane.buffer
            while buffer and len(out) < limit:
                since, message = buffer.popleft()
                if since > oldest:
                    out.append((lane, since, message))
        return out

    def overheld(self, lanes: Sequence[Lane]) -> list[Delivered]:
        """Take out what no slot came free for; somebody else may have one."""
        out: list[Delivered] = []
        before = clock.monotonic() - HELD_TOO_LONG
        for lane in lanes:
            while lane.buffer and lane.buffer[0][0] < before:
                out.append(lane.buffer.popleft()[1])
        return out

    def forget(self) -> None:
        """The connection is gone."""
        for lanes in self.lanes.values():
            for lane in lanes:
                lane.forget()
        self.arrived()

    def look(self) -> None:
        """Once a tick: pulls that fell silent, pauses that are over."""
        now = clock.monotonic()
        for lanes in self.lanes.values():
            for lane in lanes:
                lane.look(now)
