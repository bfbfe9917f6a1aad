"""Jobs as the API shows them: redacted, moments as text, durations in whole milliseconds."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

import msgspec
from pydantic import Field

from naq.codec.headers import trace_id
from naq.job import FINAL, JobRecord, JobState, Priority
from naq.limits.why import Cause
from naq.limits.why import Why as Found
from naq.server.access.redact import Redactor
from naq.server.api.models import Model, Moment, at, at_seconds
from naq.server.store.rows import AttemptRow, JobListed, JobRow, LogRow

if TYPE_CHECKING:
    from naq.server.core import Core


def ms(micros: int | None) -> int | None:
    """Whole milliseconds."""
    return None if micros is None else round(micros / 1000)


def parsed(text: str | None, default: Any = None) -> Any:
    """JSON from the history; `default` where there is none, or it was cut."""
    if text is None:
        return default
    try:
        return json.loads(text)
    except ValueError:
        return default


class _JobFields(Model):
    """What is shown of a job wherever it is shown."""

    id: str
    state: JobState
    task: str
    queue: str
    priority: Priority
    attempt: int
    run: int
    worker: str
    parent_id: str | None
    root_id: str | None
    schedule: str | None
    key: str | None
    created_at: Moment | None
    run_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    wait_ms: int | None
    duration_ms: int | None
    reason: str
    tags: dict[str, str]
    error_type: str | None
    error: str | None
    fingerprint: str | None
    progress: float | None
    progress_text: str | None
    updated_at: Moment | None
    trace_id: str | None


class JobItem(_JobFields):
    """A job in a list. `args_text` is what fits on a line, redacted; null where it was not seen.

    What stands behind it is there where it was asked for, redacted as well.
    """

    args_text: str | None
    args: Any = None
    kwargs: Any = None
    result: Any = None
    waits_for: list[str] = Field(default=[])
    limits: list[str] = Field(default=[])

    @classmethod
    def of(cls, row: JobListed | JobRow, redact: Redactor, include: Collection[str] = ()) -> JobItem:
        """A row as it is shown; with what `include` names, where the row is whole (`JobRow`)."""
        item = cls(**_shared(row), args_text=_line(row.args, redact))
        return item.model_copy(update=_wider(row, redact, include)) if include and isinstance(row, JobRow) else item

    @classmethod
    def shown(cls) -> list[str]:
        """The names of what is shown unless more is asked for."""
        return [name for name, field in cls.model_fields.items() if field.is_required()]

    @staticmethod
    def included(include: Collection[str]) -> frozenset[str]:
        """The names of the fields that `include` adds."""
        return frozenset([*include, "kwargs"] if "args" in include else include)


class AttemptView(Model):
    """An attempt. `detail` is its error with traceback and causes."""

    run: int
    attempt: int
    outcome: str
    worker: str
    started_at: Moment | None
    ended_at: Moment | None
    next_in_ms: int | None
    error_type: str | None
    error: str | None
    detail: Any
    fingerprint: str | None

    @classmethod
    def of(cls, row: AttemptRow) -> AttemptView:
        """A row as it is shown."""
        return cls(
            run=row.run,
            attempt=row.attempt,
            outcome=row.outcome,
            worker=row.worker,
            started_at=at(row.started_at),
            ended_at=at(row.ended_at),
            next_in_ms=ms(row.next_in_us),
            error_type=row.error_type,
            error=row.error,
            detail=parsed(row.detail),
            fingerprint=row.fingerprint,
        )


class JobDetail(_JobFields):
    """A job, whole. `args`, `kwargs` and `result` are redacted; `source` says whether history or broker told of it.

    `attempts` and `children` are there where they were asked for.
    """

    delivered: int
    limits: list[str]
    waits_for: list[str]
    args: Any
    kwargs: Any
    result: Any
    source: str
    attempts: list[AttemptView] = Field(default=[])
    children: list[JobItem] = Field(default=[])

    @classmethod
    def of(cls, row: JobRow, redact: Redactor) -> JobDetail:
        """A row as it is shown."""
        wider = _wider(row, redact, ("args", "result", "waits_for", "limits"))
        return cls(**_shared(row), delivered=row.delivered, source="history", **wider)

    @classmethod
    def of_record(cls, record: JobRecord, core: Core) -> JobDetail:
        """A record of the broker as it is shown: the history does not have it yet."""
        from naq.codec.sealing import opened

        record = opened(record, record.id, core.config)
        error = record.error
        ran = record.started_at and record.finished_at
        called = {} if record.arguments is None else _called(bytes(record.arguments).decode()) or {}
        return cls(
            id=record.id,
            state=record.state,
            task=record.task,
            queue=record.queue,
            priority=record.priority,
            attempt=record.attempt,
            run=record.run,
            delivered=record.delivered,
            worker=record.worker,
            parent_id=record.parent or None,
            root_id=record.root or None,
            schedule=None,
            key=record.key or None,
            created_at=at_seconds(record.enqueued_at),
            run_at=at_seconds(record.run_at),
            started_at=at_seconds(record.started_at),
            finished_at=at_seconds(record.finished_at),
            expires_at=at_seconds(record.expires_at),
            wait_ms=None,
            duration_ms=round((record.finished_at - record.started_at) * 1000) if ran else None,
            reason=record.reason,
            tags=record.tags,
            limits=record.limits,
            waits_for=record.after,
            args=core.redact(called.get("args"), "args"),
            kwargs=core.redact(called.get("kwargs"), "kwargs"),
            result=_result(record, core),
            error_type=None if error is None else error.type,
            error=None if error is None else error.message,
            fingerprint=None,
            progress=None,
            progress_text=None,
            updated_at=None,
            trace_id=trace_id(record.trace) or None,
            source="broker",
        )

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL


class ResultView(Model):
    """How a job ended, or that it has not: `state` says. `result` is redacted."""

    job_id: str
    state: JobState
    run: int
    result: Any
    error_type: str | None
    error: str | None
    finished_at: Moment | None

    @classmethod
    def of(cls, record: JobRecord, core: Core) -> ResultView:
        """A record of the broker as it is shown."""
        from naq.codec.sealing import opened

        record = opened(record, record.id, core.config)
        error = record.error
        return cls(
            job_id=record.id,
            state=record.state,
            run=record.run,
            result=_result(record, core),
            error_type=None if error is None else error.type,
            error=None if error is None else error.message,
            finished_at=at_seconds(record.finished_at),
        )


class LogLine(Model):
    """A log line. `dropped` lines were left out before it."""

    run: int
    attempt: int
    at: Moment | None
    level: str
    logger: str
    text: str
    dropped: int

    @classmethod
    def of(cls, row: LogRow) -> LogLine:
        """A row as it is shown."""
        return cls(
            run=row.run, attempt=row.attempt, at=at(row.at), level=row.level, logger=row.logger, text=row.text,
            dropped=row.dropped,
        )  # fmt: skip


class Tree(Model):
    """A family of jobs: `parent_id` of each says how they hang together."""

    root: str
    jobs: list[JobItem]


class Why(Model):
    """Why a job does not run. `earliest` is null where nobody knows."""

    job_id: str
    state: JobState
    queue: str
    task: str
    cause: Cause
    text: str
    earliest: Moment | None
    command: str
    key: str
    expires_at: Moment | None

    @classmethod
    def of(cls, why: Found) -> Why:
        """As it is shown."""
        return cls(
            job_id=why.job_id,
            state=why.state,
            queue=why.queue,
            task=why.task,
            cause=why.cause,
            text=why.text,
            earliest=at_seconds(why.earliest),
            command=why.command,
            key=why.key,
            expires_at=at_seconds(why.expires_at),
        )


def _result(record: JobRecord, core: Core) -> Any:
    return None if record.result is None else core.redact(msgspec.json.decode(record.result), "result")


def _shared(row: JobListed | JobRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "task": row.task,
        "queue": row.queue,
        "priority": row.priority,
        "attempt": row.attempt,
        "run": row.run,
        "worker": row.worker,
        "parent_id": row.parent_id,
        "root_id": row.root_id,
        "schedule": row.schedule,
        "key": row.key,
        "created_at": at(row.created_at),
        "run_at": at(row.run_at),
        "started_at": at(row.started_at),
        "finished_at": at(row.finished_at),
        "expires_at": at(row.expires_at),
        "wait_ms": ms(row.wait_us),
        "duration_ms": ms(row.duration_us),
        "reason": row.reason,
        "tags": parsed(row.tags, {}),
        "error_type": row.error_type,
        "error": row.error,
        "fingerprint": row.fingerprint,
        "progress": row.progress,
        "progress_text": row.progress_text,
        "updated_at": at(row.updated_at),
        "trace_id": row.trace,
    }


def _wider(row: JobRow, redact: Redactor, include: Collection[str]) -> dict[str, Any]:
    """What is long of a job, as far as it was asked for."""
    called = _called(row.args) or {}
    found = {
        "args": redact(called.get("args"), "args"), "kwargs": redact(called.get("kwargs"), "kwargs"),
        "result": redact(parsed(row.result), "result"), "waits_for": parsed(row.waits_for, []),
        "limits": parsed(row.limits, []),
    }  # fmt: skip
    return {name: found[name] for name in JobItem.included(include)}


def _called(text: str | None) -> dict[str, Any] | None:
    """What a job was called with, an object of `args` and `kwargs`; None where it is not known, or was cut."""
    found: Any = parsed(text)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _line(text: str | None, redact: Redactor) -> str | None:
    """Arguments on a line. What was cut cannot be redacted by its structure, so it is not shown at all."""
    called = _called(text)
    if called is None:
        return None if text is None else "…"
    args: list[Any] = redact(called.get("args"), "args") or []
    kwargs: dict[str, Any] = redact(called.get("kwargs"), "kwargs") or {}
    shown = [json.dumps(one, ensure_ascii=False) for one in args]
    shown += [f"{name}={json.dumps(one, ensure_ascii=False)}" for name, one in kwargs.items()]
    return ", ".join(shown)[:200]
