"""Reading all that waits on a broker, and its schedules and handlers, and judging it by the code. Writes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from naq import clock
from naq.check.findings import WAITS, Groups, Kind, Problem, Report
from naq.check.judge import Judge
from naq.config import Config
from naq.events.handling import known
from naq.exceptions import NaqException, SerializationError
from naq.job import JobSpec, JobState
from naq.scheduler.handle import make_template
from naq.scheduler.planner import KIND
from naq.scheduler.ticks import Jobs, read_tick
from naq.schedules.kept import Kept, decode_kept

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import Backend

_PAGE: Final = 5000  # jobs that are asked for at once
_NONE: Final[frozenset[Kind]] = frozenset()


async def read_broker(
    backend: Backend,
    app: Naq,
    config: Config,
    *,
    imports: Sequence[str] = (),
    allow_waiting: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """What waits on `backend`, which is open, judged by `app`; `config` is its settings with that broker's URL.

    `allow_waiting`: that no code here knows a task, or its version, is only a warning; other workers may. `progress` is
    told how many more jobs have been read. Types of arguments are made, and upcasters run; tasks never do.

    Raises:
        NaqConnectionError: the broker cannot be reached any more.
    """
    judge, groups, jobs = Judge(app, config, imports), Groups(), Counter[str]()
    kept, broken = await _schedules(backend)
    gone = _superseded(app, config, kept)
    replaced, cursor = 0, None
    while page := await backend.unfinished(after=cursor, limit=_PAGE):
        for cursor, spec in page:  # noqa: B007  the last one is where the next page begins
            state = _state(spec)
            jobs[state] += 1
            if (tick := read_tick(spec.headers)) is not None and tick[0] in gone and state == JobState.SCHEDULED:
                replaced += 1
            elif (problem := judge.job(spec)) is not None:
                groups.add(problem, example=spec.id, state=state, queue=spec.queue)
        if progress is not None:
            progress(len(page))
        await asyncio.sleep(0)
    for name, why in broken:
        groups.add(Problem("schedule", "", why), example=name, state="schedule", queue="")
    _judge_schedules(judge, groups, Jobs(config), [each for each in kept if each.name not in gone])
    await _handlers(backend, app, config, groups)
    return Report(
        jobs=dict(jobs),
        schedules=len(kept) + len(broken),
        refused=groups.refused(fine=WAITS if allow_waiting else _NONE),
        expired=judge.expired,
        unread=judge.unread,
        replaced=replaced,
    )


def _state(spec: JobSpec) -> str:
    """Where it stands, as far as its own data say: what runs is among the queued."""
    if spec.blocked:
        return JobState.BLOCKED.value
    if spec.run_at is not None and spec.run_at > clock.now():
        return JobState.RETRYING.value if spec.attempt > 1 else JobState.SCHEDULED.value
    return JobState.QUEUED.value


async def _schedules(backend: Backend) -> tuple[list[Kept], list[tuple[str, str]]]:
    """The schedules, and those that cannot be read with why not."""
    kept: list[Kept] = []
    broken: list[tuple[str, str]] = []
    for entry in await backend.entries(KIND):
        try:
            kept.append(decode_kept(entry.value))
        except SerializationError as error:
            broken.append((entry.key, str(error)))
    return kept, broken


def _superseded(app: Naq, config: Config, kept: Sequence[Kept]) -> set[str]:
    """The schedules that the first worker with this code changes or removes, with what is stored ahead of them."""
    if not app.declares:
        return set()
    declared, jobs = app.declarations.all, Jobs(config)
    gone: set[str] = set()
    for each in kept:
        if each.app != app.name:
            continue
        there = declared.get(each.name)
        if there is None:
            gone.add(each.name)
            continue
        try:
            call = there.call()
            if there.digest_of(call, make_template(each.name, call, jobs)) != each.declared:
                gone.add(each.name)
        except NaqException:
            continue  # the check of the code says so
    return gone


def _judge_schedules(judge: Judge, groups: Groups, jobs: Jobs, kept: Sequence[Kept]) -> None:
    for each in kept:
        try:
            problem = judge.envelope(jobs.envelope(each))
        except SerializationError as error:
            problem = Problem("keys", each.template.task, str(error).removeprefix("malformed job: "))
        if problem is not None:
            groups.add(problem, example=each.name, state="schedule", queue=each.template.queue)


async def _handlers(backend: Backend, app: Naq, config: Config, groups: Groups) -> None:
    """Handlers of events that workers once brought: without their task, their jobs wait."""
    for handler in await known(backend, config):
        if handler.task not in app.tasks:
            reason = f"events {', '.join(handler.patterns)} make jobs for it; naq events forget ends that"
            groups.add(Problem("handler", handler.task, reason), example=handler.task, state="handler",
                       queue=handler.queue)  # fmt: skip
