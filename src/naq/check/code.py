"""Does an app say what it means? What only shows when a worker starts, or never, without asking any broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from naq import clock
from naq.check.findings import Finding
from naq.codec.envelope import PICKLE
from naq.exceptions import ConfigurationError, NaqException
from naq.scheduler.handle import make_template
from naq.scheduler.ticks import Jobs
from naq.schedules import moves
from naq.schedules.slots import next_slots
from naq.worker.processes.source import Source, check_reachable

if TYPE_CHECKING:
    from naq.app import Naq


def read_code(app: Naq, source: str | None = None) -> list[Finding]:
    """What is wrong with `app`, which is imported from `source` (``module:app``). Runs no task."""
    return [
        *_tasks(app),
        *_versions(app),
        *_groups(app),
        *_processes(app, source),
        *_schedules(app),
        *_settings(app),
    ]


def _tasks(app: Naq) -> Iterator[Finding]:
    if not app.tasks:
        yield Finding(
            level="problem",
            what=app.name,
            text="the app has no tasks: a worker of it would run nothing",
            advice="put @app.task on a function of a module that the app's module imports",
        )


def _versions(app: Naq) -> Iterator[Finding]:
    for name, task in sorted(app.tasks.items()):
        for gap in task.versions.gaps():
            yield Finding(
                level="problem",
                what=name,
                text=f"task {name} has an upcaster from an earlier version and none from {gap}: jobs of both fail",
                advice=f"add @{task.func.__name__}.upcast({gap})",
            )


def _groups(app: Naq) -> Iterator[Finding]:
    said: dict[str, tuple[str, int]] = {}
    for name, task in sorted(app.tasks.items()):
        limits = task.declared.limits
        if limits is None or not limits.group or limits.group_max_concurrency is None:
            continue
        other, most = said.setdefault(limits.group, (name, limits.group_max_concurrency))
        if most != limits.group_max_concurrency:
            yield Finding(
                level="problem",
                what=name,
                text=f"group {limits.group} allows {most} jobs at once by task {other}, "
                f"{limits.group_max_concurrency} by {name}: whoever asks last decides",
                advice="say the same number at each of its tasks",
            )


def _processes(app: Naq, source: str | None) -> Iterator[Finding]:
    for name, task in sorted(app.tasks.items()):
        try:
            check_reachable([task], Source(app=source))
        except ConfigurationError as error:
            yield Finding(level="problem", what=name, text=str(error))


def _schedules(app: Naq) -> Iterator[Finding]:
    if not app.declares:
        return
    jobs, now = Jobs(app.config), clock.now()
    for name, declared in sorted(app.declarations.all.items()):
        try:
            make_template(name, declared.call(), jobs)
        except NaqException as error:
            yield Finding(level="problem", what=name, text=f"schedule {name} cannot be: {error}")
            continue
        if not next_slots(moves.anchored(declared.table, now), now, 1, seed=name):
            yield Finding(
                level="warning",
                what=name,
                text=f"schedule {name} never fires again ({declared.table.words})",
                advice="look at its end and its expression: naq schedules preview",
            )


def _settings(app: Naq) -> Iterator[Finding]:
    config = app.config
    if config.codec == PICKLE and not config.signing_keys:
        yield Finding(
            level="warning",
            what=app.name,
            text="codec='pickle' without signing_keys: whoever can write to the queues can run any code in the workers",
            advice="set signing_keys (docs/signing.md), or use the default codec",
        )
