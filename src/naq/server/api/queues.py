"""Queues: how long they are, paused or not, and what is done to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import Field

from naq.backends.base import Backend, QueueStats, WorkerInfo
from naq.limits import pauses
from naq.server.access.scope import may
from naq.server.api.gate import core_of, identity_of, note, scope_of
from naq.server.api.job_actions import DryRun
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Given, Model, Moment, Page, at, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.names import QueueName
from naq.server.problems import Problem
from naq.server.store.queries import fleet

routes = Routes("queues")
Minutes = Annotated[int, Query(ge=1, le=1440, description="How far back, in minutes.")]


class QueueView(Model):
    """A queue. `slots` are those of the workers that serve it; paused by whom and why, where somebody said so."""

    name: str
    state: Literal["active", "paused", "no workers"]
    queued: int
    running: int
    scheduled: int
    blocked: int
    limit: int | None
    workers: int
    slots: int
    paused_by: str | None = None
    paused_at: Moment | None = None
    note: str | None = None

    @classmethod
    def of(cls, stats: QueueStats, workers: list[WorkerInfo], note: pauses.Pause | None = None) -> QueueView:
        """As it is shown."""
        serving = [worker for worker in workers if stats.queue in worker.queues]
        state: Any = "paused" if stats.paused else "active" if serving else "no workers"
        return cls(
            name=stats.queue, state=state, queued=stats.queued, running=stats.running, scheduled=stats.scheduled,
            blocked=stats.blocked, limit=stats.limit, workers=len(serving),
            slots=sum(worker.concurrency for worker in serving), paused_by=note.by if note else None,
            paused_at=at_seconds(note.at) if note else None, note=note.why if note else None,
        )  # fmt: skip


class PauseGiven(Given):
    """Why, for others."""

    note: str = Field(default="", max_length=200)


class LimitGiven(Given):
    """How many of its jobs run at once in the whole fleet; null: as many as there are slots."""

    limit: Annotated[int | None, Field(ge=1, le=1_000_000)]


class Purged(Model):
    """How many jobs were, or with `dry_run` would be, removed."""

    id: str
    done: bool
    count: int
    audit_id: str


class DepthPoint(Model):
    """How long a queue was within a minute, at most."""

    at: Moment | None
    queued: int
    running: int
    scheduled: int
    blocked: int


@routes.add(
    "GET",
    "/queues",
    "listQueues",
    "List queues",
    scope="itself",
    problems=("cursor_invalid", "cursor_mismatch", *BROKER),
)
async def list_queues(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[QueueView]:
    """All that the broker knows, by name."""
    core = core_of(request)
    async with core.asking() as backend:
        stats, workers = await backend.stats(), await backend.workers()
        notes = {one.queue: await pauses.note_of(backend, one.queue) for one in stats if one.paused}
    identity = scope_of(request)
    stats = [one for one in stats if may(identity, one.queue)]
    return sliced(
        core, request, response, stats, lambda one: QueueView.of(one, workers, notes.get(one.queue)), about="queues",
        limit=limit, cursor=cursor, key=lambda one: one.queue,
    )  # fmt: skip


@routes.add("GET", "/queues/{queue}", "getQueue", "Show a queue", scope="queue", problems=("not_found", *BROKER))
async def get_queue(request: Request, queue: QueueName) -> QueueView:
    """One of them."""
    async with core_of(request).asking() as backend:
        return await _get(backend, queue)


@routes.add("GET", "/queues/{queue}/depth", "getQueueDepth", "Show how long a queue was", scope="queue")
async def get_depth(request: Request, queue: QueueName, minutes: Minutes = 60) -> Page[DepthPoint]:
    """By the minute, the oldest first."""
    from naq import clock

    since = round((clock.now() - minutes * 60) * 1e6)
    async with core_of(request).reading() as connection:
        found = await fleet.find_depths(connection, queue, since=since)
    points = [
        DepthPoint(at=at(one.at), queued=one.queued, running=one.running, scheduled=one.scheduled, blocked=one.blocked)
        for one in found
    ]
    return Page(items=points)


@routes.add("POST", "/queues/{queue}/pause", "pauseQueue", "Pause a queue", scope="queue", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def pause_queue(request: Request, queue: QueueName, given: PauseGiven | None = None) -> Done:
    """Hand out no more of its jobs; what runs goes on, and new jobs are taken."""
    async with core_of(request).asking() as backend:
        before = await _get(backend, queue)
        await pauses.pause(backend, queue, by=identity_of(request).name, why=given.note if given else "")
    entry = note(request, before={"state": before.state}, after={"state": "paused"})
    return Done(id=queue, done=before.state != "paused", outcome="paused", audit_id=entry)


@routes.add("POST", "/queues/{queue}/resume", "resumeQueue", "Resume a queue", scope="queue", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def resume_queue(request: Request, queue: QueueName) -> Done:
    """Hand out its jobs again."""
    async with core_of(request).asking() as backend:
        before = await _get(backend, queue)
        await pauses.resume(backend, queue)
    entry = note(request, before={"state": before.state}, after={"state": "active"})
    return Done(id=queue, done=before.state == "paused", outcome="resumed", audit_id=entry)


@routes.add(
    "PATCH",
    "/queues/{queue}",
    "limitQueue",
    "Limit a queue",
    scope="queue",
    role="operator",
    problems=("not_found", *BROKER),
)
async def limit_queue(request: Request, queue: QueueName, given: LimitGiven) -> QueueView:
    """How many of its jobs run at once, whatever the workers offer; kept until it is changed."""
    async with core_of(request).asking() as backend:
        before = await _get(backend, queue)
        await backend.limit(queue, given.limit)
        after = await _get(backend, queue)
    note(request, before={"limit": before.limit}, after={"limit": given.limit})
    return after


@routes.add("POST", "/queues/{queue}/purge", "purgeQueue", "Remove all waiting jobs of a queue",
            scope="queue", role="admin",
            problems=("not_found", *BROKER))  # fmt: skip
async def purge_queue(request: Request, queue: QueueName, dry_run: DryRun = False) -> Purged:
    """No record remains of them, so that their ids are free again; what runs goes on."""
    async with core_of(request).asking(timeout=60.0) as backend:
        before = await _get(backend, queue)
        waiting = before.queued + before.scheduled + before.blocked
        count = waiting if dry_run else await backend.purge(queue)
    entry = note(request, before={"waiting": waiting}, after={"removed": 0 if dry_run else count})
    return Purged(id=queue, done=not dry_run, count=count, audit_id=entry)


async def _get(backend: Backend, queue: str) -> QueueView:
    known = {one.queue: one for one in await backend.stats()}
    if queue not in known:
        raise Problem(
            "not_found", f"there is no queue {queue}: nothing was ever enqueued in it, and no worker serves it"
        )
    workers = await backend.workers()
    return QueueView.of(known[queue], workers, await pauses.note_of(backend, queue) if known[queue].paused else None)
