"""Jobs as a file: what a filter fits, page by page, never held whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request
from starlette.responses import Response, StreamingResponse

from naq.server.api.gate import asked_filter, core_of
from naq.server.api.job_views import JobItem
from naq.server.api.jobs import FilterText
from naq.server.api.routes import Routes
from naq.server.core import Core
from naq.server.store.conditions import JobQuery
from naq.server.store.queries import jobs as queries
from naq.server.store.queries.jobs import JobPage

routes = Routes("jobs")
MOST: Final = 100_000  # jobs of one file: what a spreadsheet takes; more is a matter for the database's own tools
PAGE: Final = 500
_COLUMNS: Final = tuple(JobItem.shown())
Format = Annotated[Literal["jsonl", "csv"], Query(description="An object a line, or a table with a line of names.")]


@routes.add(
    "GET", "/jobs/export", "exportJobs", "Export jobs", scope="itself", policy="bulk", problems=("invalid_filter",),
    response_class=StreamingResponse,
    responses={200: {"description": "The newest hundred thousand that fit, the newest first.", "content": {
        "application/x-ndjson": {"schema": {"type": "string"}}, "text/csv": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def export_jobs(
    request: Request,
    filter: FilterText = "",  # noqa: A002 - its name in the address
    format: Format = "jsonl",  # noqa: A002 - as above
) -> Response:
    """As they are listed, arguments redacted. What is enqueued meanwhile may be in it."""
    core = core_of(request)
    query = JobQuery(conditions=asked_filter(request, filter).conditions, limit=PAGE)
    async with core.reading() as connection:  # the first page before the answer begins: what is wrong is still said
        first = await queries.find(connection, query)
    write, kind = (_lines, "application/x-ndjson") if format == "jsonl" else (_table, "text/csv")
    headers = {"Content-Disposition": f'attachment; filename="jobs.{format}"'}
    return StreamingResponse(_parts(core, query, first, write), headers=headers, media_type=kind)


async def _parts(
    core: Core, query: JobQuery, page: JobPage, write: Callable[[Sequence[dict[str, Any]]], str]
) -> AsyncIterator[str]:
    from msgspec.structs import replace

    if write is _table:
        yield ",".join(_COLUMNS) + "\r\n"
    left = MOST
    while True:
        rows = [JobItem.of(row, core.redact).model_dump(mode="json", exclude_unset=True) for row in page.jobs[:left]]
        left -= len(rows)
        if rows:
            yield write(rows)
        if page.after is None or not left:
            return
        async with core.reading() as connection:
            page = await queries.find(connection, replace(query, after=page.after))


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(row[name]) for name in _COLUMNS] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    """Text of a cell; what a spreadsheet would take for a formula is made text by a quote before it."""
    if value is None:
        return ""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{shown}" if isinstance(value, str) and shown[:1] in {"=", "+", "-", "@", "\t", "\r"} else shown
