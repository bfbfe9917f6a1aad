"""Errors, grouped by what they have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field

from naq import clock
from naq.server.api.gate import core_of, note
from naq.server.api.job_views import parsed
from naq.server.api.lists import Cursor, Limit, begin, cut, size
from naq.server.api.models import Done, Given, Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.names import TASK, Fingerprint
from naq.server.problems import Problem
from naq.server.store.queries import errors as queries
from naq.server.store.queries.errors import ErrorGroup, ErrorState
from naq.server.store.rows import micros

routes = Routes("errors")


class ErrorItem(Model):
    """A group. `detail` is its latest error with traceback; in lists it is left out."""

    fingerprint: str
    task: str
    type: str
    message: str
    state: ErrorState
    count: int
    first_at: Moment | None
    last_at: Moment | None
    last_job_id: str
    note: str
    decided_at: Moment | None
    ignored_until: Moment | None
    detail: Any = None

    @classmethod
    def of(cls, row: ErrorGroup, *, detailed: bool = False) -> ErrorItem:
        """As it is shown."""
        return cls(
            fingerprint=row.fingerprint, task=row.task, type=row.type, message=row.message, state=row.state,
            count=row.count, first_at=at(row.first_at), last_at=at(row.last_at), last_job_id=row.last_job_id,
            note=row.note, decided_at=at(row.decided_at), ignored_until=at(row.ignored_until),
            detail=parsed(row.detail) if detailed else None,
        )  # fmt: skip


class Decision(Given):
    """What somebody says about a group."""

    note: str = Field(default="", max_length=1000)
    until: AwareDatetime | None = None


class Hour(Model):
    """How often it came within an hour."""

    at: Moment | None
    count: int


@routes.add("GET", "/errors", "listErrors", "List errors by group", problems=("cursor_invalid", "cursor_mismatch"))
async def list_errors(
    request: Request,
    response: Response,
    state: Annotated[ErrorState | None, Query()] = None,
    task: Annotated[str | None, Query(pattern=TASK)] = None,
    sort: Annotated[Literal["-last_at", "-count"], Query()] = "-last_at",
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[ErrorItem]:
    """The latest first, or the most frequent."""
    core = core_of(request)
    most, about = size(core, limit), f"errors {state} {task} {sort}"
    by: Any = sort.removeprefix("-")
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        rows = await queries.find(connection, state=state, task=task, sort=by, after=place, limit=most + 1)
    return cut(
        request,
        response,
        rows,
        ErrorItem.of,
        about=about,
        most=most,
        key=lambda row: [getattr(row, by), row.fingerprint],
    )


@routes.add("GET", "/errors/{fingerprint}", "getError", "Show a group of errors", problems=("not_found",))
async def get_error(request: Request, fingerprint: Fingerprint) -> ErrorItem:
    """With the traceback of the latest."""
    async with core_of(request).reading() as connection:
        row = await queries.get(connection, fingerprint)
    if row is None:
        raise Problem("not_found", f"there is no group of errors {fingerprint}")
    return ErrorItem.of(row, detailed=True)


@routes.add("GET", "/errors/{fingerprint}/hours", "getErrorHours", "Show when errors came")
async def get_hours(
    request: Request, fingerprint: Fingerprint, hours: Annotated[int, Query(ge=1, le=24 * 60)] = 24
) -> Page[Hour]:
    """By the hour, the oldest first; hours without any are left out."""
    since = micros(clock.now() - hours * 3600)
    async with core_of(request).reading() as connection:
        found = await queries.hours(connection, (fingerprint,), since=since)
    return Page(items=[Hour(at=at(when), count=count) for when, count in found.get(fingerprint, [])])


@routes.add("POST", "/errors/{fingerprint}/resolve", "resolveError", "Say that errors are mended", role="operator",
            problems=("not_found",))  # fmt: skip
async def resolve_error(request: Request, fingerprint: Fingerprint, decision: Decision | None = None) -> Done:
    """One that comes again is shown as regressed."""
    return await _decide(request, fingerprint, "resolved", decision)


@routes.add("POST", "/errors/{fingerprint}/ignore", "ignoreError", "Ignore errors", role="operator",
            problems=("not_found",))  # fmt: skip
async def ignore_error(request: Request, fingerprint: Fingerprint, decision: Decision | None = None) -> Done:
    """For good, or until a time."""
    return await _decide(request, fingerprint, "ignored", decision)


@routes.add("POST", "/errors/{fingerprint}/reopen", "reopenError", "Open errors again", role="operator",
            problems=("not_found",))  # fmt: skip
async def reopen_error(request: Request, fingerprint: Fingerprint, decision: Decision | None = None) -> Done:
    """Neither resolved nor ignored any more."""
    return await _decide(request, fingerprint, "open", decision)


async def _decide(
    request: Request, fingerprint: str, state: Literal["open", "resolved", "ignored"], decision: Decision | None
) -> Done:
    decision = decision or Decision()
    until = None if decision.until is None or state != "ignored" else micros(decision.until.timestamp())
    async with core_of(request).writing() as connection:
        before = await queries.get(connection, fingerprint)
        if before is None:
            raise Problem("not_found", f"there is no group of errors {fingerprint}")
        await queries.decide(connection, fingerprint, state, at=micros(clock.now()), note=decision.note, until=until)
    entry = note(request, before={"state": before.state}, after={"state": state})
    return Done(id=fingerprint, done=before.state != state, outcome=state, audit_id=entry)
