"""The application: all routes, what stands around them, and one lifespan that owns what they share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette_compress import remove_compress_type

from naq._version import __version__
from naq.config import Config
from naq.config.server import ServerConfig
from naq.server.api import (
    access,
    alert_channels,
    alert_rules,
    artifacts,
    bulk,
    enqueue,
    errors,
    export,
    finding,
    flow,
    health,
    incidents,
    invalid,
    job_actions,
    job_edit,
    job_events,
    jobs,
    kin,
    letters,
    live,
    marks,
    metrics,
    overview,
    pace,
    queues,
    schedules,
    settings,
    tasks,
    trends,
    views,
    worker_acts,
    workers,
)
from naq.server.api.document import complete
from naq.server.api.middleware import Asker, Compressor, Envelope
from naq.server.core import Core
from naq.server.problems import Problem
from naq.server.problems.answer import as_problem, render

_NOUNS: Final = (
    enqueue, finding, export, jobs, kin, job_events, job_actions, job_edit, pace, bulk, artifacts, errors, invalid,
    queues, tasks, schedules, workers, worker_acts, letters, overview, trends, flow, marks, views, alert_rules,
    alert_channels, incidents, live, access, settings,
)  # fmt: skip
#: By noun; their order is that of the document.
ROUTERS: Final[tuple[APIRouter, ...]] = (
    *(module.routes.router for module in _NOUNS),
    settings.pages.router,
    health.router,
    metrics.routes.router,
)
_ABOUT: Final = (
    "What happened to every job, and what can be done about it. Errors are problems (RFC 9457) whose `code` is stable: "
    "docs/problems.md. Lists are paged by signed cursors, changes take an `Idempotency-Key`."
)


def make_app(config: Config, server: ServerConfig) -> FastAPI:
    """The server's application. Nothing is opened before its lifespan begins, and nothing left open behind it."""
    core = Core(config, server)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        try:
            await core.start()
            yield
        finally:
            await core.stop()

    app = FastAPI(
        title="naq",
        version=__version__,
        summary="Background jobs",
        description=_ABOUT,
        lifespan=lifespan,
        openapi_url=None,  # our own routes (`settings`): those of FastAPI have no gate, and their pages load scripts
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.core = core
    for router in ROUTERS:
        app.include_router(router)
    for kind in (HTTPException, RequestValidationError, Problem):
        app.add_exception_handler(kind, cast("Any", _answer))
    app.add_middleware(Asker, core=core)  # the last one added is the outermost
    # A compressor for each who watches costs hundreds of KiB, and what is told is a few hundred bytes at a time.
    remove_compress_type("text/event-stream")
    app.add_middleware(Compressor)
    app.add_middleware(Envelope)
    complete(app)
    return app


async def _answer(request: Request, error: Exception) -> Response:
    problem = as_problem(error)
    if problem is not None and problem.kind.code == "method_not_allowed":
        problem.headers["Allow"] = ", ".join(_allowed(request))
    return render(Problem("internal") if problem is None else problem, request)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes of an address; Starlette names those of the first alone."""
    found: set[str] = set()
    for route in (route for router in ROUTERS for route in router.routes):
        if isinstance(route, Route) and route.path_regex.match(request.url.path):
            found |= route.methods or set()
    return sorted(found)
