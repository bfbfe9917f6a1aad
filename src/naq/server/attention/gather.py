"""Asking for what needs a person: a few short questions along indexes, whatever there is of jobs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.backends.base import Backend, QueueStats, WorkerInfo
from naq.limits.pauses import note_of
from naq.server.alerts import counted, rows
from naq.server.alerts.rules import KINDS, Kind, Rule
from naq.server.attention import needs
from naq.server.attention.needs import Need, Runner
from naq.server.store.changes import MINUTE, SHIFT
from naq.server.store.queries.trends import percentile
from naq.server.store.queries.waiting import waiting_since
from naq.server.store.rows import MICRO, micros
from naq.server.store.tables import durations, errors, jobs, workers

if TYPE_CHECKING:
    from naq.server.ingest.service import Lag

LOOKED: Final = 2_000  # running jobs that are looked at, the oldest first
FEW: Final = 20  # queues and errors that are named
DAY: Final = 86_400 * MICRO
CAP: Final = 10_000  # jobs that are counted
_BACK: Final = 60 * MINUTE * MICRO  # how far back it is looked since when something is so
#: What was noted by the minute, and the kind of rule whose threshold says what is too much.
_NOTED: Final[tuple[Kind, ...]] = ("queue_age", "schedule_missed", "storage")


class Asked(Struct, frozen=True, kw_only=True):
    """What the broker said: queues, workers, and who paused which queue since when (microseconds; None: not known)."""

    queues: Sequence[QueueStats]
    workers: Sequence[WorkerInfo]
    pauses: dict[str, tuple[int | None, str]]


async def ask(backend: Backend) -> Asked:
    """Ask the broker.

    Raises:
        NaqConnectionError: it is away.
    """
    queues, alive = await backend.stats(), await backend.workers()
    held = [one.queue for one in queues if one.paused and one.queued][:FEW]
    notes = {queue: await note_of(backend, queue) for queue in held}
    pauses = {
        queue: (None, "") if note is None else (micros(note.at) if note.at else None, note.by)
        for queue, note in notes.items()
    }
    return Asked(queues=queues, workers=alive, pauses=pauses)


async def gather(
    connection: AsyncConnection, asked: Asked, *, now: int, window_s: int, failed: int, lag: Lag | None
) -> list[Need]:
    """All that needs a person, the worst first; `failed` jobs did so within the last `window_s` seconds.

    What is known by the minute is said by the minute, so that it is the same until it changes.
    """
    minute = now - now % (MINUTE * MICRO)
    rules = await rows.find_rules(connection)
    found = await _queues(connection, asked, now)
    found += await _running(connection, now)
    found += await _errors(connection, now - window_s * MICRO)
    found += await _failing(connection, _rule(rules, "failure_rate"), now, minute)
    limits = {kind: _rule(rules, kind).threshold for kind in _NOTED}
    noted = await rows.find_readings(connection, _NOTED, since=now - _BACK)
    paused = {one.queue for one in asked.queues if one.paused}
    for kind, subject, since, value in needs.standing(noted, limits, now):
        if kind == "storage":
            found.append(needs.full(subject, value, limits[kind], since))
        elif kind == "schedule_missed":
            found.append(needs.missed(subject, value, minute))
        elif subject not in paused:
            found.append(needs.late(subject, value, limits[kind], minute))
    if failed:
        found.append(needs.dead(failed, window_s, minute))
    if lag is not None and lag.leading and lag.seconds > needs.LAG:
        found.append(needs.behind(lag.seconds, lag.events, now))
    return needs.ordered(found)


async def due_within(connection: AsyncConnection, until: int) -> int:
    """Scheduled jobs whose time comes before `until` (microseconds), counted up to `CAP`."""
    # In words, not as a parameter: else SQLite does not see that the index is of these.
    scheduled = jobs.c.state == literal_column("'scheduled'")
    some = select(jobs.c.run_at).where(scheduled, jobs.c.run_at <= until).limit(CAP).subquery()
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())


async def seen_workers(connection: AsyncConnection, since: int) -> int:
    """How many workers were seen from `since` on (microseconds)."""
    asked = select(func.count()).select_from(workers).where(workers.c.seen_at >= since)
    return int((await connection.execute(asked)).scalar_one())


def _rule(rules: Sequence[Rule], kind: Kind) -> Rule:
    """The strictest rule of a kind that is of everything; else what one would begin with."""
    found = [rule for rule in rules if rule.kind == kind and rule.enabled and not rule.target]
    watched = KINDS[kind]
    made = Rule(name=kind, kind=kind, threshold=watched.threshold, window_s=watched.window_s)
    return min(found, key=lambda rule: rule.threshold, default=made)


async def _queues(connection: AsyncConnection, asked: Asked, now: int) -> list[Need]:
    served = {queue for worker in asked.workers for queue in worker.queues}
    found = [
        needs.paused(one.queue, one.queued, *asked.pauses[one.queue])
        for one in asked.queues
        if one.queue in asked.pauses
    ]
    alone = [one for one in asked.queues if one.queued and not one.paused and one.queue not in served]
    worst = sorted(alone, key=lambda queue: -queue.queued)[:FEW]
    since = await waiting_since(connection, now, [one.queue for one in worst])
    return found + [needs.unserved(one.queue, one.queued, since.get(one.queue)) for one in worst]


async def _running(connection: AsyncConnection, now: int) -> list[Need]:
    asked = select(jobs.c.id, jobs.c.task, jobs.c.worker, jobs.c.started_at).where(
        jobs.c.state == "running", jobs.c.started_at.is_not(None)
    )
    asked = asked.order_by(jobs.c.created_at, jobs.c.id).limit(LOOKED)
    running = [Runner(*row) for row in await connection.execute(asked)]
    if not running:
        return []
    where = (workers.c.id.in_({one.worker for one in running}), workers.c.gone_at.is_not(None))
    gone = {
        str(name): int(at)
        for name, at in await connection.execute(select(workers.c.id, workers.c.gone_at).where(*where))
    }
    old = [one for one in running if now - one.started_at > needs.FLOOR and one.worker not in gone]
    usual = await _usual(connection, {one.task for one in old}, now) if old else {}
    return [*needs.lost(running, gone), *needs.slow(old, usual, now)]


async def _usual(connection: AsyncConnection, tasks: Collection[str], now: int) -> dict[str, int]:
    """Microseconds that 99 of 100 jobs of each task took at most within a day, where there were enough."""
    asked = select(durations.c.name, durations.c.bucket, func.sum(durations.c.count)).where(
        durations.c.step == SHIFT, durations.c.scope == "task", durations.c.name.in_(tasks),
        durations.c.at >= now - DAY, durations.c.measure == "run",
    )  # fmt: skip
    spread: dict[str, Counter[Any]] = defaultdict(Counter)
    for task, bucket, count in await connection.execute(asked.group_by(durations.c.name, durations.c.bucket)):
        spread[task][bucket] += int(count)
    found = {task: percentile(each, 0.99) for task, each in spread.items() if each.total() >= needs.USUAL}
    return {task: most for task, most in found.items() if most is not None}


async def _errors(connection: AsyncConnection, since: int) -> list[Need]:
    found: list[Mapping[Any, Any]] = []
    for state, new in (("open", [errors.c.first_at >= since]), ("regressed", [])):  # each a walk along its index
        asked = select(errors).where(errors.c.state == state, errors.c.last_at >= since, *new)
        found += (await connection.execute(asked.order_by(errors.c.last_at.desc()).limit(FEW))).mappings()
    return [_error(row) for row in sorted(found, key=lambda row: -row["last_at"])[:FEW]]


def _error(row: Mapping[Any, Any]) -> Need:
    back = row["state"] == "regressed"
    since = row["last_at" if back else "first_at"]
    return needs.error(row["fingerprint"], row["task"], row["type"], since, row["count"], back=back)


async def _failing(connection: AsyncConnection, rule: Rule, now: int, minute: int) -> list[Need]:
    minutes = await counted.count(connection, rule, now - rule.window_s * MICRO, now)
    shares = {task: counted.measure(rule, counted.total(found)) for task, found in minutes.items()}
    return [
        needs.failing(task, share, rule.threshold, rule.window_s, minute)
        for task, share in sorted(shares.items(), key=lambda pair: -pair[1])
        if share > rule.threshold
    ][:FEW]
