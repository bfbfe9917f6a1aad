"""Asking for what jobs said."""

from __future__ import annotations

from typing import Final

from sqlalchemy import literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.queries.build import build
from naq.server.store.rows import EventRow, LogRow
from naq.server.store.tables import events, logs

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


async def lines(connection: AsyncConnection, job_id: str, *, level: str | None = None,
                after: tuple[int, int] | None = None, limit: int) -> list[LogRow]:  # fmt: skip
    """The log lines of a job behind the place `after`, the oldest first; from `level` upwards."""
    asked = select(*[logs.c[name] for name in LogRow.__struct_fields__]).where(logs.c.job_id == job_id)
    if level is not None:
        asked = asked.where(logs.c.level.in_(LEVELS[LEVELS.index(level) :]))
    if after is not None:
        asked = asked.where(tuple_(logs.c.told_at, logs.c.n) > tuple_(literal(after[0]), literal(after[1])))
    found = await connection.execute(asked.order_by(logs.c.told_at, logs.c.n).limit(limit))
    return [build(LogRow, row) for row in found.mappings()]


async def job_events(
    connection: AsyncConnection, job_id: str, *, after: tuple[int, str] | None = None, limit: int
) -> list[EventRow]:
    """The events of a job that are kept as they came, behind the place `after`, the oldest first."""
    asked = select(*[events.c[name] for name in EventRow.__struct_fields__]).where(events.c.job_id == job_id)
    if after is not None:
        asked = asked.where(tuple_(events.c.at, events.c.kind) > tuple_(literal(after[0]), literal(after[1])))
    found = await connection.execute(asked.order_by(events.c.at, events.c.kind).limit(limit))
    return [build(EventRow, row) for row in found.mappings()]
