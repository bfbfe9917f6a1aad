"""Jobs enqueued inside SQL transactions: written, relayed by one relay, and how long after its commit one runs."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.measure import Row, percentile, rounds, summary
from benchmarks.settings import postgres_url
from naq import Naq
from naq.outbox import Outbox
from naq.outbox.databases import read_database
from naq.testing.broker import bundled_server
from naq.worker import Worker

TABLE = "naq_outbox_bench"
BATCH = 1_000  # jobs of one transaction
LOOKS = 200  # commits of a single job whose way to a worker is measured
PAUSE = 0.05  # seconds between two of those
KEYS = ("written_per_s", "relayed_per_s", "sent_p50_ms", "sent_p95_ms")


def outbox(jobs: int, count: int) -> list[Row]:
    """One row a database. `lost` must be 0."""
    rows: list[Row] = []
    for name in ("sqlite", "postgresql"):

        def once(name: str = name) -> Row:
            with (
                tempfile.TemporaryDirectory() as folder,
                bundled_server() as server,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                url = f"sqlite:///{Path(folder)}/shop.db" if name == "sqlite" else postgres_url()
                return runner.run(_measure(server.url, url, jobs))

        results = rounds(count, once, f"outbox: {jobs:,} rows in {name}")
        worst = max(result["lost"] for result in results)
        rows.append(summary("outbox", f"naq, {name}", results, *KEYS, jobs=jobs, lost=worst))
    return rows


async def _measure(broker: str, url: str, jobs: int) -> Row:
    app = Naq("outbox", broker_url=broker)
    began: list[float] = []

    @app.task(name="note", queue="many")
    async def note(number: int) -> None: ...

    @app.task(name="look")
    async def look(committed: float) -> None:
        began.append(time.monotonic() - committed)

    box = Outbox(app, url, table=TABLE)
    connection: Any = read_database(url).connect()
    with closing(connection):
        await asyncio.to_thread(_execute, connection, f"DROP TABLE IF EXISTS {TABLE}")
        box.create_table_sync(connection)
        try:
            async with app:
                took = time.perf_counter()
                for first in range(0, jobs, BATCH):
                    _execute(connection, "BEGIN")
                    box.enqueue_many_sync(connection, [note.call(first + n) for n in range(BATCH)])
                    _execute(connection, "COMMIT")
                written = jobs / (time.perf_counter() - took)
                took = time.perf_counter()
                await box.flush()
                relayed = jobs / (time.perf_counter() - took)
                [stats] = await (await app.connect()).stats(["many"])
                worker = Worker(app, queues=["default"])
                running = asyncio.create_task(worker.run())
                await worker.wait_ready()
                await asyncio.sleep(1)  # until it has begun to listen
                for number in range(LOOKS):
                    _execute(connection, "BEGIN")
                    box.enqueue_sync(connection, look, time.monotonic())
                    _execute(connection, "COMMIT")
                    while len(began) <= number:  # noqa: ASYNC110 - what a look costs is far below what is measured
                        await asyncio.sleep(0.001)
                    await asyncio.sleep(PAUSE)
                worker.stop()
                await running
        finally:
            _execute(connection, f"DROP TABLE {TABLE}")
    return {
        "written_per_s": written,
        "relayed_per_s": relayed,
        "sent_p50_ms": percentile(began, 50) * 1000,
        "sent_p95_ms": percentile(began, 95) * 1000,
        "lost": jobs - stats.queued,
    }


def _execute(connection: Any, statement: str) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)
