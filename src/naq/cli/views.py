"""What commands print, as types: `naq.cli.schema` makes the published schema of their JSON from these."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from naq import clock
from naq.backends.base import DeadLetter, QueueStats, WorkerInfo
from naq.cli.output import moment
from naq.codec.peek import peek
from naq.job import AttemptError, JobRecord, JobState, Priority


class InsideView(Struct, frozen=True, kw_only=True):
    """What the code inside a job has reported and kept (docs/inside.md); `progress` is from 0 to 1."""

    progress: float | None
    message: str
    metrics: dict[str, float]
    artifacts: list[str]
    log_lines: int
    steps: list[str]


class JobView(Struct, frozen=True, kw_only=True):
    """A job: ``naq jobs list|show|wait``. Times that are not known are null, and so is `inside` but for one job.

    `args` and `kwargs`: what it was called with; null where its record does not carry them.
    `overdue`: it waits, and its `expires_at` has passed: nothing of it runs, and the worker that takes it
    ends it as expired.
    """

    id: str
    state: JobState
    task: str
    queue: str
    priority: Priority
    attempt: int
    run: int
    worker: str
    reason: str
    enqueued_at: datetime | None
    run_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    overdue: bool
    tags: dict[str, str]
    key: str
    errors: list[AttemptError]
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    result: Any
    inside: InsideView | None = None

    @classmethod
    def of(cls, record: JobRecord) -> JobView:
        """`record` as it is printed."""
        called = _called(record)
        return cls(
            id=record.id,
            state=record.state,
            task=record.task,
            queue=record.queue,
            priority=record.priority,
            attempt=record.attempt,
            run=record.run,
            worker=record.worker,
            reason=record.reason,
            enqueued_at=moment(record.enqueued_at),
            run_at=moment(record.run_at),
            started_at=moment(record.started_at),
            finished_at=moment(record.finished_at),
            expires_at=moment(record.expires_at),
            overdue=_waits(record) and 0 < record.expires_at <= clock.now(),
            tags=record.tags,
            key=record.key,
            errors=record.errors,
            args=called.args,
            kwargs=called.kwargs,
            result=record.result,
        )


class _Called(Struct):
    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None


_read_called: Final = msgspec.json.Decoder(_Called).decode


def _called(record: JobRecord) -> _Called:
    try:
        return _Called() if record.arguments is None else _read_called(record.arguments)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a stranger's record
        return _Called()


def _waits(record: JobRecord) -> bool:
    return not record.is_final and record.state is not JobState.RUNNING


class QueueView(Struct, frozen=True, kw_only=True):
    """A queue: ``naq queues list|show``. Counts are of jobs; `workers` are those that run now."""

    queue: str
    state: Literal["active", "paused", "no workers"]
    queued: int
    running: int
    scheduled: int
    limit: int | None
    workers: int

    @classmethod
    def of(cls, stats: QueueStats, workers: list[WorkerInfo]) -> QueueView:
        """`stats` and who works on it."""
        count = sum(stats.queue in worker.queues for worker in workers)
        return cls(
            queue=stats.queue,
            state="paused" if stats.paused else "active" if count else "no workers",
            queued=stats.queued,
            running=stats.running,
            scheduled=stats.scheduled,
            limit=stats.limit,
            workers=count,
        )


class RunningView(Struct, frozen=True, kw_only=True):
    """A job that a worker runs, in ``naq workers list|show``."""

    id: str
    task: str
    started_at: datetime | None


class WorkerView(Struct, frozen=True, kw_only=True):
    """A worker: ``naq workers list|show``."""

    id: str
    state: str
    queues: list[str]
    tasks: list[str]
    running: int
    concurrency: int
    processed: int
    failed: int
    host: str
    pid: int
    version: str
    started_at: datetime | None
    seen_at: datetime | None
    slots: int
    code: str
    python: str
    memory: int
    children_memory: int
    cpu: float
    loop_lag: float
    threads: int
    threads_busy: int
    children: int
    leads: list[str]
    jobs: list[RunningView]

    @classmethod
    def of(cls, info: WorkerInfo) -> WorkerView:
        """`info` as it is printed."""
        return cls(
            id=info.id,
            state=info.state,
            queues=info.queues,
            tasks=info.tasks,
            running=info.running,
            concurrency=info.concurrency,
            processed=info.processed,
            failed=info.failed,
            host=info.host,
            pid=info.pid,
            version=info.version,
            started_at=moment(info.started_at),
            seen_at=moment(info.seen_at),
            slots=info.slots,
            code=info.code,
            python=info.python,
            memory=info.memory,
            children_memory=info.children_memory,
            cpu=info.cpu,
            loop_lag=info.loop_lag,
            threads=info.threads,
            threads_busy=info.threads_busy,
            children=info.children,
            leads=info.leads,
            jobs=[RunningView(id=job.id, task=job.task, started_at=moment(job.at)) for job in info.jobs],
        )


class LetterView(Struct, frozen=True, kw_only=True):
    """A dead letter: ``naq dead list|show|export``. `payload` is text; bytes that are none are shown as U+FFFD."""

    id: str
    kind: Literal["failed", "malformed"]
    queue: str
    task: str
    reason: str
    at: datetime | None
    headers: dict[str, str]
    payload: str

    @classmethod
    def of(cls, letter: DeadLetter) -> LetterView:
        """`letter` as it is printed."""
        return cls(
            id=letter.id,
            kind=letter.kind,
            queue=letter.queue,
            task=peek(letter.payload).task,
            reason=letter.reason,
            at=moment(letter.at),
            headers=letter.headers,
            payload=letter.payload.decode(errors="replace"),
        )


class TaskView(Struct, frozen=True, kw_only=True):
    """A task of an app: ``naq tasks list|show``. `timeout` in seconds, null for none."""

    name: str
    parameters: str
    queue: str
    priority: Priority
    version: int
    timeout: float | None
    max_attempts: int
    runs_in: Literal["event loop", "thread", "process"]
    help: str


class Enqueued(Struct, frozen=True, kw_only=True):
    """A job that was stored: ``naq enqueue``. `duplicate`: it was there already, and nothing was added."""

    id: str
    task: str
    duplicate: bool


class Step(Struct, frozen=True, kw_only=True):
    """What became of a job: a line of ``naq jobs follow --json``. `text` is for people."""

    id: str
    at: datetime
    state: JobState
    run: int
    attempt: int
    text: str


class Top(Struct, frozen=True, kw_only=True):
    """Everything at one moment: ``naq top --json``. Rates are null until there are two looks to take them from."""

    at: datetime
    done_per_second: float | None
    failed_per_second: float | None
    queues: list[QueueView]
    workers: list[WorkerView]
    running: list[JobView]
    failed: list[LetterView]


class Measure(Struct, frozen=True, kw_only=True):
    """A line of ``naq bench``: so many jobs in so many seconds; percentiles in milliseconds where each was timed."""

    name: str
    jobs: int
    seconds: float
    per_second: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class Change(Struct, frozen=True, kw_only=True):
    """What a command did to one thing: ``cancel``, ``retry``, ``delete``, ``pause``, ``purge`` and the like.

    `done` is false where nothing was changed; `outcome` says what happened, in one word or a few; `count` is of jobs.
    """

    id: str
    done: bool
    outcome: str
    count: int = 1


class Check(Struct, frozen=True, kw_only=True):
    """One finding of ``naq doctor`` and ``naq broker check``; `advice` says what to do."""

    level: Literal["ok", "warning", "problem"]
    text: str
    advice: str = ""


class Setting(Struct, frozen=True, kw_only=True):
    """A setting in force: ``naq config show``. `source`: argument, environment, a file, or default."""

    name: str
    value: str
    source: str
