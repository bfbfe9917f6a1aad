"""Marks: moments that matter to who looks at a chart. Checked here, so that the API and commands refuse the same."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.exceptions import ConfigurationError
from naq.job import new_id
from naq.server.store.queries.build import build
from naq.server.store.rows import MICRO, micros
from naq.server.store.tables import marks

MOST: Final = 500  # marks of a chart: more is a wall
#: Characters of the title, the version and the address.
TITLE, VERSION, URL = 200, 100, 2000
DEPLOY: Final = "deploy"
ITSELF: Final = "naq"  # who made the marks that nobody made
_KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LATELY: Final = 20  # marks of its own that a server which starts takes for known
_AHEAD: Final = 60  # seconds by which the clock of who marks may be ahead of ours
_BACK: Final = 400 * 86_400  # seconds: how long marks are kept


class Mark(Struct, frozen=True, kw_only=True):
    """A row of ``marks``."""

    id: str
    at: int
    kind: str
    title: str
    version: str = ""
    url: str = ""
    made_by: str


def make(title: str, *, by: str, kind: str = DEPLOY, version: str = "", url: str = "", at: float | None = None) -> Mark:
    """A mark, not kept yet.

    Args:
        title: what happened, in a few words; empty with a version: that.
        by: who says so.
        kind: ``deploy``, or a word of your own.
        version: of the code.
        url: where more about it is.
        at: when, UNIX seconds; None: now.

    Raises:
        ConfigurationError: says which is not allowed, and what would be.
    """
    now = clock.now()
    moment = now if at is None else at
    shown = " ".join((title or version).split())
    if not shown or len(shown) > TITLE or not shown.isprintable():
        raise ConfigurationError(f"a mark has a title of 1 to {TITLE} printable characters, or a version")
    if not _KIND.fullmatch(kind) or kind == "incident":
        raise ConfigurationError(f"{kind[:40]!r} is no kind of mark: a lower-case word such as deploy; not incident")
    if len(version) > VERSION or not version.isprintable():
        raise ConfigurationError(f"a version has at most {VERSION} printable characters")
    if url and (len(url) > URL or not _is_url(url)):
        raise ConfigurationError(f"{url[:80]!r} is no http:// or https:// address of at most {URL} characters")
    if not now - _BACK <= moment <= now + _AHEAD:
        raise ConfigurationError("a mark is of something that has happened, and not longer ago than marks are kept")
    return Mark(
        id=new_id(), at=micros(moment), kind=kind, title=shown, version=version, url=url, made_by=by[:TITLE]
    )  # fmt: skip


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return text.isprintable() and parts.scheme in {"http", "https"} and bool(parts.netloc)


async def add(connection: AsyncConnection, mark: Mark) -> None:
    """Keep `mark`."""
    await connection.execute(insert(marks).values(**asdict(mark)))


async def find(
    connection: AsyncConnection, *, since: int, until: int | None = None, kind: str | None = None, limit: int = MOST
) -> list[Mark]:
    """Marks from `since` to `until` (microseconds; None: now), the latest first."""
    asked = select(marks).where(marks.c.at >= since)
    if until is not None:
        asked = asked.where(marks.c.at <= until)
    if kind is not None:
        asked = asked.where(marks.c.kind == kind)
    asked = asked.order_by(marks.c.at.desc(), marks.c.id.desc()).limit(limit)
    return [build(Mark, row) for row in (await connection.execute(asked)).mappings()]


async def get(connection: AsyncConnection, mark_id: str) -> Mark | None:
    """A mark, or None."""
    row = (await connection.execute(select(marks).where(marks.c.id == mark_id))).mappings().one_or_none()
    return None if row is None else build(Mark, row)


async def remove(connection: AsyncConnection, mark_id: str) -> bool:
    """Remove a mark; False: there is none."""
    return (await connection.execute(delete(marks).where(marks.c.id == mark_id))).rowcount > 0


async def see_versions(connection: AsyncConnection, alive: set[str], before: set[str] | None) -> list[Mark]:
    """Mark a version of the code that workers run now and none ran at the look before, unless it was marked last.

    One that comes back after another is marked again: that is a deploy as well. One whose workers have all gone and
    return is not.

    Args:
        connection: of `Store.writing`.
        alive: versions of the code of workers that live; "": not said.
        before: the same at the look before; None: this is the first, and what has been marked lately is known.
    """
    new = alive - {""} - (before or set())
    if not new:
        return []
    mine = select(marks.c.version).where(marks.c.made_by == ITSELF, marks.c.kind == DEPLOY)
    lately = await connection.execute(mine.order_by(marks.c.at.desc(), marks.c.id.desc()).limit(_LATELY))
    known = [str(version) for version in lately.scalars()]
    made = [
        make("", by=ITSELF, version=version)
        for version in sorted(new)
        if len(version) <= VERSION and version not in (known if before is None else known[:1])
    ]
    for mark in made:
        await add(connection, mark)
    return made


def span_of(window_s: int) -> tuple[int, int]:
    """From when to when the last `window_s` seconds are, microseconds."""
    until = micros(clock.now())
    return until - window_s * MICRO, until
