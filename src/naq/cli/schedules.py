"""``naq schedules``: what runs again and again: look, make, change, pause, leave out, fill in."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, say, talk
from naq.cli.common import read_config as settings_of
from naq.cli.errors import UsageError
from naq.cli.exits import Exit
from naq.cli.output import Column, ago, print_item, print_json, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.schedule_text import ScheduleView, SlotView, describe, slot_lines
from naq.cli.schedule_when import ANY, When
from naq.cli.values import read_moment, read_tags
from naq.cli.views import Change
from naq.job import Priority

if TYPE_CHECKING:
    from naq.config import Config
    from naq.scheduler.acts import Acts
    from naq.schedules.kept import Kept

T = TypeVar("T")
app = Group("schedules", "What runs again and again: look, make, change, pause, leave out, fill in.")

app.add("naq.cli.schedule_edit:edit", "edit", "Change when a schedule fires, and what its jobs are.")

Names = Annotated[list[str], Parameter(negative_iterable="")]


@app.command(name="list")
def list_(*, common: Common = DEFAULT) -> None:
    """List schedules: when they fire, what they run, and when next.

    Example: naq schedules list
    """
    config = settings_of(common)
    rows = [ScheduleView.of(kept) for kept in act_on(config, lambda acts: acts.all())]
    columns: list[Column[ScheduleView]] = [
        Column("NAME", lambda row: row.name),
        Column("STATE", lambda row: row.state),
        Column("TASK", lambda row: row.task),
        Column("WHEN", lambda row: f"{row.when} {row.tz}" if row.cron else row.when),
        Column("NEXT", lambda row: ago(row.next[0], common) if row.next else ""),
        Column("LAST", lambda row: ago(row.last, common)),
        Column("RUNS", lambda row: str(row.runs) if row.repeat is None else f"{row.runs}/{row.repeat}"),
    ]
    print_rows(rows, columns, common, name="name", empty="no schedules; see naq schedules create --help")


@app.command
def show(name: str, /, *, common: Common = DEFAULT) -> None:
    """Show all that is known of a schedule: when, what, its next and its last runs.

    Example: naq schedules show nightly

    Args:
        name: The schedule.
    """
    config = settings_of(common)

    async def look(acts: Acts) -> ScheduleView:
        kept = await acts.get(name)
        return ScheduleView.of(kept, acts.jobs.envelope(kept))

    view = act_on(config, look)
    print_item(view, describe(view, common), common, name="name")


@app.command
def create(
    name: str,
    task: str,
    arguments: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    /,
    *,
    when: When = ANY,
    queue: str | None = None,
    priority: Priority | None = None,
    tag: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    common: Common = DEFAULT,
) -> None:
    """Make a schedule that runs a task. With --app, the arguments are checked against the task's parameters.

    Example: naq schedules create nightly report kind=full --cron "0 3 * * *" --tz Europe/Berlin
    Example: naq schedules create poll fetch --every 30s --overlap skip

    Args:
        name: What to call it.
        task: The name of the task.
        arguments: What to call it with, as for naq enqueue.
        queue: Where its jobs wait. Default: the task's queue with --app, else "default".
        priority: In which lane.
        tag: A tag of its jobs, as name=value (may be given several times).
    """
    from naq.cli.send import build_call
    from naq.scheduler.handle import make_template
    from naq.schedules.timetable import read_timetable

    config = settings_of(common)
    table = read_timetable(f"schedule {name}", when.timing)
    call = build_call(task, arguments or [], {"queue": queue, "priority": priority, "tags": read_tags(tag)}, common)

    async def make(acts: Acts) -> Kept | None:
        return await acts.create(name, make_template(name, call, acts.jobs), table, by=who())

    kept = act_on(config, make)
    if kept is None:
        raise UsageError(f"there is a schedule {name!r} already; naq schedules edit {name}, or delete it first")
    show_kept(kept, common)


@app.command
def pause(names: Names, /, *, note: str = "", common: Common = DEFAULT) -> int:
    """Make no more runs until it is resumed; those that wait for their time are taken back.

    Example: naq schedules pause nightly --note "during the move"

    Args:
        names: The schedules.
        note: Why, for others.
    """
    from naq.schedules import moves

    async def act(acts: Acts, name: str) -> str:
        def move(kept: Kept, now: float) -> moves.Step:
            return moves.Step(kept) if kept.paused else moves.pause(kept, now, by=who(), note=note)

        await acts.change(name, move)
        return "paused"

    return _each(common, names, act)


@app.command
def resume(names: Names, /, *, common: Common = DEFAULT) -> int:
    """Go on with a paused schedule, from its next run on; those in between are not made up for.

    Example: naq schedules resume nightly

    Args:
        names: The schedules.
    """
    from naq.schedules import moves

    async def act(acts: Acts, name: str) -> str:
        def move(kept: Kept, now: float) -> moves.Step:
            return moves.resume(kept, now, by=who()) if kept.paused else moves.Step(kept)

        await acts.change(name, move)
        return "active"

    return _each(common, names, act)


@app.command
def run(name: str, /, *, common: Common = DEFAULT) -> None:
    """Enqueue the job of a schedule now, once. Its other runs stay as they are. Prints the job's id.

    Example: naq schedules run nightly

    Args:
        name: The schedule.
    """
    job_id = act_on(settings_of(common), lambda acts: acts.run_now(name))
    print_json({"job_id": job_id}) if common.json else print(job_id)


@app.command
def skip(name: str, /, *, common: Common = DEFAULT) -> int:
    """Leave out the next run of a schedule.

    Example: naq schedules skip nightly

    Args:
        name: The schedule.
    """
    skipped = act_on(settings_of(common), lambda acts: acts.skip_next(name))
    outcome = "no run is to come" if skipped is None else f"{slot_lines([skipped], 'UTC')[0].time} is left out"
    return report([Change(id=name, done=skipped is not None, outcome=outcome)], common)


@app.command
def backfill(
    name: str, /, *, start: Annotated[str, Parameter(name="--from")],
    end: Annotated[str | None, Parameter(name="--until")] = None, rate: float | None = None, consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:  # fmt: skip
    """Enqueue a job for every run of a schedule that lies in the past between two moments. Prints their ids.

    The same moment is filled once, however often it is asked for.

    Example: naq schedules backfill nightly --from 2026-11-01 --until 2026-11-08 --rate 2 --dry-run

    Args:
        name: The schedule.
        start: From here on, such as 2026-11-01T00:00 (local time).
        end: Up to here. Default: now.
        rate: Jobs a second at most. Default: all at once.
    """
    from naq import clock

    first, last = read_moment("--from", start), read_moment("--until", end)
    assert first is not None
    until = clock.now() if last is None else last.timestamp()
    config = settings_of(common)
    found = act_on(config, lambda acts: acts.backfill(name, first.timestamp(), until, rate=rate, dry_run=True))
    if consent.dry_run:
        print_json([job_id for _, job_id in found]) if common.json else say(f"{len(found)} jobs would be enqueued")
        return Exit.DONE
    if not agree(consent, f"Enqueue {len(found)} jobs of {name}?"):
        say("nothing was enqueued")
        return Exit.FAILED
    filled = act_on(config, lambda acts: acts.backfill(name, first.timestamp(), until, rate=rate))
    ids = [job_id for _, job_id in filled]
    print_json(ids) if common.json else print("\n".join(ids))
    return Exit.DONE


@app.command
def preview(
    name: str | None = None, /, *, when: When = ANY, count: Annotated[int, Parameter(name=["--count", "-n"])] = 5,
    common: Common = DEFAULT,
) -> None:  # fmt: skip
    """Show the next runs, exactly as they will be: of a schedule, or of one that is only thought of.

    Example: naq schedules preview nightly -n 10
    Example: naq schedules preview --cron "30 2 * * *" --tz Europe/Berlin

    Args:
        name: The schedule; leave it out to try options.
        count: How many.
    """
    from naq import clock
    from naq.scheduler.handle import Schedules

    timing = when.timing
    if (name is None) == (not timing):
        raise UsageError("give the name of a schedule, or options such as --cron; one of both")
    if name is None:
        due = [slot.due for slot in Schedules.preview(count, **timing)]
        zone = timing.get("tz", "UTC")
    else:
        kept = act_on(settings_of(common), lambda acts: acts.get(name))
        due, zone = [slot.due for slot in kept.upcoming(clock.now(), count)], kept.table.tz
    columns: list[Column[SlotView]] = [
        Column(f"IN {zone}", lambda row: row.time),
        Column("IN UTC", lambda row: row.utc.isoformat().replace("+00:00", "Z")),
        Column("", lambda row: row.note),
    ]
    print_rows(slot_lines(due, zone), columns, common, name="utc", empty="no run is to come")


@app.command
def delete(names: Names, /, *, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove schedules, and their jobs that wait; what runs goes on.

    Example: naq schedules delete nightly --yes

    Args:
        names: The schedules.
    """
    if consent.dry_run:

        async def look(acts: Acts, name: str) -> str:
            await acts.get(name)
            return "would be deleted"

        return _each(common, names, look)
    if not agree(consent, f"Delete {len(names)} schedule{'s' * (len(names) != 1)}?"):
        say("nothing was deleted")
        return Exit.FAILED

    async def act(acts: Acts, name: str) -> str:
        return "deleted" if await acts.delete(name) else ""

    return _each(common, names, act)


def act_on(config: Config, act: Callable[[Acts], Awaitable[T]]) -> T:
    """What `act` returns, given the schedules of the broker that `config` names."""
    from naq.scheduler.acts import Acts

    return talk(config, lambda backend: act(Acts(backend, config)))


def _each(common: Common, names: list[str], act: Callable[[Acts, str], Awaitable[str]]) -> int:
    from naq.exceptions import ScheduleNotFoundError

    async def one(acts: Acts, name: str) -> Change:
        try:
            outcome = await act(acts, name)
        except ScheduleNotFoundError:
            outcome = ""
        return Change(id=name, done=bool(outcome), outcome=outcome or "not found")

    async def all_of(acts: Acts) -> list[Change]:
        return [await one(acts, name) for name in names]

    return report(act_on(settings_of(common), all_of), common)


def show_kept(kept: Kept, common: Common) -> None:
    """Print a schedule."""
    view = ScheduleView.of(kept)
    print_item(view, describe(view, common), common, name="name")


def who() -> str:
    """Who is at the keyboard, for the history of what is changed."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "command line"
