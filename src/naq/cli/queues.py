"""``naq queues``: look at queues, pause them, limit them, empty them, move what waits."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, ask, read_config, say, talk
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.exits import Exit
from naq.cli.output import Column, print_item, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.views import Change, QueueView
from naq.config.suggest import hint
from naq.job import JobState
from naq.names import check_token

if TYPE_CHECKING:
    from naq.backends.base import Backend, QueueStats
    from naq.cli.progress import Progress

app = Group("queues", "Look at queues, pause them, limit them, empty them, move what waits.")

_WAITING: Final = frozenset({JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING, JobState.BLOCKED})
_LOOK: Final = 0.5  # seconds between two looks at how far a purge is

Names = Annotated[list[str], Parameter(negative_iterable="")]

_COLUMNS: Final[tuple[Column[QueueView], ...]] = (
    Column("QUEUE", lambda queue: queue.queue),
    Column("STATE", lambda queue: queue.state),
    Column("QUEUED", lambda queue: f"{queue.queued:,}"),
    Column("RUNNING", lambda queue: f"{queue.running:,}" + ("" if queue.limit is None else f"/{queue.limit}")),
    Column("SCHEDULED", lambda queue: f"{queue.scheduled:,}"),
    Column("WORKERS", lambda queue: str(queue.workers)),
)


@app.command(name="list")
def list_(*, common: Common = DEFAULT) -> None:
    """List the queues with their counts.

    Example: naq queues list
    """
    queues = ask(common, _views)
    print_rows(queues, _COLUMNS, common, name="queue", empty="no queues yet: the first job of a queue makes it")
    _warn(queues, common)


@app.command
def show(queue: str, /, *, common: Common = DEFAULT) -> None:
    """Show one queue.

    Example: naq queues show mail

    Args:
        queue: The queue.
    """
    views = ask(common, _views)
    found = next((view for view in views if view.queue == queue), None)
    if found is None:
        raise _unknown(queue, [view.queue for view in views])
    lines = [(column.title.lower(), column.text(found)) for column in _COLUMNS]
    print_item(found, lines, common, name="queue")
    _warn([found], common)


@app.command
def pause(queues: Names, /, *, reason: str = "", common: Common = DEFAULT) -> int:
    """Hand out nothing more of these queues until `resume`; what runs goes on.

    Example: naq queues pause mail --reason "the provider is down"

    Args:
        queues: The queues.
        reason: Why; naq jobs why shows it, with your name and the time.
    """
    from naq.limits import pauses

    by = pauses.who()
    return _each(common, queues, "paused", lambda backend, queue: pauses.pause(backend, queue, by=by, why=reason))


@app.command
def resume(queues: Names, /, *, common: Common = DEFAULT) -> int:
    """End a pause.

    Example: naq queues resume mail

    Args:
        queues: The queues.
    """
    from naq.limits import pauses

    return _each(common, queues, "active", pauses.resume)


@app.command
def limit(queue: str, jobs: str, /, *, common: Common = DEFAULT) -> int:
    """Let at most so many jobs of a queue run at once, in all workers together.

    Example: naq queues limit mail 5

    Args:
        queue: The queue.
        jobs: How many, or "none" for no limit.
    """
    if jobs != "none" and not (jobs.isascii() and jobs.isdigit() and int(jobs)):
        raise UsageError(
            f"the limit is {jobs!r}; write a number from 1, or none (to hold a queue still: naq queues pause)"
        )
    most = None if jobs == "none" else int(jobs)
    outcome = "no limit" if most is None else f"at most {most} at once"
    return _each(common, [queue], outcome, lambda backend, name: backend.limit(name, most))


@app.command
def purge(queues: Names, /, *, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove every waiting job of these queues. Running ones go on. There is no way back.

    Example: naq queues purge mail --dry-run

    Args:
        queues: The queues.
    """

    async def count(backend: Backend) -> list[Change]:
        await _check(backend, queues)
        return [
            Change(id=stats.queue, done=True, outcome=f"{waiting:,} waiting jobs would be removed", count=waiting)
            for stats in await backend.stats(queues)
            for waiting in [_waiting(stats)]
        ]

    async def act(backend: Backend) -> list[Change]:
        from naq.cli.progress import Progress

        with Progress("removing", total=total) as progress:
            removed = [(queue, await _purge(backend, queue, progress)) for queue in queues]
        return [Change(id=name, done=True, outcome=f"{n:,} jobs removed", count=n) for name, n in removed]

    found = ask(common, count)
    if consent.dry_run:
        return report(found, common)
    total = sum(change.count for change in found)
    if not agree(consent, f"Remove {total:,} waiting jobs of {', '.join(queues)} for good?"):
        say("nothing was removed")
        return Exit.FAILED
    return report(ask(common, act), common)


