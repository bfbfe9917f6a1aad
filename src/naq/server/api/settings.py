"""The settings in force, as ``naq config show --sources`` prints them, and the document of this API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response
from starlette.responses import JSONResponse

from naq.config import Config
from naq.config.fields import KINDS, show
from naq.config.load import given_settings
from naq.config.server import PREFIX, SERVER_KINDS, ServerConfig
from naq.job import JobState
from naq.server.api.gate import core_of
from naq.server.api.lists import total
from naq.server.api.models import Model, Page, Total
from naq.server.api.reference import POLICY, render
from naq.server.api.routes import Routes
from naq.server.store.retention import count_due, retention_of

routes = Routes("settings")
pages = Routes("settings", prefix="")


class SettingView(Model):
    """A setting; secrets are hidden. `source`: where it comes from; `program`: what started the server says so."""

    name: str
    value: str
    source: str


class KeptState(Model):
    """For how many seconds since they ended jobs of a state are kept, and how many are past that."""

    state: JobState
    keep_s: int
    due: Total


@routes.add("GET", "/settings", "listSettings", "List the settings in force", role="admin")
async def list_settings(request: Request) -> Page[SettingView]:
    """Of the broker, and (``server_...``) of this server, each with its source."""
    core = core_of(request)
    given = given_settings({})
    found = {name: (getattr(core.config, name), getattr(_DEFAULT, name)) for name in KINDS}
    found |= {PREFIX + name: (getattr(core.settings, name), getattr(_SERVER_DEFAULT, name)) for name in SERVER_KINDS}
    return Page(items=[
        SettingView(name=name, value=show(name, value), source=_source(given.get(name), value, default))
        for name, (value, default) in found.items()
    ])  # fmt: skip


@routes.add("GET", "/settings/retention", "getRetention", "Show what the history keeps", role="admin")
async def get_retention(
    request: Request,
    older_than_s: Annotated[
        int | None, Query(ge=1, le=100 * 366 * 86_400, description="Try this age instead of those in force.")
    ] = None,
) -> Page[KeptState]:
    """Of each final state: for how long, and how many jobs are past that now. What is past it goes within minutes.

    With `older_than_s` it says what another age would remove; it removes nothing (``naq db prune`` does).
    """
    core = core_of(request)
    ages = {state: older_than_s or age for state, age in retention_of(core.settings).ages.items()}
    async with core.reading() as connection:
        due = await count_due(connection, ages, cap=core.settings.count_cap)
    return Page(items=[
        KeptState(state=JobState(state), keep_s=round(age), due=total(due[state], core.settings.count_cap))
        for state, age in ages.items()
    ])  # fmt: skip


@routes.add("GET", "/openapi.json", "getDocument", "Describe this API", role=None, include_in_schema=False)
async def get_document(request: Request) -> Response:
    """The OpenAPI document; its ETag changes with naq's version alone."""
    return JSONResponse(request.app.openapi(), headers={"Cache-Control": "no-cache"})


@pages.add("GET", "/docs", "showReference", "Describe this API, for people", role=None, include_in_schema=False)
async def show_reference(request: Request) -> Response:
    """The document as a page without scripts, and without anything from elsewhere."""
    page = render(request.app.openapi(), core_of(request).settings.path_prefix)
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY,
                                                           "Cache-Control": "no-cache"})  # fmt: skip


def _source(given: tuple[str, object] | None, value: Any, default: Any) -> str:
    if given is not None and given[1] == value:
        return given[0]
    return "default" if value == default else "program"


_DEFAULT: Config = Config()
_SERVER_DEFAULT: ServerConfig = ServerConfig()
