"""The server is killed again and again while it reads the log under load: the history equals the log."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from rig.history import context, start
from sqlalchemy import func, select

from naq.backends import from_url
from naq.backends.base import Backend, Event
from naq.codec.record import decode_record
from naq.config import Config
from naq.job import AttemptError, JobRecord, JobState, new_id
from naq.server.store import Store, open_store
from naq.server.store.tables import attempts, cursors, error_hours, jobs, logs, rollups
from naq.testing.broker import bundled_server
from tests.history.history_tools import DIALECTS, NOW, make_url, told

pytestmark = pytest.mark.faults

KILLS = 20  # in a row: what the issue asks for
ROUND = 60  # jobs that end between two kills
PATIENCE = 60.0


@pytest.mark.timeout(60 + 12 * KILLS)  # seconds; a busy machine takes six for each
@pytest.mark.parametrize("dialect", DIALECTS)
def test_killed_twenty_times_in_a_row(dialect: str, tmp_path: Path) -> None:
    with bundled_server() as server, make_url(dialect, tmp_path) as url:
        asyncio.run(_main(server.url, url))


async def _main(broker: str, url: str) -> None:
    backend = from_url(Config(broker_url=broker, namespace="history"))
    await backend.open(["mail"])
    store = await open_store(url)
    made, chance = context(), random.Random(7)
    process = None
    try:
        for kill in range(KILLS):
            point = ("ingest.before_commit", "ingest.after_commit", "")[kill % 3]
            fault = f"{point}:kill:after={chance.randrange(3)}" if point else ""
            process = start(made, broker, url, fault)
            before = await _read(store)
            load = asyncio.ensure_future(_load(backend, ROUND, kill))
            if not point:  # in the middle of whatever it does then
                await _until(store, before + chance.randrange(1, ROUND))
                process.kill()
            await load
            while point and process.is_alive():  # its fault strikes at one of the next batches
                await _load(backend, 1, kill)
            await asyncio.to_thread(process.join, PATIENCE)
            assert process.exitcode == -9, f"round {kill}: {process.exitcode}"
        process = start(made, broker, url, "")
        log = await _log(backend)
        await _until(store, len(log))
        await _check(store, log)
    finally:
        if process is not None and process.is_alive():
            process.kill()
            await asyncio.to_thread(process.join, PATIENCE)
        await store.close()
        await backend.close()


async def _load(backend: Backend, count: int, seed: int) -> None:
    """Jobs that end in every way, with what they say on the way, and now and then another run."""
    for first in range(0, count, 10):
        await asyncio.gather(*(_job(backend, n, seed) for n in range(first, min(first + 10, count))))


async def _job(backend: Backend, n: int, seed: int) -> None:
    stored: Any = backend
    job_id = new_id()
    begun: dict[str, Any] = {"task": "shop.send", "run": 1, "attempt": 1, "worker": "w"}
    error = AttemptError(type="E", message=f"no {n}", attempt=1, at=NOW + n)
    line = {"at": NOW, "level": "INFO", "logger": "x", "text": "hello"}
    events = [told("started", job_id, NOW + n, **begun)]
    if n % 5 == 0:
        events.append(told("log", job_id, NOW + n, run=1, attempt=1, lines=[line]))
    if n % 7 == 0:
        failed = {"type": "E", "message": f"no {n}", "attempt": 1, "at": NOW + n}
        events.append(told("attempt_failed", job_id, NOW + n + 1, **begun, error=failed, next_in=0.0))
    await backend.append(events)
    state = JobState.FAILED if n % 10 == 0 else JobState.SUCCEEDED
    errors = [error] if state is JobState.FAILED else []
    final = JobRecord(
        id=job_id, state=state, queue="mail", task="shop.send", attempt=2 if n % 7 == 0 else 1, errors=errors,
        started_at=NOW + n, finished_at=NOW + n + random.Random(seed).random(), worker="w", arguments=_called(n),
    )  # fmt: skip
    await stored.store(final, first=True)
    if n % 20 == 0:
        again = JobRecord(id=job_id, state=JobState.SUCCEEDED, queue="mail", task="shop.send", run=2,
                          finished_at=NOW + n + 5, worker="w", arguments=_called(n + 1000))  # fmt: skip
        await stored.store(again, first=False)


def _called(n: int) -> Raw:
    return Raw(b'{"args":[%d],"kwargs":{}}' % n)


async def _log(backend: Backend) -> list[Event]:
    found: list[Event] = []
    after = None
    while page := await backend.read(after=after, limit=1000):
        found += [event for _, event in page]
        after = page[-1][0]
    return found


async def _read(store: Store) -> int:
    async with store.reading() as connection:
        return int((await connection.execute(select(cursors.c.events))).scalar_one_or_none() or 0)


async def _until(store: Store, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await _read(store) < count:  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.01)


async def _check(store: Store, log: list[Event]) -> None:
    """No job twice, none missing, each as its last record says; and every count."""
    records = [decode_record(event.data) for event in log if event.kind == "record"]
    last = {record.id: record for record in records}
    assert len(last) >= KILLS * ROUND
    async with store.reading() as connection:
        found = await connection.execute(
            select(jobs.c.id, jobs.c.state, jobs.c.run, jobs.c.attempt, jobs.c.finished_at, jobs.c.args)
        )
        rows = {row.id: (row.state, row.run, row.attempt, row.finished_at, row.args) for row in found}
        assert rows == {
            record.id: (
                record.state.value,
                record.run,
                record.attempt,
                round(record.finished_at * 1e6),
                bytes(record.arguments or b"").decode(),
            )
            for record in last.values()
        }
        asked = select(rollups.c.what, func.sum(rollups.c.count)).where(
            rollups.c.step == 3600, rollups.c.scope == "all"
        )
        counts = {what: int(count) for what, count in await connection.execute(asked.group_by(rollups.c.what))}
        wanted = Counter(record.state.value for record in records)
        retried = sum(event.kind == "attempt_failed" for event in log)
        assert counts == {**wanted, "created": len(last), "retrying": retried}
        assert await _count(connection, logs) == sum(event.kind == "log" for event in log)
        assert (await connection.execute(select(cursors.c.events, cursors.c.invalid))).one() == (len(log), 0)
        failed = select(func.count()).select_from(attempts).where(attempts.c.error.is_not(None))
        failures = int((await connection.execute(failed)).scalar_one())
        assert failures == int((await connection.execute(select(func.sum(error_hours.c.count)))).scalar_one())


async def _count(connection: Any, table: Any) -> int:
    return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
