"""Events that are none: the dead letters of the history, with the reason."""

from __future__ import annotations

from fastapi import Request, Response

from naq.server.api.gate import core_of
from naq.server.api.lists import Cursor, Limit, begin, cut, size
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
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        rows = await queries.find_invalid(connection, after=place, limit=most + 1)
    return cut(request, response, rows, InvalidItem.of, about=about, most=most, key=lambda row: [row.seen_at, row.id])
