"""What a history of weeks has beside jobs: workers and queues by the minute, incidents, who did what, what was none."""

from __future__ import annotations

from typing import Any, Final

from naq.server.store import Store, bulk, write
from naq.server.store.changes import Changes
from naq.server.store.rows import MICRO, InvalidRow
from naq.server.store.tables import audit, deliveries, depths, incidents, worker_minutes, workers

QUEUES, WORKERS = 12, 40
AUDITED: Final = 20_000  # changes that somebody made, and events that were none
MINUTES: Final = 2 * 1440  # for which workers and queues are known
INCIDENTS: Final = 5_000  # all but one of a queue are over
RULES: Final = ("old-jobs", "failing-tasks", "no-workers", "missed-schedules")
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


async def beside(store: Store, until: float) -> None:
    """Write it, up to `until` (UNIX seconds)."""
    await _told(store, until)
    await fleet(store, until)


async def fleet(store: Store, until: float) -> None:
    """Workers, queues, incidents and what was sent about them."""
    now = round(until) * MICRO
    minutes = range(now - now % (60 * MICRO) - MINUTES * 60 * MICRO, now, 60 * MICRO)
    names, queues = [f"worker-{n}" for n in range(WORKERS)], [f"q{n}" for n in range(QUEUES)]
    known: list[tuple[Any, ...]] = [
        (name, "gone", "host", n, "1.0", '["q1"]', '["shop.task1"]', 16, 0, 1_000, 3, minutes[0], now - n, now - n, "1")
        for n, name in enumerate(names)
    ]
    each: list[tuple[Any, ...]] = [
        (name, at, 10**8, 0, 0.5, 0.001, 7, n, 0) for name in names for n, at in enumerate(minutes)
    ]
    deep: list[tuple[Any, ...]] = [(name, at, n % 999, 7, 0, 0) for name in queues for n, at in enumerate(minutes)]
    wrong = [
        {"id": ulid(until - n * 300, n), "rule": RULES[n % 4], "kind": "queue_age", "subject": f"q{n % QUEUES}",
         "state": "resolved" if n >= QUEUES else "open", "threshold": 1.0, "value": 2.0, "worst": 3.0,
         "since_at": now - n * 300 * MICRO, "seen_at": now - n * 300 * MICRO, "opened_at": now - n * 300 * MICRO,
         "resolved_at": now - n * 200 * MICRO if n >= QUEUES else None, "told": True}
        for n in range(INCIDENTS)
    ]  # fmt: skip
    sent = [
        {"id": ulid(until - n, n), "incident_id": one["id"], "channel": "team", "what": "opened", "body": "{}",
         "state": "sent", "tries": 1, "next_at": now, "created_at": one["since_at"], "ended_at": now}
        for n, one in enumerate(wrong)
    ]  # fmt: skip
    async with store.writing() as connection:
        for table, rows in ((workers, known), (worker_minutes, each), (depths, deep)):
            await bulk.insert(connection, table, tuple(table.columns.keys()), rows)
        await connection.execute(incidents.insert(), wrong)
        await connection.execute(deliveries.insert(), sent)


async def _told(store: Store, until: float) -> None:
    now = round(until * MICRO)
    changes = Changes({}, set())
    changes.invalid = [
        InvalidRow(at=now - n, seen_at=now - n, kind="record", job_id=f"job-{n}", queue="q1", cursor=str(n),
                   reason="it is none", data=b"{}")
        for n in range(AUDITED)
    ]  # fmt: skip
    rows = [
        {"id": ulid(until, n), "at": now - n, "who": f"user{n % 9}", "role": "operator", "address": "127.0.0.1",
         "action": "cancelJob", "target": f"job-{n % 999}", "status": 200, "request_id": f"r{n}"}
        for n in range(AUDITED)
    ]  # fmt: skip
    async with store.writing() as connection:
        await write.lock(connection, "generated")
        await write.save(connection, changes)
        await connection.execute(audit.insert(), rows)


def ulid(at: float, n: int) -> str:
    """A ULID of that moment."""
    ms, text = int(at * 1000), ""
    for _ in range(10):
        text = _ALPHABET[ms & 31] + text
        ms >>= 5
    return text + f"{n:016d}"
