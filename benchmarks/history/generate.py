"""A history of millions of jobs, written as the ingest writes it, but without a broker."""

from __future__ import annotations

import random
import sys
import time
from typing import Final

from benchmarks.history.beside import QUEUES, WORKERS, beside, ulid
from naq.server.ingest.fold import rank
from naq.server.store import Store, write
from naq.server.store.changes import HOUR, Changes, ErrorDelta
from naq.server.store.retention import Retention
from naq.server.store.rows import MICRO, AttemptRow, EventRow, JobRow, LogRow

BATCH: Final = 10_000  # jobs of a transaction
SPAN: Final = 29 * 86_400  # seconds over which the jobs are spread: less than the thirty days after which they go
TASKS, TENANTS, GROUPS = 60, 1000, 20_000
WAITING: Final = 1_000  # jobs, the latest, that wait
ENDS: Final = ("succeeded",) * 95 + ("failed",) * 3 + ("cancelled", "expired")
TREE: Final = 2_000  # every so many jobs one begins a family, whose next 300 are its children
FAMILY: Final = 300
DETAIL: Final = '{"type":"builtins.ValueError","message":"order is gone","attempt":1,"frames":[' + ",".join(
    f'["/app/shop.py",{line},"step{line}","raise ValueError(order)"]' for line in range(12)
) + "]}"  # fmt: skip


async def generate(store: Store, count: int, *, seed: int = 1) -> list[tuple[str, str]]:
    """Write `count` jobs of the last weeks, with tags, families, failures and their groups, logs and events.

    Returns:
        Ids and queues of those that wait, so that a broker can be given them.
    """
    chance, until = random.Random(seed), time.time()
    waiting: list[tuple[str, str]] = []
    root: JobRow | None = None
    for first in range(0, count, BATCH):
        changes = Changes({}, set())
        age = SPAN * (count - first) / count
        changes.steps = tuple(step for step, kept in Retention().steps.items() if age <= kept)
        for n in range(first, min(first + BATCH, count)):
            row = _job(chance, n, until - SPAN + SPAN * n / count)
            if n % TREE == 0:
                root = row
            elif root is not None and n % TREE <= FAMILY:
                row.parent_id = row.root_id = root.id
            if n >= count - WAITING:
                waiting.append((row.id, row.queue))
            else:
                _end(changes, chance, n, row)
            _add(changes, n, row)
        async with store.writing() as connection:
            await write.lock(connection, "generated")
            await write.save(connection, changes)
        if first % 500_000 == 0:
            print(f"  {first:,} jobs", file=sys.stderr, flush=True)
    await beside(store, until)
    return waiting


def _job(chance: random.Random, n: int, at: float) -> JobRow:
    """A job that waits."""
    made = round(at * MICRO)
    task = min(int(chance.expovariate(0.12)), TASKS - 1)  # few tasks have most of the jobs
    row = JobRow(ulid(at, n), task=f"shop.task{task}", queue=f"q{task % QUEUES}", state="queued", created_at=made)
    row.rank, row.ranked_at, row.updated_at = rank(1, 1), made, made
    row.args = f'{{"args":[{n},"some text of the usual length"],"kwargs":{{}}}}'
    return row


def _end(changes: Changes, chance: random.Random, n: int, row: JobRow) -> None:
    """The job runs and ends."""
    row.state = ENDS[chance.randrange(100)]
    row.worker, row.rank = f"worker-{n % WORKERS}", rank(1, 1, final=True)
    row.wait_us, row.duration_us = int(chance.lognormvariate(11, 2)), int(chance.lognormvariate(12, 2))
    row.started_at = row.created_at + row.wait_us
    row.finished_at = row.ranked_at = row.updated_at = row.started_at + row.duration_us
    changes.count(row.state, row.finished_at, row.task, row.queue, run_us=row.duration_us, wait_us=row.wait_us)
    if row.state == "succeeded":
        row.result = f'{{"ok":true,"rows":{n}}}'
    if row.state == "failed":
        row.error_type, row.error, row.fingerprint = "builtins.ValueError", f"order {n} is gone", f"{n % GROUPS:016x}"
        made = AttemptRow(row.id, 1, 1, "failed", row.worker, row.started_at, row.finished_at, None,
                          row.error_type, row.error, DETAIL, row.fingerprint)  # fmt: skip
        changes.attempts.append(made)
        changes.errors[row.fingerprint] = ErrorDelta(
            row.fingerprint, row.task, row.error_type, row.error, DETAIL, made.ended_at, made.ended_at, row.id, 1
        )
        changes.error_hours[row.fingerprint, made.ended_at - made.ended_at % (HOUR * MICRO)] += 1
    if n % 50 == 0:
        lines = [(row.started_at + k, "INFO" if k % 4 else "WARNING", f"line {k} of {n}") for k in range(20)]
        changes.logs += [
            LogRow(row.id, row.started_at, k, 1, 1, at, level, "shop", text)
            for k, (at, level, text) in enumerate(lines)
        ]
        metric = f'{{"name":"rows","value":{n},"run":1,"attempt":1}}'
        changes.events.append(EventRow(job_id=row.id, at=row.started_at, kind="metric", data=metric))


def _add(changes: Changes, n: int, row: JobRow) -> None:
    if n % 20 == 0:
        tenant = f"t{n // 20 % TENANTS}"
        row.tags = f'{{"tenant":"{tenant}"}}'
        changes.tags.append(("tenant", tenant, row.created_at, row.id))
    changes.count("created", row.created_at, row.task, row.queue)
    changes.saw_task(row.task, row.queue, row.created_at)
    changes.jobs[row.id] = row
    changes.new.add(row.id)
    changes.touched[row.id] = None
