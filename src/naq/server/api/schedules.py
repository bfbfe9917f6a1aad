"""Schedules: what runs again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Request, Response

from naq import clock
from naq.backends.base import Backend
from naq.scheduler.acts import Acts
from naq.scheduler.handle import Schedules, make_template
from naq.schedules import moves
from naq.schedules.kept import Kept, Template
from naq.schedules.moves import Step
from naq.schedules.timetable import read_timetable
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.job_actions import DryRun
from naq.server.api.job_views import JobItem
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Page
from naq.server.api.routes import BROKER, Routes
from naq.server.api.schedule_views import (
    NOTED,
    Backfill,
    Filled,
    NewSchedule,
    PauseNote,
    ScheduleEdit,
    ScheduleView,
    Slots,
    When,
    called_with,
    etag,
    show,
)
from naq.server.api.versions import CHANGED, IfMatch, check_version
from naq.server.core import Core
from naq.server.names import TASK, ScheduleName
from naq.server.problems import Problem, wrong
from naq.server.store.conditions import Among, JobQuery, Tagged
from naq.server.store.queries import jobs as job_queries

routes = Routes("schedules")
_ONE = ("not_found", *BROKER)
_CHANGE = (*_ONE, *CHANGED)


@routes.add(
    "GET", "/schedules", "listSchedules", "List schedules", problems=("cursor_invalid", "cursor_mismatch", *BROKER)
)
async def list_schedules(
    request: Request,
    response: Response,
    task: Annotated[str | None, Query(pattern=TASK, description="Only those of this task.")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[ScheduleView]:
    """All of them, by name."""
    core = core_of(request)
    async with core.asking() as backend:
        found = [kept for kept in await Acts(backend, core.config).all() if task in {None, kept.template.task}]
    return sliced(
        core, request, response, found, lambda kept: show(kept, core), about=f"schedules {task}", limit=limit,
        cursor=cursor, key=lambda kept: kept.name,
    )  # fmt: skip


@routes.add("POST", "/schedules/preview", "previewSchedule", "Say when a schedule would fire", scope="nothing")
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
        call = known.call(
            new.args, new.kwargs, queue=new.queue, priority=new.priority, tags=new.tags, expires_in=new.expires_in_s
        )
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
    "PATCH", "/schedules/{name}", "editSchedule", "Change a schedule", role="admin", problems=(*_CHANGE, "wrong_state")
)
async def edit(
    request: Request, response: Response, name: ScheduleName, given: ScheduleEdit, match: IfMatch = None
) -> ScheduleView:
    """When it fires, what it runs, or both; jobs that are not due yet follow.

    One that code declares stays so until its declaration changes.
    """
    if not given.model_fields_set:
        raise wrong("", "nothing to change was given")
    core, timing = core_of(request), given.timing()
    async with core.asking() as backend:
        acts = Acts(backend, core.config)
        call = await _other_call(core, backend, acts, await acts.get(name), given) if given.calls else None

    def move(kept: Kept, now: float) -> Step:
        template = acts.jobs.reshaped(kept, call, **given.shape) if call or given.shape else None
        table = read_timetable(f"schedule {name}", timing, base=kept.table) if timing else None
        return moves.change(kept, now, template=template, table=table, by=identity_of(request).name)

    return await _change(request, response, name, match, move)


async def _other_call(core: Core, backend: Backend, acts: Acts, kept: Kept, given: ScheduleEdit) -> Template:
    """What it calls from now on; arguments that are not given stay, and all have to fit the task."""
    there = called_with(kept, acts)
    if there is None and (given.args is None or given.kwargs is None):
        raise Problem(
            "wrong_state", "its arguments are pickled: give both args and kwargs", params={"state": "pickled"}
        )
    args, kwargs = there or ((), {})
    known = await core.caller.know(backend, given.task or kept.template.task)
    call = known.call(args if given.args is None else given.args, kwargs if given.kwargs is None else given.kwargs)
    return make_template(kept.name, call, acts.jobs)


@routes.add("DELETE", "/schedules/{name}", "deleteSchedule", "Remove a schedule", role="admin", problems=_CHANGE)
async def delete(request: Request, name: ScheduleName, match: IfMatch = None) -> Done:
    """And its jobs that wait; what runs goes on."""
    core = core_of(request)
    async with core.asking() as backend:
        acts = Acts(backend, core.config)
        kept = await acts.get(name)
        check_version(match, etag(kept))
        done = await acts.delete(name)
    entry = note(request, before={"task": kept.template.task, "cron": kept.table.cron, "every_s": kept.table.interval})
    return Done(id=name, done=done, outcome="deleted", audit_id=entry)


@routes.add("GET", "/schedules/{name}/runs", "listScheduleRuns", "List a schedule's last jobs", problems=_ONE,
            response_model_exclude_unset=True)  # fmt: skip
async def list_runs(
    request: Request, name: ScheduleName, limit: Annotated[int, Query(ge=1, le=200)] = 30
) -> Page[JobItem]:
    """Those whose time has come, the newest first, also run by hand or filled in; those still to come are left out."""
    core = core_of(request)
    wanted = (Tagged("schedule", name), Among("state", ("scheduled",), negated=True))
    async with core.reading() as connection:
        found = await job_queries.find(connection, JobQuery(conditions=wanted, limit=limit))
    if not found.jobs:  # of one that was deleted the jobs are shown still
        async with core.asking() as backend:
            await Acts(backend, core.config).get(name)
    return Page(items=[JobItem.of(row, core.redact) for row in found.jobs])


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
        check_version(match, etag(kept))
        before.update(show(kept, core).model_dump(mode="json", include=NOTED))
        return move(kept, now)

    async with core.asking() as backend:
        acts = Acts(backend, core.config)
        view = show(await acts.change(name, checked), core, acts)
    response.headers["ETag"] = view.version
    note(request, before=before, after=view.model_dump(mode="json", include=NOTED))
    return view
