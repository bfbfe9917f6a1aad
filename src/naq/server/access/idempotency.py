"""Answers by Idempotency-Key: the same request sent twice is done once and answered twice."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from msgspec import Struct
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.server.problems import Problem
from naq.server.store.rows import micros
from naq.server.store.tables.access import idempotency

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 128  # characters of a key
STALE: Final = 60.0  # seconds after which a first request without an answer is taken for dead, with its server


class Kept(Struct, frozen=True):
    """An answer that was given before."""

    status: int
    headers: dict[str, str]
    body: bytes


def fingerprint(method: str, path: str, query: str, body: bytes) -> str:
    """What makes two requests the same."""
    return hashlib.sha256(b"\0".join([method.encode(), path.encode(), query.encode(), body])).hexdigest()


async def claim(connection: AsyncConnection, *, who: str, key: str, print_: str, ttl: float) -> Kept | None:
    """Take `key` for a request; None: it is the first, and is to be done. Else what was answered.

    Raises:
        Problem: ``key_reused`` for another request, ``key_in_use`` while the first one runs.
    """
    now = micros(clock.now())
    mine = (idempotency.c.who == who, idempotency.c.key == key)
    await connection.execute(delete(idempotency).where(*mine, idempotency.c.at < now - micros(ttl)))
    dead = now - micros(STALE)
    await connection.execute(delete(idempotency).where(*mine, idempotency.c.status.is_(None), idempotency.c.at < dead))
    try:
        async with connection.begin_nested():
            await connection.execute(insert(idempotency).values(who=who, key=key, fingerprint=print_, at=now))
    except IntegrityError:
        pass
    else:
        return None
    row = (await connection.execute(select(idempotency).where(*mine))).one()
    if row.fingerprint != print_:
        raise Problem("key_reused", f"{HEADER} {key!r} was sent with another request before")
    if row.status is None:
        raise Problem("key_in_use", headers={"Retry-After": "1"})
    return Kept(row.status, json.loads(row.headers), row.body)


async def keep(connection: AsyncConnection, *, who: str, key: str, answer: Kept) -> None:
    """Keep what was answered."""
    await connection.execute(
        update(idempotency)
        .where(idempotency.c.who == who, idempotency.c.key == key)
        .values(status=answer.status, headers=json.dumps(answer.headers), body=answer.body)
    )


async def drop(connection: AsyncConnection, *, who: str, key: str) -> None:
    """Forget a request that was not done: it may be sent again."""
    await connection.execute(delete(idempotency).where(idempotency.c.who == who, idempotency.c.key == key))


async def prune(connection: AsyncConnection, *, ttl: float) -> int:
    """Remove what is older than `ttl` seconds; how many."""
    done = await connection.execute(delete(idempotency).where(idempotency.c.at < micros(clock.now() - ttl)))
    return done.rowcount
