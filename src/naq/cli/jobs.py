"""``naq jobs``: look at jobs, wait for them, cancel them, run them again."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from msgspec.structs import replace

from naq.cli.common import DEFAULT, Common, talk
from naq.cli.common import read_config as settings_of
from naq.cli.errors import NotFoundError
from naq.cli.exits import Exit
from naq.cli.filters import NONE, Filter, find, read, say_nothing_fits
from naq.cli.job_text import COLUMNS, describe
from naq.cli.output import Column, ago, print_item, print_json, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.values import read_duration
from naq.cli.views import InsideView, JobView
from naq.exceptions import SerializationError
from naq.job import JobRecord, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

app = Group("jobs", "Look at jobs, wait for them, cancel them, run them again.")

app.add("naq.cli.why:why", "why", "Say what keeps a job from running, and what to type next.")
app.add("naq.cli.follow:follow_command", "follow", "Print what becomes of a job as it happens, until it has ended.")
app.add("naq.cli.job_logs:logs", "logs", "Print the log lines kept with a job.")
app.add("naq.cli.artifacts:artifacts", "artifacts", "List the files kept with a job.")
app.add("naq.cli.artifacts:download", "download", "Write a file kept with a job to a file here.")
app.add("naq.cli.stacks:job_stack", "stack", "Say where a running job is in its code.")
app.add("naq.cli.tree:tree", "tree", "Draw a job with all that it hangs together with.")
app.add("naq.cli.acts:cancel", "cancel", "Cancel jobs: those that wait never run, those that run are told to stop.")
app.add("naq.cli.acts:retry", "retry", "Run failed jobs again, from their first attempt.")
app.add("naq.cli.acts:run_now", "run-now", "Put jobs that wait for a time in line at once.")
app.add("naq.cli.job_edit:edit", "edit", "Change a job that waits: arguments, time, priority, tags, options.")
app.add("naq.cli.acts:delete", "delete", "Remove what is kept of jobs that have ended.")
app.add("naq.cli.export:export", "export", "Write jobs as JSON lines.")


@app.command(name="list")
def list_(
    *,
    which: Filter = NONE,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    due: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common = DEFAULT,
) -> None:
    """List jobs: those that wait or run, then those that have ended, the newest first.

    Example: naq jobs list --queue mail --state failed,retrying
    Example: naq jobs list --queue mail --due

    Args:
        limit: At most so many.
        due: Those that wait for a time, the one that is due next first. Looks at all of them.
    """
    wanted, config = read(which), settings_of(common)

    async def act(backend: Backend) -> list[JobView]:
        if due:
            waiting = await find(backend, config, wanted, within=(JobState.SCHEDULED, JobState.RETRYING))
            found = sorted(waiting, key=lambda record: record.run_at)[:limit]
        else:
            found = await find(backend, config, wanted, limit=limit)
        if not found and which.given:
            await say_nothing_fits(backend, wanted)
        return [view(record, config) for record in found]

    columns: list[Column[JobView]] = [
        *COLUMNS,
        Column("WHEN", lambda job: ago(job.finished_at or job.run_at or job.enqueued_at, common)),
    ]
    print_rows(talk(config, act), columns, common, name="id", empty="" if which.given else "no jobs")


@app.command
def show(job_id: str, /, *, common: Common = DEFAULT) -> None:
    """Show all that is known of a job: state, times, errors, result.

    Example: naq jobs show 01JC4N9W2V

    Args:
        job_id: The job.
    """
    _show(common, lambda backend: get(backend, job_id))


@app.command
def wait(job_id: str, /, *, timeout: str | None = None, common: Common = DEFAULT) -> int:
    """Wait until a job has ended, then show it. Exit code 0 if it succeeded, 1 if not, 7 if it took too long.

    Example: naq jobs wait 01JC4N9W2V --timeout 5m

    Args:
        job_id: The job.
        timeout: Give up after this time, such as 30s. Default: never.
    """
    seconds = read_duration("--timeout", timeout)
    job = _show(common, lambda backend: backend.wait(job_id, timeout=seconds))
    return Exit.DONE if job.state is JobState.SUCCEEDED else Exit.FAILED


@app.command
def result(job_id: str, /, *, timeout: str | None = None, common: Common = DEFAULT) -> None:
    """Print the result of a job as JSON, waiting for it. Exit code 1 if the job failed.

    Example: naq jobs result 01JC4N9W2V | jq .total

    Args:
        job_id: The job.
        timeout: Give up after this time, such as 30s. Default: never.
    """
    seconds, config = read_duration("--timeout", timeout), settings_of(common)
    print_result(talk(config, lambda backend: backend.wait(job_id, timeout=seconds)), config)


def print_result(record: JobRecord, config: Config) -> None:
    """Print the result of an ended job.

    Raises:
        JobExecutionError, JobCancelled: it did not succeed.
    """
    from naq.handle import failure

    job = view(record, config)
    if job.state is not JobState.SUCCEEDED:
        raise failure(record)
    print_json(job.result)


async def get(backend: Backend, job_id: str) -> JobRecord:
    """The job `job_id`.

    Raises:
        NotFoundError: there is none.
    """
    record = await backend.get(job_id)
    if record is None:
        raise NotFoundError(
            f"there is no job {job_id!r} in this namespace, and no record of one (they are kept for 7 days); "
            "see naq jobs list"
        )
    return record


def _show(common: Common, look: Callable[[Backend], Awaitable[JobRecord]]) -> JobView:
    config = settings_of(common)

    async def act(backend: Backend) -> JobView:
        record = await look(backend)
        return replace(view(record, config), inside=await _inside(backend, config, record.id))

    job = talk(config, act)
    print_item(job, describe(job, common), common, name="id")
    return job


async def _inside(backend: Backend, config: Config, job_id: str) -> InsideView | None:
    try:
        return await look_inside(backend, config, job_id)
    except SerializationError:  # not sealed as the keys at hand ask: the record is shown all the same
        return None


async def look_inside(backend: Backend, config: Config, job_id: str) -> InsideView | None:
    """What the code inside a job has reported and kept; None where that is nothing."""
    from naq.connections import Held
    from naq.inside import reading

    host = Held(backend, config)
    progress, metrics = await reading.progress(host, job_id), await reading.metrics(host, job_id)
    found = InsideView(
        progress=None if progress is None else progress.value,
        message="" if progress is None else progress.message,
        metrics={metric.name: metric.value for metric in metrics},  # of one that was reported often, the last
        artifacts=[artifact.name for artifact in await reading.artifacts(host, job_id)],
        log_lines=len(await reading.all_logs(host, job_id, None)),
        steps=[step.name for step in await reading.steps(host, job_id)],
    )
    nothing = InsideView(progress=None, message="", metrics={}, artifacts=[], log_lines=0, steps=[])
    return None if found == nothing else found


def view(record: JobRecord, config: Config) -> JobView:
    """`record` as it is printed, opened where it is encrypted."""
    from naq.codec.sealing import opened

    return JobView.of(opened(record, record.id, config))
