"""How fast the event log becomes history, on each database, and how far that lags behind."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.history.database import DATABASES, fresh
from benchmarks.measure import Row, rounds, summary
from naq.backends import from_url
from naq.config import Config
from naq.job import AttemptError, Frame, JobRecord, JobState, new_id
from naq.server.ingest import Ingest
from naq.server.store import open_store
from naq.testing.broker import bundled_server

BATCH = 2_000  # records on their way at once
FAILED = 50  # every so many jobs one fails, with a traceback


def ingest(databases: Sequence[str], count: int, times: int) -> list[Row]:
    """A row a database: records a second from a log of `count` that is there already (the lag after a burst)."""
    rows: list[Row] = []
    for name in databases or DATABASES:

        def once(name: str = name) -> Row:
            with tempfile.TemporaryDirectory() as folder, bundled_server(Path(folder) / "broker") as server:
                return asyncio.run(_once(server.url, name, count))

        keys = ("ingest_per_s", "cpu_us", "lag_s")
        rows.append(summary("ingest", f"naq, {name}", rounds(times, once, f"ingest {name}"), *keys, jobs=count))
    return rows


async def _once(broker: str, database: str, count: int) -> Row:
    config = Config(broker_url=broker, namespace="bench")
    backend: Any = from_url(config)
    await backend.open(["q0", "q1", "q2", "q3"])
    for start in range(0, count, BATCH):
        made = [record(n) for n in range(start, min(start + BATCH, count))]
        await asyncio.gather(*(backend.store(each, first=True) for each in made))
    with fresh(database) as url:
        store = await open_store(url)
        service = Ingest(backend, store, config)
        cpu, begun = _cpu(), time.perf_counter()
        task = asyncio.ensure_future(service.run())
        while service.place.events < count:  # noqa: ASYNC110 - nobody is told here
            await asyncio.sleep(0.01)
        taken = time.perf_counter() - begun
        used = _cpu() - cpu
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()
    await backend.close()
    return {"ingest_per_s": count / taken, "cpu_us": used / count * 1e6, "lag_s": taken}


def record(n: int) -> JobRecord:
    """The record of a job like many: a small result, now and then a failure."""
    now = time.time()
    failed = n % FAILED == 0
    frames = [Frame("/app/shop.py", 10 + k, f"step{k}", "raise") for k in range(6)]
    error = AttemptError(type="builtins.ValueError", message=f"order {n} is gone", attempt=1, at=now, frames=frames)
    return JobRecord(
        id=new_id(), state=JobState.FAILED if failed else JobState.SUCCEEDED, queue=f"q{n % 4}",
        task=f"shop.task{n % 40}", result=None if failed else msgspec.Raw(b'{"ok":true,"rows":%d}' % n),
        errors=[error] if failed else [], worker="host-1234-abcdef", enqueued_at=now - 1, started_at=now - 0.5,
        finished_at=now,
    )  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