@app.command
def move(
    queue: str,
    to: str,
    /,
    *,
    task: str = "",
    limit: int | None = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Move the waiting jobs of a queue to another one. Running ones go on where they are.

    They keep their ids, priorities, times, attempts, tags and unique keys. While they move, nothing of the queue
    that they leave is handed out. Killed in between, it leaves each job in one of the two queues; type it again.

    Example: naq queues move mail mail-slow --task 'newsletter_*'

    Args:
        queue: The queue that they leave.
        to: The queue that they go to; made if there is none.
        task: Only jobs of this task; a * stands for anything.
        limit: At most so many, those that have waited longest first.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit} moves nothing; write a number from 1, or leave it out for all")
    if queue == to:
        raise UsageError(f"jobs of {queue} are there already; name another queue to move them to")
    check_token("queue", to)
    config = read_config(common)

    async def count(backend: Backend) -> tuple[int, bool]:
        known = await _check(backend, [queue])
        if task:
            from naq.cli.filters import Filter, find, read

            found = len(await find(backend, config, read(Filter(queue=queue, task=task)), within=_WAITING))
        else:
            [stats] = await backend.stats([queue])
            found = _waiting(stats)
        return found if limit is None else min(found, limit), to in known

    async def act(backend: Backend) -> int:
        from naq.cli.progress import Progress
        from naq.flow.moving import move as move_jobs

        with Progress("moving", total=total) as progress:
            return await move_jobs(backend, config, queue, to, task=task, limit=limit, tell=progress.add)

    total, there = talk(config, count)
    if not (there or common.quiet):
        say(f"queue {to} is new: start a worker with naq worker APP -q {to}")
    if consent.dry_run:
        return report([_moved(queue, total, f"{total:,} waiting jobs would be moved to {to}")], common)
    if not agree(consent, f"Move {total:,} waiting jobs of {queue} to {to}?"):
        say("nothing was moved")
        return Exit.FAILED
    moved = talk(config, act)
    if moved < total:
        say(f"{total - moved:,} were not moved: a worker took them first, or their unique key is taken in {to}")
    return report([_moved(queue, moved, f"{moved:,} jobs moved to {to}")], common)


def _moved(queue: str, count: int, outcome: str) -> Change:
    return Change(id=queue, done=True, outcome=outcome, count=count)


def _each(common: Common, queues: list[str], outcome: str, act: Callable[[Backend, str], Awaitable[object]]) -> int:
    async def all_of(backend: Backend) -> list[Change]:
        await _check(backend, queues)
        for queue in queues:
            await act(backend, queue)
        return [Change(id=queue, done=True, outcome=outcome) for queue in queues]

    return report(ask(common, all_of), common)


async def _purge(backend: Backend, queue: str, progress: Progress) -> int:
    """Purge `queue`; how far that is, its counts tell."""
    from naq.flow import purging

    [before] = await backend.stats([queue])
    seen, waiting = 0, _waiting(before)
    going_on = asyncio.ensure_future(purging.purge(backend, queue))
    try:
        while not (await asyncio.wait({going_on}, timeout=_LOOK))[0]:
            [now] = await backend.stats([queue])
            gone = max(waiting - _waiting(now), seen)  # jobs may come in meanwhile: a bar does not go back
            progress.add(gone - seen)
            seen = gone
        removed = await going_on
    finally:
        if not going_on.done():
            going_on.cancel()
            await asyncio.wait({going_on})
    progress.add(max(removed - seen, 0))
    return removed


def _waiting(stats: QueueStats) -> int:
    """Jobs that a purge removes."""
    return stats.queued + stats.scheduled + stats.blocked


async def _check(backend: Backend, queues: list[str]) -> list[str]:
    """The known queues; refuses any that do not exist: a pause of a misspelt one would make it, and hold nothing."""
    known = [stats.queue for stats in await backend.stats()]
    for queue in queues:
        if queue not in known:
            raise _unknown(queue, known)
    return known


def _unknown(queue: str, known: list[str]) -> NotFoundError:
    return NotFoundError(f"there is no queue {queue!r} in this namespace; {hint(queue, known)}")


async def _views(backend: Backend) -> list[QueueView]:
    workers = await backend.workers()
    return [QueueView.of(stats, workers) for stats in sorted(await backend.stats(), key=lambda stats: stats.queue)]


def _warn(queues: list[QueueView], common: Common) -> None:
    """Say what to do where jobs wait and nobody is there to run them."""
    stuck = [queue.queue for queue in queues if queue.state == "no workers" and queue.queued]
    if stuck and not (common.quiet or common.json):
        say(f"nobody works on {', '.join(stuck)}: start a worker with naq worker APP -q {','.join(stuck)}")
