"""How tasks or queues flow, a row each: what the tables of both need beside what they are."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query, Request

from naq import clock
from naq.server.api.gate import core_of
from naq.server.api.job_views import ms
from naq.server.api.models import Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.store.queries import fleet
from naq.server.store.queries import flow as queries
from naq.server.store.queries.flow import Flow
from naq.server.store.queries.waiting import waiting_since
from naq.server.store.rows import MICRO, micros
from naq.server.store.tables import FINAL_STATES

routes = Routes("numbers")
LONGEST: Final = 86_400  # seconds: the percentiles of all tasks over weeks are hundreds of thousands of rows


class FlowView(Model):
    """A task or a queue over the window. Rates are jobs a second; `failed_share` is of what ended, from 0 to 1.

    `points`: how many ended in each step of `step_s` seconds, the oldest first. `oldest_at`: since when the one that
    waits longest in a queue could run. `drain_s`: when all that waited there at the last look will have ended, if
    nothing changes; null where it grows.
    """

    name: str
    counts: dict[str, int]
    in_per_s: float
    out_per_s: float
    failed_share: float | None
    run_p50_ms: int | None
    run_p95_ms: int | None
    run_p99_ms: int | None
    wait_p50_ms: int | None
    wait_p95_ms: int | None
    step_s: int
    points: list[int]
    oldest_at: Moment | None
    drain_s: int | None


@routes.add("GET", "/flow", "getFlow", "Show how tasks or queues flow")
async def get_flow(
    request: Request,
    scope: Annotated[Literal["task", "queue"], Query()] = "queue",
    window_s: Annotated[int, Query(ge=60, le=LONGEST, description="How far back, in seconds.")] = 300,
) -> Page[FlowView]:
    """Rates, shares, percentiles and a small chart of all queues, or of tasks that had jobs in the window, by name."""
    until = micros(clock.now())
    async with core_of(request).reading() as connection:
        rows = await fleet.find_queues(connection) if scope == "queue" else []
        names = [row.name for row in rows]
        found = await queries.flows(connection, since=until - window_s * MICRO, until=until, scope=scope, names=names)
        waiting = {row.name: row.queued for row in rows}
        oldest = await waiting_since(connection, until, [row.name for row in rows if row.queued])
    return Page(items=[_view(one, window_s, oldest.get(one.name), waiting.get(one.name)) for one in found])


def _view(one: Flow, window_s: int, oldest: int | None, waiting: int | None) -> FlowView:
    ended = sum(count for what, count in one.counts.items() if what in FINAL_STATES)
    came, went = one.counts.get("created", 0) / window_s, ended / window_s
    return FlowView(
        name=one.name, counts=one.counts, in_per_s=round(came, 3), out_per_s=round(went, 3),
        failed_share=round(one.counts.get("failed", 0) / ended, 4) if ended else None,
        run_p50_ms=ms(one.percentile("run", 0.5)), run_p95_ms=ms(one.percentile("run", 0.95)),
        run_p99_ms=ms(one.percentile("run", 0.99)), wait_p50_ms=ms(one.percentile("wait", 0.5)),
        wait_p95_ms=ms(one.percentile("wait", 0.95)), step_s=queries.step_of(window_s), points=one.points,
        oldest_at=at(oldest), drain_s=None if not waiting or went <= came else round(waiting / (went - came)),
    )  # fmt: skip
