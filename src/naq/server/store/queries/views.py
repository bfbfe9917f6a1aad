"""Saved views as they are kept."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.queries.build import build
from naq.server.store.tables import views


class ViewRow(Struct, frozen=True, kw_only=True):
    """A row of ``views``."""

    id: str
    owner: str
    name: str
    filter: str
    sort: str
    columns: str
    version: int
    changed_at: int
    changed_by: str


async def add(connection: AsyncConnection, row: ViewRow) -> bool:
    """Keep a new one; False where its owner has one of that name."""
    try:
        async with connection.begin_nested():
            await connection.execute(insert(views).values(**asdict(row)))
    except IntegrityError:
        return False
    return True


async def get(connection: AsyncConnection, view_id: str, *, who: str) -> ViewRow | None:
    """One that `who` sees: their own, or a shared one."""
    asked = select(views).where(views.c.id == view_id, or_(views.c.owner == who, views.c.owner == ""))
    row = (await connection.execute(asked)).mappings().one_or_none()
    return None if row is None else build(ViewRow, row)


async def seen_by(connection: AsyncConnection, who: str, *, most: int) -> list[ViewRow]:
    """Those that `who` sees, by name, the shared ones first."""
    asked = select(views).where(views.c.owner.in_(["", who])).order_by(views.c.owner, views.c.name).limit(most)
    return [build(ViewRow, row) for row in (await connection.execute(asked)).mappings()]


async def change(connection: AsyncConnection, row: ViewRow, *, version: int) -> bool | None:
    """Keep `row` instead of its `version`; None where that is not there any more, False where the name is taken."""
    try:
        async with connection.begin_nested():
            done = await connection.execute(
                update(views).where(views.c.id == row.id, views.c.version == version).values(**asdict(row))
            )
    except IntegrityError:
        return False
    return True if done.rowcount else None


async def remove(connection: AsyncConnection, view_id: str, *, version: int) -> bool:
    """Remove that version; whether it was there."""
    done = await connection.execute(delete(views).where(views.c.id == view_id, views.c.version == version))
    return done.rowcount > 0
