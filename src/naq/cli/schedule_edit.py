"""``naq schedules edit``: another time, another job, or both."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from naq.cli.common import DEFAULT, Common, read_config
from naq.cli.errors import UsageError
from naq.cli.parameter import Parameter
from naq.cli.schedule_when import ANY, When
from naq.cli.schedules import act_on, show_kept, who
from naq.cli.values import read_duration, read_tags
from naq.job import Priority

if TYPE_CHECKING:
    from naq.scheduler.acts import Acts
    from naq.schedules.kept import Kept


def edit(
    name: str,
    arguments: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    /,
    *,
    when: When = ANY,
    task: str | None = None,
    no_arguments: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    queue: str | None = None,
    priority: Priority | None = None,
    tag: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    expires_in: str | None = None,
    common: Common = DEFAULT,
) -> None:
    """Change when a schedule fires, and what its jobs are; what is not given stays. Runs that are not due yet follow.

    Arguments replace all of those before; with --app they are checked against the task's parameters. A schedule that
    is declared in code stays changed until its declaration changes.

    Example: naq schedules edit nightly --cron "30 3 * * *"
    Example: naq schedules edit nightly kind=short --queue slow --app tasks:app

    Args:
        name: The schedule.
        arguments: What to call the task with, instead of what it is called with now; as for naq enqueue.
        task: Run this task instead.
        no_arguments: Call it without arguments.
        queue: Where its jobs wait.
        priority: In which lane.
        tag: A tag of its jobs, as name=value (may be given several times); instead of those it has.
        expires_in: A run that has not started this long after it was due does not start any more, such as 1h.
    """
    from naq.cli.send import build_call
    from naq.scheduler.handle import make_template
    from naq.schedules import moves
    from naq.schedules.timetable import read_timetable

    timing, calls = when.timing, bool(arguments or task or no_arguments)
    expires = read_duration("--expires-in", expires_in)
    if not (timing or calls or queue or priority or tag or expires):
        raise UsageError("nothing to change was given; see naq schedules edit --help")
    if task is not None and not arguments and not no_arguments:
        raise UsageError("--task needs the arguments that it is to be called with, or --no-arguments")

    async def change(acts: Acts) -> Kept:
        known = (await acts.get(name)).template.task
        call = build_call(task or known, arguments or [], {}, common) if calls else None
        template = None if call is None else make_template(name, call, acts.jobs)

        def move(kept: Kept, now: float) -> moves.Step:
            return moves.change(
                kept,
                now,
                template=acts.jobs.reshaped(
                    kept, template, queue=queue, priority=priority, tags=read_tags(tag) if tag else None,
                    expires_in=expires,
                ),
                table=read_timetable(f"schedule {name}", timing, base=kept.table) if timing else None,
                by=who(),
            )  # fmt: skip

        return await acts.change(name, move)

    show_kept(act_on(read_config(common), change), common)
