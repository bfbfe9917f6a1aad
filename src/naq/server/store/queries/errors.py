"""Asking for error groups, deciding about them, and for events that are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.queries.build import build
from naq.server.store.rows import InvalidRow
from naq.server.store.tables import attempts, error_hours, errors, invalid, jobs, workers

ErrorState = Literal["open", "resolved", "ignored", "regressed"]


class ErrorGroup(Struct, frozen=True, kw_only=True):
    """A row of ``errors``."""

    fingerprint: str
    task: str
    type: str
    message: str
    detail: str | None
    state: ErrorState
    count: int
    first_at: int
    last_at: int
    last_job_id: str
    note: str
    decided_at: int | None
    ignored_until: int | None
    ignored_count: int | None
    resolved_in: str | None

    @property
    def still_in(self) -> list[str] | None:
        """The versions of code in which a resolved one may still come; None: in none."""
        return None if self.resolved_in is None else msgspec.json.decode(self.resolved_in, type=list[str])


class InvalidEvent(InvalidRow, frozen=True, kw_only=True):
    """A row of ``invalid``."""

    id: int


async def find(
    connection: AsyncConnection,
    *,
    state: ErrorState | None = None,
    task: str | None = None,
    sort: Literal["last_at", "count"] = "last_at",
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[ErrorGroup]:
    """Groups, the latest or the most frequent first; `after` is the sort value and fingerprint of the last one seen."""
    key = errors.c[sort]
    where: list[ColumnElement[bool]] = []
    if state is not None:
        where.append(errors.c.state == state)
    if task is not None:
        where.append(errors.c.task == task)
    if after is not None:
        where.append(tuple_(key, errors.c.fingerprint) < tuple_(*after))
    asked = select(errors).where(*where).order_by(key.desc(), errors.c.fingerprint.desc()).limit(limit)
    return [build(ErrorGroup, row) for row in (await connection.execute(asked)).mappings()]


async def get(connection: AsyncConnection, fingerprint: str) -> ErrorGroup | None:
    """A group, or None."""
    row = (await connection.execute(select(errors).where(errors.c.fingerprint == fingerprint))).mappings().one_or_none()
    return None if row is None else build(ErrorGroup, row)


async def hours(
    connection: AsyncConnection, fingerprints: tuple[str, ...], *, since: int
) -> dict[str, list[tuple[int, int]]]:
    """How often errors came, by the hour from `since` on (microseconds): the hour's beginning and how many."""
    asked = select(error_hours).where(error_hours.c.fingerprint.in_(fingerprints), error_hours.c.at >= since)
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in fingerprints}
    for name, at, count in await connection.execute(asked.order_by(error_hours.c.fingerprint, error_hours.c.at)):
        found[name].append((at, count))
    return found


async def decide(
    connection: AsyncConnection,
    fingerprint: str,
    state: Literal["open", "resolved", "ignored"],
    *,
    at: int,
    note: str = "",
    until: int | None = None,
    times: int | None = None,
    still_in: Sequence[str] | None = None,
) -> bool:
    """What a person says of a group (a connection of `Store.writing`); False if there is none.

    A resolved one that comes again is ``regressed``, unless from workers whose code is of a version in `still_in`; an
    ignored one is open again when it comes after `until`, or more than `times` more.
    """
    values: dict[str, Any] = {"state": state, "decided_at": at, "note": note, "ignored_until": until}
    values |= {"ignored_count": None if times is None else errors.c.count + times, "resolved_in": None}
    if still_in is not None:
        values["resolved_in"] = msgspec.json.encode(list(still_in)).decode()
    done = await connection.execute(update(errors).where(errors.c.fingerprint == fingerprint).values(values))
    return done.rowcount > 0


class Failed(NamedTuple):
    """An attempt that failed with an error."""

    job_id: str
    queue: str
    worker: str
    attempt: int
    version: str  # of the code of its worker; empty where nobody said so


async def newest(connection: AsyncConnection, fingerprint: str, *, most: int) -> list[Failed]:
    """The newest attempts that failed so, `most` at most."""
    some = (
        select(attempts.c.job_id, attempts.c.worker, attempts.c.attempt, attempts.c.ended_at)
        .where(attempts.c.fingerprint == fingerprint)
        .order_by(attempts.c.ended_at.desc())
        .limit(most)
        .subquery("some")
    )
    version = func.coalesce(workers.c.code, "")
    asked = select(some.c.job_id, jobs.c.queue, some.c.worker, some.c.attempt, version)
    asked = asked.join(jobs, jobs.c.id == some.c.job_id).outerjoin(workers, workers.c.id == some.c.worker)
    return [Failed(*row) for row in await connection.execute(asked)]


async def versions_running(connection: AsyncConnection) -> list[str]:
    """The versions of code that workers say they have which have not gone, in order."""
    asked = select(workers.c.code).where(workers.c.gone_at.is_(None), workers.c.code != "").distinct()
    return sorted(str(code) for code in (await connection.execute(asked)).scalars())


async def find_invalid(
    connection: AsyncConnection, *, after: tuple[int, int] | None = None, limit: int = 50
) -> list[InvalidEvent]:
    """Events that were refused, the latest first; `after` is (`seen_at`, `id`) of the last one seen."""
    asked = select(invalid).order_by(invalid.c.seen_at.desc(), invalid.c.id.desc()).limit(limit)
    if after is not None:
        asked = asked.where(tuple_(invalid.c.seen_at, invalid.c.id) < tuple_(*after))
    return [build(InvalidEvent, row) for row in (await connection.execute(asked)).mappings()]


async def count_invalid(connection: AsyncConnection, *, since: int) -> int:
    """How many events were refused from `since` on (microseconds)."""
    asked = select(func.count()).select_from(invalid).where(invalid.c.seen_at >= since)
    return int((await connection.execute(asked)).scalar_one())
