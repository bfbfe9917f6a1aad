"""``naq workers``: who works, and telling them to go."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING

from naq.cli.common import DEFAULT, Common, ask
from naq.cli.errors import NotFoundError
from naq.cli.output import Column, ago, print_item, print_rows
from naq.cli.parameter import Group
from naq.cli.views import WorkerView
from naq.config.suggest import hint

if TYPE_CHECKING:
    from naq.backends.base import Backend

app = Group("workers", "See who works, and tell them to go.")

app.add("naq.cli.order:drain", "drain", "Tell workers to end when their running jobs have.")
app.add("naq.cli.order:stop", "stop", "Tell workers to stop, as Ctrl-C does.")
app.add("naq.cli.slots:pause", "pause", "Have workers claim nothing more, and stay.")
app.add("naq.cli.slots:resume", "resume", "Have workers claim again, as they were started.")
app.add("naq.cli.slots:slots", "slots", "Change how many jobs workers run at once.")
app.add("naq.cli.stacks:worker_stack", "stack", "Say where the jobs of a worker are in their code.")


@app.command(name="list")
def list_(*, common: Common = DEFAULT) -> None:
    """List the workers that run now.

    Example: naq workers list
    """
    columns: list[Column[WorkerView]] = [
        Column("WORKER", lambda worker: worker.id),
        Column("STATE", lambda worker: "paused" if worker.concurrency == 0 else worker.state),
        Column("QUEUES", lambda worker: ",".join(worker.queues)),
        Column("RUNNING", lambda worker: f"{worker.running}/{worker.concurrency}"),
        Column("DONE", lambda worker: f"{worker.processed:,}"),
        Column("FAILED", lambda worker: f"{worker.failed:,}"),
        Column("UP SINCE", lambda worker: ago(worker.started_at, common)),
        Column("VERSION", lambda worker: f"{worker.version} {worker.code}".strip()),
    ]
    empty = "no worker runs: start one with naq worker APP (such as naq worker tasks:app)"
    print_rows(ask(common, _views), columns, common, name="id", empty=empty)


@app.command
def show(worker_id: str, /, *, common: Common = DEFAULT) -> None:
    """Show one worker.

    Example: naq workers show laptop-4711

    Args:
        worker_id: The worker, as `naq workers list` names it.
    """
    workers = {worker.id: worker for worker in ask(common, _views)}
    worker = workers.get(worker_id)
    if worker is None:
        raise NotFoundError(f"no worker {worker_id!r} runs; {hint(worker_id, workers)}")
    lines = [
        ("worker", worker.id),
        ("state", worker.state),
        ("queues", ", ".join(worker.queues)),
        ("tasks", ", ".join(worker.tasks)),
        ("running", f"{worker.running} of {worker.concurrency}" + _started_with(worker)),
        ("jobs", ", ".join(f"{job.task} {job.id} ({ago(job.started_at, common)})" for job in worker.jobs)),
        ("done", f"{worker.processed:,} ({worker.failed:,} failed)"),
        ("process", f"{worker.pid} on {worker.host}, naq {worker.version}, Python {worker.python}"),
        ("code", worker.code),
        (
            "memory",
            f"{size(worker.memory)}" + (f", children {size(worker.children_memory)}" if worker.children else ""),
        ),
        ("cpu", f"{worker.cpu:.2f} cores, event loop blocked for {worker.loop_lag:.3f} s at most"),
        ("threads", f"{worker.threads_busy} busy of {worker.threads}; {worker.children} child processes"),
        ("leads", ", ".join(worker.leads)),
        ("started", ago(worker.started_at, common)),
        ("seen", ago(worker.seen_at, common)),
    ]
    print_item(worker, lines, common, name="id")


def _started_with(worker: WorkerView) -> str:
    return "" if worker.slots in {0, worker.concurrency} else f", started with {worker.slots}"


def size(count: int) -> str:
    """Bytes of memory, in words; "" where nobody said."""
    return f"{count / 1024**2:.0f} MiB" if count else ""


async def _views(backend: Backend) -> list[WorkerView]:
    return [WorkerView.of(info) for info in sorted(await backend.workers(), key=lambda info: info.id)]
