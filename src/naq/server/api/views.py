"""Saved views of the list of jobs: a filter, an order and columns under a name, one's own or everybody's."""

from __future__ import annotations

import json
from typing import Annotated, Final

from fastapi import Request, Response
from pydantic import Field

from naq import clock
from naq.job import new_id
from naq.server.access.roles import Identity
from naq.server.api.fields import read_names
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.job_views import JobItem
from naq.server.api.jobs import Sorting
from naq.server.api.models import Done, Given, Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.api.versions import CHANGED, IfMatch, check_version, conflict
from naq.server.core import Core
from naq.server.filters import read_filter
from naq.server.names import Id
from naq.server.problems import Problem
from naq.server.store.queries import views as queries
from naq.server.store.queries.views import ViewRow
from naq.server.store.rows import micros

routes = Routes("views")
MOST: Final = 500  # views that one person sees; they hang in a menu
Title = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
Columns = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=40)]


class NewView(Given):
    """A view to save. `columns` are fields of jobs in lists, or ``tags.NAME``. Shared ones everybody sees."""

    name: Title
    filter: Annotated[str, Field(max_length=4000)] = ""
    sort: Sorting = "-created_at"
    columns: Columns = Field(default=[])
    shared: bool = False


class ViewEdit(Given):
    """What is to be different; what is not given, or null, stays."""

    name: Title | None = None
    filter: Annotated[str | None, Field(max_length=4000)] = None
    sort: Sorting | None = None
    columns: Columns | None = None
    shared: bool | None = None


class View(Model):
    """A saved view. `version` is its ETag."""

    id: str
    name: str
    filter: str
    sort: Sorting
    columns: list[str]
    shared: bool
    changed_at: Moment | None
    changed_by: str
    version: str

    @classmethod
    def of(cls, row: ViewRow) -> View:
        """As it is shown."""
        return cls.model_validate({
            "id": row.id, "name": row.name, "filter": row.filter, "sort": row.sort, "columns": json.loads(row.columns),
            "shared": not row.owner, "changed_at": at(row.changed_at), "changed_by": row.changed_by,
            "version": _etag(row),
        })  # fmt: skip


@routes.add("GET", "/views", "listViews", "List saved views")
async def list_views(request: Request) -> Page[View]:
    """One's own and the shared ones, by name."""
    core = core_of(request)
    async with core.reading() as connection:
        found = await queries.seen_by(connection, _owner(identity_of(request)), most=MOST)
    return Page(items=[View.of(row) for row in found])


@routes.add("POST", "/views", "createView", "Save a view", role="operator", status=201,
            problems=("already_exists", "invalid_filter"))  # fmt: skip
async def create_view(request: Request, response: Response, new: NewView) -> View:
    """Under a name of its own, among those of its owner or the shared ones."""
    core, identity = core_of(request), identity_of(request)
    row = _row(core, identity, new_id(), 1, new)
    async with core.writing() as connection:
        if not await queries.add(connection, row):
            raise _taken(new.name)
    response.headers["Location"] = f"{core.settings.path_prefix}/api/v1/views/{row.id}"
    response.headers["ETag"] = _etag(row)
    note(request, target=row.id, after={"name": row.name, "shared": new.shared, "filter": row.filter})
    return View.of(row)


@routes.add("GET", "/views/{view_id}", "getView", "Show a saved view", problems=("not_found",))
async def get_view(request: Request, response: Response, view_id: Id) -> View:
    """The ETag is for If-Match."""
    row = await _get(core_of(request), identity_of(request), view_id)
    response.headers["ETag"] = _etag(row)
    return View.of(row)


@routes.add("PATCH", "/views/{view_id}", "editView", "Change a saved view", role="operator",
            problems=("not_found", "already_exists", "invalid_filter", *CHANGED))  # fmt: skip
async def edit_view(
    request: Request, response: Response, view_id: Id, given: ViewEdit, match: IfMatch = None
) -> View:  # fmt: skip
    """One's own, or a shared one; it may become the other."""
    core, identity = core_of(request), identity_of(request)
    before = await _get(core, identity, view_id)
    check_version(match, _etag(before))
    whole = NewView(name=before.name, filter=before.filter, sort=View.of(before).sort,
                    columns=json.loads(before.columns), shared=not before.owner)  # fmt: skip
    wanted = whole.model_copy(update=given.model_dump(exclude_none=True))
    after = _row(core, identity, view_id, before.version + 1, wanted)
    async with core.writing() as connection:
        done = await queries.change(connection, after, version=before.version)
    if done is None:
        raise conflict(_etag(await _get(core, identity, view_id)))
    if not done:
        raise _taken(after.name)
    response.headers["ETag"] = _etag(after)
    changed = given.model_dump(exclude_none=True)
    note(request, before={name: getattr(whole, name) for name in changed}, after=changed)
    return View.of(after)


@routes.add("DELETE", "/views/{view_id}", "deleteView", "Remove a saved view", role="operator",
            problems=("not_found", *CHANGED))  # fmt: skip
async def delete_view(request: Request, view_id: Id, match: IfMatch = None) -> Done:
    """One's own, or a shared one."""
    core, identity = core_of(request), identity_of(request)
    row = await _get(core, identity, view_id)
    check_version(match, _etag(row))
    async with core.writing() as connection:
        done = await queries.remove(connection, view_id, version=row.version)
    if not done:
        raise Problem("not_found", f"there is no view {view_id}")
    entry = note(request, before={"name": row.name, "filter": row.filter, "shared": not row.owner})
    return Done(id=view_id, done=True, outcome="deleted", audit_id=entry)


def _row(core: Core, identity: Identity, view_id: str, version: int, wanted: NewView) -> ViewRow:
    """A view as it is kept, checked: what cannot be read is no use to anybody later."""
    read_filter(wanted.filter, most=core.settings.filter_terms, pointer="/filter")
    plain = [name for name in wanted.columns if not name.startswith("tags.")]
    read_names(",".join(plain), JobItem.shown(), where="columns", of="")
    return ViewRow(
        id=view_id, owner="" if wanted.shared else _owner(identity), name=wanted.name, filter=wanted.filter,
        sort=wanted.sort, columns=json.dumps(wanted.columns), version=version, changed_at=micros(clock.now()),
        changed_by=identity.name,
    )  # fmt: skip


def _owner(identity: Identity) -> str:
    """Whose views somebody's own are: by name, so that a new session or token of theirs finds them."""
    return f"{identity.how}:{identity.name}"


def _etag(row: ViewRow) -> str:
    return f'"{row.id}-{row.version}"'


async def _get(core: Core, identity: Identity, view_id: str) -> ViewRow:
    async with core.reading() as connection:
        row = await queries.get(connection, view_id, who=_owner(identity))
    if row is None:
        raise Problem("not_found", f"there is no view {view_id}, or it is somebody else's")
    return row


def _taken(name: str) -> Problem:
    return Problem("already_exists", f"there is a view {name!r} already")
