"""A history of millions of jobs, written as the ingest writes it, but without a broker."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

from naq.server.store import Store, write
from naq.server.store.changes import HOUR, Changes
from naq.server.store.rows import MICRO, JobRow

BATCH = 10_000  # jobs of a transaction
SPAN = 30 * 86_400  # seconds over which the jobs are spread
MINUTES = 2 * 86_400  # seconds for which counts by the minute are kept
TASKS, QUEUES, WORKERS = 60, 12, 40
STATES = ("succeeded",) * 94 + ("failed",) * 3 + ("cancelled", "expired", "queued")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


async def generate(store: Store, count: int, *, seed: int = 1) -> None:
    """Write `count` jobs of the last thirty days, with tags, kin, failures and their groups."""
    chance = random.Random(seed)
    until = time.time()
    for first in range(0, count, BATCH):
        changes = Changes({}, set())
        if SPAN * (count - first) / count > MINUTES:
            changes.steps = (HOUR,)
        for n in range(first, min(first + BATCH, count)):
            _job(changes, chance, n, until - SPAN + SPAN * n / count)
        async with store.writing() as connection:
            await write.lock(connection, "generated")
            await write.save(connection, changes)
        if first % 500_000 == 0:
            print(f"  {first:,} jobs", file=sys.stderr, flush=True)


async def settle(store: Store) -> None:
    """What a database does by itself in time: statistics."""
    async with store.writing() as connection:
        await connection.exec_driver_sql("ANALYZE")


def _job(changes: Changes, chance: random.Random, n: int, at: float) -> None:
    made = round(at * MICRO)
    task = min(int(chance.expovariate(0.12)), TASKS - 1)  # few tasks have most of the jobs
    state = STATES[chance.randrange(100)] if n % 97 else "failed"
    wait, took = int(chance.lognormvariate(11, 2)), int(chance.lognormvariate(12, 2))
    row = JobRow(_id(at, n), task=f"shop.task{task}", queue=f"q{task % QUEUES}", state=state, created_at=made)
    row.worker = f"worker-{n % WORKERS}"
    row.rank = row.ranked_at = row.updated_at = made
    row.args = f'{{"args":[{n},"some text of the usual length"],"kwargs":{{}}}}'
    if state != "queued":
        row.started_at, row.wait_us, row.duration_us = made + wait, wait, took
        row.finished_at = made + wait + took
        changes.count(state, row.finished_at, row.task, row.queue, run_us=took, wait_us=wait)
    if state == "succeeded":
        row.result = f'{{"ok":true,"rows":{n}}}'
    if state == "failed":
        row.error_type, row.error, row.fingerprint = "builtins.ValueError", f"order {n} is gone", f"{task:016x}"
    if n % 20 == 0:
        row.tags = f'{{"tenant":"t{n % 1000}"}}'
        changes.tags.append(("tenant", f"t{n % 1000}", made, row.id))
    changes.count("created", made, row.task, row.queue)
    changes.saw_task(row.task, row.queue, made)
    held: Any = changes
    if n % 10 == 9 and held.jobs:
        parent = next(reversed(changes.jobs))
        row.parent_id = row.root_id = parent
    changes.jobs[row.id] = row
    changes.new.add(row.id)
    changes.touched[row.id] = None


def _id(at: float, n: int) -> str:
    """A ULID of that moment."""
    ms, text = int(at * 1000), ""
    for _ in range(10):
        text = _ALPHABET[ms & 31] + text
        ms >>= 5
    return text + f"{n:016d}"
