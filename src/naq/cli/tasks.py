"""``naq tasks``: what an app can do; holding one of its tasks."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from naq.cli.changes import report
from naq.cli.common import DEFAULT, Common, ask
from naq.cli.errors import NotFoundError
from naq.cli.output import Column, print_item, print_rows, span
from naq.cli.parameter import Group, Parameter
from naq.cli.views import Change, TaskView
from naq.config.suggest import hint
from naq.limits import pauses

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import Backend
    from naq.task import Task

app = Group("tasks", "See what an app can do, and try it; pause a task and resume it.")

Names = Annotated[list[str], Parameter(negative_iterable="")]

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
    """List the tasks of an app, or without one those that workers have described.

    Example: naq tasks list tasks:app

    Args:
        target: Where the app is, such as tasks:app (the same as --app).
    """
    views = _views(target, common)
    empty = "no worker has described a task" if target is None and common.app is None else "the app has no tasks"
    print_rows(
        [views[name] for name in sorted(views)], _COLUMNS, common,
        name="name", empty=f"{empty}: put @app.task on a function",
    )  # fmt: skip


@app.command
def show(target: str, task: str | None = None, /, *, common: Common = DEFAULT) -> None:
    """Show one task of an app, or as workers have described it.

    Example: naq tasks show tasks:app send_mail
    Example: naq tasks show send_mail

    Args:
        target: Where the app is; the task, with --app or where the app does not matter.
        task: The task.
    """
    name, views = target if task is None else task, _views(None if task is None else target, common)
    if name not in views:
        raise NotFoundError(f"there is no task {name!r}; {hint(name, views)}")
    view = views[name]
    lines = [(column.title.lower(), column.text(view)) for column in _COLUMNS]
    print_item(
        view,
        [*lines, ("version", str(view.version)), ("priority", view.priority), ("help", view.help)],
        common,
        name="name",
    )


@app.command
def pause(tasks: Names, /, *, reason: str = "", common: Common = DEFAULT) -> int:
    """Start no job of these tasks until `resume`; what runs goes on, and so do other tasks of their queues.

    Example: naq tasks pause send_mail --reason "the provider is down"

    Args:
        tasks: The tasks.
        reason: Why; naq jobs why shows it, with your name and the time.
    """
    by = pauses.who()

    async def act(backend: Backend, task: str) -> Change:
        done = await pauses.pause_task(backend, task, by=by, why=reason)
        return Change(id=task, done=done, outcome="paused" if done else "is paused already")

    return _each(tasks, act, common)


@app.command
def resume(tasks: Names, /, *, common: Common = DEFAULT) -> int:
    """End a pause; jobs that were put back meanwhile come again within 30 s.

    Example: naq tasks resume send_mail

    Args:
        tasks: The tasks.
    """

    async def act(backend: Backend, task: str) -> Change:
        done = await pauses.resume_task(backend, task)
        return Change(id=task, done=done, outcome="resumed" if done else "is not paused")

    return _each(tasks, act, common)


def _each(tasks: Sequence[str], act: Callable[[Backend, str], Awaitable[Change]], common: Common) -> int:
    """Do it to each, once all are known to be tasks."""
    declared = () if common.app is None else _load(common.app).tasks

    async def each(backend: Backend) -> list[Change]:
        from naq.task.describe import said  # costs time that the other commands need not take

        known = {*declared, *(await said(backend)), *(await pauses.paused_tasks(backend))}
        if unknown := next((task for task in tasks if task not in known), None):
            raise NotFoundError(f"no worker has said that it knows a task {unknown!r}; {hint(unknown, sorted(known))}")
        return [await act(backend, task) for task in tasks]

    return report(ask(common, each), common)


def _views(target: str | None, common: Common) -> dict[str, TaskView]:
    """The tasks of the app that is named, else those that workers have described."""
    where = target or common.app
    return ask(common, _said) if where is None else {name: _view(task) for name, task in _load(where).tasks.items()}


async def _said(backend: Backend) -> dict[str, TaskView]:
    from naq.task.describe import said

    return {
        name: TaskView(
            name=name,
            parameters=one.signature,
            queue=one.queue,
            priority=one.priority,
            version=one.version,
            timeout=one.timeout,
            max_attempts=one.max_attempts,
            runs_in=one.runs_in,
            help=one.help,
        )
        for name, one in (await said(backend)).items()
    }


def _load(where: str) -> Naq:
    from naq.worker.loader import load_app

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
