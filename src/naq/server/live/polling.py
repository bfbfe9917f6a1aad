"""What has no event: queues, workers, schedules, incidents. Looked at while somebody watches, told when it differs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from naq import clock
from naq.backends.base import Backend
from naq.exceptions import NaqException
from naq.server.live.tidings import Name, Tidings
from naq.server.problems import Problem

if TYPE_CHECKING:
    from naq.server.core import Core
    from naq.server.live.hub import Hub

Things = dict[str, dict[str, Any]]
_MOST: Final = 200  # incidents, errors and bulk actions that are told live; the rest is in the lists
Look = Callable[["Core"], Awaitable[Things]]


class Polling:
    """Looks at what is watched, and remembers what it saw."""

    def __init__(self, core: Core, hub: Hub) -> None:
        self._core, self._hub = core, hub
        self._seen: dict[str, dict[str, bytes]] = {}
        self._version = 0
        self._looked: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look from now on, if nothing does yet; it ends by itself when nobody watches."""
        if self._task is None or self._task.done():
            self._task = self._core.spawn(self._run(), "polling")

    async def _run(self) -> None:
        while self._hub.count:
            await self._round()
            await asyncio.sleep(self._core.settings.poll)

    async def _round(self) -> None:
        watched = [topic for topic in _LOOKS if self._hub.watched(topic)]
        self._seen = {topic: seen for topic, seen in self._seen.items() if topic in watched}
        for topic in watched:
            now = clock.monotonic()
            if topic in self._seen and now - self._looked.get(topic, now) < _SELDOM.get(topic, 0.0):
                continue
            self._looked[topic] = now
            name, look = _LOOKS[topic]
            with contextlib.suppress(Problem, NaqException):  # who watches is told by the breaker
                self._differences(name, topic, await look(self._core))

    def _differences(self, name: Name, topic: str, things: Things) -> None:
        before, whole = self._seen.get(topic), topic not in _LATEST
        now = {key: msgspec.json.encode(thing, order="deterministic") for key, thing in things.items()}
        self._seen[topic] = now
        at = clock.as_datetime(clock.now()).isoformat()
        for key, thing in things.items():
            if whole if before is None else before.get(key) != now[key]:
                self._tell(name, topic, {"id": key, "at": at, "patch": thing})
        for key in (before or {}) if whole else ():
            if key not in now:
                self._tell(name, topic, {"id": key, "at": at, "patch": None})

    def _tell(self, name: Name, topic: str, data: dict[str, Any]) -> None:
        self._version += 1
        data["v"] = self._version
        self._hub.tell(Tidings(name=name, topics=(topic,), entity=f"{topic} {data['id']}", data=data,
                               queue=data["id"] if topic == "queues" else ""))  # fmt: skip


def _with_broker(look: Callable[[Backend], Awaitable[Things]]) -> Look:
    async def looked(core: Core) -> Things:
        async with core.asking() as backend:
            return await look(backend)

    return looked


async def _alerts(core: Core) -> Things:
    """What is wrong now; what is over is gone."""
    from naq.server.alerts import rows
    from naq.server.api.incidents import IncidentView

    async with core.reading() as connection:
        found = await rows.find_incidents(connection, states=("pending", "open", "acknowledged"), limit=_MOST)
    return {one.id: IncidentView.of(one).model_dump(mode="json", exclude={"seen_at"}) for one in found}


async def _errors(core: Core) -> Things:
    """The groups of errors that came last."""
    from naq.server.api.errors import ErrorItem
    from naq.server.store.queries import errors

    async with core.reading() as connection:
        found = await errors.find(connection, limit=_MOST)
    return {one.fingerprint: ErrorItem.of(one).model_dump(mode="json", exclude={"detail"}) for one in found}


async def _attention(core: Core) -> Things:
    """What needs a person, but for what somebody has put aside."""
    from naq.server.api.overview import NeedView, needed

    return {one.id: NeedView.of(one).model_dump(mode="json") for one in await needed(core)}


async def _bulk(core: Core) -> Things:
    """The latest bulk actions, whichever server works on them."""
    from naq.server.bulk import rows

    async with core.reading() as connection:
        found = await rows.page(connection, limit=_MOST)
    names = ("done", "skipped", "failed", "state")
    return {one.id: {name: getattr(one, name) for name in names} for one in found}


async def _queues(backend: Backend) -> Things:
    return {one.queue: msgspec.structs.asdict(one) for one in await backend.stats()}


async def look_at_workers(backend: Backend) -> Things:
    """Those that run now, without what tells nothing new."""
    from naq.server.api.workers import WorkerView

    return {one.id: WorkerView.of(one).model_dump(mode="json", exclude=_NO_NEWS) for one in await backend.workers()}


async def _schedules(backend: Backend) -> Things:
    from naq.scheduler.planner import KIND

    return {one.key: {"version": one.version} for one in await backend.entries(KIND)}


async def _overview(backend: Backend) -> Things:
    stats, workers = await backend.stats(), await backend.workers()
    counts = {name: sum(getattr(one, name) for one in stats) for name in ("queued", "running", "scheduled", "blocked")}
    slots = sum(worker.concurrency for worker in workers)
    paused = [one.queue for one in stats if one.paused]
    served = {queue for worker in workers for queue in worker.queues}
    unserved = [one.queue for one in stats if one.queued and one.queue not in served]
    return {"overview": {**counts, "slots": slots, "workers": len(workers), "paused": paused, "unserved": unserved}}


#: Of a worker: what differs at every look, and what never does.
_NO_NEWS: Final[Any] = {"seen_at": True, "tasks": True, "facts": True, "jobs": {"__all__": {"elapsed_ms"}}}
_LOOKS: Final[dict[str, tuple[Name, Look]]] = {
    "queues": ("queue.changed", _with_broker(_queues)),
    "workers": ("worker.changed", _with_broker(look_at_workers)),
    "schedules": ("schedule.changed", _with_broker(_schedules)),
    "overview": ("overview.tick", _with_broker(_overview)),
    "attention": ("attention.changed", _attention),
    "alerts": ("alert.changed", _alerts),
    "errors": ("error.changed", _errors),
    "bulk": ("bulk.progress", _bulk),
}
#: Seconds between two looks at what costs more than the rest.
_SELDOM: Final = {"attention": 5.0}
#: Of these only the latest are looked at: what is not among them any more is not gone, and at first nothing is new.
_LATEST: Final = frozenset({"errors", "bulk"})
