"""The audit log: a row before a change is made, completed when it was answered. What cannot be noted is not done."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct
from sqlalchemy import insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.server.access.roles import Identity
from naq.server.store.queries.build import build
from naq.server.store.rows import micros
from naq.server.store.tables.access import audit

_NAMED = 256  # characters of what was changed
_LONGEST = 16_384  # characters of what was there before or after; more is cut: the log is for people


class AuditRow(Struct, frozen=True, kw_only=True):
    """A row of ``audit``; `status` 0: it was begun, and never answered."""

    id: str
    at: int
    who: str
    role: str
    address: str
    action: str
    target: str
    status: int
    request_id: str
    before: str | None
    after: str | None


async def begin(connection: AsyncConnection, *, entry: str, identity: Identity, address: str, action: str,
                target: str, request_id: str) -> None:  # fmt: skip
    """Note that somebody is about to change something."""
    await connection.execute(
        insert(audit).values(
            id=entry,
            at=micros(clock.now()),
            who=identity.name,
            role=identity.role or "",
            address=address,
            action=action,
            target=target[:_NAMED],
            status=0,
            request_id=request_id,
        )
    )


async def finish(
    connection: AsyncConnection, *, entry: str, status: int, before: Any, after: Any, target: str | None = None
) -> None:
    """Note how it was answered, what changed, and which thing it was, where only the answer says so."""
    values: dict[str, Any] = {"status": status, "before": _text(before), "after": _text(after)}
    if target is not None:
        values["target"] = target[:_NAMED]
    await connection.execute(update(audit).where(audit.c.id == entry).values(**values))


async def page(
    connection: AsyncConnection,
    *,
    who: str | None = None,
    action: str | None = None,
    target: str | None = None,
    after: tuple[int, str] | None = None,
    limit: int,
) -> list[AuditRow]:
    """The newest first."""
    asked = select(*[audit.c[name] for name in AuditRow.__struct_fields__])
    for column, value in ((audit.c.who, who), (audit.c.action, action), (audit.c.target, target)):
        if value is not None:
            asked = asked.where(column == value)
    if after is not None:
        asked = asked.where(tuple_(audit.c.at, audit.c.id) < tuple_(literal(after[0]), literal(after[1])))
    found = await connection.execute(asked.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit))
    return [build(AuditRow, row) for row in found.mappings()]


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)[:_LONGEST]
