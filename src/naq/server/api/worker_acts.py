"""What workers are told: to go, to run more or fewer jobs at once, to say where their jobs are."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import Field

from naq.backends import stacks
from naq.backends.orders import Order, give, set_slots
from naq.backends.stacks import PATIENCE, Stack, Stacks
from naq.exceptions import ResultTimeout
from naq.server.api.gate import core_of, note
from naq.server.api.models import Done, Given, Model, Moment, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.api.workers import find_worker
from naq.server.core import Core
from naq.server.names import JobId, WorkerId
from naq.server.problems import Problem

routes = Routes("workers")
_FOUND = ("not_found", *BROKER)


class SlotsGiven(Given):
    """How many jobs a worker runs at once until it ends; 0 pauses it, null is as many as it was started with."""

    slots: Annotated[int | None, Field(ge=0, le=100_000)]


class FrameView(Model):
    """A call that has not returned; `own`: it is of no library."""

    file: str
    line: int
    function: str
    code: str
    own: bool


class StackView(Model):
    """Where a job is in its code, the outermost call first; `detail` says why there is nothing to see."""

    job: str
    task: str
    phase: Literal["preparing", "running", "ended"]
    where: Literal["loop", "thread", "process"]
    started_at: Moment | None
    frames: list[FrameView]
    detail: str

    @classmethod
    def of(cls, stack: Stack) -> StackView:
        """As it is shown."""
        frames = [
            FrameView(file=one.file, line=one.line, function=one.function, code=one.code, own=one.own)
            for one in stack.frames
        ]
        return cls(
            job=stack.job, task=stack.task, phase=stack.phase, where=stack.where, started_at=at_seconds(stack.at),
            frames=frames, detail=stack.detail,
        )  # fmt: skip


class StacksView(Model):
    """Where all jobs of a worker are, the oldest first; `left_out` did not fit."""

    worker: str
    at: Moment | None
    loop_lag_ms: int
    jobs: list[StackView]
    left_out: int


@routes.add("POST", "/workers/{worker_id}/drain", "drainWorker", "Let a worker finish and go", role="operator",
            problems=_FOUND)  # fmt: skip
async def drain_worker(request: Request, worker_id: WorkerId) -> Done:
    """It claims nothing more, lets what runs end however long that takes, and ends. For a while only: pause it."""
    return await _order(request, worker_id, Order.DRAIN, "told to drain")


@routes.add("POST", "/workers/{worker_id}/stop", "stopWorker", "Stop a worker", role="operator",
            problems=_FOUND)  # fmt: skip
async def stop_worker(
    request: Request,
    worker_id: WorkerId,
    now: Annotated[bool, Query(description="Put running jobs back at once.")] = False,
) -> Done:
    """What runs has `shutdown_timeout`; what has not ended then goes to another worker."""
    return await _order(request, worker_id, Order.NOW if now else Order.STOP, "told to stop")


@routes.add("POST", "/workers/{worker_id}/slots", "setWorkerSlots", "Change a worker's slots", role="operator",
            problems=_FOUND)  # fmt: skip
async def set_worker_slots(request: Request, worker_id: WorkerId, given: SlotsGiven) -> Done:
    """Until it ends: one that is started anew has what it is started with. Jobs that run over it end as ever."""
    return await _slots(request, worker_id, given.slots, "told its slots")


@routes.add("POST", "/workers/{worker_id}/pause", "pauseWorker", "Pause a worker", role="operator",
            problems=_FOUND)  # fmt: skip
async def pause_worker(request: Request, worker_id: WorkerId) -> Done:
    """It claims nothing more, and stays; what runs goes on."""
    return await _slots(request, worker_id, 0, "told to pause")


@routes.add("POST", "/workers/{worker_id}/resume", "resumeWorker", "Resume a worker", role="operator",
            problems=_FOUND)  # fmt: skip
async def resume_worker(request: Request, worker_id: WorkerId) -> Done:
    """With the slots that it was started with. One that was told to drain or to stop goes all the same."""
    return await _slots(request, worker_id, None, "told to resume")


@routes.add("POST", "/workers/{worker_id}/stack", "getWorkerStacks", "Say where a worker's jobs are", role="operator",
            problems=("not_found", "worker_silent", *BROKER))  # fmt: skip
async def get_worker_stacks(request: Request, worker_id: WorkerId) -> StacksView:
    """The calls that have not returned, of each job: on the event loop, in a thread, in a child process. No values."""
    core = core_of(request)
    await find_worker(core, worker_id)
    said = await _ask(core, worker_id)
    return StacksView(
        worker=worker_id, at=at_seconds(said.at), loop_lag_ms=round(said.loop_lag * 1000),
        jobs=[StackView.of(one) for one in said.jobs], left_out=said.left_out,
    )  # fmt: skip


@routes.add("POST", "/jobs/{job_id}/stack", "getJobStack", "Say where a running job is", scope="job", role="operator",
            problems=("wrong_state", "worker_silent", *BROKER))  # fmt: skip
async def get_job_stack(request: Request, job_id: JobId) -> StackView:
    """As its worker says it now; 409 where no worker runs it."""
    core = core_of(request)
    try:
        async with core.asking(timeout=PATIENCE + core.settings.request_timeout) as backend:
            stack = await stacks.find(backend, job_id)
    except ResultTimeout as error:
        raise Problem("worker_silent", str(error)) from None
    if stack is None:
        raise Problem("wrong_state", f"no worker runs job {job_id} now")
    return StackView.of(stack)


async def _ask(core: Core, worker_id: str) -> Stacks:
    try:
        async with core.asking(timeout=PATIENCE + core.settings.request_timeout) as backend:
            return await stacks.ask(backend, worker_id)
    except ResultTimeout as error:
        raise Problem("worker_silent", str(error), params={"worker": worker_id}) from None


async def _order(request: Request, worker_id: str, order: Order, outcome: str) -> Done:
    core = core_of(request)
    await find_worker(core, worker_id)
    async with core.asking() as backend:
        await give(backend, worker_id, order)
    return Done(id=worker_id, done=True, outcome=outcome, audit_id=note(request, after={"order": order.value}))


async def _slots(request: Request, worker_id: str, slots: int | None, outcome: str) -> Done:
    core = core_of(request)
    before = await find_worker(core, worker_id)
    async with core.asking() as backend:
        await set_slots(backend, worker_id, slots)
    entry = note(request, before={"slots": before.concurrency}, after={"slots": slots})
    return Done(id=worker_id, done=True, outcome=outcome, audit_id=entry)
