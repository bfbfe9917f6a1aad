"""How a running job gets on: beside what its task usually takes, by its progress, and its worker's process."""

from __future__ import annotations

from fastapi import Request

from naq import clock
from naq.server.api.gate import core_of
from naq.server.api.models import Model, Moment, at, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.names import JobId
from naq.server.problems import Problem
from naq.server.store.queries import jobs as queries
from naq.server.store.queries import trends
from naq.server.store.rows import MICRO, micros

routes = Routes("jobs")
USUAL = 86_400  # seconds over which what a task usually takes is looked at
LEAST = 0.01  # of the whole that must be done until its rate says anything


class Usual(Model):
    """What runs of its task took within the last day (at most a quarter above the true value)."""

    p50_ms: int
    p95_ms: int
    jobs: int


class ProcessView(Model):
    """The process that runs it, at its last heartbeat."""

    worker: str
    host: str
    pid: int
    memory: int
    children_memory: int
    cpu: float
    loop_lag_ms: int
    seen_at: Moment | None


class Pace(Model):
    """How a running job gets on. `eta_ms`: what is left at the rate so far, where it reports its progress."""

    id: str
    task: str
    attempt: int
    started_at: Moment | None
    elapsed_ms: int
    progress: float | None
    progress_text: str | None
    eta_ms: int | None
    usual: Usual | None
    is_slow: bool
    process: ProcessView | None


@routes.add("GET", "/jobs/{job_id}/running", "getPace", "Show how a running job gets on", scope="job",
            problems=("job_not_found", "wrong_state", *BROKER))  # fmt: skip
async def get_pace(request: Request, job_id: JobId) -> Pace:
    """409 for one that does not run, or not for half a second yet: the history hears of it then."""
    core = core_of(request)
    until = micros(clock.now())
    async with core.asking() as backend:
        found = {one.id: one for one in await backend.workers()}
    async with core.reading() as connection:
        row = await queries.get(connection, job_id)
        if row is None:
            raise Problem("job_not_found", f"the history has no job {job_id}")
        if row.state != "running" or not row.started_at:
            raise Problem("wrong_state", f"job {job_id} is {row.state}", params={"state": row.state})
        spread = await trends.spread(
            connection, since=until - USUAL * MICRO, until=until, scope="task", name=row.task, measure="run"
        )
    info = found.get(row.worker or "")
    elapsed = max(0, until - row.started_at)
    usual = _usual(spread)
    return Pace(
        id=job_id, task=row.task, attempt=row.attempt, started_at=at(row.started_at), elapsed_ms=elapsed // 1000,
        progress=row.progress, progress_text=row.progress_text, eta_ms=eta_ms(elapsed, row.progress), usual=usual,
        is_slow=usual is not None and elapsed > usual.p95_ms * 1000,
        process=None if info is None else ProcessView(
            worker=info.id, host=info.host, pid=info.pid, memory=info.memory, children_memory=info.children_memory,
            cpu=info.cpu, loop_lag_ms=round(info.loop_lag * 1000), seen_at=at_seconds(info.seen_at),
        ),
    )  # fmt: skip


def eta_ms(elapsed: int, progress: float | None) -> int | None:
    """Milliseconds left after `elapsed` microseconds; None where too little is known."""
    if progress is None or not LEAST <= progress <= 1:
        return None
    return round(elapsed * (1 - progress) / progress / 1000)


def _usual(spread: list[tuple[int, int]]) -> Usual | None:
    """`spread` are ends of buckets in microseconds, and how many lie in each."""
    jobs = sum(count for _, count in spread)
    if not jobs:
        return None

    def within(share: float) -> int:
        seen = 0
        for end, count in spread:
            seen += count
            if seen >= share * jobs:
                return round(end / 1000)
        return round(spread[-1][0] / 1000)

    return Usual(p50_ms=within(0.5), p95_ms=within(0.95), jobs=jobs)
