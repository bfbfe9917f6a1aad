"""How things are, and what needs a person: the first page, in one call."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import Field

from naq import clock
from naq.server.alerts import rows
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.lists import total
from naq.server.api.models import Done, Given, Model, Moment, Total, at
from naq.server.api.routes import BROKER, Routes
from naq.server.attention import gather, needs
from naq.server.attention.needs import Action, Need
from naq.server.core import Core
from naq.server.problems import wrong
from naq.server.store.queries import fleet, trends
from naq.server.store.rows import MICRO, micros

routes = Routes("stats")
_HOUR = 3600
_LINE = r"^[a-z_]{1,30}:[^\x00-\x1f\x7f]*$"
_LONGEST = 7 * 86_400  # seconds that a line is put aside for at most


class ActionView(Model):
    """What to do first. `GET`: `path` is a page of the dashboard; `POST`: a route behind ``/api/v1``, with `body`."""

    code: str
    label: str
    method: Literal["GET", "POST"]
    path: str
    body: dict[str, Any] | None

    @classmethod
    def of(cls, one: Action) -> ActionView:
        """As it is shown."""
        return cls(code=one.code, label=one.label, method=one.method, path=one.path, body=one.body)


class NeedView(Model):
    """Something that needs a person: what, since when, and what to do first. `id` is for putting it aside."""

    id: str
    kind: needs.Kind
    subject: str
    sentence: str
    since: Moment | None
    count: int
    action: ActionView

    @classmethod
    def of(cls, one: Need) -> NeedView:
        """As it is shown."""
        return cls(
            id=one.id, kind=one.kind, subject=one.subject, sentence=one.sentence, since=at(one.since),
            count=one.count, action=ActionView.of(one.action),
        )  # fmt: skip


class Overview(Model):
    """How things are: what waits and runs, who works, what ended within the window, what needs a person.

    `due_1h`: scheduled jobs whose time comes within the hour. `workers_1d`: those seen within a day. `failed_share`
    and `failed_share_before`: of what ended within the window, and within the one before it; null: nothing did.
    `attention`: the worst first; `put_aside`: how many more there are that somebody has put aside.
    """

    at: Moment | None
    window_s: int
    queued: int
    running: int
    scheduled: int
    blocked: int
    slots: int
    workers: int
    workers_1d: int
    due_1h: Total
    oldest_queued_at: Moment | None
    ended: dict[str, int]
    ended_before: dict[str, int]
    failed_share: float | None
    failed_share_before: float | None
    paused: list[str]
    unserved: list[str]
    ingest_lag_s: float | None
    attention: list[NeedView]
    put_aside: int


class Aside(Given):
    """What to put aside, and for how long."""

    id: str = Field(max_length=300, pattern=_LINE, examples=["unserved_queue:mail"])
    seconds: int = Field(default=_HOUR, ge=1, le=_LONGEST)


@routes.add("GET", "/overview", "getOverview", "Show how things are", problems=BROKER)
async def get_overview(
    request: Request,
    window_s: Annotated[int, Query(ge=60, le=62 * 86400, description="How far back, in seconds.")] = _HOUR,
    aside: Annotated[bool, Query(description="Also what somebody has put aside.")] = False,
) -> Overview:
    """From counts that are kept, and a few short questions: it costs the same whatever there is of jobs."""
    core = core_of(request)
    until = micros(clock.now())
    since = until - window_s * MICRO
    async with core.asking() as backend:
        asked = await gather.ask(backend)
    lag = None if core.ingest is None else core.ingest.lag()
    async with core.reading() as connection:
        ended = await _ended(connection, since, until)
        before = await _ended(connection, since - window_s * MICRO, since)
        oldest = await fleet.oldest(connection)
        due = await gather.due_within(connection, until + _HOUR * MICRO)
        seen = await gather.seen_workers(connection, until - gather.DAY)
        found = await gather.gather(
            connection, asked, now=until, window_s=window_s, failed=ended.get("failed", 0), lag=lag
        )
        hidden = await rows.find_dismissed(connection, now=until)
    stats, served = asked.queues, {queue for worker in asked.workers for queue in worker.queues}
    shown = [one for one in found if aside or one.id not in hidden]
    return Overview(
        at=at(until), window_s=window_s,
        queued=sum(one.queued for one in stats), running=sum(one.running for one in stats),
        scheduled=sum(one.scheduled for one in stats), blocked=sum(one.blocked for one in stats),
        slots=sum(worker.concurrency for worker in asked.workers), workers=len(asked.workers), workers_1d=seen,
        due_1h=total(due, gather.CAP), oldest_queued_at=at(oldest), ended=ended, ended_before=before,
        failed_share=_share(ended), failed_share_before=_share(before),
        paused=[one.queue for one in stats if one.paused],
        unserved=[one.queue for one in stats if one.queued and one.queue not in served],
        ingest_lag_s=None if lag is None or not lag.leading else round(lag.seconds, 3),
        attention=[NeedView.of(one) for one in shown], put_aside=len(found) - len(shown),
    )  # fmt: skip


@routes.add("POST", "/overview/put-aside", "putAside", "Put a line of the overview aside", role="operator")
async def put_aside(request: Request, given: Aside) -> Done:
    """For everybody, for an hour or as long as is said; then it is shown again, if it is still so."""
    core = core_of(request)
    kind = given.id.partition(":")[0]
    if kind not in needs.KINDS:
        raise wrong("/id", "it is none of a line of the overview", given=kind, known=list(needs.KINDS))
    until = micros(clock.now()) + given.seconds * MICRO
    async with core.writing() as connection:
        await rows.dismiss(connection, given.id, until=until, by=identity_of(request).name)
    entry = note(request, target=given.id, after={"seconds": given.seconds})
    return Done(id=given.id, done=True, outcome=f"put aside for {given.seconds} s", audit_id=entry)


async def needed(core: Core) -> list[Need]:
    """What needs a person now, as the overview of an hour shows it; nothing that was put aside.

    Raises:
        Problem: broker or database cannot be reached.
    """
    now = micros(clock.now())
    async with core.asking() as backend:
        asked = await gather.ask(backend)
    lag = None if core.ingest is None else core.ingest.lag()
    async with core.reading() as connection:
        failed = (await _ended(connection, now - _HOUR * MICRO, now)).get("failed", 0)
        found = await gather.gather(connection, asked, now=now, window_s=_HOUR, failed=failed, lag=lag)
        hidden = await rows.find_dismissed(connection, now=now)
    return [one for one in found if one.id not in hidden]


async def _ended(connection: Any, since: int, until: int) -> dict[str, int]:
    found = await trends.totals(connection, since=since, until=until, scope="all")
    return found[0].counts if found else {}


def _share(counts: dict[str, int]) -> float | None:
    ended = sum(count for what, count in counts.items() if what not in {"created", "retrying"})
    return round(counts.get("failed", 0) / ended, 4) if ended else None
