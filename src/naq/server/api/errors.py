"""Errors, grouped by what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field

from naq import clock
from naq.server.api.fields import read_names
from naq.server.api.gate import core_of, note
from naq.server.api.job_views import parsed
from naq.server.api.lists import Cursor, Limit, begin, cut, size
from naq.server.api.models import Done, Given, Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.names import TASK, Fingerprint
from naq.server.problems import Problem, wrong
from naq.server.store.queries import errors as queries
from naq.server.store.queries.errors import ErrorGroup, ErrorState
from naq.server.store.rows import MICRO, micros

routes = Routes("errors")
HOURS: Final = 24  # that a list shows of each
HOUR: Final = 3600 * MICRO
COUNTED: Final = 2_000  # attempts that a split is made of: some 20 ms
VALUES: Final = 20  # of each split


class ErrorItem(Model):
    """A group. `detail` is its latest error with traceback; in lists it is left out.

    `hours`, where they are asked for: how often it came in each of the last 24, the oldest first. An ignored one is
    open again when it comes after `ignored_until`, or when its count is over `ignored_count`; a resolved one may still
    come from workers of the versions in `still_in`.
    """

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
    ignored_count: int | None
    still_in: list[str] | None
    detail: Any = None
    hours: list[int] | None = None

    @classmethod
    def of(cls, row: ErrorGroup, *, detailed: bool = False) -> ErrorItem:
        """As it is shown."""
        return cls(
            fingerprint=row.fingerprint, task=row.task, type=row.type, message=row.message, state=row.state,
            count=row.count, first_at=at(row.first_at), last_at=at(row.last_at), last_job_id=row.last_job_id,
            note=row.note, decided_at=at(row.decided_at), ignored_until=at(row.ignored_until),
            ignored_count=row.ignored_count, still_in=row.still_in,
            detail=parsed(row.detail) if detailed else None,
        )  # fmt: skip


class Decision(Given):
    """What somebody says about a group."""

    note: str = Field(default="", max_length=1000)


class Resolving(Decision):
    """`next_version`: mended in the code that is deployed next; workers of versions that run now may still have it."""

    next_version: bool = False


class Ignoring(Decision):
    """Until when: a time, or so many `times` more, whichever is first; with neither for good."""

    until: AwareDatetime | None = None
    times: Annotated[int | None, Field(ge=1, le=1_000_000_000)] = None


class Share(Model):
    """How many of the attempts have this value."""

    value: str
    count: int


class Split(Model):
    """Where a group of errors came from, by its newest attempts: `counted` of them, and all there are where `whole`.

    `jobs` is of how many jobs they are. Of each split the twenty most frequent values.
    """

    counted: int
    whole: bool
    jobs: int
    queues: list[Share]
    workers: list[Share]
    attempts: list[Share]
    versions: list[Share]


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
    include: Annotated[str, Query(max_length=100, description="What else to show: `hours`.")] = "",
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[ErrorItem]:
    """The latest first, or the most frequent."""
    core = core_of(request)
    wanted = read_names(include, ("hours",), where="include")
    now = micros(clock.now())
    first = now - now % HOUR - (HOURS - 1) * HOUR
    most, about = size(core, limit), f"errors {state} {task} {sort}"
    by: Any = sort.removeprefix("-")
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        rows = await queries.find(connection, state=state, task=task, sort=by, after=place, limit=most + 1)
        names = tuple(row.fingerprint for row in rows)
        hours = await queries.hours(connection, names, since=first) if wanted else {}
    return cut(
        request,
        response,
        rows,
        lambda row: _with_hours(ErrorItem.of(row), hours.get(row.fingerprint), first),
        about=about,
        most=most,
        key=lambda row: [getattr(row, by), row.fingerprint],
    )


def _with_hours(item: ErrorItem, found: list[tuple[int, int]] | None, first: int) -> ErrorItem:
    if found is None:
        return item
    hours = [0] * HOURS
    for when, count in found:
        if 0 <= (place := (when - first) // HOUR) < HOURS:  # a worker's clock may be ahead of ours
            hours[place] += count
    return item.model_copy(update={"hours": hours})


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


@routes.add("GET", "/errors/{fingerprint}/split", "splitError", "Show where errors came from", problems=("not_found",))
async def split_error(request: Request, fingerprint: Fingerprint) -> Split:
    """By queue, worker, its version of the code, and number of the attempt: the newest two thousand that failed so."""
    async with core_of(request).reading() as connection:
        if await queries.get(connection, fingerprint) is None:
            raise Problem("not_found", f"there is no group of errors {fingerprint}")
        found = await queries.newest(connection, fingerprint, most=COUNTED)
    return Split(
        counted=len(found), whole=len(found) < COUNTED, jobs=len({one.job_id for one in found}),
        queues=_shares(one.queue for one in found), workers=_shares(one.worker for one in found),
        attempts=_shares(str(one.attempt) for one in found), versions=_shares(one.version for one in found),
    )  # fmt: skip


def _shares(values: Iterable[str]) -> list[Share]:
    return [Share(value=value, count=count) for value, count in Counter(values).most_common(VALUES)]


@routes.add("POST", "/errors/{fingerprint}/resolve", "resolveError", "Say that errors are mended", role="operator",
            problems=("not_found",))  # fmt: skip
async def resolve_error(request: Request, fingerprint: Fingerprint, decision: Resolving | None = None) -> Done:
    """One that comes again, or from code of the next version on, is shown as regressed."""
    return await _decide(request, fingerprint, "resolved", decision)


@routes.add("POST", "/errors/{fingerprint}/ignore", "ignoreError", "Ignore errors", role="operator",
            problems=("not_found",))  # fmt: skip
async def ignore_error(request: Request, fingerprint: Fingerprint, decision: Ignoring | None = None) -> Done:
    """For good, until a time, or until it came so many times more."""
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
    until, times, still_in = None, None, None
    if isinstance(decision, Ignoring):
        until, times = decision.until and micros(decision.until.timestamp()), decision.times
    async with core_of(request).writing() as connection:
        if isinstance(decision, Resolving) and decision.next_version:
            still_in = await queries.versions_running(connection)
            if not still_in:
                raise wrong(
                    "/next_version", "no worker that runs says which version of your code it has: set code_version"
                )
        before = await queries.get(connection, fingerprint)
        if before is None:
            raise Problem("not_found", f"there is no group of errors {fingerprint}")
        await queries.decide(connection, fingerprint, state, at=micros(clock.now()), note=decision.note, until=until,
                             times=times, still_in=still_in)  # fmt: skip
    after = {"state": state, **decision.model_dump(mode="json", exclude_defaults=True)}
    entry = note(request, before={"state": before.state}, after=after)
    return Done(id=fingerprint, done=before.state != state, outcome=state, audit_id=entry)
