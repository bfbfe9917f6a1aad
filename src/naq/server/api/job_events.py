"""What a job said beside its log lines: metrics, and events of kinds that the history has no column for."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from naq.server.api.gate import core_of
from naq.server.api.job_views import parsed
from naq.server.api.jobs import must_be
from naq.server.api.lists import Cursor, Limit, begin, cut, size
from naq.server.api.models import Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.core import Core
from naq.server.names import JobId
from naq.server.store.queries import logs as queries
from naq.server.store.rows import EventRow

routes = Routes("jobs")


class JobEvent(Model):
    """An event, as it came; what is in it by names that are hidden is ``[hidden]``, and null is what was cut."""

    at: Moment | None
    kind: str
    data: Any

    @classmethod
    def of(cls, row: EventRow, core: Core) -> JobEvent:
        """As it is shown."""
        return cls(at=at(row.at), kind=row.kind, data=core.redact(parsed(row.data)))


@routes.add("GET", "/jobs/{job_id}/events", "listJobEvents", "List a job's events", scope="job",
            problems=("job_not_found", "cursor_invalid", "cursor_mismatch"))  # fmt: skip
async def list_events(
    request: Request, response: Response, job_id: JobId, limit: Limit = None, cursor: Cursor = None
) -> Page[JobEvent]:
    """Metrics, and what later versions of naq say; attempts, log lines and progress have routes of their own."""
    core = core_of(request)
    await must_be(core, job_id)
    about, most = f"events {job_id}", size(core, limit)
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        rows = await queries.job_events(connection, job_id, after=place, limit=most + 1)
    return cut(
        request, response, rows, lambda row: JobEvent.of(row, core), about=about, most=most,
        key=lambda row: [row.at, row.kind],
    )  # fmt: skip
