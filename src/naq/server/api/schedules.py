"""Schedules: what runs again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import Header, Query, Request, Response
from pydantic import AwareDatetime, Field

from naq import clock
from naq.codec.envelope import JSON
from naq.codec.headers import read_tags
from naq.job import Priority
from naq.scheduler.acts import Acts
from naq.scheduler.handle import Schedules, make_template
from naq.schedules import moves
from naq.schedules.kept import Kept, tick_id
from naq.schedules.moves import Step
from naq.schedules.timetable import Overlap, Timing, read_timetable
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.job_actions import DryRun
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Given, Model, Moment, Page, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.core import Core
from naq.server.names import ScheduleName, Task, Token
from naq.server.problems import Problem, wrong

routes = Routes("schedules")
_SHOWN = 5  # runs to come, and runs that were
_ONE = ("not_found", *BROKER)
_CHANGE = (*_ONE, "version_conflict", "precondition_required")
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=200, description="The ETag of what is changed.")]
Seconds = Annotated[int, Field(ge=0, le=366 * 86400)]


class When(Given):
    """When it fires; `cron` or `every_s` is needed in a new one."""

    cron: Annotated[str | None, Field(max_length=200, examples=["0 3 * * *"])] = None
    every_s: Annotated[int | None, Field(ge=1, le=366 * 86400)] = None
    tz: Annotated[str | None, Field(max_length=64, examples=["Europe/Berlin"])] = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    repeat: Annotated[int | None, Field(ge=1, le=1_000_000_000)] = None
    jitter_s: Seconds | None = None
    missed: Annotated[str | None, Field(max_length=20, examples=["latest"])] = None
    overlap: Overlap | None = None

    def timing(self) -> Timing:
        """What was given, as the library has it."""
        given: dict[str, Any] = self.model_dump(exclude_unset=True, include=set(When.model_fields))
        for ours, theirs in (("every_s", "interval"), ("jitter_s", "jitter")):
            if ours in given:
                given[theirs] = given.pop(ours)
        may_be_none = {"start", "end", "repeat"}
        found: Any = {name: value for name, value in given.items() if value is not None or name in may_be_none}
        return found


class NewSchedule(When):
    """A schedule to make."""

    name: Token = Field(examples=["nightly"])
    task: Task = Field(examples=["shop.tasks:report"])
    args: list[Any] = Field(default=[], examples=[[]])
    kwargs: dict[str, Any] = Field(default={}, examples=[{"kind": "full"}])
    queue: Token | None = None
    priority: Priority | None = None
    tags: dict[Token, Annotated[str, Field(max_length=256)]] = Field(default={}, max_length=32)


class ScheduleView(Model):
    """A schedule. `args` and `kwargs` are redacted, and null in lists; `version` is its ETag."""

    name: str
    state: str
    task: str
    queue: str
    priority: Priority
    cron: str
    every_s: int
    tz: str
    words: str
    start: Moment | None
    end: Moment | None
    repeat: int | None
    jitter_s: int
    missed: str
    overlap: Overlap
    source: str
    next: list[Moment]
    last_at: Moment | None
    last_jobs: list[str]
    runs: int
    skipped: list[Moment]
    note: str
    changed_at: Moment | None
    changed_by: str
    tags: dict[str, str]
    version: str
    args: Any = None
    kwargs: Any = None


class Slots(Model):
    """When it would fire, and what that is in words."""

    words: str
    next: list[Moment]


class Backfill(Given):
    """Which slots to fill, and how fast."""

    start: AwareDatetime
    end: AwareDatetime
    rate: Annotated[float | None, Field(gt=0, le=1000)] = None


class Filled(Model):
    """The jobs of a backfill; with `dry_run` those that would be made."""

    count: int
    jobs: list[str]
    audit_id: str


class PauseNote(Given):
    """Why, for others."""

    note: str = Field(default="", max_length=200)


def show(kept: Kept, core: Core, acts: Acts | None = None) -> ScheduleView:
    """As it is shown; with its arguments where `acts` can read them."""
    table, now = kept.table, clock.now()
    past = [tick for tick in (*kept.past, *kept.ahead) if tick.due <= now]
    args: Any = None
    kwargs: Any = None
    if acts is not None and (envelope := acts.jobs.envelope(kept)).codec == JSON:
        args = core.redact(msgspec.json.decode(envelope.args), "args")
        kwargs = core.redact(msgspec.json.decode(envelope.kwargs), "kwargs")
    return ScheduleView(
        name=kept.name,
        state="paused" if kept.paused else "ended" if kept.ended else "active",
        task=kept.template.task,
        queue=kept.template.queue,
        priority=kept.template.priority,
        cron=table.cron,
        every_s=table.interval,
        tz=table.tz,
        words=table.words,
        start=at_seconds(table.start or 0.0),
        end=at_seconds(table.end or 0.0),
        repeat=table.repeat,
        jitter_s=table.jitter,
        missed=table.policy,
        overlap=table.overlap,
        source=f"code of {kept.app}" if kept.app else "run time",
        next=[clock.as_datetime(slot.due) for slot in kept.upcoming(now, _SHOWN)],
        last_at=at_seconds(past[-1].due if past else 0.0),
        last_jobs=[tick_id(kept.name, tick) for tick in past[-_SHOWN:]],
        runs=kept.count - sum(tick.due > now for tick in kept.ahead),
        skipped=[clock.as_datetime(when) for when in kept.skips if when > now],
        note="" if kept.paused is None else kept.paused.note,
        changed_at=at_seconds(kept.changed_at),
        changed_by=kept.changed_by,
        tags=read_tags(kept.template.headers),
        version=etag(kept),
        args=args,
        kwargs=kwargs,
    )


def etag(kept: Kept) -> str:
    """What changes whenever a person changes it, and not when it fires."""
    return f'"{kept.generation}-{len(kept.skips)}-{int(kept.paused is not None)}"'


@routes.add(
    "GET", "/schedules", "listSchedules", "List schedules", problems=("cursor_invalid", "cursor_mismatch", *BROKER)
)
async def list_schedules(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[ScheduleView]:
    """All of them, by name."""
    core = core_of(request)
    async with core.asking() as backend:
        found = await Acts(backend, core.config).all()
    return sliced(
        core, request, response, found, lambda kept: show(kept, core), about="schedules", limit=limit, cursor=cursor,
        key=lambda kept: kept.name,
    )  # fmt: skip


@routes.add("POST", "/schedules/preview", "previewSchedule", "Say when a schedule would fire")
async def preview(request: Request, when: When, count: Annotated[int, Query(ge=1, le=50)] = 5) -> Slots:
    """Makes nothing. Refuses what cannot be, before it is expanded."""
    table = read_timetable("preview", when.timing())
    slots = Schedules.preview(count, **when.timing())
    note(request, target="preview")
    return Slots(words=table.words, next=[clock.as_datetime(slot.due) for slot in slots])


@routes.add("POST", "/schedules", "createSchedule", "Make a schedule", role="admin", status=201,
            problems=("already_exists", *BROKER))  # fmt: skip
async def create(request: Request, response: Response, new: NewSchedule, dry_run: DryRun = False) -> ScheduleView:
    """Its first jobs are in the broker when this answers; with `dry_run` everything is checked, and nothing made."""
    core, by = core_of(request), identity_of(request).name
    table = read_timetable(f"schedule {new.name}", new.timing())
    async with core.asking() as backend:
        known = await core.caller.know(backend, new.task)
        call = known.call(new.args, new.kwargs, queue=new.queue, priority=new.priority, tags=new.tags)
        acts = Acts(backend, core.config)
        template = make_template(new.name, call, acts.jobs)
        if dry_run:
            return show(moves.first(new.name, template, table, clock.now(), by=by), core, acts)
        await backend.open([call.plan.queue])
        kept = await acts.create(new.name, template, table, by=by)
        if kept is None:
            raise Problem("already_exists", f"there is a schedule {new.name!r} already")
        view = show(kept, core, acts)
    response.headers["ETag"] = view.version
    response.headers["Location"] = f"{core.settings.path_prefix}/api/v1/schedules/{new.name}"
    note(request, target=new.name, after=view.model_dump(mode="json", include={"task", "cron", "every_s", "tz"}))
    return view


@routes.add("GET", "/schedules/{name}", "getSchedule", "Show a schedule", problems=_ONE)
async def get_schedule(request: Request, response: Response, name: ScheduleName) -> ScheduleView:
    """With its arguments, redacted. The ETag is for If-Match."""
    core = core_of(request)
    async with core.asking() as backend:
        acts = Acts(backend, core.config)
        view = show(await acts.get(name), core, acts)
    response.headers["ETag"] = view.version
    return view


@routes.add(
    "PATCH", "/schedules/{name}", "editSchedule", "Change when a schedule fires", role="admin", problems=_CHANGE
)
async def edit(
    request: Request, response: Response, name: ScheduleName, when: When, match: IfMatch = None
) -> ScheduleView:
    """What is not given stays. Jobs that are not due yet follow. One that code declares stays so until that changes."""
    timing = when.timing()
    if not timing:
        raise wrong("", "nothing to change was given")

    def move(kept: Kept, now: float) -> Step:
        return moves.change(
            kept, now, table=read_timetable(f"schedule {name}", timing, base=kept.table), by=identity_of(request).name
        )

    return await _change(request, response, name, match, move)


@routes.add("DELETE", "/schedules/{name}", "deleteSchedule", "Remove a schedule", role="admin", problems=_CHANGE)
async def delete(request: Request, name: ScheduleName, match: IfMatch = None) -> Done:
    """And its jobs that wait; what runs goes on."""
    core = core_of(request)
    async with core.asking() as backend:
        acts = Acts(backend, core.config)
        kept = await acts.get(name)
        _check(kept, match)
        done = await acts.delete(name)
    entry = note(request, before={"task": kept.template.task, "cron": kept.table.cron, "every_s": kept.table.interval})
    return Done(id=name, done=done, outcome="deleted", audit_id=entry)


@routes.add("POST", "/schedules/{name}/pause", "pauseSchedule", "Pause a schedule", role="operator", problems=_ONE)
async def pause(
    request: Request, response: Response, name: ScheduleName, given: PauseNote | None = None
) -> ScheduleView:
    """No more jobs until it is resumed; those that wait are taken back."""
    by, why = identity_of(request).name, given.note if given else ""
    return await _change(
        request, response, name, "*",
        lambda kept, now: Step(kept) if kept.paused else moves.pause(kept, now, by=by, note=why),
    )  # fmt: skip


@routes.add("POST", "/schedules/{name}/resume", "resumeSchedule", "Resume a schedule", role="operator", problems=_ONE)
async def resume(request: Request, response: Response, name: ScheduleName) -> ScheduleView:
    """From its next slot on; those in between are not made up for."""
    by = identity_of(request).name
    return await _change(
        request, response, name, "*", lambda kept, now: moves.resume(kept, now, by=by) if kept.paused else Step(kept)
    )


@routes.add("POST", "/schedules/{name}/skip", "skipSchedule", "Leave out the next run", role="operator", problems=_ONE)
async def skip(request: Request, response: Response, name: ScheduleName) -> ScheduleView:
    """Only the next one."""
    return await _change(request, response, name, "*", lambda kept, now: moves.skip_next(kept, now)[0])


@routes.add("POST", "/schedules/{name}/run", "runSchedule", "Run a schedule's job now", role="operator", problems=_ONE)
async def run(request: Request, name: ScheduleName) -> Done:
    """Once, beside its slots, which stay as they are; `id` is the job's."""
    core = core_of(request)
    async with core.asking() as backend:
        job_id = await Acts(backend, core.config).run_now(name)
    entry = note(request, after={"job": job_id})
    return Done(id=job_id, done=True, outcome="queued", audit_id=entry)


