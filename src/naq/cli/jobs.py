"""``naq jobs``: look at jobs, wait for them, cancel them, run them again."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, make_group, say, talk
from naq.cli.common import read_config as settings_of
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.exits import Exit
from naq.cli.job_text import COLUMNS, describe
from naq.cli.output import Column, ago, print_item, print_json, print_rows
from naq.cli.values import read_duration
from naq.cli.views import Change, JobView
from naq.config.suggest import hint
from naq.job import JobRecord, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

app = make_group("jobs", "Look at jobs, wait for them, cancel them, run them again.")

Ids = Annotated[list[str], Parameter(negative_iterable="")]


@app.command(name="list")
def list_(
    *,
    queue: str | None = None,
    state: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    common: Common = DEFAULT,
) -> None:
    """List jobs: those that wait or run, then those that have ended, the newest first.

    Example: naq jobs list --queue mail --state failed,retrying

    Args:
        queue: Only of this queue.
        state: Only in these states (several: --state queued,running).
        limit: At most so many.
    """
    states = {_state(word) for words in state or () for word in words.split(",")}
    config = settings_of(common)

    async def act(backend: Backend) -> list[JobView]:
        return [_view(record, config) for record in await backend.jobs(queue=queue, states=states, limit=limit)]

    columns: list[Column[JobView]] = [
        *COLUMNS,
        Column("WHEN", lambda job: ago(job.finished_at or job.run_at or job.enqueued_at, common)),
    ]
    print_rows(talk(config, act), columns, common, name="id", empty="no jobs" + (" match" if states or queue else ""))


@app.command
def show(job_id: str, /, *, common: Common = DEFAULT) -> None:
    """Show all that is known of a job: state, times, errors, result.

    Example: naq jobs show 01JC4N9W2V

    Args:
        job_id: The job.
    """
    _show(common, lambda backend: _get(backend, job_id))


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

    job = _view(record, config)
    if job.state is not JobState.SUCCEEDED:
        raise failure(record)
    print_json(job.result)


@app.command
def cancel(job_ids: Ids, /, *, common: Common = DEFAULT) -> int:
    """Cancel jobs: those that wait never run, those that run are told to stop.

    Example: naq jobs cancel 01JC4N9W2V

    Args:
        job_ids: The jobs.
    """
    from naq.backends.base import CancelResult

    words = {
        CancelResult.REMOVED: "cancelled",
        CancelResult.REQUESTED: "told to stop",
        CancelResult.FINISHED: "ended already",
        CancelResult.UNKNOWN: "not found",
    }

    async def act(backend: Backend, job_id: str) -> Change:
        done = await backend.cancel(job_id)
        return Change(id=job_id, done=done in {CancelResult.REMOVED, CancelResult.REQUESTED}, outcome=words[done])

    return _each(common, job_ids, act)


@app.command
def retry(job_ids: Ids, /, *, common: Common = DEFAULT) -> int:
    """Run failed jobs again, from their first attempt.

    Example: naq jobs list --state failed -q | xargs naq jobs retry

    Args:
        job_ids: The jobs.
    """

    async def act(backend: Backend, job_id: str) -> Change:
        if await backend.requeue(job_id):
            return Change(id=job_id, done=True, outcome="queued")
        record = await backend.get(job_id)
        return Change(id=job_id, done=False, outcome="not found" if record is None else f"is {record.state}")

    return _each(common, job_ids, act)


@app.command
def delete(job_ids: Ids, /, *, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove what is kept of jobs that have ended: record, result and dead letter.

    Example: naq jobs delete 01JC4N9W2V --yes

    Args:
        job_ids: The jobs.
    """

    async def look(backend: Backend, job_id: str) -> Change:
        record = await backend.get(job_id)
        done = record is not None and record.is_final
        return Change(id=job_id, done=done, outcome=_refusal(record) or "would be deleted")

    async def act(backend: Backend, job_id: str) -> Change:
        done = await backend.forget(job_id)
        return Change(id=job_id, done=done, outcome="deleted" if done else _refusal(await backend.get(job_id)))

    if consent.dry_run:
        return _each(common, job_ids, look)
    if not agree(consent, f"Delete what is kept of {len(job_ids)} job{'s' * (len(job_ids) != 1)}?"):
        say("nothing was deleted")
        return Exit.FAILED
    return _each(common, job_ids, act)


def _refusal(record: JobRecord | None) -> str:
    if record is None:
        return "not found"
    return "" if record.is_final else f"is {record.state}: cancel it first"


def _each(common: Common, job_ids: list[str], act: Callable[[Backend, str], Awaitable[Change]]) -> int:
    async def all_of(backend: Backend) -> list[Change]:
        return [await act(backend, job_id) for job_id in job_ids]

    return report(talk(settings_of(common), all_of), common)


async def _get(backend: Backend, job_id: str) -> JobRecord:
    record = await backend.get(job_id)
    if record is None:
        raise NotFoundError(
            f"there is no job {job_id!r} in this namespace, and no record of one (they are kept for 7 days); "
            "see naq jobs list"
        )
    return record


def _show(common: Common, look: Callable[[Backend], Awaitable[JobRecord]]) -> JobView:
    config = settings_of(common)
    job = _view(talk(config, look), config)
    print_item(job, describe(job, common), common, name="id")
    return job


def _view(record: JobRecord, config: Config) -> JobView:
    from naq.codec.sealing import opened

    return JobView.of(opened(record, record.id, config))


def _state(word: str) -> JobState:
    states: dict[str, Any] = {state.value: state for state in JobState}
    if word.strip() not in states:
        raise UsageError(f"--state is {word!r}; {hint(word, states)}")
    return states[word.strip()]
