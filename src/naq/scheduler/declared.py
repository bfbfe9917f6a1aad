"""Schedules that an app declares in its code, and bringing what is kept in line with them when a worker starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from naq.exceptions import NaqConnectionError, NaqException
from naq.names import check_token
from naq.scheduler.acts import Acts
from naq.scheduler.handle import make_template
from naq.schedules import moves
from naq.schedules.kept import Kept, Template
from naq.schedules.moves import Step
from naq.schedules.timetable import Timetable, Timing, read_timetable

if TYPE_CHECKING:
    from naq.task.call import Call

log = logging.getLogger("naq.scheduler")


class Declared:
    """``@app.cron`` or ``@app.every`` on a task: its name, when, and the call it makes, built when a worker starts.

    Raises:
        ConfigurationError: the name or an option cannot be.
    """

    def __init__(self, name: str, call: Callable[[], Call[Any]], timing: Mapping[str, Any]) -> None:
        self.name: Final = check_token("schedule", name)
        self.call: Final = call
        self.table: Final[Timetable] = read_timetable(f"schedule {name}", cast("Timing", timing))

    def digest_of(self, call: Call[Any], template: Template) -> str:
        """The same as long as the declaration says the same; `template` is what a schedule would keep of its `call`."""
        arguments = _arguments(call)
        said = msgspec.json.encode(
            [self.table, template.task, template.queue, template.priority, sorted(template.headers.items()),
             template.expires_in]
        )  # fmt: skip
        return blake2b(said + arguments, digest_size=8).hexdigest()


async def reconcile(acts: Acts, app: str, declared: Collection[Declared]) -> int:
    """Bring the schedules that the app `app` declares in line with its code; how many were made, changed or removed.

    What was made at run time is never touched, also where it has the name of a declared one. A declared schedule that
    was edited or paused at run time stays so until its declaration changes; a pause stays even then. One that is not
    declared any more is removed, except that an app without any declaration removes nothing: it may be a program that
    only enqueues.
    """
    done = 0
    for each in declared:
        try:
            done += await _bring(acts, app, each)
        except NaqConnectionError:
            raise
        except NaqException as error:  # one that cannot be must not keep the others, nor the jobs of any
            log.error("schedule %s, as the code has it, cannot be: %s", each.name, error)
    names = {each.name for each in declared}
    if names:
        for kept in await acts.all():
            if kept.app == app and kept.name not in names and await acts.delete(kept.name):
                log.info("schedule %s is not declared any more: removed", kept.name)
                done += 1
    return done


async def _bring(acts: Acts, app: str, each: Declared) -> bool:
    call = each.call()
    template = make_template(each.name, call, acts.jobs)
    digest = each.digest_of(call, template)
    if await acts.create(each.name, template, each.table, app=app, declared=digest, by="code") is not None:
        log.info("schedule %s: %s", each.name, each.table.words)
        return True
    is_changed = False

    def move(kept: Kept, now: float) -> Step:
        nonlocal is_changed
        is_changed = kept.app == app and kept.declared != digest
        if not is_changed:
            if kept.app != app:
                log.warning(
                    "schedule %s is declared by app %s, but %s has one of this name, which stays as it is",
                    each.name, app, f"app {kept.app}" if kept.app else "somebody at run time",
                )  # fmt: skip
            return Step(kept)
        return moves.change(kept, now, template=template, table=each.table, declared=digest, by="code")

    await acts.change(each.name, move)
    if is_changed:
        log.info("schedule %s was changed: %s", each.name, each.table.words)
    return is_changed


def _arguments(call: Call[Any]) -> bytes:
    """The arguments and options of a call as they would travel, without what is new each time."""
    plan = call.plan
    args, kwargs = plan.signature.encode(call.args, call.kwargs)
    said = bytes(args) + b" " + bytes(kwargs) + repr((plan.options.timeout, plan.options.retry)).encode()
    return said if plan.version == 1 else said + b" %d" % plan.version
