"""``naq jobs follow``: what becomes of a job, line by line, until it has ended."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from naq import clock
from naq.cli.common import DEFAULT, Common, read_config, talk
from naq.cli.exits import Exit
from naq.cli.jobs import get
from naq.cli.output import moment, span
from naq.cli.text import plain
from naq.cli.values import read_duration
from naq.cli.views import Step
from naq.exceptions import ResultTimeout
from naq.job import AttemptError, JobRecord, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

#: Seconds between two looks at a job that goes on. Its end is pushed, and not waited for.
LOOK: Final = 0.25


def follow_command(job_id: str, /, *, timeout: str | None = None, common: Common = DEFAULT) -> int:
    """Print what becomes of a job as it happens, until it has ended. With --json one JSON object a line.

    Ctrl-C ends the looking, not the job. Exit code 0 if it succeeded, 1 if not, 7 if it took too long.

    Example: naq jobs follow 01JC4N9W2V

    Args:
        job_id: The job.
        timeout: Give up after this time, such as 30s. Default: never.
    """
    config, seconds = read_config(common), read_duration("--timeout", timeout)

    def tell(step: Step) -> None:
        if not common.quiet:
            print(msgspec.json.encode(step).decode() if common.json else describe(step, common), flush=True)

    last = talk(config, lambda backend: follow(backend, config, job_id, tell, timeout=seconds))
    if common.quiet:
        print(plain(last.state.value))
    return Exit.DONE if last.state is JobState.SUCCEEDED else Exit.FAILED


def describe(step: Step, common: Common) -> str:
    """`step` as a line for people."""
    at = step.at.isoformat().replace("+00:00", "Z") if common.iso else step.at.astimezone().strftime("%H:%M:%S")
    return plain(f"{at}  {step.state.value:9}  {step.text}").rstrip()


async def follow(
    backend: Backend, config: Config, job_id: str, tell: Callable[[Step], None], *, timeout: float | None = None
) -> JobRecord:
    """Tell what becomes of `job_id`, from what it is now to its end; its final record.

    Raises:
        NotFoundError: there is no such job.
        ResultTimeout: it has not ended within `timeout` seconds.
    """
    record = await get(backend, job_id)
    known = 0
    end = asyncio.ensure_future(backend.wait(job_id, timeout=timeout))
    try:
        before: tuple[Any, ...] = ()
        while not record.is_final:
            for error in record.errors[known:]:
                tell(_step(record, error.at, _failed(error), state=JobState.RETRYING))
            known = len(record.errors)
            now = (record.state, record.run, record.attempt, record.run_at, record.reason, record.queue)
            if now != before:
                before = now
                tell(_step(record, clock.now(), _standing(record)))
            await asyncio.wait([end], timeout=LOOK)
            record = end.result() if end.done() else await backend.get(job_id) or await end
        record = _opened(record, config)
        for error in record.errors[known:-1]:
            tell(_step(record, error.at, _failed(error), state=JobState.RETRYING))
        tell(_step(record, record.finished_at, _ending(record)))
        return record
    except ResultTimeout as error:
        raise ResultTimeout(f"job {job_id} has not ended within {timeout or 0:g} s; it goes on, ask again") from error
    finally:
        end.cancel()
        await asyncio.wait([end])


def _step(record: JobRecord, at: float, text: str, *, state: JobState | None = None) -> Step:
    when: datetime | None = moment(at or clock.now())
    assert when is not None
    return Step(id=record.id, at=when, state=state or record.state, run=record.run, attempt=record.attempt, text=text)


def _opened(record: JobRecord, config: Config) -> JobRecord:
    from naq.codec.sealing import opened

    return opened(record, record.id, config)


def _standing(record: JobRecord) -> str:
    """Where a job stands that has not ended."""
    attempt = f"attempt {record.attempt}" + (f" of run {record.run}" if record.run > 1 else "")
    because = f" ({record.reason})" if record.reason else ""
    match record.state:
        case JobState.QUEUED:
            return f"on {record.queue}, {attempt}{because}"
        case JobState.SCHEDULED | JobState.RETRYING:
            return f"{attempt} in {span(max(record.run_at - clock.now(), 0.0))}{because}"
        case JobState.BLOCKED:
            return f"waits for {len(record.after)} jobs{because}"
        case _:
            return attempt


def _ending(record: JobRecord) -> str:
    """How it ended."""
    took = record.finished_at - record.started_at if record.started_at else 0.0
    after = f"after {span(max(took, 0.0))}" if record.started_at else ""
    if record.state is JobState.SUCCEEDED:
        return f"{after}: {msgspec.json.encode(record.result).decode()[:200]}"
    why = _error(record.error) if record.error is not None else record.reason
    return ": ".join(part for part in (after, why) if part)


def _failed(error: AttemptError) -> str:
    return f"attempt {error.attempt} failed: {_error(error)}"


def _error(error: AttemptError) -> str:
    return f"{error.type.removeprefix('builtins.')}: {error.message}"
