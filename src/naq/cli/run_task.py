"""``naq tasks run``: a task in this process, without a broker."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from naq.cli.common import DEFAULT, Common, say
from naq.cli.errors import UsageError
from naq.cli.exits import Exit
from naq.cli.job_text import describe
from naq.cli.output import print_item, print_json
from naq.cli.parameter import Parameter
from naq.cli.text import plain
from naq.cli.values import read_arguments
from naq.cli.views import JobView

if TYPE_CHECKING:
    from naq.job import JobRecord

_TIMEOUT: Final = 30 * 86400.0  # seconds; the task's own timeout holds, and Ctrl-C

Words = Annotated[list[str] | None, Parameter(negative_iterable="")]


def run(target: str, words: Words = None, /, *, common: Common = DEFAULT) -> int:
    """Run a task here and now, once, as a worker would. Asks no broker: jobs that it enqueues stay in this process.

    Arguments are written as for `naq enqueue`, checked and turned into JSON and back; timeout, callbacks and
    middleware hold. Prints the result as JSON. Exit code 1 if it failed, with its traceback.

    Example: naq tasks run tasks:app hello name=world
    Example: naq tasks run hello name=world --app tasks:app

    Args:
        target: Where the app is, such as tasks:app; with --app, the task.
        words: The task, unless --app is given, and what to call it with.
    """
    words = words or []
    if common.app is None and not words:
        raise UsageError(f"say which app and which task: naq tasks run tasks:app {target}")
    where, (task, *arguments) = (target, words) if common.app is None else (common.app, [target, *words])
    record = _run(where, task, arguments)
    view = JobView.of(record)
    if common.json or common.quiet:
        print_item(view, (), common, name="state")
    elif record.state == "succeeded":
        print_json(view.result)
    else:
        for title, text in describe(view, common):
            if title.startswith(("state", "error")) or not title:
                for index, line in enumerate(text.splitlines()):
                    say(f"{'' if index else title:9}{plain(line)}")
    return Exit.DONE if record.state == "succeeded" else Exit.FAILED


def _run(where: str, task: str, arguments: list[str]) -> JobRecord:
    """What became of a job of `task` of the app at `where`, in a store of its own.

    Raises:
        ConfigurationError, SerializationError: there is no such task, or the arguments do not fit it.
    """
    from naq.cli.send import make_call
    from naq.testing import override
    from naq.worker.loader import load_app

    app = load_app(where)
    app.get_task(task)
    with override(app) as jobs:
        [job] = app.enqueue_many_sync([make_call(app, task, {"retries": 0}, read_arguments(arguments))])
        jobs.drain_sync(until=job, timeout=_TIMEOUT)
        return job.record_sync()
