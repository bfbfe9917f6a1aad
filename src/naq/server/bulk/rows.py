"""Bulk actions as they are kept: what was asked for, and how far it has come."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.server.store.queries.build import build
from naq.server.store.rows import micros
from naq.server.store.tables.access import bulk


class BulkRow(Struct, frozen=True, kw_only=True):
    """A row of ``bulk``."""

    id: str
    name: str
    action: str
    filter: str
    ids: str | None
    before_at: int
    rate: int | None
    spread_s: int | None
    options: str
    state: str
    created_at: int
    created_by: str
    finished_at: int | None
    total: int | None
    done: int
    skipped: int
    skips: str
    failed: int
    failures: str
    place: str | None

    @property
    def pace(self) -> float | None:
        """Jobs a second; None: as fast as it goes."""
        if self.rate is not None or self.spread_s is None:
            return self.rate
        return max(self.total or 0, 1) / self.spread_s


_COLUMNS = [bulk.c[name] for name in BulkRow.__struct_fields__]


async def add(connection: AsyncConnection, row: BulkRow) -> None:
    """Keep a new one."""
    values: dict[str, Any] = {name: getattr(row, name) for name in BulkRow.__struct_fields__}
    await connection.execute(insert(bulk).values(**values))


async def get(connection: AsyncConnection, bulk_id: str) -> BulkRow | None:
    """One of them."""
    row = (await connection.execute(select(*_COLUMNS).where(bulk.c.id == bulk_id))).mappings().one_or_none()
    return None if row is None else build(BulkRow, row)


async def page(
    connection: AsyncConnection, *, state: str | None = None, after: tuple[int, str] | None = None, limit: int
) -> list[BulkRow]:
    """The newest first."""
    asked = select(*_COLUMNS)
    if state is not None:
        asked = asked.where(bulk.c.state == state)
    if after is not None:
        asked = asked.where(tuple_(bulk.c.created_at, bulk.c.id) < tuple_(literal(after[0]), literal(after[1])))
    found = await connection.execute(asked.order_by(bulk.c.created_at.desc(), bulk.c.id.desc()).limit(limit))
    return [build(BulkRow, row) for row in found.mappings()]


async def lease(connection: AsyncConnection, bulk_id: str, runner: str, *, ttl: float) -> bool:
    """Take or keep the right to work on it; whether `runner` has it, and there is something to do."""
    now = micros(clock.now())
    done = await connection.execute(
        update(bulk)
        .where(bulk.c.id == bulk_id, bulk.c.state == "running", or_(bulk.c.runner == runner, bulk.c.runs_until < now))
        .values(runner=runner, runs_until=now + micros(ttl))
    )
    return done.rowcount > 0


async def waiting(connection: AsyncConnection) -> list[str]:
    """Those that nobody works on, though they have not ended."""
    asked = select(bulk.c.id).where(bulk.c.state == "running", bulk.c.runs_until < micros(clock.now())).limit(100)
    return [str(found) for found in (await connection.execute(asked)).scalars()]


async def save(connection: AsyncConnection, bulk_id: str, **values: Any) -> None:
    """Note how far it has come."""
    await connection.execute(update(bulk).where(bulk.c.id == bulk_id).values(**values))


async def abort(connection: AsyncConnection, bulk_id: str) -> bool:
    """Break it off; whether it ran."""
    done = await connection.execute(
        update(bulk)
        .where(bulk.c.id == bulk_id, bulk.c.state == "running")
        .values(state="aborted", finished_at=micros(clock.now()))
    )
    return done.rowcount > 0
