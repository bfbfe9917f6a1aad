"""What a list costs over a history of millions: p95 of every endpoint that reads it, over HTTP, on each database."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx

from benchmarks.history.database import DATABASES, asked, fresh
from benchmarks.history.generate import generate, settle
from benchmarks.history.questions import Ask, questions
from benchmarks.history.server import NAMESPACE, served
from benchmarks.measure import Row, percentile
from naq.backends import from_url
from naq.config import Config
from naq.job import JobSpec
from naq.server.store import open_store
from naq.testing.broker import bundled_server

KEPT = "BENCH_HISTORY"  # a database's URL: generated there where it is empty, measured there, and left there
REPEATS = 20  # of each question


def history(databases: Sequence[str], count: int) -> list[Row]:
    """A row a question and database: p50, p95 and the longest of its answers, from one client, one after the other."""
    rows: list[Row] = []
    for name in databases or DATABASES:
        with (
            tempfile.TemporaryDirectory() as folder,
            bundled_server(Path(folder) / "broker") as broker,
            _database(name) as database,
        ):
            asyncio.run(_fill(database, count))
            asyncio.run(_enqueue(broker.url, database))
            with (
                served(Path(folder), broker.url, database) as (address, _),
                httpx.Client(base_url=address, timeout=120.0, trust_env=False) as client,
            ):
                rows += [_row(name, count, label, ask, client) for label, ask in questions(client)]
    return rows


@contextmanager
def _database(kind: str) -> Generator[str]:
    kept = os.environ.get(KEPT, "")
    if kept.startswith(kind):
        yield kept
        return
    with fresh(kind) as url:
        yield url


async def _fill(url: str, count: int) -> None:
    """Generate what is to be asked for, where nothing is there yet."""
    store = await open_store(url)
    try:
        with asked(url) as ask:
            if ask("SELECT count(*) FROM (SELECT 1 FROM jobs LIMIT 1) AS one"):
                return
        begun = time.perf_counter()
        await generate(store, count)
        await settle(store)
        print(f"{count:,} jobs in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    finally:
        await store.close()


async def _enqueue(broker: str, url: str) -> None:
    """Give the broker the jobs that wait: the server would find out that they are none."""
    from sqlalchemy import select

    from naq.server.store.tables import jobs

    store = await open_store(url)
    async with store.reading() as connection:
        found = await connection.execute(select(jobs.c.id, jobs.c.queue, jobs.c.task).where(jobs.c.state == "queued"))
        waiting = [(str(job_id), str(queue), str(task)) for job_id, queue, task in found]
    await store.close()
    backend: Any = from_url(Config(broker_url=broker, namespace=NAMESPACE))
    await backend.open(sorted({queue for _, queue, _ in waiting}))
    await backend.enqueue(
        [
            JobSpec(id=job_id, queue=queue, payload=b'{"v":1,"task":"%s","args":[1],"kwargs":{}}' % task.encode())
            for job_id, queue, task in waiting
        ]
    )
    await backend.close()


def _row(database: str, count: int, label: str, ask: Ask, client: httpx.Client) -> Row:
    taken: list[float] = []
    for _ in range(REPEATS):
        path, params = ask()
        begun = time.perf_counter()
        answer = client.get(path, params=params)
        taken.append((time.perf_counter() - begun) * 1000)
        if not answer.is_success:
            raise RuntimeError(f"{label}: {answer.status_code} {answer.text[:500]}")
    row = {"measure": "history", "system": f"naq, {database}", "question": label, "jobs": count,
           "p50_ms": percentile(taken, 50), "p95_ms": percentile(taken, 95), "max_ms": max(taken)}  # fmt: skip
    print(f"  {database:10} {label:44} p50 {row['p50_ms']:7.1f} ms  p95 {row['p95_ms']:7.1f} ms", file=sys.stderr)
    return row
