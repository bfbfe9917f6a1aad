"""How things stand now: what each rule has to be judged by, or that nobody knows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.backends.base import QueueStats, Storage, WorkerInfo
from naq.exceptions import NaqException
from naq.scheduler.acts import Acts
from naq.schedules.kept import Kept
from naq.schedules.slots import slots
from naq.server.alerts import counted
from naq.server.alerts.rules import KINDS, Rule
from naq.server.problems import Problem
from naq.server.store import room
from naq.server.store.queries.waiting import waiting_since
from naq.server.store.rows import MICRO, micros

if TYPE_CHECKING:
    from naq.server.core import Core

#: Value by subject; a subject that is missing is as it should be.
Reading = Mapping[str, float]
_BROKER: Final = frozenset({"queue_age", "queue_depth", "no_workers", "schedule_missed", "storage", "worker_memory"})
#: Parts of the broker that may have a limit of their own are stores by their names, the whole of it is this one.
BROKER: Final = "broker"


#: A rule for each kind that is noted, of all its subjects.
NOTED: Final = tuple(
    Rule(name=one.kind, kind=one.kind, threshold=0) for one in KINDS.values() if one.basis == "noted"
)  # fmt: skip
MOST_NOTED: Final = 200  # subjects of a kind, the worst: of more, a preview of each says little


class Broker(Struct, frozen=True):
    """What the broker said of queues, workers and, where somebody asks, schedules and how full it is."""

    queues: Sequence[QueueStats]
    workers: Sequence[WorkerInfo]
    schedules: Sequence[Kept]
    storage: Sequence[Storage] = ()


async def ask_broker(core: Core, rules: Iterable[Rule]) -> Broker | None:
    """What the broker says, where a rule wants it; None: none does, or it is away, which its breaker learns by this."""
    kinds = {rule.kind for rule in rules}
    if not kinds & {*_BROKER, "broker_lost"}:
        return None
    with contextlib.suppress(Problem, NaqException):
        async with core.asking() as backend:
            schedules = await Acts(backend, core.config).all() if "schedule_missed" in kinds else []
            storage = await backend.storage() if "storage" in kinds else []
            return Broker(await backend.stats(), await backend.workers(), schedules, storage)
    return None


async def read(core: Core, connection: AsyncConnection, rule: Rule, broker: Broker | None) -> Reading | None:
    """What `rule` is judged by; None: nobody knows now, and nothing changes."""
    if rule.watched.counts:
        now = micros(clock.now())
        minutes = await counted.count(connection, rule, now - rule.window_s * MICRO, now)
        return {subject: counted.measure(rule, counted.total(found)) for subject, found in minutes.items()}
    if rule.kind in _BROKER:
        if broker is None:  # of what cannot be asked nothing is said, and what is open stays open
            return None
        if rule.kind == "queue_age":
            return await _ages(connection, rule, broker)
        if rule.kind == "storage":
            return await _shares(core, connection, rule, broker)
        return {subject: value for subject, value in _of_broker(rule, broker) if rule.target in {"", subject}}
    return _of_server(core, rule)


async def survey(core: Core, connection: AsyncConnection, broker: Broker | None) -> list[tuple[str, str, float]]:
    """Kind, subject and value of all that is not 0, of kinds whose past nothing else tells: for previews."""
    found: list[tuple[str, str, float]] = []
    for rule in NOTED:
        reading = await read(core, connection, rule, broker) or {}
        worst = sorted(reading.items(), key=lambda pair: pair[1], reverse=True)[:MOST_NOTED]
        found += [(rule.kind, subject, value) for subject, value in worst if value > 0]
    return found


def lost(core: Core, rule: Rule) -> float:
    """Seconds since when the part that `rule` watches is away; 0: it is there."""
    breaker = core.broker if rule.kind == "broker_lost" else core.database
    return 0.0 if breaker.since is None else max(0.0, clock.now() - breaker.since)


def _of_server(core: Core, rule: Rule) -> Reading | None:
    if rule.kind != "ingest_lag":
        return {"": lost(core, rule)}
    if core.ingest is None:
        return None
    lag = core.ingest.lag()
    return {"": lag.seconds} if lag.leading else None  # another server reads, and knows


async def _shares(core: Core, connection: AsyncConnection, rule: Rule, broker: Broker) -> Reading:
    """What share is used of each store whose limit is known."""
    found = await room.shares(connection, core.settings.database, core.settings.database_limit)
    found |= {one.part or BROKER: one.used / one.limit for one in broker.storage if one.limit}
    return {store: share for store, share in found.items() if rule.target in {"", store}}


async def _ages(connection: AsyncConnection, rule: Rule, broker: Broker) -> Reading:
    """How long the oldest queued job of each queue has waited."""
    now = micros(clock.now())
    asked = [one.queue for one in broker.queues if one.queued and not one.paused and rule.target in {"", one.queue}]
    oldest = await waiting_since(connection, now, asked)
    return {queue: max(0, now - since) / MICRO for queue, since in oldest.items()}


def _of_broker(rule: Rule, broker: Broker) -> Iterable[tuple[str, float]]:
    now = clock.now()
    match rule.kind:
        case "queue_depth":
            return [(one.queue, float(one.queued)) for one in broker.queues]
        case "no_workers":
            served = {queue for worker in broker.workers for queue in worker.queues if worker.state != "stopped"}
            return [
                (one.queue, float(one.queued)) for one in broker.queues if one.queue not in served and not one.paused
            ]
        case "worker_memory":
            return [(one.id, float(one.memory + one.children_memory)) for one in broker.workers]
        case _:
            return [(kept.name, _missed(kept, now)) for kept in broker.schedules]


def _missed(kept: Kept, now: float) -> float:
    """Seconds since the first slot that is due and that nobody has made a job for; 0: there is none."""
    if kept.paused is not None or kept.left == 0:
        return 0.0
    slot = next((slot for slot in slots(kept.table, kept.last, kept.name) if slot.at not in kept.skips), None)
    return 0.0 if slot is None else max(0.0, now - slot.due)
