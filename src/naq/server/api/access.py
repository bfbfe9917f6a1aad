"""Who one is, logging in and out, tokens, and who did what."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import Field, SecretStr

from naq.server.access import audit, tokens
from naq.server.access.audit import AuditRow
from naq.server.access.identify import COOKIE
from naq.server.access.passwords import check_password
from naq.server.access.roles import Role
from naq.server.access.tokens import TokenRow
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.job_views import parsed
from naq.server.api.lists import Cursor, Limit, begin, cut, size
from naq.server.api.models import Done, Given, Model, Moment, Page, at, at_seconds
from naq.server.api.routes import Routes
from naq.server.names import Id, Token
from naq.server.problems import Problem
from naq.server.store.rows import MICRO

routes = Routes("access")
_PAGES = ("cursor_invalid", "cursor_mismatch")
ADMIN = "admin"  # who logs in by the password
Text = Annotated[str | None, Query(min_length=1, max_length=128)]


class Me(Model):
    """Who asks; `csrf` goes into X-CSRF-Token of a session's writes."""

    name: str
    role: Role | None
    how: str
    expires_at: Moment | None
    csrf: str | None
    environment: str
    queues: list[str] | None


class Login(Given):
    """The password of the login page."""

    password: SecretStr = Field(min_length=1, max_length=1024, examples=["correct horse battery staple"])


class TokenView(Model):
    """A token, without its text."""

    id: str
    name: str
    role: Role
    created_at: Moment | None
    created_by: str
    expires_at: Moment | None
    revoked_at: Moment | None
    used_at: Moment | None
    queues: list[str] | None
    good: bool

    @classmethod
    def of(cls, row: TokenRow) -> TokenView:
        """As it is shown."""
        return cls(
            id=row.id, name=row.name, role=row.role, created_at=at(row.created_at), created_by=row.created_by,
            expires_at=at(row.expires_at), revoked_at=at(row.revoked_at), used_at=at(row.used_at), good=row.is_good,
            queues=listed(row.scope),
        )  # fmt: skip


class NewToken(Given):
    """A token to make."""

    name: Token = Field(examples=["deploy"])
    role: Role = "viewer"
    queues: Annotated[
        list[Token] | None, Field(min_length=1, max_length=50, description="Those that it is for; null: all.")
    ] = None
    expires_in_s: Annotated[int | None, Field(ge=60, le=10 * 366 * 86400)] = None


def listed(queues: frozenset[str] | None) -> list[str] | None:
    """As they are shown."""
    return None if queues is None else sorted(queues)


class MadeToken(Model):
    """A token that was made; `text` is shown this once."""

    token: TokenView
    text: str


class AuditView(Model):
    """Something that was asked for. `status` 0: it was begun, and its server died."""

    id: str
    at: Moment | None
    who: str
    role: str
    address: str
    action: str
    target: str
    status: int
    request_id: str
    before: Any
    after: Any

    @classmethod
    def of(cls, row: AuditRow) -> AuditView:
        """A row as it is shown."""
        return cls(
            id=row.id, at=at(row.at), who=row.who, role=row.role, address=row.address, action=row.action,
            target=row.target, status=row.status, request_id=row.request_id, before=parsed(row.before),
            after=parsed(row.after),
        )  # fmt: skip


@routes.add("GET", "/me", "getMe", "Say who one is", scope="nothing", role=None)
async def get_me(request: Request) -> Me:
    """Name, role and how that is known; of nobody as well."""
    core, identity = core_of(request), identity_of(request)
    return Me(
        name=identity.name,
        role=identity.role,
        how=identity.how,
        expires_at=at_seconds(identity.expires_at),
        csrf=core.signer.csrf(identity.secret) if identity.how == "session" else None,
        environment=core.settings.environment,
        queues=listed(identity.queues),
    )


