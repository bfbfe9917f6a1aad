"""Live events to many who watch: how late they come, what the server grows by, whether the stalled slow the others."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.history.database import DATABASES, asked, fresh
from benchmarks.measure import Row, rounds, summary
from benchmarks.measures.ingest import HOW_FAR, log_records
from benchmarks.process import OWN, Child, cpu_seconds, resident
from naq.backends import from_url
from naq.backends.base import Event
from naq.config import Config
from naq.inside.notes import PROGRESS
from naq.job import JobRecord, JobState, new_id
from naq.testing.broker import bundled_server

SECONDS = float(os.environ.get("BENCH_SSE_SECONDS", "120"))  # of events: memory that grows shows within it
RATE = 1_000  # events a second
BATCH = 20  # of them at once
JOBS = 200  # jobs that report; each client watches some of them
BEFORE = (
    100_000  # jobs that the history has before: SQLite's cache of 64 MiB is full then, as of any server after a while
)
LOOK = 2.0  # seconds between two looks at the server's memory
NAMESPACE = "bench"
KEYS = ("p50_ms", "p95_ms", "max_ms", "events_per_s", "told_per_s", "cpu_percent", "rss_mb", "growth_mb")


def sse(databases: Sequence[str], clients: int) -> list[Row]:
    """A row a database: times from event to client, and the server's memory: `rss_mb` at the end, `growth_mb` from the
    third quarter of the time to the last, and at each tenth. SQLite's cache, which is in it, has been filled before.
    `stalled` clients read nothing for a minute and a half, then come again; `dropped`: those the server ended.
    """
    rows: list[Row] = []
    for name in databases or DATABASES:

        def once(name: str = name) -> Row:
            with (
                tempfile.TemporaryDirectory() as folder,
                bundled_server(Path(folder) / "broker") as broker,
                fresh(name) as database,
            ):
                return asyncio.run(_once(Path(folder), broker.url, database, clients))

        [result] = rounds(1, once, f"sse {name}: {clients} clients, {RATE:,} events a second for {SECONDS:g} s")
        facts = {name: result[name] for name in ("clients", "stalled", "dropped", "resets", "over_time_mb")}
        rows.append(summary("sse", f"naq, {name}", [result], *KEYS, **facts))
    return rows


async def _once(folder: Path, broker: str, database: str, clients: int) -> Row:
    environment = {
        "NAQ_BROKER_URL": broker, "NAQ_NAMESPACE": NAMESPACE, "NAQ_SERVER_DATABASE": database,
        "NAQ_SERVER_PORT": "0", "NAQ_SERVER_SSE_CLIENTS_EACH": "10000", "NAQ_SERVER_RATE": "1000000/60s",
    }  # fmt: skip
    jobs = [f"job-{n}" for n in range(JOBS)]
    await log_records(Config(broker_url=broker, namespace=NAMESPACE), BEFORE)
    server = Child([OWN / "naq", "server"], environment, folder / "server.log")
    watching: Child | None = None
    try:
        address = await _address(server)
        await _read(database, server)
        command = [OWN / "python", "-m", "benchmarks.measures.watch", address, str(clients), *jobs]
        watching = Child(command, {}, folder / "watch.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        await _line(watching)
        pid, sizes = server.popen.pid, list[float]()
        cpu, begun = cpu_seconds([pid]), time.monotonic()
        looking = asyncio.ensure_future(_look(pid, sizes))
        sent = await _send(Config(broker_url=broker, namespace=NAMESPACE), jobs)
        taken, used = time.monotonic() - begun, cpu_seconds([pid]) - cpu
        looking.cancel()
        assert watching.popen.stdin is not None
        watching.popen.stdin.close()  # then they say what they saw
        found = json.loads(await _line(watching))
        server.check()
        dropped = server.log.read_text().count("it took nothing")
    finally:
        for child in (watching, server):
            if child is not None:
                child.stop()
    quarter = max(1, len(sizes) // 4)
    return {
        **found,
        "dropped": dropped,
        "events_per_s": sent / taken,
        "told_per_s": found["told"] / taken,
        "cpu_percent": used / taken * 100,
        "rss_mb": sizes[-1],
        "growth_mb": mean(sizes[-quarter:]) - mean(sizes[-2 * quarter : -quarter]),
        "over_time_mb": " ".join(f"{size:.0f}" for size in sizes[:: max(1, len(sizes) // 10)]),
    }


async def _send(config: Config, jobs: list[str]) -> int:
    """Write `RATE` events a second: progress, starts, and ends of other jobs; how many."""
    backend: Any = from_url(config)
    await backend.open(["default"])
    sent, begun = 0, time.monotonic()
    try:
        while sent < RATE * SECONDS:
            await asyncio.sleep(begun + sent / RATE - time.monotonic())
            made = range(sent, sent + BATCH)
            ends = [backend.store(_ended(), first=True) for n in made if n % 4 == 0]
            await asyncio.gather(backend.append([_event(jobs[n % JOBS], n) for n in made if n % 4]), *ends)
            sent += BATCH
    finally:
        await backend.close()
    return sent


def _event(job_id: str, number: int) -> Event:
    """That a job has started, or how far it has come."""
    if number % 4 == 1:
        kind, data = "started", b'{"task":"shop.import","run":%d,"attempt":1,"worker":"host-1"}' % (number % 1000 + 1)
    else:
        kind, data = PROGRESS, b'{"value":%.2f,"message":"row %d of many"}' % (number % 100 / 100, number)
    return Event(kind=kind, job_id=job_id, queue="default", data=data, at=time.time())


def _ended() -> JobRecord:
    now = time.time()
    return JobRecord(id=new_id(), state=JobState.SUCCEEDED, queue="default", task="shop.import", worker="host-1",
                     enqueued_at=now - 1, started_at=now - 0.5, finished_at=now)  # fmt: skip


async def _read(database: str, server: Child) -> None:
    """Wait until the history has what was there before."""
    with asked(database) as ask:
        for _ in range(1200):
            server.check()
            if ask(HOW_FAR) >= BEFORE:
                return
            await asyncio.sleep(0.1)
    raise RuntimeError(f"the server had not read {BEFORE:,} records after 120 s")


async def _look(pid: int, sizes: list[float]) -> None:
    while True:
        sizes.append(resident(pid) / 1e6)
        await asyncio.sleep(LOOK)


async def _address(server: Child) -> str:
    """Where it answers, as its log says."""
    for _ in range(300):
        server.check()
        for line in server.log.read_text().splitlines():
            if "http://" in line:
                return line.rpartition("http://")[2].strip()
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the server did not start; it said:\n{server.log.read_text()[-2000:]}")


async def _line(child: Child) -> str:
    assert child.popen.stdout is not None
    line = await asyncio.to_thread(child.popen.stdout.readline)
    if not line:
        raise RuntimeError(f"the clients ended; they said:\n{child.log.read_text()[-2000:]}")
    return line.decode()
