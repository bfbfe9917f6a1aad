"""Places far behind the first page, so that pages are asked for there: by walking, it would take hours to get there."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, select

from benchmarks.history.server import SECRET
from naq.server.filters import read_filter
from naq.server.signing import Signer
from naq.server.store import Store
from naq.server.store.tables import jobs

DEPTHS: Final = (1_000, 100_000, 1_000_000, 4_000_000)  # rows before the page, of those that there are
_TERMS: Final = 40  # of a filter
#: Filter, sort, and what it is in SQL.
_WALKS: Final[list[tuple[str, str, list[ColumnElement[bool]]]]] = [
    ("", "-created_at", []),
    ("", "created_at", []),
    ("", "-duration", []),
    ("state:succeeded", "-created_at", [jobs.c.state == "succeeded"]),
    ("task:shop.task3", "-created_at", [jobs.c.task == "shop.task3"]),
    ("worker:worker-7", "-created_at", [jobs.c.worker == "worker-7"]),
]


class Place(NamedTuple):
    """A place in a list: behind so many rows."""

    text: str
    sort: str
    depth: int
    cursor: str


async def places(store: Store) -> list[Place]:
    """Those that the history is long enough for."""
    signer, found = Signer(SECRET, ttl=86_400.0), list[Place]()
    async with store.reading() as connection:
        for text, sort, where in _WALKS:
            column = jobs.c["duration_us" if sort == "-duration" else "created_at"]
            keys = (column.desc(), jobs.c.id.desc()) if sort.startswith("-") else (column, jobs.c.id)
            walk = select(column, jobs.c.id).where(*where, column.is_not(None)).order_by(*keys).limit(1)
            for depth in DEPTHS:
                row = (await connection.execute(walk.offset(depth))).one_or_none()
                if row is None:
                    break
                about = f"jobs {sort} {read_filter(text, most=_TERMS).text}"
                found.append(Place(text, sort, depth, signer.cursor(about, ["after", int(row[0]), str(row[1])])))
    return found
