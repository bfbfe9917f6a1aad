"""Roles, each of which may all that the one before it may; and who somebody is."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from naq.server.problems import Problem

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")


class Identity(Struct, frozen=True, kw_only=True):
    """Who asks.

    Attributes:
        name: for people and the audit log.
        role: what they may.
        how: `off` (no access control), `token`, `session`, `proxy`, or `nobody`.
        key: what rates and limits are counted by: the token's id, or the address.
        expires_at: UNIX seconds; 0: never.
        secret: of a session, the token in its cookie.
        queues: those that it is for (`naq.server.access.scope`); None: all.
    """

    name: str
    role: Role | None
    how: Literal["off", "token", "session", "proxy", "nobody"]
    key: str
    expires_at: float = 0.0
    secret: str = ""
    queues: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"Identity({self.name!r}, {self.role}, {self.how})"


def allows(identity: Identity, needed: Role) -> bool:
    """Whether `identity` may do what `needed` may."""
    return identity.role is not None and ROLES.index(identity.role) >= ROLES.index(needed)


def check(identity: Identity, needed: Role) -> None:
    """Refuse who may not.

    Raises:
        Problem: 401 where nobody is logged in, 403 where the role is too low.
    """
    if identity.role is None:
        raise Problem("not_logged_in", headers={"WWW-Authenticate": 'Bearer realm="naq"'})
    if not allows(identity, needed):
        raise Problem(
            "forbidden",
            f"{identity.name} is {identity.role}; this needs {needed}",
            params={"role": identity.role, "needs": needed},
        )
