"""Tokens: made, found by their hash, revoked. A session is a token that a login made."""

from __future__ import annotations

import hashlib
import json
import secrets as random
from collections.abc import Collection
from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.job import new_id
from naq.server.access.roles import Role
from naq.server.store.queries.build import build
from naq.server.store.rows import micros
from naq.server.store.tables.access import secrets, tokens

PREFIX: Final = "naq_"  # so that scanners for leaked secrets know one
BYTES: Final = 32  # of randomness in a token
_MINUTE: Final = 60_000_000  # microseconds: how exactly the last use is noted
TokenKind = Literal["token", "session"]


class TokenRow(Struct, frozen=True, kw_only=True):
    """A token, without its text. Times in microseconds."""

    id: str
    kind: str
    name: str
    role: Role
    created_at: int
    created_by: str
    expires_at: int
    revoked_at: int | None
    used_at: int | None
    queues: str | None = None

    @property
    def scope(self) -> frozenset[str] | None:
        """The queues that it is for; None: all."""
        return None if self.queues is None else frozenset(json.loads(self.queues))

    @property
    def is_good(self) -> bool:
        """Whether it still opens."""
        return self.revoked_at is None and micros(clock.now()) < self.expires_at


_COLUMNS: Final = [tokens.c[name] for name in TokenRow.__struct_fields__]


def digest(token: str) -> str:
    """What is kept of a token. It is random enough that no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


async def make(connection: AsyncConnection, *, name: str, role: Role, by: str, ttl: float, kind: TokenKind = "token",
               queues: Collection[str] | None = None) -> tuple[str, TokenRow]:  # fmt: skip
    """A new token, for these queues (None: all), and its text, which is shown this once."""
    text, now = PREFIX + random.token_urlsafe(BYTES), micros(clock.now())
    row = TokenRow(
        id=new_id(),
        kind=kind,
        name=name,
        role=role,
        created_at=now,
        created_by=by,
        expires_at=now + micros(ttl),
        revoked_at=None,
        used_at=None,
        queues=None if queues is None else json.dumps(sorted(set(queues))),
    )
    values: dict[str, Any] = {field: getattr(row, field) for field in TokenRow.__struct_fields__}
    await connection.execute(insert(tokens).values(**values, hash=digest(text)))
    return text, row


async def find(connection: AsyncConnection, token: str) -> TokenRow | None:
    """The token, whether or not it still opens."""
    row = (await connection.execute(select(*_COLUMNS).where(tokens.c.hash == digest(token)))).mappings().one_or_none()
    return None if row is None else build(TokenRow, row)


async def get(connection: AsyncConnection, token_id: str) -> TokenRow | None:
    """The token with this id."""
    row = (await connection.execute(select(*_COLUMNS).where(tokens.c.id == token_id))).mappings().one_or_none()
    return None if row is None else build(TokenRow, row)


async def all_of(connection: AsyncConnection, *, kind: TokenKind = "token", after: tuple[int, str] | None = None,
                 limit: int) -> list[TokenRow]:  # fmt: skip
    """Tokens, the newest first."""
    from sqlalchemy import literal, tuple_

    asked = select(*_COLUMNS).where(tokens.c.kind == kind)
    if after is not None:
        asked = asked.where(tuple_(tokens.c.created_at, tokens.c.id) < tuple_(literal(after[0]), literal(after[1])))
    found = await connection.execute(asked.order_by(tokens.c.created_at.desc(), tokens.c.id.desc()).limit(limit))
    return [build(TokenRow, row) for row in found.mappings()]


async def revoke(connection: AsyncConnection, token_id: str) -> bool:
    """Let it open nothing any more; whether it did until now."""
    done = await connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        .values(revoked_at=micros(clock.now()))
    )
    return done.rowcount > 0


async def note_use(connection: AsyncConnection, token_id: str) -> None:
    """Note that it was used just now."""
    now = micros(clock.now())
    await connection.execute(update(tokens).where(tokens.c.id == token_id).values(used_at=now - now % _MINUTE))


async def shared_secret(connection: AsyncConnection) -> str:
    """The key that all servers of this database sign with; the first one makes it."""
    asked = select(secrets.c.value).where(secrets.c.name == "signing")
    found = (await connection.execute(asked)).scalar_one_or_none()
    if found is None:
        found = random.token_urlsafe(BYTES)
        await connection.execute(insert(secrets).values(name="signing", value=found))
    return found
