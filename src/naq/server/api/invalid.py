"""Events that are none: the dead letters of the history, with the reason."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from naq.server.api.gate import core_of
from naq.server.api.lists import Cursor, Limit, links, size
from naq.server.api.models import Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.store.queries import errors as queries
from naq.server.store.queries.errors import InvalidEvent

routes = Routes("errors")


class InvalidItem(Model):
    """An event that could not be read, or that the database refused. What it holds is shown nowhere: nobody read it."""

    id: int
    seen_at: Moment | None
    at: Moment | None
    kind: str
    job_id: str
    queue: str
    cursor: str
    reason: str
    size: int

    @classmethod
    def of(cls, row: InvalidEvent) -> InvalidItem:
        """As it is shown."""
        return cls(
            id=row.id, seen_at=at(row.seen_at), at=at(row.at), kind=row.kind, job_id=row.job_id, queue=row.queue,
            cursor=row.cursor, reason=row.reason, size=len(row.data),
        )  # fmt: skip


@routes.add("GET", "/invalid-events", "listInvalidEvents", "List events that are none",
            problems=("cursor_invalid", "cursor_mismatch"))  # fmt: skip
async def list_invalid(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[InvalidItem]:
    """What the history could not take, the latest first; `cursor` is its place in the broker's log."""
    core = core_of(request)
    most, about = size(core, limit), "invalid-events"
    place: Any = None if cursor is None else tuple(core.signer.place(cursor, about))
    async with core.reading() as connection:
        rows = await queries.find_invalid(connection, after=place, limit=most + 1)
    shown = rows[:most]
    after = core.signer.cursor(about, [shown[-1].seen_at, shown[-1].id]) if len(rows) > most else None
    page = Page(items=[InvalidItem.of(row) for row in shown], next_cursor=after)
    links(request, response, page)
    return page
