"""What hangs together with a job: those it waits for, those that wait for it, those it made, and so on from there."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct
from sqlalchemy import Integer, Select, Text, bindparam, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.queries.build import build
from naq.server.store.tables import jobs, links

MOST: Final = 500  # jobs of a graph: more is no picture any more
EACH: Final = 200  # jobs that are read of those next to one job in one direction
CHUNK: Final = 10  # jobs whose neighbours are asked for in one statement, a descent of an index each
EXPANDED: Final = 10  # of jobs of one task and parent at one distance, those from which the graph is followed further
COUNTED: Final = 10_000  # jobs of a stack that are counted
Kind = Literal["child", "waits"]


class Kin(Struct, frozen=True, kw_only=True):
    """A job in a graph. Times in microseconds."""

    id: str
    task: str
    queue: str
    state: str
    parent_id: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    duration_us: int | None
    progress: float | None
    error_type: str | None

    @property
    def alike(self) -> tuple[str, str]:
        """What it has in common with its siblings of the same task."""
        return self.parent_id or "", self.task


class Edge(NamedTuple):
    """`child`: `before` made `after`; `waits`: `after` waits, or waited, for `before`."""

    before: str
    after: str
    kind: Kind


class Graph(Struct):
    """Jobs by id, and how they hang together; not `whole` where there are more than were read."""

    nodes: dict[str, Kin]
    edges: set[Edge]
    whole: bool = True


_COLUMNS: Final = [jobs.c[name] for name in Kin.__struct_fields__]


async def graph(connection: AsyncConnection, job_id: str) -> Graph:
    """All that hangs together with a job, the nearest first, up to `MOST` jobs."""
    found = Graph({}, set())
    ahead: list[str] = [job_id]
    while ahead:
        ahead = list(dict.fromkeys(one for one in ahead if one not in found.nodes))
        room = MOST - len(found.nodes)
        if len(ahead) > room:
            ahead, found.whole = ahead[:room], False
        fresh = await _read(connection, ahead)
        expanded: dict[tuple[str, str], int] = {}
        follow: list[str] = []
        for one in fresh:
            found.nodes[one.id] = one
            count = expanded[one.alike] = expanded.get(one.alike, 0) + 1
            if count <= EXPANDED or one.id == job_id:
                follow.append(one.id)
        ahead = []
        for chunk in _chunks(follow, CHUNK):
            edges, whole = await _around(connection, chunk)
            found.edges |= edges
            found.whole &= whole
            ahead += [end for edge in sorted(edges) for end in edge[:2]]
        ahead += [one.parent_id for one in fresh if one.parent_id]
    for one in found.nodes.values():
        if one.parent_id in found.nodes:
            found.edges.add(Edge(str(one.parent_id), one.id, "child"))
    found.edges = {edge for edge in found.edges if edge.before in found.nodes and edge.after in found.nodes}
    return found


async def _read(connection: AsyncConnection, ids: Sequence[str]) -> list[Kin]:
    rows: dict[str, Kin] = {}
    for chunk in _chunks(ids, MOST):
        asked = select(*_COLUMNS).where(jobs.c.id.in_(chunk))
        rows |= {row["id"]: build(Kin, row) for row in (await connection.execute(asked)).mappings()}
    return [rows[one] for one in ids if one in rows]


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


async def _around(connection: AsyncConnection, ids: Sequence[str]) -> tuple[set[Edge], bool]:
    """The edges at `ids`, and whether they are all there are."""
    # Always as many branches, the last id again and again: a statement of another shape would have to be made anew.
    given = {f"id{n}": ids[min(n, len(ids) - 1)] for n in range(CHUNK)}
    rows = {tuple(row) for row in await connection.execute(_edges(), {**given, "each": EACH})}
    seen = Counter((way, str(after if way == "waited" else before)) for way, before, after in rows)
    kinds: dict[str, Kind] = {"child": "child", "waits": "waits", "waited": "waits"}
    edges = {Edge(str(before), str(after), kinds[way]) for way, before, after in rows}
    return edges, all(count < EACH for count in seen.values())


@functools.cache
def _edges() -> Select[Any, Any, Any]:
    """The first ``each`` edges of each of `CHUNK` ids in each direction, each by one descent of an index."""
    ways = (
        ("child", jobs.c.parent_id, jobs.c.parent_id, jobs.c.id),
        ("waits", links.c.parent_id, links.c.parent_id, links.c.job_id),
        ("waited", links.c.job_id, links.c.parent_id, links.c.job_id),
    )
    parts = [
        select(literal(way).label("way"), before.label("before"), after.label("after"))
        .where(column == bindparam(f"id{n}", type_=Text))
        .limit(bindparam("each", type_=Integer))
        .subquery()
        for way, column, before, after in ways
        for n in range(CHUNK)
    ]
    merged = union_all(*(select(part.c.way, part.c.before, part.c.after) for part in parts)).subquery("merged")
    return select(merged.c.way, merged.c.before, merged.c.after)


async def count_children(connection: AsyncConnection, parent_id: str) -> dict[str, dict[str, int]]:
    """How many jobs of each task and state a job made, of the first `COUNTED`."""
    some = (
        select(jobs.c.task, jobs.c.state).where(jobs.c.parent_id == parent_id).limit(COUNTED).subquery("some")
    )  # fmt: skip
    asked = select(some.c.task, some.c.state, func.count()).group_by(some.c.task, some.c.state)
    found: dict[str, dict[str, int]] = {}
    for task, state, count in await connection.execute(asked):
        found.setdefault(str(task), {})[str(state)] = int(count)
    return found
