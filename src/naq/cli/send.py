"""What ``naq enqueue`` does: checks, stores, and waits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec
from msgspec import Raw

from naq.app import Naq
from naq.cli.common import Common, patience, read_config, refuse_memory, say
from naq.cli.errors import UsageError
from naq.cli.jobs import print_result, view
from naq.cli.output import print_json
from naq.cli.progress import Progress
from naq.cli.text import plain
from naq.cli.values import read_arguments, read_duration, read_line, read_moment, read_tags
from naq.cli.views import Enqueued
from naq.config.suggest import suggest
from naq.exceptions import SerializationError
from naq.task import JobSettings

if TYPE_CHECKING:
    from naq.handle import Job
    from naq.job import JobRecord, Priority
    from naq.task import Call
    from naq.task.taken import Taken

_BATCH: Final = 1000  # lines of a file enqueued together; some 100 KB, and a step of the progress bar

Arguments = tuple[list[Any], dict[str, Any]]


class Order(NamedTuple):
    """What the command line said; see `naq.cli.enqueue.enqueue`."""

    task: str
    words: list[str]
    queue: str | None
    priority: Priority | None
    delay: str | None
    at: str | None
    tags: list[str]
    job_id: str | None
    wait: bool
    follow: bool
    timeout: str | None
    file: Path | None
    after: Sequence[str] = ()
    force: bool = False


def send(order: Order, common: Common) -> int:
    """Do what `order` says; the exit code.

    Raises:
        UsageError: it contradicts itself.
        NaqException: as `Task.enqueue`; with `wait` also as `Job.result`.
    """
    if order.file is not None and (order.words or order.job_id or order.wait):
        raise UsageError(
            "--from-file takes the arguments from the file, and neither --id nor --wait nor --follow: leave them out"
        )
    if order.timeout is not None and not order.wait:
        raise UsageError("--timeout is how long to wait for the result: add --wait")
    seconds = read_duration("--timeout", order.timeout)
    settings: JobSettings = {
        "queue": order.queue,
        "priority": order.priority,
        "delay": read_duration("--in", order.delay),
        "run_at": read_moment("--at", order.at),
        "tags": read_tags(order.tags),
        "job_id": order.job_id,
        "depends_on": list(order.after) or None,
    }
    app = _app(common)
    if common.app is not None:
        app.get_task(order.task)
    if order.file is not None:
        with ExitStack() as stack:
            return asyncio.run(_send_file(app, order, settings, common, _lines(order.file, stack)))
    return asyncio.run(_send_one(app, order, settings, common, seconds))


async def _anything(*args: Any, **kwargs: Any) -> Any:
    """A task of which nothing is known but its name."""


def _app(common: Common) -> Naq:
    """The app that is named, or one of no tasks."""
    config = read_config(common)
    refuse_memory(config)
    if common.app is not None:
        from naq.worker.loader import load_app

        return load_app(common.app)
    given = {"broker_url": common.broker_url} if common.broker_url is not None else {}
    return Naq(config.namespace, **cast("Any", {"namespace": config.namespace, **given}))


async def _learn(app: Naq, order: Order, common: Common) -> Taken | None:
    """Make the task of `order` known to `app`, as its workers have said; what it takes, None where nobody has.

    The code of an app that is named says it itself.
    """
    if common.app is not None:
        return None
    from naq.task import describe

    entry = await app.backend.entry(describe.KIND, describe.key_of(order.task))
    try:
        described = None if entry is None else describe.decode(entry.value)
    except SerializationError:  # of another version: the worker will check
        described = None
    if described is None:
        app.task(name=order.task)(_anything)
        return None
    from naq.task.taken import Taken

    options = {"queue": described.queue, "priority": described.priority, "version": described.version}
    app.task(name=order.task, **cast("Any", options))(_anything)
    return None if order.force else Taken(described)


def _check(taken: Taken | None, order: Order, arguments: Arguments, where: str = "") -> None:
    """Refuse arguments that the task does not take.

    Raises:
        UsageError: it does not; says what it takes.
    """
    if taken is None or not (errors := taken.errors(*arguments)):
        return
    wrong = [f"{error['pointer'].removeprefix('/kwargs')}: {error['message']}".lstrip(": /") for error in errors]
    quoted = any(error["message"].endswith('type "string"') for error in errors)
    raise UsageError(
        f"{where}{order.task} does not take these arguments: {'; '.join(wrong)}\n"
        f"its workers say that it is {order.task}{taken.signature}\n"
        + ("text that reads as JSON needs quotes of its own: name='\"7\"'\n" if quoted else "")
        + "--force stores the job all the same"
    )


def make_call(app: Naq, task: str, settings: JobSettings, arguments: Arguments) -> Call[Any]:
    """A call of a task of `app` with `arguments` as a person wrote them, not made yet.

    Raises:
        NaqException: there is no such task, or it does not take these.
    """
    found = app.get_task(task)
    args, kwargs = (Raw(msgspec.json.encode(part)) for part in arguments)
    values, named = found.signature.decode(args, kwargs)
    return found.options(**settings).call(*values, **named)


def build_call(task: str, words: list[str], settings: JobSettings, common: Common) -> Call[Any]:
    """The call of `task` with the arguments `words`, not made yet.

    Raises:
        NaqException: there is no such task, or it does not take these.
    """
    app = _app(common)
    if common.app is None:
        app.task(name=task)(_anything)
    return make_call(app, task, settings, read_arguments(words))


async def _open(app: Naq) -> None:
    if not app.config.broker_url.startswith("embedded:"):
        await app.backend.open(wait=patience(app.config))
    await app.connect()


async def _send_one(app: Naq, order: Order, settings: JobSettings, common: Common, timeout: float | None) -> int:
    arguments = read_arguments(order.words)
    try:
        await _open(app)
        _check(await _learn(app, order, common), order, arguments)
        call = make_call(app, order.task, settings, arguments)
        [job] = await app.enqueue_many([call])
        if not order.wait:
            _print(job, order.task, common)
            await _warn(app, order.task, call.plan.queue, common)
            return 0
        where = "is there already" if job.duplicate else f"queued on {call.plan.queue}"
        say(plain(f"{job.id}  {where}"))
        await _warn(app, order.task, call.plan.queue, common)
        record = await _ended(app, job.id, common, timeout, follows=order.follow)
    finally:
        await app.close()
    if common.json:
        print_json(view(record, app.config))
        return int(record.state != "succeeded")
    print_result(record, app.config)
    return 0


async def _ended(app: Naq, job_id: str, common: Common, timeout: float | None, *, follows: bool) -> JobRecord:
    """The final record of the job; with `follows`, what becomes of it meanwhile is said."""
    if not follows:
        return await app.backend.wait(job_id, timeout=timeout)
    from naq.cli.follow import describe, follow

    return await follow(app.backend, app.config, job_id, lambda step: say(describe(step, common)), timeout=timeout)


async def _send_file(
    app: Naq, order: Order, settings: JobSettings, common: Common, lines: Iterator[tuple[int, bytes]]
) -> int:
    sent: list[Enqueued] = []
    batch: list[Call[Any]] = []

    async def flush() -> None:
        jobs = await app.enqueue_many(batch)
        batch.clear()
        progress.add(len(jobs))
        if common.json:
            sent.extend(_enqueued(job, order.task) for job in jobs)
        else:
            print("\n".join(job.id for job in jobs))

    try:
        await _open(app)
        taken = await _learn(app, order, common)
        with Progress("enqueueing") as progress:
            for number, line in lines:
                arguments = read_line(line, number)
                _check(taken, order, arguments, f"line {number}: ")
                batch.append(make_call(app, order.task, settings, arguments))
                if len(batch) == _BATCH:
                    await flush()
            if batch:
                await flush()
    finally:
        await app.close()
    if common.json:
        print_json(sent)
    return 0


def _lines(path: Path, stack: ExitStack) -> Iterator[tuple[int, bytes]]:
    try:
        file = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _enqueued(job: Job[Any], task: str) -> Enqueued:
    return Enqueued(id=job.id, task=task, duplicate=job.duplicate)


def _print(job: Job[Any], task: str, common: Common) -> None:
    if common.json:
        print_json(_enqueued(job, task))
        return
    print(job.id)
    if job.duplicate and not common.quiet:
        say(f"a job {job.id} is there already; nothing was added")


async def _warn(app: Naq, task: str, queue: str, common: Common) -> None:
    """Say so where nobody will run it: the most common reason why nothing happens."""
    if common.quiet:
        return
    workers = await app.backend.workers()
    known = {name for worker in workers for name in worker.tasks}
    if not workers:
        say("no worker runs, so it waits: start one with naq worker APP (such as naq worker tasks:app)")
    elif not any(queue in worker.queues for worker in workers):
        near = suggest(queue, {name for worker in workers for name in worker.queues})
        meant = f"; did you mean {near!r}?" if near else f": start one with naq worker APP -q {plain(queue)}"
        say(f"no worker works on queue {plain(queue)}, so it waits{meant}")
    elif known and task not in known:
        near = suggest(task, known)
        if near or not (":" in task or "." in task):  # else it may be a function, which workers import when it comes
            say(f"no worker that runs now knows a task {task!r}{f'; did you mean {near!r}?' if near else ''}")
