"""``naq tasks``: what an app can do."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from naq.cli.common import DEFAULT, Common
from naq.cli.errors import UsageError
from naq.cli.output import Column, print_item, print_rows, span
from naq.cli.parameter import Group
from naq.cli.views import TaskView

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.task import Task

app = Group("tasks", "See what an app can do, and try it. Asks no broker.")

app.add("naq.cli.run_task:run", "run", "Run a task here and now, without a broker.")

_COLUMNS: Final[tuple[Column[TaskView], ...]] = (
    Column("TASK", lambda task: task.name),
    Column("PARAMETERS", lambda task: task.parameters),
    Column("QUEUE", lambda task: task.queue),
    Column("TIMEOUT", lambda task: "none" if task.timeout is None else span(task.timeout)),
    Column("ATTEMPTS", lambda task: str(task.max_attempts)),
    Column("RUNS IN", lambda task: task.runs_in),
)


@app.command(name="list")
def list_(target: str | None = None, /, *, common: Common = DEFAULT) -> None:
    """List the tasks of an app.

    Example: naq tasks list tasks:app

    Args:
        target: Where the app is, such as tasks:app (the same as --app).
    """
    found = _load(target, common)
    views = [_view(task) for _, task in sorted(found.tasks.items())]
    print_rows(views, _COLUMNS, common, name="name", empty="the app has no tasks: put @app.task on a function")


@app.command
def show(target: str, task: str | None = None, /, *, common: Common = DEFAULT) -> None:
    """Show one task of an app.

    Example: naq tasks show tasks:app send_mail

    Args:
        target: Where the app is; with --app, the task.
        task: The task.
    """
    name = target if task is None else task
    view = _view(_load(None if task is None else target, common).get_task(name))
    lines = [(column.title.lower(), column.text(view)) for column in _COLUMNS]
    print_item(
        view,
        [*lines, ("version", str(view.version)), ("priority", view.priority), ("help", view.help)],
        common,
        name="name",
    )


def _load(target: str | None, common: Common) -> Naq:
    from naq.worker.loader import load_app

    where = target or common.app
    if where is None:
        raise UsageError("say which app: naq tasks list tasks:app")
    return load_app(where)


def _view(task: Task[..., Any]) -> TaskView:
    declared = task.declared
    runs_in = "process" if task.in_process else "event loop" if task.is_async else "thread"
    return TaskView(
        name=task.name,
        parameters=str(inspect.signature(task.func)),
        queue=declared.queue,
        priority=declared.priority,
        version=declared.version,
        timeout=declared.timeout,
        max_attempts=declared.retry.max_attempts,
        runs_in=runs_in,
        help=inspect.getdoc(task.func) or "",
    )
