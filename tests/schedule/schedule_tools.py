"""What the tests of schedules share: times as people write them, apps on a store of their own, looking at jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from naq import JobRecord, Naq
from naq.backends.base import Backend
from naq.schedules.slots import next_slots
from naq.schedules.timetable import Timetable, read_timetable

DEADLINE = 20.0  # seconds any single wait of a test may take; reached only by a failure
_numbers = count(1)


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


def make_app(**settings: Any) -> Naq:
    """An app whose jobs live in a store that no other test sees."""
    chosen: Any = {"broker_url": f"memory:schedule-tests-{next(_numbers)}", "shutdown_timeout": 5.0, **settings}
    return Naq("test", **chosen)


async def jobs_of(backend: Backend, name: str) -> list[JobRecord]:
    """The jobs that a schedule made, oldest slot first."""
    found = [record for record in await backend.jobs(limit=1000) if record.tags.get("schedule") == name]
    return sorted(found, key=lambda record: record.id)


async def until(ask: Callable[[], Awaitable[object]], what: str = "the condition") -> Any:
    """The first truthy answer of `ask`."""
    end = time.monotonic() + DEADLINE
    while not (answer := await ask()):
        assert time.monotonic() < end, f"{what} did not come true in {DEADLINE:g} s"
        await asyncio.sleep(0.01)
    return answer
