"""What every route does around its own work: the role, unknown parameters, the key, the audit log."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from naq.config.suggest import hint
from naq.job import new_id
from naq.server.access import audit, idempotency
from naq.server.access.redact import curtained
from naq.server.access.roles import Identity, check
from naq.server.access.scope import Heeds, check_path, narrowed, refusal
from naq.server.core import Core
from naq.server.filters import Filter
from naq.server.problems import Problem, wrong
from naq.server.problems.answer import as_problem
from naq.server.store.conditions import looks_inside

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
#: Their answers hold secrets, which are kept nowhere: done again, they are done again.
_UNKEPT: Final = frozenset({"createToken", "logIn", "createAlertChannel", "rotateAlertChannel"})
_KEPT_HEADERS: Final = ("content-type", "location", "etag")


def core_of(request: Request) -> Core:
    """What the server of this request holds."""
    core: Core = request.app.state.core
    return core


def identity_of(request: Request) -> Identity:
    """Who asks; set by the middleware."""
    identity: Identity = request.scope["naq.identity"]
    return identity


def note(request: Request, *, before: Any = None, after: Any = None, target: str | None = None) -> str:
    """Say for the audit log what a change has changed; the id of its entry."""
    noted: dict[str, Any] = request.scope["naq.noted"]
    noted.update({name: value for name, value in (("before", before), ("after", after)) if value is not None})
    if target is not None:
        noted["target"] = target
    return str(request.scope["naq.audit_id"])


class GatedRoute(APIRoute):
    """A route with its gate."""

    def get_route_handler(self) -> Handler:
        """See `APIRoute.get_route_handler`."""
        handler = super().get_route_handler()
        known: Final = frozenset(field.alias for field in self.dependant.query_params)
        extra: Final[dict[str, Any]] = self.openapi_extra or {}
        role, policy, audited = extra["x-naq-role"], extra.get("x-naq-rate"), "x-naq-audit" in extra
        heeds: Final[Heeds] = extra["x-naq-scope"]
        deprecated: Final[dict[str, str]] = extra.get("x-naq-deprecated", {})

        async def gated(request: Request) -> Response:
            core, identity, handle = core_of(request), request.scope["naq.identity"], handler
            if role != "nobody":
                check(identity, role)
                if identity.queues is not None and heeds != "nothing":
                    handle = _scoped(core, identity, heeds, handler)
            _refuse_unknown(request, known)
            rate: dict[str, str] = {}
            if policy is not None:
                key = core.identifier.address(request) if policy == "login" else identity.key
                rate = (await core.rates.hit(policy, key)).headers()
            if audited:
                response = await _write(core, identity, request, handle, self.operation_id or self.name)
            else:
                response = _unless_known(request, await handle(request))
            response.headers.update(rate)
            response.headers.update(deprecated)
            return response

        return gated


def scope_of(request: Request) -> Identity:
    """Who asks, for a route that heeds itself which queues that may be of: it must ask this."""
    request.scope["naq.heeded"] = True
    return identity_of(request)


def asked_filter(request: Request, text: str, *, pointer: str = "/query/filter") -> Filter:
    """The filter `text`, which fits only what who asks may see.

    Raises:
        Problem: ``invalid_filter``; ``forbidden`` where it asks for arguments that nobody may see.
    """
    wanted = narrowed(scope_of(request), text, most=core_of(request).settings.filter_terms, pointer=pointer)
    if curtained.get() and any(map(looks_inside, wanted.conditions)):
        raise Problem("forbidden", "viewers are shown no arguments and results here, and cannot filter by them",
                      params={"role": "viewer", "needs": "operator"})  # fmt: skip
    return wanted


def _scoped(core: Core, identity: Identity, heeds: Heeds, handler: Handler) -> Handler:
    """`handler`, for who may see some queues only."""

    async def scoped(request: Request) -> Response:
        await check_path(core, identity, heeds, request.path_params)
        response = await handler(request)
        if heeds == "itself" and not request.scope.get("naq.heeded"):
            raise refusal(identity, "all queues")  # a defect of the route: what it would say is not told
        return response

    return scoped


def _unless_known(request: Request, response: Response) -> Response:
    """A read with an ETag of what it says; 304 and nothing more where the asker has just that.

    What has an ETag of its own is left as it is: a schedule's stays while it fires, though what is said of it changes.
    """
    if response.status_code != 200 or "etag" in response.headers or not (body := getattr(response, "body", b"")):
        return response
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    known = [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]
    if etag in known or "*" in known:
        response = Response(status_code=304, headers={
            name: value for name, value in response.headers.items() if name in {"cache-control", "link"}})  # fmt: skip
    response.headers["ETag"] = etag
    return response


async def _write(core: Core, identity: Identity, request: Request, handler: Handler, action: str) -> Response:
    """A change, done once for each key, and noted."""
    key = request.headers.get(idempotency.HEADER)
    if key is None:
        return await _noted(core, identity, request, handler, action)
    if not 1 <= len(key) <= idempotency.LONGEST or not key.isascii() or not key.isprintable():
        raise wrong(f"/header/{idempotency.HEADER}", f"use 1 to {idempotency.LONGEST} printable characters of ASCII")
    print_ = idempotency.fingerprint(request.method, request.url.path, request.url.query, await _body(request))
    who = identity.key
    async with core.writing() as connection:
        kept = await idempotency.claim(connection, who=who, key=key, print_=print_, ttl=core.settings.idempotency_ttl)
    if kept is not None:
        return Response(kept.body, kept.status, headers={**kept.headers, "Idempotency-Replayed": "true"})
    try:
        response = await _noted(core, identity, request, handler, action)
    except BaseException:  # a cancelled request too
        # Not known whether it was done, or known that it was not: either way the answer is not one to keep.
        async with core.writing() as connection:
            await idempotency.drop(connection, who=who, key=key)
        raise
    body = bytes(getattr(response, "body", b""))
    async with core.writing() as connection:
        if response.status_code < 500 and action not in _UNKEPT and len(body) <= core.settings.idempotency_body:
            headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            await idempotency.keep(
                connection, who=who, key=key, answer=idempotency.Kept(response.status_code, headers, body)
            )
        else:
            await idempotency.drop(connection, who=who, key=key)
    return response


async def _body(request: Request) -> bytes:
    """What makes it this request; a file is not read for that, since it may not fit into memory."""
    kind = request.headers.get("Content-Type", "")
    return await request.body() if "json" in kind else b""


async def _noted(core: Core, identity: Identity, request: Request, handler: Handler, action: str) -> Response:
    entry = request.scope["naq.audit_id"] = new_id()
    noted: dict[str, Any] = {}
    request.scope["naq.noted"] = noted
    target = "/".join(str(value) for value in request.path_params.values())
    async with core.writing() as connection:
        await audit.begin(
            connection,
            entry=entry,
            identity=identity,
            address=core.identifier.address(request),
            action=action,
            target=target,
            request_id=str(request.scope["naq.request_id"]),
        )
    status = 500
    try:
        response = await handler(request)
        status = response.status_code
    except Exception as error:  # the audit says what the caller will be told; it is told, and logged, further up
        problem = as_problem(error)
        status = 500 if problem is None else problem.kind.status
        raise
    finally:
        await asyncio.shield(_finish(core, entry, status, noted))
    response.headers["Naq-Audit"] = entry
    return response


async def _finish(core: Core, entry: str, status: int, noted: dict[str, Any]) -> None:
    async with core.writing() as connection:
        await audit.finish(
            connection, entry=entry, status=status, before=noted.get("before"), after=noted.get("after"),
            target=noted.get("target"),
        )  # fmt: skip


def _refuse_unknown(request: Request, known: frozenset[str]) -> None:
    """Refuse query parameters that the route does not have: a typo must not widen what is done.

    Raises:
        Problem: ``invalid``.
    """
    unknown = [name for name in dict.fromkeys(request.query_params.keys()) if name not in known]
    if unknown:
        errors = [
            {
                "pointer": f"/query/{name[:60]}",
                "code": "unknown_parameter",
                "message": "there is no such parameter",
                "hint": hint(name[:60], sorted(known)) if known else "there are none",
            }
            for name in unknown[:20]
        ]
        raise Problem("invalid", f"there is no parameter {unknown[0][:60]!r} here", errors=errors)
