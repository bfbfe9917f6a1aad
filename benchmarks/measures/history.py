"""What a list costs over a history of millions: p95 of every endpoint that reads it, over HTTP, on each database."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx

from benchmarks.history.database import DATABASES, asked, fresh, settle
from benchmarks.history.depths import Place, places
from benchmarks.history.generate import generate
from benchmarks.history.questions import Ask, questions
from benchmarks.history.server import NAMESPACE, served
from benchmarks.measure import Row, percentile
from benchmarks.process import cpu_seconds
from naq.backends import from_url
from naq.config import Config
from naq.job import JobSpec
from naq.server.store import open_store
from naq.testing.broker import bundled_server

KEPT = "BENCH_HISTORY"  # a database's URL: generated there where it is empty, measured there, and left there
REPEATS = 40  # of each question: the two longest lie above p95


def history(databases: Sequence[str], count: int) -> list[Row]:
    """A row a question and database: p50, p95 and the longest of its answers, from one client, one after the other.

    `cpu_ms` is what server and database worked for an answer: what it would take on a machine where nothing else runs.
    """
    rows: list[Row] = []
    for name in databases or DATABASES:
        with (
            tempfile.TemporaryDirectory() as folder,
            bundled_server(Path(folder) / "broker") as broker,
            _database(name) as database,
        ):
            asyncio.run(_fill(database, count))
            asyncio.run(_enqueue(broker.url, database))
            behind = asyncio.run(_places(database))
            with (
                served(Path(folder), broker.url, database) as (address, server),
                httpx.Client(base_url=address, timeout=120.0, trust_env=False) as client,
            ):
                asks = questions(client, behind)
                used = _cpu(server.popen.pid, database)
                rows += [_row(name, count, label, ask, client, used) for label, ask in asks]
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
        settle(url)
        print(f"{count:,} jobs in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    finally:
        await store.close()


async def _places(url: str) -> list[Place]:
    store = await open_store(url)
    try:
        return await places(store)
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


def _cpu(server: int, database: str) -> Callable[[], float]:
    """Asks how many seconds of CPU the server has used, and the processes of PostgreSQL that work for it."""
    import psutil
    import psycopg

    pids = [server]
    if database.startswith("postgresql"):
        ports = [one.laddr.port for one in psutil.Process(server).net_connections("tcp") if one.laddr]
        with psycopg.connect(database) as connection:
            asked = connection.execute("SELECT pid FROM pg_stat_activity WHERE client_port = ANY(%s)", (ports,))
            pids += [int(row[0]) for row in asked]
    return lambda: cpu_seconds(pids)


def _row(database: str, count: int, label: str, ask: Ask, client: httpx.Client, used: Callable[[], float]) -> Row:
    taken: list[float] = []
    cpu = used()
    for _ in range(REPEATS):
        path, params = ask()
        begun = time.perf_counter()
        answer = client.get(path, params=params)
        taken.append((time.perf_counter() - begun) * 1000)
        if not answer.is_success:
            raise RuntimeError(f"{label}: {answer.status_code} {answer.text[:500]}")
    row = {"measure": "history", "system": f"naq, {database}", "question": label, "jobs": count,
           "p50_ms": percentile(taken, 50), "p95_ms": percentile(taken, 95), "max_ms": max(taken),
           "cpu_ms": (used() - cpu) / REPEATS * 1000}  # fmt: skip
    shown = "  ".join(f"{key} {row[key]:7.1f}" for key in ("cpu_ms", "p50_ms", "p95_ms"))
    print(f"  {database:10} {label:44} {shown}", file=sys.stderr, flush=True)
    return row
