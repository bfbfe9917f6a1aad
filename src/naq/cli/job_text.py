"""A job as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from naq.cli.common import Common
from naq.cli.output import Column, ago, span
from naq.cli.text import call_text
from naq.cli.views import InsideView, JobView


def _state(job: JobView) -> str:
    return f"{job.state.value} (expired)" if job.overdue else job.state.value


COLUMNS: Final[tuple[Column[JobView], ...]] = (
    Column("ID", lambda job: job.id),
    Column("STATE", _state),
    Column("TASK", lambda job: job.task),
    Column("QUEUE", lambda job: job.queue),
    Column("ATTEMPT", lambda job: str(job.attempt)),
)


def describe(job: JobView, common: Common) -> Iterator[tuple[str, str]]:
    """The lines of ``naq jobs show``."""
    yield "job", job.id
    yield "state", _state(job) + (f": {job.reason}" if job.reason else "")
    yield "task", job.task
    yield "called with", "" if job.args is None else call_text(job.args, job.kwargs or {})
    yield "queue", job.queue + ("" if job.priority == "normal" else f" ({job.priority} priority)")
    yield "attempt", f"{job.attempt}" + (f" of run {job.run}" if job.run > 1 else "")
    yield "worker", job.worker
    yield "enqueued", ago(job.enqueued_at, common)
    if job.finished_at is None:
        yield "runs", ago(job.run_at, common)
    yield "expires", ago(job.expires_at, common)
    waited = _between(job.run_at or job.enqueued_at, job.started_at)
    yield "started", ago(job.started_at, common) + (f", after {waited}" if waited else "")
    took = _between(job.started_at, job.finished_at)
    yield "ended", ago(job.finished_at, common) + (f", after {took}" if took else "")
    yield "unique key", job.key
    if job.inside is not None:
        yield from _inside(job.inside)
    yield "tags", "  ".join(f"{name}={value}" for name, value in job.tags.items())
    for error in job.errors:
        yield f"error {error.attempt}", f"{error.type.removeprefix('builtins.')}: {error.message}"
        if error is job.errors[-1]:
            yield "", "\n".join(f"{frame.file}:{frame.line} in {frame.function}" for frame in error.frames)
    if job.state == "succeeded":
        yield "result", msgspec.json.encode(job.result).decode()


def _inside(inside: InsideView) -> Iterator[tuple[str, str]]:
    if inside.progress is not None:
        yield "progress", f"{inside.progress:.0%}" + (f"  {inside.message}" if inside.message else "")
    yield "metrics", "  ".join(f"{name}={value:g}" for name, value in inside.metrics.items())
    yield "artifacts", ", ".join(inside.artifacts)
    yield "steps", ", ".join(inside.steps)
    yield "log", f"{inside.log_lines:,} lines: naq jobs logs" if inside.log_lines else ""


def _between(start: datetime | None, end: datetime | None) -> str:
    return span(max((end - start).total_seconds(), 0.0)) if start is not None and end is not None else ""
