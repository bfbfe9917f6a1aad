"""How fast the event log becomes history, on each database, and how far that lags behind."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.history.database import DATABASES, asked, fresh
from benchmarks.history.server import NAMESPACE, served
from benchmarks.measure import Row, rounds, summary
from benchmarks.process import cpu_seconds
from naq.backends import from_url
from naq.config import Config
from naq.job import AttemptError, Frame, JobRecord, JobState, new_id
from naq.server.store import schema
from naq.testing.broker import bundled_server

CORES = {0}  # that the server may use
HOW_FAR = "SELECT coalesce(max(events), 0) FROM cursors"
BATCH = 2_000  # records on their way at once
FAILED = 50  # every so many jobs one fails, with a traceback
PATIENCE = 600.0  # seconds until the whole log is to be read


def ingest(databases: Sequence[str], count: int, times: int) -> list[Row]:
    """A row a database: records a second that `naq server` on one core makes history of, where the log has `count`.

    `lag_s` is from its start until it has caught up; `cpu_us` what it took itself for a record.
    """
    rows: list[Row] = []
    for name in databases or DATABASES:

        def once(name: str = name) -> Row:
            with tempfile.TemporaryDirectory() as folder, bundled_server(Path(folder) / "broker") as broker:
                asyncio.run(log_records(Config(broker_url=broker.url, namespace=NAMESPACE), count))
                with fresh(name) as database:
                    return _once(Path(folder), broker.url, database, count)

        keys = ("ingest_per_s", "cpu_us", "lag_s")
        rows.append(summary("ingest", f"naq, {name}", rounds(times, once, f"ingest {name}"), *keys, jobs=count))
    return rows


async def log_records(config: Config, count: int) -> None:
    """Write so many records into the log of `config.namespace`."""
    backend: Any = from_url(config)
    await backend.open(["q0", "q1", "q2", "q3"])
    for start in range(0, count, BATCH):
        made = [record(n) for n in range(start, min(start + BATCH, count))]
        await asyncio.gather(*(backend.store(each, first=True) for each in made))
    await backend.close()


def _once(folder: Path, broker: str, database: str, count: int) -> Row:
    schema.upgrade(database)
    begun = time.monotonic()
    first: tuple[float, int, float] | None = None
    with served(folder, broker, database, cores=CORES) as (_, server), asked(database) as ask:
        while (read := ask(HOW_FAR)) < count:
            if first is None and read:
                first = time.monotonic(), read, cpu_seconds([server.popen.pid])
            server.check()
            if time.monotonic() > begun + PATIENCE:
                raise RuntimeError(f"{read} of {count} events were read after {PATIENCE:g} s")
            time.sleep(0.02)
        now, used = time.monotonic(), cpu_seconds([server.popen.pid])
    at, before, cpu = first or (begun, 0, 0.0)
    done = max(count - before, 1)
    return {"ingest_per_s": done / (now - at), "cpu_us": (used - cpu) / done * 1e6, "lag_s": now - begun}


def record(n: int) -> JobRecord:
    """The record of a job like many, as a worker writes it: what it was called with, a small result, or a failure."""
    now = time.time()
    failed = n % FAILED == 0
    frames = [Frame("/app/shop.py", 10 + k, f"step{k}", "raise") for k in range(6)]
    error = AttemptError(type="builtins.ValueError", message=f"order {n} is gone", attempt=1, at=now, frames=frames)
    return JobRecord(
        id=new_id(), state=JobState.FAILED if failed else JobState.SUCCEEDED, queue=f"q{n % 4}",
        task=f"shop.task{n % 40}", result=None if failed else msgspec.Raw(b'{"ok":true,"rows":%d}' % n),
        arguments=msgspec.Raw(b'{"args":[%d],"kwargs":{"to":"customer%d@example.org"}}' % (n, n)),
        errors=[error] if failed else [], worker="host-1234-abcdef", enqueued_at=now - 1, started_at=now - 0.5,
        finished_at=now,
    )  # fmt: skip
