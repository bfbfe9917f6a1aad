"""Marks: deploys and the like, and incidents, as lines on charts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field

from naq.server.alerts import rows
from naq.server.alerts.incidents import Incident
from naq.server.alerts.message import page, sentence
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.models import Done, Given, Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.names import Id
from naq.server.problems import Problem
from naq.server.store.queries import marks
from naq.server.store.queries.marks import DEPLOY, ITSELF, MOST, TITLE, URL, VERSION, Mark

routes = Routes("marks")
_KIND = r"^[a-z][a-z0-9_-]{0,31}$"


class NewMark(Given):
    """A moment to mark. `at`: when; now, where it is not given. `version`: of the code, where it is one of that."""

    title: str = Field(default="", max_length=TITLE, examples=["1.4.2: prices in cents"])
    kind: str = Field(default=DEPLOY, pattern=_KIND, description="`deploy`, or a word of your own.")
    version: str = Field(default="", max_length=VERSION, examples=["1.4.2"])
    url: str = Field(default="", max_length=URL, examples=["https://git.example.org/shop/releases/1.4.2"])
    at: AwareDatetime | None = None


class MarkView(Model):
    """A moment on a chart; `until` null: it does not last, or lasts still. `by` is `naq` where nobody said so."""

    id: str
    at: Moment | None
    until: Moment | None
    kind: str
    title: str
    version: str
    url: str
    by: str

    @classmethod
    def of(cls, one: Mark) -> MarkView:
        """As it is shown."""
        return cls(
            id=one.id, at=at(one.at), until=None, kind=one.kind, title=one.title, version=one.version, url=one.url,
            by=one.made_by,
        )  # fmt: skip

    @classmethod
    def of_incident(cls, one: Incident) -> MarkView:
        """An incident, as a mark: it lasts from when it was bad to when it was good again."""
        return cls(
            id=one.id, at=at(one.since_at), until=at(one.good_at if one.resolved_at else None), kind="incident",
            title=sentence("resolved" if one.resolved_at else "opened", one), version="", url=page(one), by=ITSELF,
        )  # fmt: skip


@routes.add("GET", "/marks", "listMarks", "List marks")
async def list_marks(
    request: Request,
    window_s: Annotated[int, Query(ge=60, le=400 * 86400, description="How far back, in seconds.")] = 86400,
    kind: Annotated[str | None, Query(pattern=_KIND, description="Only these; `incident`: only those.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
) -> Page[MarkView]:
    """Within the window, the latest first: what was marked, and incidents that were open in it."""
    since, _ = marks.span_of(window_s)
    async with core_of(request).reading() as connection:
        marked = [] if kind == "incident" else await marks.find(connection, since=since, kind=kind, limit=limit)
        wrong = await rows.find_open_since(connection, since, limit=limit) if kind in {None, "incident"} else []
    found = [
        *((one.at, MarkView.of(one)) for one in marked),
        *((one.since_at, MarkView.of_incident(one)) for one in wrong),
    ]
    return Page(items=[view for _, view in sorted(found, key=lambda pair: pair[0], reverse=True)[:limit]])


@routes.add("POST", "/marks", "createMark", "Mark a moment", role="operator", status=201)
async def create_mark(request: Request, response: Response, new: NewMark) -> MarkView:
    """Such as a deploy, at its end: whoever looks at a chart sees what changed with it."""
    core = core_of(request)
    moment = None if new.at is None else new.at.timestamp()
    mark = marks.make(
        new.title, by=identity_of(request).name, kind=new.kind, version=new.version, url=new.url, at=moment
    )  # fmt: skip
    async with core.writing() as connection:
        await marks.add(connection, mark)
    view = MarkView.of(mark)
    response.headers["Location"] = f"{core.settings.path_prefix}/api/v1/marks/{mark.id}"
    note(request, target=mark.id, after=view.model_dump(mode="json", include={"kind", "title", "version"}))
    return view


@routes.add("GET", "/marks/{mark_id}", "getMark", "Show a mark", problems=("not_found",))
async def get_mark(request: Request, mark_id: Id) -> MarkView:
    """One that somebody, or naq, has made; an incident is shown by its own route."""
    async with core_of(request).reading() as connection:
        found = await marks.get(connection, mark_id)
    if found is None:
        raise Problem("not_found", f"there is no mark {mark_id}")
    return MarkView.of(found)


@routes.add("DELETE", "/marks/{mark_id}", "deleteMark", "Remove a mark", role="operator", problems=("not_found",))
async def delete_mark(request: Request, mark_id: Id) -> Done:
    """For one that was made by mistake."""
    async with core_of(request).writing() as connection:
        found = await marks.get(connection, mark_id)
        if found is None:
            raise Problem("not_found", f"there is no mark {mark_id}")
        await marks.remove(connection, mark_id)
    entry = note(request, before=MarkView.of(found).model_dump(mode="json", include={"kind", "title", "version"}))
    return Done(id=mark_id, done=True, outcome="deleted", audit_id=entry)
