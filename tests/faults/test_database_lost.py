"""PostgreSQL is killed under a running server while jobs go on: every answer says so, and nothing is missing later."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from rig.postgres import Postgres, postgres
from sqlalchemy import func, select

from naq import clock
from naq.backends import from_url
from naq.backends.base import Backend
from naq.codec.record import decode_record
from naq.config import Config
from naq.job import JobRecord, JobSpec, JobState, new_id
from naq.server.store import open_store
from naq.server.store.tables import cursors, jobs, rollups
from naq.testing.broker import bundled_server
from tests.api.api_tools import eventually, serving

pytestmark = pytest.mark.faults

QUEUE = "mail"
OUTAGES = 3  # each at another moment of a batch
BEFORE, MEANWHILE = 300, 6_000  # jobs that end before each outage, and while it lasts: several batches
ASKED = ("/jobs", "/jobs/states", "/errors", "/trends", "/stats", "/search?q=x", "/tasks", "/audit", "/bulk-actions")
PAYLOAD = b'{"v":1,"task":"shop.send","args":[],"kwargs":{},"at":1790000000.0}'


def test_nothing_is_missing_and_every_answer_says_why(tmp_path: Path) -> None:
    with postgres() as database, bundled_server(tmp_path / "broker") as broker:
        config = Config(broker_url=broker.url, namespace="lost")
        with serving(config, tmp_path, database=database.url, breaker_open=0.5) as served, served.client() as client:
            for _ in range(OUTAGES):
                _outage(config, client, database)
            asyncio.run(_check(config, database))


def _outage(config: Config, client: httpx.Client, database: Postgres) -> None:
    begun = asyncio.run(_load(config, BEFORE))
    eventually(lambda: _known(client, begun[0]), "the history is read")
    database.kill()
    try:
        ended = asyncio.run(_load(config, MEANWHILE, waiting=5))
        for path in ASKED:
            answer = client.get(f"/api/v1{path}")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable"), (path, answer.text)
            assert answer.headers["Retry-After"]
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["database"]["ok"]) == (503, False)
        # What needs the broker alone goes on.
        assert client.get("/api/v1/queues").json()["items"][0]["queued"] >= 5
    finally:
        database.start()
    eventually(lambda: client.get("/readyz").is_success, "the server finds its database again")
    eventually(lambda: _known(client, ended[-1]), "the history has caught up")
    for path in ASKED:
        assert client.get(f"/api/v1{path}").is_success, path


def _known(client: httpx.Client, job_id: str) -> bool:
    return client.get("/api/v1/jobs", params={"filter": f"id:{job_id}"}).json().get("items", []) != []


async def _load(config: Config, ended: int, *, waiting: int = 0) -> list[str]:
    """Jobs end, every tenth badly, and others are enqueued; the ids of those that ended."""
    backend: Any = from_url(config)
    await backend.open([QUEUE])
    ids = [new_id() for _ in range(ended)]
    for first in range(0, ended, 500):
        await asyncio.gather(
            *(
                backend.store(
                    JobRecord(
                        id=job_id, state=JobState.FAILED if n % 10 == 0 else JobState.SUCCEEDED, queue=QUEUE,
                        task="shop.send", finished_at=clock.now(),
                    ),
                    first=True,
                )
                for n, job_id in enumerate(ids[first : first + 500])
            )
        )  # fmt: skip
    await backend.enqueue([JobSpec(id=new_id(), payload=PAYLOAD, queue=QUEUE) for _ in range(waiting)])
    await backend.close()
    return ids


async def _check(config: Config, database: Postgres) -> None:
    """The history is what the log says: each record once, and every count."""
    backend = from_url(config)
    await backend.open()
    wanted = await _log(backend)
    await backend.close()
    assert len(wanted) == OUTAGES * (BEFORE + MEANWHILE)
    store = await open_store(database.url)
    async with store.reading() as connection:
        # One that dies with a commit on its way has kept it or not: then the cursor says which.
        rows = await connection.execute(select(jobs.c.id, jobs.c.state).where(jobs.c.finished_at.is_not(None)))
        assert {row.id: row.state for row in rows} == wanted
        assert (await connection.execute(select(cursors.c.events, cursors.c.restarts))).one() == (len(wanted), 0)
        asked = select(rollups.c.what, func.sum(rollups.c.count)).where(
            rollups.c.step == 3600, rollups.c.scope == "all", rollups.c.what != "created"
        )
        counts = {what: int(count) for what, count in await connection.execute(asked.group_by(rollups.c.what))}
        assert counts == Counter(wanted.values())
    await store.close()


async def _log(backend: Backend) -> dict[str, str]:
    found: dict[str, str] = {}
    after = None
    while page := await backend.read(after=after, limit=1000):
        for _, event in page:
            record = decode_record(event.data)
            found[record.id] = record.state.value
        after = page[-1][0]
    return found
