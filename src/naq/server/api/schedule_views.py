"""Schedules as the API shows them, and as it is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from pydantic import AwareDatetime, Field

from naq.codec.envelope import JSON
from naq.job import Priority
from naq.scheduler.acts import Acts
from naq.schedules.kept import Kept
from naq.schedules.shown import show_kept
from naq.schedules.timetable import Overlap, Timing
from naq.server.api.models import Given, Model, Moment
from naq.server.core import Core
from naq.server.names import Task, Token

#: What the audit log has of a schedule before and after a change.
NOTED: Final[set[str]] = {
    "state", "task", "queue", "priority", "cron", "every_s", "tz", "start", "end", "repeat", "jitter_s", "missed",
    "overlap", "tags", "note", "skipped", "expires_in_s",
}  # fmt: skip
_LONGEST: Final = 366 * 86400  # seconds
Seconds = Annotated[int, Field(ge=0, le=_LONGEST)]
Tags = dict[Token, Annotated[str, Field(max_length=256)]]


class When(Given):
    """When it fires; `cron` or `every_s` is needed in a new one."""

    cron: Annotated[str | None, Field(max_length=200, examples=["0 3 * * *"])] = None
    every_s: Annotated[int | None, Field(ge=1, le=_LONGEST)] = None
    tz: Annotated[str | None, Field(max_length=64, examples=["Europe/Berlin"])] = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    repeat: Annotated[int | None, Field(ge=1, le=1_000_000_000)] = None
    jitter_s: Seconds | None = None
    missed: Annotated[str | None, Field(max_length=20, examples=["latest"])] = None
    overlap: Overlap | None = None

    def timing(self) -> Timing:
        """What was given, as the library has it."""
        given: dict[str, Any] = self.model_dump(exclude_unset=True, include=set(When.model_fields))
        for ours, theirs in (("every_s", "interval"), ("jitter_s", "jitter")):
            if ours in given:
                given[theirs] = given.pop(ours)
        may_be_none = {"start", "end", "repeat"}
        found: Any = {name: value for name, value in given.items() if value is not None or name in may_be_none}
        return found


class NewSchedule(When):
    """A schedule to make. A run that has not started `expires_in_s` after it was due does not start any more."""

    name: Token = Field(examples=["nightly"])
    task: Task = Field(examples=["shop.tasks:report"])
    args: list[Any] = Field(default=[], examples=[[]])
    kwargs: dict[str, Any] = Field(default={}, examples=[{"kind": "full"}])
    queue: Token | None = None
    priority: Priority | None = None
    tags: Tags = Field(default={}, max_length=32)
    expires_in_s: Annotated[int | None, Field(ge=1, le=_LONGEST)] = None


class ScheduleEdit(When):
    """What is different from now on; what is not given stays. Null takes `start`, `end` and `repeat` back."""

    task: Task | None = None
    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    queue: Token | None = None
    priority: Priority | None = None
    tags: Annotated[Tags | None, Field(max_length=32)] = None
    expires_in_s: Annotated[int | None, Field(ge=1, le=_LONGEST)] = None

    @property
    def calls(self) -> bool:
        """Whether another job is meant, or other arguments."""
        return self.task is not None or self.args is not None or self.kwargs is not None

    @property
    def shape(self) -> dict[str, Any]:
        """What else is different of its jobs."""
        found = {"queue": self.queue, "priority": self.priority, "tags": self.tags, "expires_in": self.expires_in_s}
        return {name: value for name, value in found.items() if value is not None}


class ScheduleView(Model):
    """A schedule. `args` and `kwargs` are redacted, and null in lists; `version` is its ETag."""

    name: str
    state: str
    task: str
    queue: str
    priority: Priority
    cron: str
    every_s: int
    tz: str
    words: str
    start: Moment | None
    end: Moment | None
    repeat: int | None
    jitter_s: int
    missed: str
    overlap: Overlap
    source: str
    next: list[Moment]
    last_at: Moment | None
    last_jobs: list[str]
    runs: int
    skipped: list[Moment]
    note: str
    changed_at: Moment | None
    changed_by: str
    tags: dict[str, str]
    expires_in_s: float | None
    version: str
    args: Any = None
    kwargs: Any = None


class Slots(Model):
    """When it would fire, and what that is in words."""

    words: str
    next: list[Moment]


class Backfill(Given):
    """Which slots to fill, and how fast."""

    start: AwareDatetime
    end: AwareDatetime
    rate: Annotated[float | None, Field(gt=0, le=1000)] = None


class Filled(Model):
    """The jobs of a backfill; with `dry_run` those that would be made."""

    count: int
    jobs: list[str]
    audit_id: str


class PauseNote(Given):
    """Why, for others."""

    note: str = Field(default="", max_length=200)


def show(kept: Kept, core: Core, acts: Acts | None = None) -> ScheduleView:
    """As it is shown; with its arguments where `acts` can read them."""
    fields = msgspec.structs.asdict(show_kept(kept))
    for theirs, ours in (("interval", "every_s"), ("jitter", "jitter_s"), ("last", "last_at")):
        fields[ours] = fields.pop(theirs)
    args, kwargs = (None, None) if acts is None else called_with(kept, acts) or (None, None)
    return ScheduleView(
        **fields,
        expires_in_s=kept.template.expires_in,
        version=etag(kept),
        args=core.redact(args, "args"),
        kwargs=core.redact(kwargs, "kwargs"),
    )


def called_with(kept: Kept, acts: Acts) -> tuple[Sequence[Any], dict[str, Any]] | None:
    """The arguments of its jobs; None where they are pickled."""
    envelope = acts.jobs.envelope(kept)
    if envelope.codec != JSON:
        return None
    return msgspec.json.decode(envelope.args), msgspec.json.decode(envelope.kwargs)


def etag(kept: Kept) -> str:
    """What changes whenever a person changes it, and not when it fires."""
    return f'"{kept.generation}-{len(kept.skips)}-{int(kept.paused is not None)}"'
