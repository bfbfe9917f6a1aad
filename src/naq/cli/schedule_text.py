"""A schedule as commands print it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from naq import clock
from naq.cli.common import Common
from naq.cli.output import ago
from naq.cli.text import call_text
from naq.codec.envelope import JSON, Envelope
from naq.schedules.cron import read_zone
from naq.schedules.kept import Kept
from naq.schedules.shown import Shown, show_kept


class ScheduleView(Shown, frozen=True, kw_only=True):
    """A schedule: ``naq schedules list|show``. `args` and `kwargs` are null where they are not shown, or not JSON."""

    when: str
    args: Any
    kwargs: Any

    @classmethod
    def of(cls, kept: Kept, envelope: Envelope | None = None) -> ScheduleView:
        """`kept` as it is printed; with its arguments, where its opened job is given."""
        shown = show_kept(kept)
        called = envelope if envelope is not None and envelope.codec == JSON else None
        return cls(
            **msgspec.structs.asdict(shown),
            when=shown.cron or f"every {timedelta(seconds=shown.interval)}",
            args=None if called is None else msgspec.json.decode(called.args),
            kwargs=None if called is None else msgspec.json.decode(called.kwargs),
        )


class SlotView(Struct, frozen=True):
    """A run to come: ``naq schedules preview``. `note` says where clocks have changed since the one before."""

    time: str
    utc: datetime
    note: str


def slot_lines(due: Sequence[float], zone: str) -> list[SlotView]:
    """Moments (UNIX seconds) as the clocks of `zone` show them."""
    lines: list[SlotView] = []
    before: timedelta | None = None
    for at in due:
        local = datetime.fromtimestamp(at, read_zone(zone))
        offset = local.utcoffset()
        changed = before is not None and offset is not None and offset != before
        way = "" if not changed or offset is None or before is None else "forward" if offset > before else "back"
        lines.append(
            SlotView(local.strftime("%a %Y-%m-%d %H:%M:%S %z"), clock.as_datetime(at), way and f"clocks went {way}")
        )
        before = offset
    return lines


def describe(view: ScheduleView, common: Common) -> Iterable[tuple[str, str]]:
    """The lines of ``naq schedules show``."""

    def times(moments: Sequence[datetime]) -> str:
        return "\n".join(f"{local.time}  {ago(at, common)}" for at, local in _local(moments, view.tz))

    yield "name", view.name
    yield "state", f"{view.state}{f': {view.note}' if view.note else ''}"
    yield "task", f"{view.task} in {view.queue}" + ("" if view.priority == "normal" else f", {view.priority}")
    yield "called with", "" if view.args is None else call_text(view.args, view.kwargs)
    yield "when", f"{view.when} {view.tz}" if view.cron else view.when
    yield "in words", view.words
    yield "from", ago(view.start, common)
    yield "until", ago(view.end, common)
    yield "runs", f"{view.runs}" if view.repeat is None else f"{view.runs} of {view.repeat}"
    yield "jitter", f"{view.jitter} s" if view.jitter else ""
    yield "missed", view.missed
    yield "overlap", view.overlap
    yield "next", times(view.next)
    yield "skipped", times(view.skipped)
    yield "last", ago(view.last, common)
    yield "last jobs", "\n".join(view.last_jobs)
    yield "made in", view.source
    yield "changed", " by ".join(part for part in (ago(view.changed_at, common), view.changed_by) if part)


def _local(moments: Sequence[datetime], zone: str) -> Iterator[tuple[datetime, SlotView]]:
    return zip(moments, slot_lines([at.timestamp() for at in moments], zone), strict=True)
