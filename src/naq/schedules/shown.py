"""A schedule as people are shown it, whether by a command or by the API."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from naq import clock
from naq.codec.headers import read_tags
from naq.job import Priority
from naq.schedules.kept import Kept, tick_id
from naq.schedules.timetable import Overlap

SHOWN: Final = 5  # runs to come, and runs that were


class Shown(Struct, frozen=True, kw_only=True):
    """What is said of a schedule but for its arguments, which may be sealed.

    Attributes:
        interval, jitter: seconds.
        missed: the policy, as it is written.
        source: whether code declares it, and of which app.
        next: when the next jobs are due; `last`, `last_jobs`: when the last one was, and the last ones' ids.
        runs: how many jobs were due for slots.
        skipped: slots to come that are left out.
        note: of who paused it.
    """

    name: str
    state: Literal["active", "paused", "ended"]
    task: str
    queue: str
    priority: Priority
    cron: str
    interval: int
    tz: str
    words: str
    start: datetime | None
    end: datetime | None
    repeat: int | None
    jitter: int
    missed: str
    overlap: Overlap
    source: str
    next: list[datetime]
    last: datetime | None
    last_jobs: list[str]
    runs: int
    skipped: list[datetime]
    note: str
    changed_at: datetime | None
    changed_by: str
    tags: dict[str, str]


def show_kept(kept: Kept) -> Shown:
    """`kept` as it stands now."""
    table, now = kept.table, clock.now()
    past = [tick for tick in (*kept.past, *kept.ahead) if tick.due <= now]
    return Shown(
        name=kept.name,
        state="paused" if kept.paused else "ended" if kept.ended else "active",
        task=kept.template.task,
        queue=kept.template.queue,
        priority=kept.template.priority,
        cron=table.cron,
        interval=table.interval,
        tz=table.tz,
        words=table.words,
        start=_moment(table.start),
        end=_moment(table.end),
        repeat=table.repeat,
        jitter=table.jitter,
        missed=table.policy,
        overlap=table.overlap,
        source=f"code of {kept.app}" if kept.app else "run time",
        next=[clock.as_datetime(slot.due) for slot in kept.upcoming(now, SHOWN)],
        last=_moment(past[-1].due if past else None),
        last_jobs=[tick_id(kept.name, tick) for tick in past[-SHOWN:]],
        runs=kept.count - sum(tick.due > now for tick in kept.ahead),
        skipped=[clock.as_datetime(when) for when in kept.skips if when > now],
        note="" if kept.paused is None else kept.paused.note,
        changed_at=_moment(kept.changed_at),
        changed_by=kept.changed_by,
        tags=read_tags(kept.template.headers),
    )


def _moment(at: float | None) -> datetime | None:
    return clock.as_datetime(at) if at else None
