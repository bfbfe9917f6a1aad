"""What happens to every request, outermost first: its id and headers, its asker, its rate, its size."""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_compress import CompressMiddleware

from naq import logs
from naq._version import __version__
from naq.codec.headers import TRACEPARENT, read_trace, set_trace, trace_id
from naq.job import new_id
from naq.server.access.redact import curtained
from naq.server.access.roles import Identity
from naq.server.names import REQUEST_ID
from naq.server.problems import Problem
from naq.server.problems.answer import as_problem, render

if TYPE_CHECKING:
    from naq.server.core import Core

log = logging.getLogger("naq.server")
_SAFE_ID: Final = re.compile(REQUEST_ID, re.ASCII)
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Nothing of ours is shown in frames, runs what it did not bring, or tells others where one comes from.
SECURITY: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Bodies that are files: of any type, and as large as `max_artifact` lets them be.
_STREAMED: Final = re.compile(r".*/api/v1/jobs/[^/]+/artifacts/[^/]+")
_UNLIMITED: Final = frozenset({"/livez", "/readyz"})
_METRICS: Final = "/metrics"
#: Who asks for numbers from this machine, where `metrics_open` lets them.
_SCRAPER: Final = Identity(name="metrics", role="viewer", how="off", key="metrics")


class Envelope:
    """The request's id, the headers of every answer, and an answer to whatever is raised."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("X-Request-ID", "")
        scope["naq.request_id"] = request_id = given if _SAFE_ID.fullmatch(given) else f"req_{new_id()}"
        begun, started, status = time.perf_counter(), False, 500
        # Every request has a context of its own; what is logged and enqueued within it knows whose it is.
        trace = read_trace(Headers(scope=scope))
        set_trace(trace)
        known = {"request_id": request_id, "trace_id": trace_id(trace.get(TRACEPARENT, ""))}
        logs.about.set({name: value for name, value in known.items() if value})

        async def wrapped(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["Naq-Version"] = __version__
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                for name, value in scope.get("naq.headers", {}).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, wrapped)
        except Exception as error:
            problem = as_problem(error)
            if problem is None:
                log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
                problem = Problem("internal")
            if started:
                raise
            await render(problem, Request(scope))(scope, receive, wrapped)
        finally:
            took = time.perf_counter() - begun
            route = getattr(scope.get("route"), "path", "none")  # "none": what none answers is told apart by nobody
            scope["app"].state.core.tally.request(scope["method"], route, status, took)
            log.debug("%s %s %s %d %.1f ms", request_id, scope["method"], scope["path"], status, took * 1000)


class Compressor:
    """Answers as small as their asker takes them; files are as they are, which their ranges and digests are of."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._compressed = app, CompressMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        is_file = scope["type"] == "http" and _STREAMED.fullmatch(scope["path"]) is not None
        await (self._app if is_file else self._compressed)(scope, receive, send)


class Asker:
    """Who asks, and whether they have not asked too often; and that the body is JSON of a bounded size."""

    def __init__(self, app: ASGIApp, core: Core) -> None:
        self._app, self._core = app, core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] in _UNLIMITED:
            scope["naq.identity"] = None
            await self._app(scope, receive, send)
            return
        if self._core.stopping:
            raise Problem("stopping", headers={"Retry-After": "1"})
        request = Request(scope)
        # By the address first: who guesses tokens is counted too.
        identity = scope["naq.identity"] = await self._identify(request)
        curtained.set(identity.role == "viewer" and not self._core.settings.viewer_arguments)
        left = await self._core.rates.hit("default", identity.key)
        scope["naq.headers"] = left.headers()
        if scope["method"] in _WRITES and not _STREAMED.fullmatch(scope["path"]):
            receive = self._bounded(request, receive)
        await self._app(scope, receive, send)

    async def _identify(self, request: Request) -> Any:
        if request.url.path == _METRICS and self._core.settings.metrics_open and _is_here(request):
            return _SCRAPER
        try:
            return await self._core.identifier.identify(request)
        except Problem:
            await self._core.rates.hit("default", self._core.identifier.address(request))
            raise

    def _bounded(self, request: Request, receive: Receive) -> Receive:
        most, seen = self._core.settings.max_body, 0
        length = request.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) > most:
            raise _too_large(most)
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().casefold()
        has_body = length != "0" or "Transfer-Encoding" in request.headers
        if has_body and kind not in {"application/json", "application/merge-patch+json"}:
            raise Problem("wrong_content_type", f"the body is {kind[:60] or 'of no type'}; send application/json")

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    raise _too_large(most)
            return message

        return bounded


def _is_here(request: Request) -> bool:
    """Whether a program of this machine asks, and for itself: not a proxy for somebody else."""
    if request.client is None or any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "Via")):
        return False
    return ipaddress.ip_address(request.client.host).is_loopback


def _too_large(most: int) -> Problem:
    return Problem("body_too_large", f"a body may have {most:,} bytes", params={"limit": most})
