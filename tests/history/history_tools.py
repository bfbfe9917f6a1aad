"""A database for a test, and events as workers write them."""

from __future__ import annotations

import asyncio
import json
import operator
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec
import psycopg
import pytest
from sqlalchemy import Table, func, select

from naq import clock
from naq.backends.base import Backend, Event
from naq.backends.memory import MemoryBackend, connect
from naq.codec.record import encode_record
from naq.config import Config
from naq.job import AttemptError, Frame, JobRecord, JobSpec, JobState, new_id
from naq.server.ingest import Reader
from naq.server.store import Store, open_store
from naq.server.store.conditions import Absent, Among, At, Begins, Between, Condition, Contains, Every, Tagged, Than
from naq.server.store.tables import rollups

POSTGRES = os.environ.get("NAQ_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
DIALECTS = ("sqlite", "postgresql")
COMPARE: dict[str, Any] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
NOW = 1_790_000_000.0


@contextmanager
def make_url(dialect: str, folder: Path) -> Generator[str]:
    """A database of its own that is gone afterwards."""
    if dialect == "sqlite":
        yield f"sqlite:///{folder}/history.db"
        return
    try:
        connection = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        pytest.skip(f"missing: PostgreSQL (NAQ_TEST_POSTGRES_URL): {error}")
    schema = f"naq_history_{token_hex(4)}"
    with connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        try:
            yield f"{POSTGRES}{'&' if '?' in POSTGRES else '?'}options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def record(**fields: Any) -> JobRecord:
    """A job that has succeeded, but for what `fields` say."""
    given: dict[str, Any] = {
        "id": new_id(), "state": JobState.SUCCEEDED, "queue": "mail", "task": "shop.send", "worker": "w-1",
        "enqueued_at": NOW, "started_at": NOW + 1, "finished_at": NOW + 3,
    }  # fmt: skip
    return JobRecord(**(given | fields))


def failure(attempt: int = 1, message: str = "order 17 of 'Ann' is gone", at: float = NOW) -> AttemptError:
    """What a job failed with."""
    frames = [Frame("/app/shop.py", 12, "send", "raise"), Frame("/usr/lib/python3.11/json.py", 3, "loads", "")]
    return AttemptError(type="builtins.LookupError", message=message, attempt=attempt, at=at, frames=frames)


def ended(item: JobRecord) -> Event:
    """A record as the log has it."""
    return Event(kind="record", job_id=item.id, queue=item.queue, data=encode_record(item), at=item.finished_at)


def told(kind: str, job_id: str, at: float = NOW, queue: str = "mail", **data: Any) -> Event:
    """An event of a worker."""
    return Event(kind=kind, job_id=job_id, queue=queue, data=msgspec.json.encode(data), at=at)


class Rig:
    """A store, a broker in memory, and what reads one into the other."""

    def __init__(self, store: Store, url: str) -> None:
        self.store, self.url = store, url
        self.config = Config(broker_url=f"memory:{token_hex(4)}", namespace="test")
        self.backend: Backend = connect(self.config)
        self.reader = self.make_reader()

    def make_reader(self, store: Store | None = None) -> Reader:
        return Reader(self.backend, store or self.store, self.config)

    async def take(self, *events: Event) -> None:
        """Append `events` and read all there is."""
        await append(self.backend, events)
        await drain(self.reader)

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        async with self.store.reading() as connection:
            found = await connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def count(self, table: Table) -> int:
        async with self.store.reading() as connection:
            return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())

    async def job(self, job_id: str) -> dict[str, Any]:
        from naq.server.store.tables import jobs

        return next(row for row in await self.rows(jobs) if row["id"] == job_id)


def run(url: str, main: Callable[[Rig], Awaitable[None]]) -> None:
    """`main` with a rig on the database at `url`."""

    async def inside() -> None:
        async with make_rig(url) as rig:
            await main(rig)

    asyncio.run(inside())


def spec(**fields: Any) -> JobSpec:
    """A job that waits in the queue mail."""
    payload = b'{"v":1,"task":"shop.send","args":[1,"a"],"kwargs":{"x":null},"at":1790000000.0}'
    given: dict[str, Any] = {"id": new_id(), "payload": payload, "queue": "mail"}
    return JobSpec(**(given | fields))


async def counted(rig: Rig, what: str) -> int:
    """How many of `what` the charts show."""
    rows = await rig.rows(rollups)
    return sum(row["count"] for row in rows if (row["step"], row["scope"], row["what"]) == (60, "all", what))


async def append(backend: Backend, events: Sequence[Event]) -> None:
    """To the log, records as well: what a backend does when it stores one."""
    assert isinstance(backend, MemoryBackend)
    store = backend._store  # pyright: ignore[reportPrivateUsage]
    with store.lock:
        for event in events:
            store.log.append(event)
        store.logged.ring()


async def drain(reader: Reader) -> None:
    """Read until there is nothing more."""
    async with asyncio.timeout(30):
        while await reader.step(wait=0) is not None:
            pass


@asynccontextmanager
async def make_rig(url: str) -> AsyncGenerator[Rig]:
    store = await open_store(url)
    rig = Rig(store, url)
    await rig.backend.open()
    try:
        yield rig
    finally:
        rig.reader.forget()
        await rig.backend.close()
        await store.close()


def now_us() -> int:
    return round(clock.now() * 1e6)


def matches(row: dict[str, Any], condition: Condition) -> bool:
    """What a condition means, said once more and plainly."""
    match condition:
        case Every(parts):
            found = all(matches(row, part) for part in parts)
        case At(document, path, values, begins):
            lies = lying(row[document], path)
            found = lies is not None and (lies.startswith(values[0]) if begins else lies in values)
        case Than(document, path, bounds):
            lies = lying(row[document], path)
            number = None if lies is None or lies[0] not in "-0123456789" else Decimal(lies)
            found = number is not None and all(COMPARE[sign](number, Decimal(bound)) for sign, bound in bounds)
        case Absent(field):
            found = row[field] is None
        case Among(field, values):
            found = row[field] in values
        case Between(measure, low, high):
            value = (row["run_at"] or row["created_at"]) if measure == "due_at" else row[measure]
            found = value is not None and (low is None or value >= low) and (high is None or value < high)
        case Begins(field, start):
            found = row[field].startswith(start)
        case Contains(field, part):
            found = part.lower() in (row[field] or "").lower()
        case Tagged(name, value):
            n = int(row["id"][1:])
            found = n % 5 == 0 and name == "team" and value == "ab"[n % 2]
    return found != condition.negated


def lying(text: str | None, path: tuple[str, ...]) -> str | None:
    """The JSON at `path`."""
    if text is None or text.endswith("…") or "\\u0000" in text:
        return None
    value: Any = json.loads(text, parse_float=Decimal)
    for step in path:
        try:
            value = value[int(step) if isinstance(value, list) else step]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
