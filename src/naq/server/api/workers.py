"""Workers that run now, and those that have gone."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from naq.backends.base import WorkerInfo
from naq.backends.orders import Order, give
from naq.server.api.gate import core_of, note
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Model, Moment, Page, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.names import WorkerId
from naq.server.problems import Problem

routes = Routes("workers")


class WorkerView(Model):
    """A worker as it last described itself."""

    id: str
    state: Literal["starting", "running", "stopping", "stopped"]
    queues: list[str]
    tasks: list[str]
    concurrency: int
    running: int
    processed: int
    failed: int
    host: str
    pid: int
    version: str
    started_at: Moment | None
    seen_at: Moment | None

    @classmethod
    def of(cls, info: WorkerInfo) -> WorkerView:
        """As it is shown."""
        return cls(
            id=info.id, state=info.state, queues=info.queues, tasks=info.tasks, concurrency=info.concurrency,
            running=info.running, processed=info.processed, failed=info.failed, host=info.host, pid=info.pid,
            version=info.version, started_at=at_seconds(info.started_at), seen_at=at_seconds(info.seen_at),
        )  # fmt: skip


@routes.add("GET", "/workers", "listWorkers", "List workers", problems=("cursor_invalid", "cursor_mismatch", *BROKER))
async def list_workers(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[WorkerView]:
    """Those that run now, by id."""
    core = core_of(request)
    async with core.asking() as backend:
        found = await backend.workers()
    return sliced(
        core, request, response, found, WorkerView.of, about="workers", limit=limit, cursor=cursor,
        key=lambda one: one.id,
    )  # fmt: skip


@routes.add("GET", "/workers/{worker_id}", "getWorker", "Show a worker", problems=("not_found", *BROKER))
async def get_worker(request: Request, worker_id: WorkerId) -> WorkerView:
    """One that runs now."""
    async with core_of(request).asking() as backend:
        found = await backend.workers()
    for one in found:
        if one.id == worker_id:
            return WorkerView.of(one)
    raise Problem("not_found", f"no worker {worker_id} runs now")


@routes.add("POST", "/workers/{worker_id}/drain", "drainWorker", "Let a worker finish and go", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def drain_worker(request: Request, worker_id: WorkerId) -> Done:
    """It claims nothing more, lets what runs end however long that takes, and ends."""
    return await _order(request, worker_id, Order.DRAIN, "told to drain")


@routes.add("POST", "/workers/{worker_id}/stop", "stopWorker", "Stop a worker", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def stop_worker(
    request: Request,
    worker_id: WorkerId,
    now: Annotated[bool, Query(description="Put running jobs back at once.")] = False,
) -> Done:
    """What runs has `shutdown_timeout`; what has not ended then goes to another worker."""
    return await _order(request, worker_id, Order.NOW if now else Order.STOP, "told to stop")


async def _order(request: Request, worker_id: str, order: Order, outcome: str) -> Done:
    async with core_of(request).asking() as backend:
        if not any(one.id == worker_id for one in await backend.workers()):
            raise Problem("not_found", f"no worker {worker_id} runs now")
        await give(backend, worker_id, order)
    return Done(id=worker_id, done=True, outcome=outcome, audit_id=note(request, after={"order": order.value}))
