"""Limits in a worker: asks before a job runs, and keeps what it got for the next one, so that most ask nobody.

Tokens of a rate are good for a moment, so they come a few at once, more while they are used up. Permits of a group stay
with the worker as long as jobs of the group follow each other. Lives on the worker's event loop; `holding` and
`renewed` are for the thread that renews.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from msgspec import Struct

from naq import clock
from naq.exceptions import NaqException
from naq.limits import bucket, permits
from naq.limits.admission import WAITED, Permits, Tokens, ask_group, ask_rate, group_reason, rate_reason
from naq.limits.declared import Needs
from naq.limits.kinds import GROUPS, RATES
from naq.limits.rates import Rate
from naq.limits.shared import Cell, Store

log = logging.getLogger("naq.worker")

LEASE_MOST: Final = 256  # tokens asked for at once; what is not used in time is lost to everybody
BACK_MOST: Final = 8  # times to come back asked for at once; what is not given out is a hole in the line
GROWTH: Final = 2  # times as many as before, where all were used
LINGER: Final = 0.25  # seconds a permit stays here unused: the next job of the group is mostly here already
FAREWELL: Final = 2.0  # seconds that giving back may take at the end
TRIM_AGAIN: Final = 2.0  # seconds until the next try to give permits back; left alone, they run out
SHORTEST: Final = 0.02  # seconds a job is put off at least
KEPT: Final = 10_000  # limits remembered; by key there may be any number, and those that stand still are dropped


class PutOff(Struct, frozen=True):
    """Not now: in `delay` seconds, for `reason`."""

    delay: float
    reason: str


class _Turns:
    """Times to come back, asked for some at once; more each time they were all given out before the first had come."""

    __slots__ = ("_count", "_times")

    def __init__(self) -> None:
        self._times: list[float] = []
        self._count = 1

    @property
    def wanted(self) -> int:
        """How many to ask for."""
        return self._count

    def next(self, now: float) -> float | None:
        """The next one that is still to come."""
        while self._times:
            if (at := self._times.pop(0)) > now:
                return at
            self._count = 1
        return None

    def came(self, times: tuple[float, ...]) -> float:
        """Take new ones in; the first of them."""
        self._times = list(times[1:])
        self._count = min(self._count * GROWTH, BACK_MOST)
        return times[0]


class _Rate:
    """What this worker has of one rate."""

    __slots__ = ("cell", "closed", "good_until", "got", "lock", "shown", "tokens", "turns", "want")

    def __init__(self, key: str) -> None:
        self.cell = Cell(RATES, key)
        self.lock = asyncio.Lock()
        self.got = 0  # tokens of the last lease
        self.tokens = 0  # ... that are left
        self.good_until = 0.0  # UNIX seconds
        self.closed = 0.0  # UNIX seconds before which there is nothing to be had
        self.want = 1
        self.turns = _Turns()
        self.shown: bucket.Bucket | None = None


class _Group:
    """What this worker has of one group."""

    __slots__ = ("cell", "count", "lock", "most", "name", "stored", "takes", "trimmer", "turns", "until", "used")

    def __init__(self, key: str, name: str, most: int) -> None:
        self.cell = Cell(GROUPS, key)
        self.lock = asyncio.Lock()
        self.name, self.most = name, most
        self.count = 0  # permits that may be used here
        self.stored = 0  # ... that are held, as far as is known: they may be about to be given back
        self.used = 0  # ... by jobs that run
        self.until = 0.0  # UNIX seconds
        self.takes: float | None = None
        self.trimmer: asyncio.TimerHandle | None = None
        self.turns = _Turns()


class Limiter:
    """Asks for the jobs of one worker. `lease` is how many seconds its permits last unless they are renewed."""

    def __init__(self, store: Store, worker: str, *, lease: float) -> None:
        self._store = store
        self._worker = worker
        self._lease = lease
        self._rates: dict[str, _Rate] = {}
        self._groups: dict[str, _Group] = {}
        self._closed = False
        self._beside: set[asyncio.Task[None]] = set()

    async def admit(self, needs: Needs, reason: str) -> PutOff | None:
        """None: the job may run, and `done` has to be called after it. Else how long it is to be put off.

        `reason` is why it waited, if it did.

        Raises:
            NaqConnectionError: the store cannot be asked.
        """
        waited = reason.startswith(WAITED)
        if needs.most and (put_off := await self._enter(needs, waited=waited)) is not None:
            return put_off
        if needs.rate is not None and (put_off := await self._take(needs, needs.rate, waited=waited)) is not None:
            if needs.most:
                self.done(needs, None)
            return put_off
        return None

    async def _take(self, needs: Needs, rate: Rate, *, waited: bool) -> PutOff | None:
        local = self._rates.get(needs.rate_entry)
        if local is None:
            local = self._rates[needs.rate_entry] = self._remember(self._rates, _Rate(needs.rate_entry))
        now = clock.now()
        if local.tokens > 0 and now < local.good_until:
            local.tokens -= 1
            return None
        async with local.lock:
            now = clock.now()
            if local.tokens > 0 and now < local.good_until:
                local.tokens -= 1
                return None
            if now < local.closed and local.shown is not None and (at := local.turns.next(now)) is not None:
                return _put_off(at, now, rate_reason(local.shown, at))
            # All of the last lease was used: more this time. Some of it was lost: as many as were used.
            local.want = min(local.want * GROWTH, LEASE_MOST) if local.tokens == 0 else max(local.got - local.tokens, 1)
            local.tokens = local.got = 0

            def work(value: bytes | None) -> tuple[bytes | None, float | None, Tokens]:
                now = clock.now()
                there = bucket.read(value, needs.task, rate)
                asked = ask_rate(there, now, want=local.want, waited=waited, back=local.turns.wanted)
                return bucket.write(asked.bucket), bucket.lifetime(asked.bucket, now), asked

            asked = await local.cell.change(self._store, work)
            now, local.shown = clock.now(), asked.bucket
            if asked.got:
                local.tokens, local.got = asked.got - 1, asked.got
                local.good_until = asked.until
                return None
            local.closed = asked.closed
            local.want = 1
            at = local.turns.came(asked.back)
            return _put_off(at, now, rate_reason(asked.bucket, at))

    async def _enter(self, needs: Needs, *, waited: bool) -> PutOff | None:
        local = self._groups.get(needs.group_entry)
        if local is None:
            made = _Group(needs.group_entry, needs.group, needs.most)
            local = self._groups[needs.group_entry] = self._remember(self._groups, made)
        local.most = needs.most
        if self._use(local):
            return None
        async with local.lock:
            if self._use(local):
                return None
            now = clock.now()
            # Whoever was told to come now is to know whether there is a permit; others queue up behind.
            if not waited and (at := local.turns.next(now)) is not None:
                return _put_off(at, now, group_reason(permits.Group(needs.group, needs.most), at))
            asked = await self._ask(local, local.used + 1, back=local.turns.wanted)
            if self._use(local):
                return None
            now = clock.now()
            at = local.turns.came(asked.back) if asked.back else now + permits.FIRST_GUESS
            return _put_off(at, now, group_reason(asked.group, at))

    def _use(self, local: _Group) -> bool:
        """Take a permit that is here and not in use."""
        if local.used < min(local.count, local.most) and clock.now() < local.until:
            local.used += 1
            return True
        return False

    async def _ask(self, local: _Group, want: int, *, back: int = 0) -> Permits:
        """Hold `want` permits of a group."""
        # What is about to be given back is not given out meanwhile: others may have it before we hear of it.
        local.count = min(local.count, want)
        took, local.takes = local.takes, None
        until = 0.0

        def work(value: bytes | None) -> tuple[bytes | None, float | None, Permits]:
            nonlocal until
            now = clock.now()
            until = now + self._lease
            there = permits.read(value, local.name, local.most)
            if took is not None:
                there = permits.learn(there, took)
            asked = ask_group(there, self._worker, now, want=want, until=until, back=back)
            return permits.write(asked.group), permits.lifetime(asked.group, now), asked

        asked = await local.cell.change(self._store, work)
        local.count, local.stored, local.until = asked.held, asked.held, until
        return asked

    def done(self, needs: Needs, took: float | None) -> None:
        """A job that was let in has ended, after `took` seconds (None: it did not run)."""
        local = self._groups.get(needs.group_entry) if needs.most else None
        if local is None:
            return
        local.used = max(0, local.used - 1)
        if took is not None:
            local.takes = took if local.takes is None else (local.takes + took) / 2
        if local.trimmer is None:
            loop = asyncio.get_running_loop()
            local.trimmer = loop.call_later(LINGER, self._trim_later, local)

    def _trim_later(self, local: _Group) -> None:
        local.trimmer = None
        if local.used < local.stored:
            self._spawn(self._trim(local))

    async def _trim(self, local: _Group) -> None:
        """Give back the permits that no job of this worker has had a use for."""
        try:
            async with local.lock:
                if local.used < local.stored:
                    await self._ask(local, local.used)
        except NaqException as error:
            log.debug("permits of group %s could not be given back, trying again: %s", local.name, error)
            if local.trimmer is None and not self._closed:
                local.trimmer = asyncio.get_running_loop().call_later(TRIM_AGAIN, self._trim_later, local)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    @staticmethod
    def _remember(known: dict[str, Any], made: Any) -> Any:
        """`made`, with room made for it: what has nothing in use is asked for anew when it is needed."""
        if len(known) >= KEPT:
            idle = [key for key, each in known.items() if not getattr(each, "stored", 0) and not each.lock.locked()]
            for key in idle:
                del known[key]
        return made

    def holding(self) -> list[tuple[str, str, int]]:
        """Key, name and limit of the groups of which permits are held; safe in any thread."""
        return [(key, local.name, local.most) for key, local in list(self._groups.items()) if local.stored > 0]

    def renewed(self, key: str, until: float) -> None:
        """The permits of this group last until `until` (UNIX seconds); from any thread."""
        if (local := self._groups.get(key)) is not None:
            local.until = max(local.until, until)

    async def close(self) -> None:
        """Give everything back."""
        self._closed = True
        for local in self._groups.values():
            if local.trimmer is not None:
                local.trimmer.cancel()
                local.trimmer = None
            if local.stored > 0:
                self._spawn(self._trim(local))
        if self._beside:
            _, late = await asyncio.wait(self._beside, timeout=FAREWELL)
            for task in late:  # the broker does not answer; what is held runs out
                task.cancel()


def _put_off(at: float, now: float, reason: str) -> PutOff:
    return PutOff(max(at - now, SHORTEST), reason)
