"""Whether a job is the one that a test asks for, and if not, why not. Pure: values in, words out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from naq import clock
from naq.testing.enqueued import Enqueued, shown

_LISTED: Final = 20  # jobs in a message
_CLOSE: Final = 1.0  # seconds that two times may be apart: between the test's look at a clock and the program's
_ABSENT: Final = object()


class Wanted(Struct, frozen=True, kw_only=True):
    """What a test asks for; None: whatever it is. `arguments` and `tags` only say what must be among them."""

    task: str | None = None
    arguments: Mapping[str, Any] | None = None
    queue: str | None = None
    priority: str | None = None
    tags: Mapping[str, str] | None = None
    delay: float | timedelta | None = None
    run_at: float | datetime | None = None
    job_id: str | None = None
    where: Callable[[Enqueued], bool] | None = None

    def __str__(self) -> str:
        facts = [
            *(f"{name}={shown(value)}" for name in ("queue", "priority", "tags", "job_id")
              if (value := getattr(self, name)) is not None),
            *([] if self.delay is None else [f"delay={_seconds(self.delay):g} s"]),
            *([] if self.run_at is None else [f"run_at={self.run_at}"]),
            *([] if self.where is None else [f"where={getattr(self.where, '__name__', self.where)}"]),
        ]  # fmt: skip
        given = ", ".join(f"{name}={shown(value)}" for name, value in (self.arguments or {}).items())
        what = f"{self.task or 'any task'}({given})" if self.task or given else "any job"
        return " ".join([what, *facts])

    def differences(self, job: Enqueued) -> list[str]:
        """Why `job` is not what is asked for; nothing where it is."""
        found: list[str] = []
        if self.task is not None and job.task != self.task:
            return [f"task is {job.task}"]
        for name in ("queue", "priority"):
            wanted = getattr(self, name)
            if wanted is not None and getattr(job, name) != wanted:
                found.append(f"{name} is {getattr(job, name)!r}, not {wanted!r}")
        if self.job_id is not None and job.id != self.job_id:
            found.append(f"its id is {job.id!r}, not {self.job_id!r}")
        found += _among("", self.arguments, job.arguments)
        found += _among("tag ", self.tags, job.tags)
        if self.delay is not None and abs(job.delay - _seconds(self.delay)) > _CLOSE:
            found.append(f"delay is {job.delay:g} s, not {_seconds(self.delay):g} s")
        if self.run_at is not None:
            at = clock.as_timestamp(self.run_at) if isinstance(self.run_at, datetime) else self.run_at
            if job.run_at is None or abs(job.run_at - at) > _CLOSE:
                is_at = "at once" if job.run_at is None else f"at {clock.as_datetime(job.run_at)}"
                found.append(f"it runs {is_at}, not at {self.run_at}")
        if not found and self.where is not None and not self.where(job):
            found.append("where(job) is false")
        return found


def _seconds(delay: float | timedelta) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else delay


def _among(what: str, wanted: Mapping[str, Any] | None, there: Mapping[str, Any]) -> list[str]:
    """What of `wanted` is not among `there`. The wanted value does the comparing: it may be a matcher."""
    found: list[str] = []
    for name, value in (wanted or {}).items():
        has = there.get(name, _ABSENT)
        if has is _ABSENT:
            found.append(f"{what}{name} is not given")
        elif not value == has:  # noqa: SIM201  a matcher need not have a `!=`
            found.append(f"{what}{name} is {shown(has)}, not {shown(value)}")
    return found


def listing(wanted: Wanted, jobs: Sequence[Enqueued]) -> str:
    """All `jobs` for a message, each with why it is not what is asked for; those that come nearest first."""
    if not jobs:
        return "nothing was enqueued"
    near = sorted(((wanted.differences(job), job) for job in jobs), key=lambda each: _distance(each[0]))
    lines = [f"  {job}{'' if not why else '  <- ' + '; '.join(why)}" for why, job in near[:_LISTED]]
    more = [f"  and {len(jobs) - _LISTED} more"] if len(jobs) > _LISTED else []
    return "\n".join([f"{len(jobs)} enqueued:", *lines, *more])


def _distance(differences: Sequence[str]) -> int:
    return _LISTED if differences and differences[0].startswith("task is") else len(differences)
