"""The server has no database while much is done: it holds nothing meanwhile, and misses nothing later.

An hour's worth: ``OUTAGE_JOBS=120000 OUTAGE_SECONDS=300 python -m pytest tests/faults/test_long_outage.py -s``.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import pytest
from msgspec import Raw
from rig.postgres import Postgres, postgres
from rig.processes import Process
from sqlalchemy import func, select

from naq import clock
from naq.backends import from_url
from naq.config import Config
from naq.job import JobRecord, JobState, new_id
from naq.server.store import open_store
from naq.server.store.tables import cursors, jobs, logs, rollups
from naq.testing.broker import bundled_server
from tests.api.api_tools import eventually
from tests.history.history_tools import told

pytestmark = pytest.mark.faults

QUEUE: Final = "mail"
BEFORE: Final = 2_000  # jobs that end before: what a server needs for reading at all, it has taken then
MEANWHILE: Final = int(os.environ.get("OUTAGE_JOBS", "4000"))  # each is a record and three events
SECONDS: Final = float(os.environ.get("OUTAGE_SECONDS", "0"))  # that they are spread over at least
CHUNK: Final = 500
LEVEL: Final = 60.0  # seconds until the history is level again
ROOM: Final = 24e6  # bytes that a server may grow by while it can write nothing: what looks at the database is busy too


@pytest.mark.timeout(120 + 2 * SECONDS + MEANWHILE / 500)
def test_an_hour_without_a_database(tmp_path: Path) -> None:
    with postgres() as database, bundled_server(tmp_path / "broker") as broker:
        config = Config(broker_url=broker.url, namespace="outage")
        with _server(config, database, tmp_path) as (server, client):
            load, sizes = _Load(), list[int]()
            asyncio.run(load.run(config, BEFORE))
            eventually(lambda: _read(client) == load.events, "the history is read")
            database.kill()
            eventually(lambda: _stands_still(client), "the server has noticed")
            sizes.append(_anonymous(server.pid))
            asyncio.run(load.run(config, MEANWHILE, SECONDS, lambda: sizes.append(_anonymous(server.pid))))
            assert client.get("/api/v1/jobs").status_code == 503
            database.start()
            begun = time.monotonic()
            eventually(lambda: _read(client) == load.events, "the history is level", within=LEVEL)
            took, after = time.monotonic() - begun, _anonymous(server.pid)
        was, most, now = (f"{size / 1e6:.0f} MB" for size in (sizes[0], max(sizes), after))
        print(
            f"{load.events:,} events, level after {took:.1f} s; memory {was}, at most {most} in the outage, {now} after"
        )
        assert max(sizes) - sizes[0] < ROOM, [round(size / 1e6) for size in sizes]
        asyncio.run(load.check(database))


class _Load:
    """What workers have written, and what the history is to say of it."""

    def __init__(self) -> None:
        self.events = 0
        self.wanted: dict[str, tuple[str, str | None]] = {}

    async def run(self, config: Config, count: int, seconds: float = 0.0, look: Callable[[], object] = int) -> None:
        """So many jobs start, report, say something and end, every tenth badly."""
        backend: Any = from_url(config)
        await backend.open([QUEUE])
        begun = time.monotonic()
        for first in range(0, count, CHUNK):
            ids = [new_id() for _ in range(min(CHUNK, count - first))]
            now = clock.now()
            line = {"at": now, "level": "INFO", "logger": "shop", "text": "half of it is done"}
            said = [
                event
                for job_id in ids
                for event in (
                    told("started", job_id, now, QUEUE, task="shop.send", worker="w"),
                    told("progress", job_id, now, QUEUE, value=0.5, message="half"),
                    told("log", job_id, now, QUEUE, lines=[line]),
                )
            ]
            await backend.append(said)
            ended = [self._record(job_id, first + n) for n, job_id in enumerate(ids)]
            await asyncio.gather(*(backend.store(record, first=True) for record in ended))
            self.events += len(said) + len(ended)
            look()
            await asyncio.sleep(max(0.0, begun + seconds * (first + CHUNK) / count - time.monotonic()))
        await backend.close()

    def _record(self, job_id: str, n: int) -> JobRecord:
        state = JobState.FAILED if n % 10 == 0 else JobState.SUCCEEDED
        called = f'{{"args":[{n}],"kwargs":{{}}}}'
        self.wanted[job_id] = (state.value, called)
        return JobRecord(
            id=job_id, state=state, queue=QUEUE, task="shop.send", worker="w", finished_at=clock.now(),
            arguments=Raw(called.encode()),
        )  # fmt: skip

    async def check(self, database: Postgres) -> None:
        """Each job once, as its record says, with its arguments; each line once; and every count."""
        store = await open_store(database.url)
        async with store.reading() as connection:
            rows = await connection.execute(select(jobs.c.id, jobs.c.state, jobs.c.args))
            assert {row.id: (row.state, row.args) for row in rows} == self.wanted
            assert (
                await connection.execute(select(cursors.c.events, cursors.c.invalid, cursors.c.restarts))
            ).one() == (self.events, 0, 0)
            assert (await connection.execute(select(func.count()).select_from(logs))).scalar_one() == len(self.wanted)
            asked = select(rollups.c.what, func.sum(rollups.c.count)).where(
                rollups.c.step == 3600, rollups.c.scope == "all"
            )
            counts = {what: int(count) for what, count in await connection.execute(asked.group_by(rollups.c.what))}
            states = Counter(state for state, _ in self.wanted.values())
            assert counts == {**states, "created": len(self.wanted)}
        await store.close()


@contextmanager
def _server(config: Config, database: Postgres, folder: Path) -> Generator[tuple[Process, httpx.Client]]:
    """``naq server`` as a process of its own."""
    environment = {
        "NAQ_BROKER_URL": config.broker_url, "NAQ_NAMESPACE": config.namespace, "NAQ_SERVER_DATABASE": database.url,
        "NAQ_SERVER_PORT": "0", "NAQ_SERVER_RATE": "1000000/60s",
    }  # fmt: skip
    process = Process("naq", ("server",), folder, "server", environment)
    try:
        eventually(lambda: "naq server on " in process.printed(), "the server answers")
        address = process.printed().partition("naq server on ")[2].split()[0]
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            yield process, client
    finally:
        process.end()


def _read(client: httpx.Client) -> int:
    """How many events the history has, as the server says."""
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("naq_history_events_total "):
            return int(float(line.split()[-1]))
    return -1


def _stands_still(client: httpx.Client) -> bool:
    return not client.get("/readyz").json()["parts"]["history"]["ok"]


def _anonymous(pid: int) -> int:
    """Bytes of its own that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has ended")