@routes.add(
    "POST", "/login", "logIn", "Log in", scope="nothing", role=None, policy="login", problems=("wrong_password",)
)
async def log_in(request: Request, response: Response, login: Login) -> Me:
    """By the one password, as admin, for `server_session_ttl`. Scripts use tokens."""
    core = core_of(request)
    wanted = core.settings.admin_password
    if not await asyncio.to_thread(check_password, login.password.get_secret_value(), wanted):
        raise Problem("wrong_password", "" if wanted else "no password is set: server_admin_password")
    async with core.writing() as connection:
        text, row = await tokens.make(
            connection, name=ADMIN, role="admin", by=ADMIN, ttl=core.settings.session_ttl, kind="session"
        )
    secure = request.url.scheme == "https" or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(
        COOKIE, text, max_age=int(core.settings.session_ttl), path=core.settings.path_prefix or "/", httponly=True,
        samesite="strict", secure=secure,
    )  # fmt: skip
    note(request, target=ADMIN)
    return Me(
        name=ADMIN, role="admin", how="session", expires_at=at(row.expires_at), csrf=core.signer.csrf(text),
        environment=core.settings.environment, queues=None,
    )  # fmt: skip


@routes.add("POST", "/logout", "logOut", "Log out", scope="nothing", role=None)
async def log_out(request: Request, response: Response) -> Done:
    """The session opens nothing any more, wherever its cookie still is."""
    core, identity = core_of(request), identity_of(request)
    done = False
    if identity.how == "session":
        async with core.writing() as connection:
            if (row := await tokens.find(connection, identity.secret)) is not None:
                done = await tokens.revoke(connection, row.id)
        core.identifier.forget()
    response.delete_cookie(COOKIE, path=core.settings.path_prefix or "/")
    return Done(id=identity.name, done=done, outcome="logged out" if done else "was not logged in")


@routes.add("GET", "/tokens", "listTokens", "List tokens", role="admin", problems=_PAGES)
async def list_tokens(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[TokenView]:
    """All that were made, the newest first; their texts are nowhere."""
    core = core_of(request)
    most = size(core, limit)
    place = begin(core, cursor, "tokens")
    async with core.reading() as connection:
        rows = await tokens.all_of(connection, after=place, limit=most + 1)
    return cut(
        request, response, rows, TokenView.of, about="tokens", most=most, key=lambda row: [row.created_at, row.id]
    )


@routes.add("POST", "/tokens", "createToken", "Make a token", role="admin", status=201)
async def create_token(request: Request, token: NewToken) -> MadeToken:
    """Its text is in this answer and nowhere else: also not kept for an Idempotency-Key, which makes another one."""
    core, identity = core_of(request), identity_of(request)
    ttl = core.settings.token_ttl if token.expires_in_s is None else float(token.expires_in_s)
    async with core.writing() as connection:
        text, row = await tokens.make(
            connection, name=token.name, role=token.role, by=identity.name, ttl=ttl, queues=token.queues
        )
    core.identifier.forget()
    note(
        request,
        target=row.id,
        after={"name": row.name, "role": row.role, "expires_at": row.expires_at // MICRO, "queues": token.queues},
    )
    return MadeToken(token=TokenView.of(row), text=text)


@routes.add("DELETE", "/tokens/{token_id}", "revokeToken", "Revoke a token", role="admin",
            problems=("not_found", "wrong_state"))  # fmt: skip
async def revoke_token(request: Request, token_id: Id) -> Done:
    """It opens nothing any more, on other servers within two seconds; streams that it holds end."""
    core = core_of(request)
    async with core.writing() as connection:
        row = await tokens.get(connection, token_id)
        if row is None:
            raise Problem("not_found", f"there is no token {token_id}")
        if not await tokens.revoke(connection, token_id):
            raise Problem("wrong_state", "it was revoked before", params={"state": "revoked"})
    core.identifier.forget()
    entry = note(request, before={"name": row.name, "role": row.role})
    return Done(id=token_id, done=True, outcome="revoked", audit_id=entry)


@routes.add("GET", "/audit", "listAudit", "List what was changed", role="admin", problems=_PAGES)
async def list_audit(
    request: Request,
    response: Response,
    who: Text = None,
    action: Text = None,
    target: Text = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[AuditView]:
    """Every change that was asked for through this API, the newest first."""
    core = core_of(request)
    most, about = size(core, limit), f"audit {who!r} {action!r} {target!r}"
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        rows = await audit.page(connection, who=who, action=action, target=target, after=place, limit=most + 1)
    return cut(request, response, rows, AuditView.of, about=about, most=most, key=lambda row: [row.at, row.id])
