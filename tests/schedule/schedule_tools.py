"""What the tests of schedules share: times as people write them, apps on a store of their own, looking at jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from naq import JobRecord
from naq.backends.base import Backend
from naq.schedules.slots import next_slots
from naq.schedules.timetable import Timetable, read_timetable


def at(text: str, zone: str = "UTC") -> float:
    """UNIX seconds of a time as people write it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def table(**timing: Any) -> Timetable:
    return read_timetable("test", timing)  # pyright: ignore[reportArgumentType]


def times(timetable: Timetable, after: float, n: int) -> list[str]:
    """The next slots as their zone's clocks show them, with the offset from UTC."""
    zone = ZoneInfo(timetable.tz)
    return [datetime.fromtimestamp(slot.at, zone).isoformat(" ") for slot in next_slots(timetable, after, n)]


def utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(" ")


async def jobs_of(backend: Backend, name: str) -> list[JobRecord]:
    """The jobs that a schedule made, oldest slot first."""
    found = [record for record in await backend.jobs(limit=1000) if record.tags.get("schedule") == name]
    return sorted(found, key=lambda record: record.id)