@routes.add("POST", "/schedules/{name}/backfill", "backfillSchedule", "Fill in slots of the past", role="admin",
            problems=_ONE)  # fmt: skip
async def backfill(request: Request, name: ScheduleName, given: Backfill, dry_run: DryRun = False) -> Filled:
    """A slot is filled once, however often that is asked for; at most ten thousand at a time."""
    core = core_of(request)
    async with core.asking(timeout=60.0) as backend:
        found = await Acts(backend, core.config).backfill(
            name, clock.as_timestamp(given.start), clock.as_timestamp(given.end), rate=given.rate, dry_run=dry_run
        )
    jobs = [job_id for _, job_id in found]
    entry = note(request, after={"count": 0 if dry_run else len(jobs)})
    return Filled(count=len(jobs), jobs=jobs[:1000], audit_id=entry)


async def _change(
    request: Request, response: Response, name: str, match: str | None, move: Callable[[Kept, float], Step]
) -> ScheduleView:
    """A change by compare-and-set, of the version that `match` names."""
    core = core_of(request)
    before: dict[str, Any] = {}

    def checked(kept: Kept, now: float) -> Step:
        _check(kept, match)
        before.update(show(kept, core).model_dump(mode="json", include=_NOTED))
        return move(kept, now)

    async with core.asking() as backend:
        acts = Acts(backend, core.config)
        view = show(await acts.change(name, checked), core, acts)
    response.headers["ETag"] = view.version
    note(request, before=before, after=view.model_dump(mode="json", include=_NOTED))
    return view


_NOTED = {
    "state",
    "cron",
    "every_s",
    "tz",
    "start",
    "end",
    "repeat",
    "jitter_s",
    "missed",
    "overlap",
    "note",
    "skipped",
}


def _check(kept: Kept, match: str | None) -> None:
    """Refuse a change of another version than the one that is there.

    Raises:
        Problem: ``precondition_required``, or ``version_conflict`` with the version that is there.
    """
    if match is None:
        raise Problem("precondition_required", headers={"ETag": etag(kept)})
    if match != "*" and etag(kept) not in [each.strip() for each in match.split(",")]:
        raise Problem("version_conflict", params={"version": etag(kept)}, headers={"ETag": etag(kept)})
