"""``naq top``: everything at a glance, live."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from naq.cli.board import Board, gauge
from naq.cli.common import DEFAULT, Common, ask, read_config, talk
from naq.cli.exits import Exit
from naq.cli.output import Column, ago, print_json, print_table
from naq.cli.parameter import Parameter
from naq.cli.text import counted, plain
from naq.cli.values import read_duration
from naq.cli.views import JobView, LetterView, QueueView, Top

if TYPE_CHECKING:
    from naq.backends.base import Backend

_LEAST: Final = 0.2  # seconds between two looks; a look is some requests for every queue


def top(
    *,
    interval: Annotated[str, Parameter(name=["--interval", "-i"])] = "1s",
    once: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common = DEFAULT,
) -> int:
    """Watch queues, running jobs and failures, live. With --once print them plainly and end.

    Keys: q quits, p pauses, s sorts the queues, f filters, Tab changes the pane, arrows choose,
    Enter shows a job, c cancels it, r runs a failed one again.

    Example: naq top -i 2s
    Example: naq top --once --json

    Args:
        interval: How often to look, such as 1s.
        once: Look once and print it; what --json and -q do as well.
    """
    seconds = max(read_duration("--interval", interval) or 0.0, _LEAST)
    if once or common.json or common.quiet:
        _print(ask(common, Board().look), common)
        return Exit.DONE
    from naq.cli.keys import Keys
    from naq.cli.screen import Screen

    config = read_config(common)

    async def act(backend: Backend) -> None:
        screen = Screen(backend, common, config.namespace, seconds)
        await screen.run(keys)

    with Keys(instead="add --once to print everything once") as keys:
        talk(config, act)
    return Exit.DONE


def headline(seen: Top) -> str:
    """Everything in a line."""
    queued = sum(queue.queued for queue in seen.queues)
    slots = sum(worker.concurrency for worker in seen.workers)
    running = sum(queue.running for queue in seen.queues)
    parts = [
        f"{queued:,} queued",
        f"{running:,}/{slots:,} running",
        counted(len(seen.workers), "worker"),
        "- done/s" if seen.done_per_second is None else f"{seen.done_per_second:,.1f} done/s",
        "- failed/s" if seen.failed_per_second is None else f"{seen.failed_per_second:,.1f} failed/s",
        f"{len(seen.failed):,}{'+' if len(seen.failed) >= 50 else ''} dead letters",
    ]
    return "   ".join(parts)


def queue_columns() -> list[Column[QueueView]]:
    """The columns of the queues."""
    return [
        Column("QUEUE", lambda queue: queue.queue),
        Column("STATE", lambda queue: queue.state),
        Column("QUEUED", lambda queue: f"{queue.queued:,}"),
        Column("RUNNING", lambda queue: f"{queue.running:,}" + ("" if queue.limit is None else f"/{queue.limit}")),
        Column("SCHEDULED", lambda queue: f"{queue.scheduled:,}"),
        Column("WORKERS", lambda queue: str(queue.workers)),
    ]


def job_columns(common: Common) -> list[Column[JobView]]:
    """The columns of running jobs."""
    return [
        Column("RUNNING JOB", lambda job: job.id),
        Column("TASK", lambda job: job.task),
        Column("QUEUE", lambda job: job.queue),
        Column("ATTEMPT", lambda job: str(job.attempt)),
        Column("ENQUEUED", lambda job: ago(job.enqueued_at, common)),
    ]


def letter_columns(common: Common) -> list[Column[LetterView]]:
    """The columns of failures."""
    return [
        Column("FAILED JOB", lambda letter: letter.id),
        Column("TASK", lambda letter: letter.task),
        Column("QUEUE", lambda letter: letter.queue),
        Column("WHEN", lambda letter: ago(letter.at, common)),
        Column("REASON", lambda letter: letter.reason[:200]),
    ]


def _print(seen: Top, common: Common) -> None:
    if common.json:
        print_json(seen)
        return
    print(headline(seen))
    if common.quiet:
        return
    slots = sum(worker.concurrency for worker in seen.workers)
    print(f"[{gauge(sum(queue.running for queue in seen.queues), slots, 40)}]")
    tables: list[tuple[list[Column[Any]], list[Any]]] = [
        (queue_columns(), list(seen.queues)),
        (job_columns(common), list(seen.running)),
        (letter_columns(common), list(seen.failed)),
    ]
    for columns, rows in tables:
        if rows:
            print()
            print_table(columns, [[plain(column.text(row)) for column in columns] for row in rows])
