"""Who asks: by a token, by a session's cookie, by what a proxy says, or everybody where access is off."""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from naq import clock
from naq.server.access import tokens
from naq.server.access.roles import ROLES, Identity
from naq.server.access.tokens import TokenRow
from naq.server.problems import Problem
from naq.server.recall import Recall
from naq.server.store.rows import MICRO

if TYPE_CHECKING:
    from naq.server.core import Core

COOKIE: Final = "naq_session"
CSRF: Final = "X-CSRF-Token"
CACHED: Final = 2.0  # seconds that a token is not looked up again: a revoked one works so long on other servers
_MOST: Final = 10_000  # tokens that are remembered, those that open nothing too: who guesses costs no database
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Identifier:
    """Tells who asks."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: Final = Recall[str, tuple[TokenRow | None]](ttl=CACHED, most=_MOST)
        self._proxies = [ipaddress.ip_network(each, strict=False) for each in core.settings.proxies]

    def forget(self) -> None:
        """Look everything up anew: a token was made or revoked."""
        self._known.clear()

    def address(self, request: HTTPConnection) -> str:
        """The address of who asks; of what believed proxies have forwarded, that which the last of them saw."""
        peer = request.client.host if request.client is not None else ""
        if not self.is_believed(peer):
            return peer
        for part in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
            if (address := part.strip()[:64]) and not self.is_believed(address):
                return address
        return peer

    def is_believed(self, address: str) -> bool:
        """Whether the headers of this address count."""
        try:
            one = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(one in network for network in self._proxies)

    async def identify(self, request: HTTPConnection) -> Identity:
        """Who asks.

        Raises:
            Problem: ``not_logged_in``, ``token_expired``, ``cross_site``, or ``database_unavailable``.
        """
        settings, address = self._core.settings, self.address(request)
        if settings.auth == "off":
            self._refuse_other_sites(request)
            return Identity(name="anybody", role="admin", how="off", key=address)
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.casefold() == "bearer":
            return _of(await self._look_up(given.strip()), "token")
        if settings.auth == "proxy" and self.is_believed(request.client.host if request.client else ""):
            return self._of_proxy(request, address)
        if (cookie := request.cookies.get(COOKIE)) is not None:
            row = await self._look_up(cookie)
            if row is None or not row.is_good:
                return Identity(name="nobody", role=None, how="nobody", key=address)
            self._check_csrf(request, cookie)
            return _of(row, "session", cookie)
        return Identity(name="nobody", role=None, how="nobody", key=address)

    def _of_proxy(self, request: HTTPConnection, address: str) -> Identity:
        settings = self._core.settings
        user = request.headers.get(settings.user_header, "").strip()[:64]
        if not user or not user.isprintable():
            return Identity(name="nobody", role=None, how="nobody", key=address)
        self._refuse_other_sites(request)
        role = request.headers.get(settings.role_header, "viewer").strip()
        return Identity(name=user, role=role if role in ROLES else "viewer", how="proxy", key=f"user {user}")

    def _check_csrf(self, request: HTTPConnection, cookie: str) -> None:
        if cast("Any", request.scope).get("method", "GET") in _SAFE:
            return
        self._refuse_other_sites(request)
        given = request.headers.get(CSRF, "")
        if not hmac.compare_digest(given.encode(), self._core.signer.csrf(cookie).encode()):
            raise Problem("cross_site", f"a session's writes need the header {CSRF}, with what GET /api/v1/me says")

    @staticmethod
    def _refuse_other_sites(request: HTTPConnection) -> None:
        """Writes that a browser makes for the page of another site are refused; browsers say so themselves."""
        if cast("Any", request.scope).get("method", "GET") in _SAFE:
            return
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise Problem("cross_site")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("Host", ""):
            raise Problem("cross_site")

    async def _look_up(self, text: str) -> TokenRow | None:
        key = tokens.digest(text)
        if (known := self._known.get(key)) is not None:
            return known[0]
        async with self._core.reading() as connection:
            row = await tokens.find(connection, text)
        self._known.put(key, (row,))
        if row is not None and row.is_good and (row.used_at or 0) + 120 * MICRO < clock.now() * MICRO:
            async with self._core.writing() as connection:
                await tokens.note_use(connection, row.id)
        return row


def _of(row: TokenRow | None, how: Any, secret: str = "") -> Identity:
    challenge = {"WWW-Authenticate": 'Bearer realm="naq", error="invalid_token"'}
    if row is None:
        raise Problem("not_logged_in", "there is no such token", headers=challenge)
    if not row.is_good:
        raise Problem("token_expired", headers=challenge)
    return Identity(
        name=row.name,
        role=row.role,
        how=how,
        key=f"token {row.id}",
        expires_at=row.expires_at / MICRO,
        secret=secret,
        queues=row.scope,
    )
