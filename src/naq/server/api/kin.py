"""What belongs to a job: the graph of those it hangs together with, and others that are like it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final, Literal

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.job import JobState
from naq.server.api.enqueue import REPLAYED
from naq.server.api.gate import core_of
from naq.server.api.job_views import JobItem, ms, parsed
from naq.server.api.jobs import must_be
from naq.server.api.models import Model, Moment, at
from naq.server.api.routes import Routes
from naq.server.core import Core
from naq.server.names import JobId
from naq.server.store.conditions import Among, Condition, JobQuery, Tagged
from naq.server.store.queries import jobs as queries
from naq.server.store.queries import kin
from naq.server.store.queries.kin import Edge, Graph, Kin
from naq.server.store.rows import JobRow

routes = Routes("jobs")
STACKED: Final = 50  # siblings of one task, above which they are one stack
RELATED: Final = 20  # jobs of each kind that are shown


class Node(Model):
    """A job in a graph."""

    id: str
    task: str
    queue: str
    state: JobState
    created_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    duration_ms: int | None
    progress: float | None
    error_type: str | None

    @classmethod
    def of(cls, one: Kin) -> Node:
        """As it is shown."""
        return cls(
            id=one.id, task=one.task, queue=one.queue, state=JobState(one.state), created_at=at(one.created_at),
            started_at=at(one.started_at), finished_at=at(one.finished_at), duration_ms=ms(one.duration_us),
            progress=one.progress, error_type=one.error_type,
        )  # fmt: skip


class Stack(Model):
    """Jobs of one task, too many to be drawn, that one job made: `states` counts the first ten thousand of them.

    Or that a program made, and that wait for the same jobs, and the same jobs for them: `parent_id` is null then, and
    those that were read are counted.
    """

    id: str
    task: str
    parent_id: str | None
    count: int
    states: dict[JobState, int]


class Line(Model):
    """From a job, or stack, to another. `child`: the one made the other; `waits`: the other waits for the one."""

    before: str
    after: str
    kind: Literal["child", "waits"]


class GraphView(Model):
    """The jobs that hang together with a job. Not `whole`: there are more, further away or beside."""

    job_id: str
    nodes: list[Node]
    stacks: list[Stack]
    edges: list[Line]
    whole: bool


class Related(Model):
    """Jobs that are like a job, the newest first, itself among those of its task.

    `replay_of` is the job that it repeats with other arguments, `replays` those that repeat it so.
    """

    task: list[JobItem]
    error: list[JobItem]
    key: list[JobItem]
    trace: list[JobItem]
    replay_of: str | None
    replays: list[JobItem]


@routes.add("GET", "/jobs/{job_id}/graph", "getGraph", "Show what hangs together with a job",
            problems=("job_not_found",))  # fmt: skip
async def get_graph(request: Request, job_id: JobId) -> GraphView:
    """The jobs that it waits for, those that wait for it, those it made, and so on from there: five hundred at most.

    More than fifty siblings of one task are one stack; the job that is asked for is never in one.
    """
    core = core_of(request)
    await must_be(core, job_id)
    async with core.reading() as connection:
        found = await kin.graph(connection, job_id)
        many = _many(found, job_id)
        stacks = [await _stack(connection, name, members) for name, members in many.items()]
    within = {one.id: name for name, members in many.items() for one in members if one.id != job_id}
    lines = {
        Edge(within.get(edge.before, edge.before), within.get(edge.after, edge.after), edge.kind)
        for edge in found.edges
    }  # fmt: skip
    return GraphView(
        job_id=job_id,
        nodes=[Node.of(one) for one in found.nodes.values() if one.id not in within],
        stacks=stacks,
        edges=[Line(before=edge.before, after=edge.after, kind=edge.kind) for edge in sorted(lines)],
        whole=found.whole,
    )


def _many(found: Graph, job_id: str) -> dict[str, list[Kin]]:
    """Jobs that are alike and too many, by the id of their stack."""
    around: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in sorted(found.edges):
        for end in edge[:2]:
            around[end].append(edge)
    alike: defaultdict[tuple[object, ...], list[Kin]] = defaultdict(list)
    for one in found.nodes.values():
        ends = [] if one.parent_id else [edge[:2] for edge in around[one.id]]
        ends = [(before if before != one.id else "", after if after != one.id else "") for before, after in ends]
        alike[one.parent_id, one.task, *ends].append(one)
    large = [members for members in alike.values() if sum(one.id != job_id for one in members) > STACKED]
    return {f"stack-{n}": members for n, members in enumerate(large, 1)}


async def _stack(connection: AsyncConnection, name: str, members: Sequence[Kin]) -> Stack:
    """With the job that is asked for counted among its like."""
    parent, task = members[0].parent_id, members[0].task
    seen = Counter(one.state for one in members)
    states = (await kin.count_children(connection, parent)).get(task, seen) if parent else seen
    by_state = {JobState(state): count for state, count in sorted(states.items())}
    return Stack(id=name, task=task, parent_id=parent, count=sum(by_state.values()), states=by_state)


@routes.add("GET", "/jobs/{job_id}/related", "getRelated", "Show jobs like a job", problems=("job_not_found",),
            response_model_exclude_unset=True)  # fmt: skip
async def get_related(request: Request, job_id: JobId) -> Related:
    """Of its task, with its error, its unique key, its trace, and its replays: twenty of each."""
    core = core_of(request)
    row = await must_be(core, job_id)
    if row is None:  # the broker has it, the history not yet
        return Related(task=[], error=[], key=[], trace=[], replay_of=None, replays=[])
    tags: dict[str, str] = parsed(row.tags, {})
    async with core.reading() as connection:
        return Related(
            task=await _some(core, connection, Among("task", (row.task,))),
            error=await _like(core, connection, row, "fingerprint", row.fingerprint),
            key=await _like(core, connection, row, "key", row.key),
            trace=await _like(core, connection, row, "trace", row.trace),
            replay_of=tags.get(REPLAYED),
            replays=await _some(core, connection, Tagged(REPLAYED, job_id)),
        )


async def _like(
    core: Core, connection: AsyncConnection, row: JobRow, field: Literal["fingerprint", "key", "trace"],
    value: str | None,
) -> list[JobItem]:  # fmt: skip
    if value is None:
        return []
    return [one for one in await _some(core, connection, Among(field, (value,))) if one.id != row.id]


async def _some(core: Core, connection: AsyncConnection, condition: Condition) -> list[JobItem]:
    found = await queries.find(connection, JobQuery(conditions=(condition,), limit=RELATED))
    return [JobItem.of(one, core.redact) for one in found.jobs]
