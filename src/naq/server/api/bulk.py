"""Bulk actions."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from pydantic import Field

from naq import clock
from naq.job import Priority, new_id
from naq.server.access.roles import check
from naq.server.access.scope import check_queue, prefix, queues_of
from naq.server.api.gate import asked_filter, core_of, identity_of, note, scope_of
from naq.server.api.job_actions import DryRun
from naq.server.api.lists import Cursor, Limit, begin, cut, size, total
from naq.server.api.models import Done, Given, Model, Moment, Page, Total, at
from naq.server.api.routes import BROKER, Routes
from naq.server.bulk import rows
from naq.server.bulk.rows import BulkRow
from naq.server.bulk.verbs import VERBS, Action, Options
from naq.server.filters import Filter
from naq.server.names import Id, Token
from naq.server.problems import Problem, wrong
from naq.server.store.conditions import Between
from naq.server.store.queries import jobs
from naq.server.store.rows import micros

routes = Routes("bulk-actions")


class NewBulk(Given):
    """What to do, and to which jobs: by their ids, or all that a filter fits now.

    `rate`: jobs a second; or `spread_s`: the seconds over which it is spread, where it is known how many they are.
    `set_priority` needs a `priority`, `move` a `queue`, `add_tags` some `tags`.
    """

    action: Action
    filter: Annotated[str | None, Field(min_length=1, max_length=4000, examples=["state:failed queue:mail"])] = None
    ids: Annotated[list[Token] | None, Field(min_length=1, max_length=10_000)] = None
    name: str = Field(default="", max_length=100)
    rate: Annotated[int | None, Field(ge=1, le=100_000)] = None
    spread_s: Annotated[int | None, Field(ge=1, le=7 * 86_400)] = None
    priority: Priority | None = None
    queue: Token | None = None
    tags: Annotated[dict[Token, Annotated[str, Field(max_length=256)]] | None, Field(min_length=1, max_length=32)] = (
        None
    )

    @property
    def options(self) -> Options:
        """What the action needs to know."""
        return Options(priority=self.priority, queue=self.queue, tags=self.tags)


class Failure(Model):
    """A job to which it could not be done."""

    id: str
    reason: str


class BulkView(Model):
    """A bulk action and how far it has come. `skips`: why jobs were left as they are, and how many for it."""

    id: str
    name: str
    action: str
    filter: str
    ids: int | None
    rate: int | None
    spread_s: int | None
    options: dict[str, Any]
    state: Literal["running", "finished", "aborted"]
    created_at: Moment | None
    created_by: str
    finished_at: Moment | None
    total: Total | None
    done: int
    skipped: int
    skips: dict[str, int]
    failed: int
    failures: list[Failure]

    @classmethod
    def of(cls, row: BulkRow, cap: int) -> BulkView:
        """As it is shown."""
        state: Any = row.state
        of_filter = row.ids is None
        relation: Any = "at_least" if of_filter and (row.total or 0) >= cap else "exact"
        return cls(
            id=row.id, name=row.name, action=row.action, filter=row.filter,
            ids=None if row.ids is None else len(json.loads(row.ids)), rate=row.rate, state=state,
            spread_s=row.spread_s, options=json.loads(row.options), skips=json.loads(row.skips),
            created_at=at(row.created_at), created_by=row.created_by, finished_at=at(row.finished_at),
            total=None if row.total is None else Total(value=row.total, relation=relation), done=row.done,
            skipped=row.skipped, failed=row.failed, failures=json.loads(row.failures),
        )  # fmt: skip


class Preview(Model):
    """What it would do: how many fit by state, and which of these states it can be done in."""

    states: dict[str, Total]
    within: list[str]
    total: Total


@routes.add("POST", "/bulk-actions/preview", "previewBulk", "Say what a bulk action would do",
            scope="itself", role="operator",
            problems=("invalid_filter",))  # fmt: skip
async def preview(request: Request, new: NewBulk) -> Preview:
    """Counted up to `server_count_cap`; does nothing."""
    core = core_of(request)
    wanted = await _read(request, new)
    cap = core.settings.count_cap
    if new.ids is not None:
        return Preview(
            states={}, within=sorted(VERBS[new.action].within), total=Total(value=len(new.ids), relation="exact")
        )
    async with core.reading() as connection:
        states = await jobs.count_states(connection, wanted.conditions, cap=cap)
        fit = await jobs.count(connection, wanted.conditions, cap=cap)
    return Preview(
        states={name: total(each.value, cap, whole=each.whole) for name, each in states.items() if each.value},
        within=sorted(VERBS[new.action].within),
        total=total(fit.value, cap, whole=fit.whole),
    )


@routes.add("POST", "/bulk-actions", "createBulk", "Begin a bulk action",
            scope="itself", role="operator", policy="bulk", status=202,
            problems=("invalid_filter", *BROKER))  # fmt: skip
async def create(request: Request, response: Response, new: NewBulk, dry_run: DryRun = False) -> BulkView:
    """The filter is frozen: jobs that are made from now on are left alone. `delete` needs the role admin."""
    core, identity = core_of(request), identity_of(request)
    if new.action == "delete":
        check(identity, "admin")
    wanted = await _read(request, new)
    if new.rate is not None and new.spread_s is not None:
        raise wrong("/spread_s", "give rate or spread_s, not both")
    now = micros(clock.now())
    frozen = (*wanted.conditions, Between("created_at", None, now))
    if new.ids is not None:
        expected = len(new.ids)
    else:
        async with core.reading() as connection:
            fit = await jobs.count(connection, frozen, cap=core.settings.count_cap)
        # Of a filter that no index serves only some were looked at: how many there are, nobody knows yet.
        expected = fit.value if fit.whole or fit.value >= core.settings.count_cap else None
    if new.spread_s is not None and (expected is None or (new.ids is None and expected >= core.settings.count_cap)):
        raise wrong("/spread_s", "nobody knows how many jobs these are: give a rate, or a narrower filter")
    row = BulkRow(
        id=new_id(), name=new.name, action=new.action, filter=wanted.text,
        ids=None if new.ids is None else json.dumps(list(dict.fromkeys(new.ids))), before_at=now, rate=new.rate,
        spread_s=new.spread_s, options=msgspec.json.encode(new.options).decode(), skips="{}",
        state="running", created_at=now, created_by=identity.name, finished_at=None, total=expected, done=0, skipped=0,
        failed=0, failures="[]", place=None,
    )  # fmt: skip
    if not dry_run:
        async with core.asking() as backend:
            await backend.workers()  # who begins while the broker is away is told so, though nobody has noticed it yet
        async with core.writing() as connection:
            await rows.add(connection, row)
        core.bulk.begin(row.id)
        response.headers["Location"] = f"{core.settings.path_prefix}/api/v1/bulk-actions/{row.id}"
    done = {
        "action": new.action,
        "filter": wanted.text,
        **json.loads(row.options),
        "total": expected,
        "dry_run": dry_run,
    }
    note(request, target=row.id, after=done)
    return BulkView.of(row, core.settings.count_cap)


@routes.add("GET", "/bulk-actions", "listBulk", "List bulk actions", problems=("cursor_invalid", "cursor_mismatch"))
async def list_bulk(
    request: Request,
    response: Response,
    state: Annotated[Literal["running", "finished", "aborted"] | None, Query()] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[BulkView]:
    """The newest first."""
    core = core_of(request)
    most, about = size(core, limit), f"bulk {state}"
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        found = await rows.page(connection, state=state, after=place, limit=most + 1)
    return cut(
        request,
        response,
        found,
        lambda row: BulkView.of(row, core.settings.count_cap),
        about=about,
        most=most,
        key=lambda row: [row.created_at, row.id],
    )


@routes.add("GET", "/bulk-actions/{bulk_id}", "getBulk", "Show a bulk action", scope="itself", problems=("not_found",))
async def get_bulk(request: Request, bulk_id: Id) -> BulkView:
    """How far it has come, and what failed."""
    core = core_of(request)
    return BulkView.of(await _get(request, bulk_id), core.settings.count_cap)


@routes.add("POST", "/bulk-actions/{bulk_id}/abort", "abortBulk", "Break off a bulk action",
            scope="itself", role="operator",
            problems=("not_found", "wrong_state"))  # fmt: skip
async def abort(request: Request, bulk_id: Id) -> Done:
    """The page that is being done comes to its end; nothing is undone."""
    core = core_of(request)
    row = await _get(request, bulk_id)
    async with core.writing() as connection:
        done = await rows.abort(connection, bulk_id)
    if not done:
        raise Problem("wrong_state", f"it is {row.state}", params={"state": row.state})
    entry = note(request, before={"state": row.state, "done": row.done})
    return Done(id=bulk_id, done=True, outcome="aborted", audit_id=entry)


async def _get(request: Request, bulk_id: str) -> BulkRow:
    """A bulk action; one that began with other queues than the asker's is none to them."""
    core, identity = core_of(request), scope_of(request)
    async with core.reading() as connection:
        row = await rows.get(connection, bulk_id)
    if row is None or (identity.queues is not None and f"{row.filter} ".partition(" ")[0] != prefix(identity)):
        raise Problem("not_found", f"there is no bulk action {bulk_id}")
    return row


async def _read(request: Request, new: NewBulk) -> Filter:
    core, identity = core_of(request), scope_of(request)
    if (new.ids is None) == (new.filter is None):
        raise wrong("/ids", "give ids or a filter, one of them")
    if new.ids is not None and len(new.ids) > core.settings.bulk_ids:
        raise wrong("/ids", f"more than {core.settings.bulk_ids}: use a filter")
    needs = VERBS[new.action].needs
    for name in ("priority", "queue", "tags"):
        if (getattr(new, name) is None) == (name == needs):
            raise wrong(f"/{name}", f"{new.action} needs it" if name == needs else f"{new.action} takes none")
    if new.queue is not None:
        check_queue(identity, new.queue)
    if new.ids is not None and identity.queues is not None:
        queues = await queues_of(core, new.ids)
        if others := [job_id for job_id in new.ids if queues.get(job_id) not in identity.queues]:
            raise wrong("/ids", f"of these {len(others)} are not there, or of other queues: {', '.join(others[:5])}")
    found = asked_filter(request, new.filter or "", pointer="/filter")
    if new.filter is not None and not new.filter.strip():
        raise wrong("/filter", "it asks for nothing, and so for everything: say which jobs")
    return found
