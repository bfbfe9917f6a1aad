"""Jobs: a list, one, its attempts, logs, family, and why it does not run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request, Response

from naq.config.fields import read_seconds
from naq.exceptions import JobNotFoundError, ResultTimeout
from naq.job import FINAL
from naq.limits.why import explain
from naq.server.access.roles import Identity
from naq.server.access.scope import may
from naq.server.api.fields import Fields, narrowed, narrowed_page, read_names
from naq.server.api.gate import asked_filter, core_of, identity_of
from naq.server.api.job_views import AttemptView, JobDetail, JobItem, LogLine, ResultView, Tree, Why
from naq.server.api.lists import Cursor, Limit, begin, cut, links, size, total
from naq.server.api.models import Page
from naq.server.api.routes import BROKER, Routes
from naq.server.core import Core
from naq.server.filters import Filter
from naq.server.names import JobId
from naq.server.problems import wrong
from naq.server.store.conditions import JobQuery
from naq.server.store.queries import jobs as queries
from naq.server.store.queries import logs as log_queries
from naq.server.store.rows import JobRow

routes = Routes("jobs")
Sorting = Literal[
    "created_at", "-created_at", "started_at", "-started_at", "finished_at", "-finished_at", "duration", "-duration"
]
FilterText = Annotated[
    str,
    Query(max_length=4000, description="Words that must all fit, such as `state:failed queue:mail created:<1h`."),
]
INCLUDED: Final = ("attempts", "children")
LISTED: Final = ("args", "limits", "result", "waits_for")  # what a list may include
CHILDREN: Final = 100  # that are shown with their parent; a list with the filter ``parent:`` has them all
Include = Annotated[
    str, Query(max_length=100, description="What else to show, by commas: `attempts`, `children` (the first hundred).")
]
IncludeListed = Annotated[
    str,
    Query(
        max_length=100,
        description="What else to show of each, by commas: `args` (with `kwargs`), `result`, `waits_for`, `limits`.",
    ),
]
LONGEST_WAIT: Final = 60.0  # seconds of one question for a result: as long as most proxies let an answer take
Wait = Annotated[str, Query(max_length=20, description="How long to wait for its end, up to 60s.", examples=["30s"])]
LISTS = ("invalid_filter", "cursor_invalid", "cursor_mismatch")


@routes.add("GET", "/jobs", "listJobs", "List jobs", scope="itself", problems=LISTS, response_model_exclude_unset=True)
async def list_jobs(
    request: Request,
    response: Response,
    filter: FilterText = "",  # noqa: A002 - its name in the address
    sort: Sorting = "-created_at",
    limit: Limit = None,
    cursor: Cursor = None,
    count: Annotated[Literal["capped"] | None, Query(description="Also count, up to `server_count_cap`.")] = None,
    include: IncludeListed = "",
    fields: Fields = "",
) -> Page[JobItem] | Page[dict[str, Any]]:
    """A page of jobs from the history, the newest first unless `sort` says otherwise."""
    core = core_of(request)
    wider = read_names(include, LISTED, where="include")
    only = read_names(fields, JobItem.shown(), where="fields")
    wanted = asked_filter(request, filter)
    about = f"jobs {sort} {wanted.text}"
    query = make_query(core, wanted, sort, limit, cursor, about)
    async with core.reading() as connection:
        found = await queries.find(connection, query, whole=bool(wider))
        counted = await queries.count(connection, wanted.conditions, cap=core.settings.count_cap) if count else None
    page = Page(
        items=[JobItem.of(row, core.redact, wider) for row in found.jobs],
        next_cursor=None if found.after is None else core.signer.cursor(about, ["after", *found.after]),
        prev_cursor=None if found.before is None else core.signer.cursor(about, ["before", *found.before]),
        total=None if counted is None else total(counted.value, core.settings.count_cap, whole=counted.whole),
    )
    links(request, response, page)
    return narrowed_page(page, only | JobItem.included(wider)) if only else page


def make_query(core: Core, wanted: Filter, sort: str, limit: int | None, cursor: str | None, about: str) -> JobQuery:
    """What the history is asked for a page."""
    field: Any = sort.removeprefix("-")
    way, *place = (None,) if cursor is None else core.signer.place(cursor, about)
    return JobQuery(
        conditions=wanted.conditions,
        sort="duration_us" if field == "duration" else field,
        descending=sort.startswith("-"),
        limit=size(core, limit),
        after=(place[0], place[1]) if way else None,
        backwards=way == "before",
    )


@routes.add("GET", "/jobs/states", "countJobs", "Count jobs by state", scope="itself", problems=("invalid_filter",))
async def count_jobs(request: Request, filter: FilterText = "") -> dict[str, Any]:  # noqa: A002 - as above
    """How many jobs of each state fit, each counted up to `server_count_cap`."""
    core = core_of(request)
    wanted = asked_filter(request, filter)
    async with core.reading() as connection:
        found = await queries.count_states(connection, wanted.conditions, cap=core.settings.count_cap)
    cap = core.settings.count_cap
    return {"states": {state: total(each.value, cap, whole=each.whole) for state, each in found.items()}}


@routes.add("GET", "/jobs/{job_id}", "getJob", "Show a job", scope="job", problems=("job_not_found",),
            response_model_exclude_unset=True)  # fmt: skip
async def get_job(
    request: Request, job_id: JobId, include: Include = "", fields: Fields = ""
) -> JobDetail | dict[str, Any]:
    """All that is known of a job; what the broker says where history has it not yet."""
    core = core_of(request)
    wanted = read_names(include, INCLUDED, where="include")
    only = read_names(fields, JobDetail.model_fields, where="fields")
    row = await find_row(core, job_id)
    if row is None:
        shown = JobDetail.of_record(await find_record(core, job_id), core)
    else:
        shown = JobDetail.of(row, core.redact)
    parts = await _parts(core, identity_of(request), job_id, wanted) if wanted else {}
    shown = shown.model_copy(update=parts)
    return narrowed(shown, only | wanted) if only else shown


async def _parts(core: Core, identity: Identity, job_id: str, wanted: Collection[str]) -> dict[str, Any]:
    """What is shown with a job where it is asked for."""
    parts: dict[str, Any] = {}
    async with core.reading() as connection:
        if "attempts" in wanted:
            parts["attempts"] = [AttemptView.of(one) for one in await queries.get_attempts(connection, job_id)]
        if "children" in wanted:
            found = await queries.children(connection, job_id, limit=CHILDREN)
            parts["children"] = [JobItem.of(one, core.redact) for one in found if may(identity, one.queue)]
    return parts


@routes.add("GET", "/jobs/{job_id}/result", "getResult", "Wait for a job's result",
            scope="job", problems=("job_not_found", *BROKER),
            responses={202: {"model": ResultView, "description": "It has not ended yet."}})  # fmt: skip
async def get_result(request: Request, response: Response, job_id: JobId, wait: Wait = "0s") -> ResultView:
    """200 as soon as it has ended, told by the broker; 202 where it has not after `wait`: ask again."""
    core = core_of(request)
    longest = _read_wait(wait)
    async with core.asking(timeout=longest + core.settings.request_timeout) as backend:
        try:
            record = await backend.wait(job_id, timeout=longest)
        except ResultTimeout:
            record = await backend.get(job_id)
    if record is None:
        raise JobNotFoundError(f"there is no job {job_id}, and no record of one")
    if record.state not in FINAL:
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return ResultView.of(record, core)


def _read_wait(text: str) -> float:
    try:
        seconds = read_seconds(text)
    except ValueError:
        raise wrong("/query/wait", f"{text!r} is no duration: write 500ms or 30s") from None
    if not 0 <= seconds <= LONGEST_WAIT:
        raise wrong("/query/wait", f"it is 0s to {LONGEST_WAIT:g}s")
    return seconds


@routes.add(
    "GET", "/jobs/{job_id}/attempts", "listAttempts", "List a job's attempts", scope="job", problems=("job_not_found",)
)
async def list_attempts(request: Request, job_id: JobId) -> Page[AttemptView]:
    """Every attempt of every run, the first one first, each with its error."""
    core = core_of(request)
    await must_be(core, job_id)
    async with core.reading() as connection:
        rows = await queries.get_attempts(connection, job_id)
    return Page(items=[AttemptView.of(row) for row in rows])


@routes.add("GET", "/jobs/{job_id}/logs", "listLogs", "List a job's log lines", scope="job",
            problems=("job_not_found", "cursor_invalid", "cursor_mismatch"))  # fmt: skip
async def list_logs(
    request: Request,
    response: Response,
    job_id: JobId,
    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None, Query()] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[LogLine]:
    """What the job logged, the oldest first."""
    core = core_of(request)
    await must_be(core, job_id)
    about, most = f"logs {job_id} {level}", size(core, limit)
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        rows = await log_queries.lines(connection, job_id, level=level, after=place, limit=most + 1)
    return cut(request, response, rows, LogLine.of, about=about, most=most, key=lambda row: [row.told_at, row.n])


@routes.add("GET", "/jobs/{job_id}/tree", "getTree", "Show a job's family", problems=("job_not_found",),
            response_model_exclude_unset=True)  # fmt: skip
async def get_tree(request: Request, job_id: JobId) -> Tree:
    """The job that it all began with, and all that came of it; of large families the first thousand."""
    core = core_of(request)
    row = await must_be(core, job_id)
    root = (row.root_id if row is not None else None) or job_id
    async with core.reading() as connection:
        found = await queries.tree(connection, root)
    return Tree(root=root, jobs=[JobItem.of(one, core.redact) for one in found])


@routes.add(
    "GET",
    "/jobs/{job_id}/timeline",
    "getTimeline",
    "Show where a job's time went",
    scope="job",
    problems=("job_not_found",),
)
async def get_timeline(request: Request, job_id: JobId) -> dict[str, Any]:
    """Its times in spans: waiting, running, waiting for the next attempt, one after the other."""
    from naq.server.api.timeline import spans

    core = core_of(request)
    row = await must_be(core, job_id)
    async with core.reading() as connection:
        attempts = await queries.get_attempts(connection, job_id)
    return {"job_id": job_id, "spans": [] if row is None else spans(row, attempts)}


@routes.add("GET", "/jobs/{job_id}/why", "explainJob", "Say why a job does not run", scope="job",
            problems=("job_not_found", *BROKER))  # fmt: skip
async def explain_job(request: Request, job_id: JobId) -> Why:
    """What keeps it, the earliest time it can run, and what to do; the same text as ``naq jobs why``."""
    async with core_of(request).asking() as backend:
        return Why.of(await explain(backend, job_id))


async def find_row(core: Core, job_id: str) -> JobRow | None:
    """The job as the history has it; a placeholder of which only children are known counts for none."""
    async with core.reading() as connection:
        row = await queries.get(connection, job_id)
    return None if row is None or not row.task else row


async def find_record(core: Core, job_id: str) -> Any:
    """The job as the broker has it.

    Raises:
        Problem: ``job_not_found``.
    """
    async with core.asking() as backend:
        record = await backend.get(job_id)
    if record is None:
        raise JobNotFoundError(f"there is no job {job_id}: it was never here, or retention has removed it")
    return record


async def must_be(core: Core, job_id: str) -> JobRow | None:
    """The job as history has it; None where only the broker does.

    Raises:
        Problem: ``job_not_found``.
    """
    row = await find_row(core, job_id)
    if row is None:
        await find_record(core, job_id)
    return row
