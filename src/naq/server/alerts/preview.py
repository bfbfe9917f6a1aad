"""What a rule would have said: the same steps, over what the history counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.alerts import counted
from naq.server.alerts.incidents import Incident, look
from naq.server.alerts.rules import Rule
from naq.server.store.changes import MINUTE
from naq.server.store.rows import MICRO
from naq.server.store.tables import depths, readings

Series = Mapping[str, Iterable[tuple[int, float]]]
"""By subject: moments (microseconds) and values."""


class Spell(Struct, frozen=True, kw_only=True):
    """An incident that would have been. `until` is None where it would last; `messages` would have been sent."""

    subject: str
    since: int
    until: int | None
    worst: float
    messages: int


async def load(connection: AsyncConnection, rule: Rule, since: int, until: int) -> Series:
    """What `rule` would have seen from `since` to `until`, by the minute.

    Raises:
        TooMuch: the time is too long for so many subjects.
    """
    if rule.watched.basis == "depths":
        return await _depths(connection, rule, since, until)
    if rule.watched.basis == "noted":
        return await _noted(connection, rule, since, until)
    minutes = await counted.count(connection, rule, since - rule.window_s * MICRO, until)
    return {subject: counted.windows(rule, found, since, until) for subject, found in minutes.items()}


def spells(rule: Rule, series: Series) -> list[Spell]:
    """The incidents that `rule` would have made of `series`, the first first."""
    judged = replace(rule, muted_until=None)
    found: list[Spell] = []
    for subject, values in series.items():
        before: Incident | None = None
        opened: dict[str, Incident] = {}
        messages: dict[str, int] = {}
        for at, value in values:
            step = look(judged, before, subject, value, at)
            before = step.incident
            if before is not None and before.opened_at is not None:
                opened[before.id] = before
                messages[before.id] = messages.get(before.id, 0) + (step.tell is not None)
        found += [
            Spell(subject=subject, since=one.since_at, until=one.resolved_at, worst=one.worst, messages=messages[key])
            for key, one in opened.items()
        ]
    return sorted(found, key=lambda spell: (spell.since, spell.subject))


async def _noted(connection: AsyncConnection, rule: Rule, since: int, until: int) -> Series:
    """What was noted by the minute; a minute without a note was as it should be."""
    asked = select(readings.c.subject, readings.c.at, readings.c.value).where(
        readings.c.kind == rule.kind, readings.c.at >= since, readings.c.at < until
    )
    if rule.target:
        asked = asked.where(readings.c.subject == rule.target)
    rows = (await connection.execute(asked.limit(counted.MOST + 1))).all()
    if len(rows) > counted.MOST:
        raise counted.TooMuch
    found: dict[str, dict[int, float]] = {}
    for subject, at, value in rows:
        found.setdefault(subject, {})[int(at)] = float(value)
    return {subject: _minutes(values, since, until, keep=False) for subject, values in found.items()}


async def _depths(connection: AsyncConnection, rule: Rule, since: int, until: int) -> Series:
    asked = select(depths.c.queue, depths.c.at, depths.c.queued).where(depths.c.at >= since, depths.c.at < until)
    if rule.target:
        asked = asked.where(depths.c.queue == rule.target)
    rows = (await connection.execute(asked.order_by(depths.c.at).limit(counted.MOST + 1))).all()
    if len(rows) > counted.MOST:
        raise counted.TooMuch
    found: dict[str, dict[int, float]] = {}
    for queue, at, queued in rows:
        found.setdefault(queue, {})[int(at)] = float(queued)
    return {queue: _minutes(values, since, until, keep=True) for queue, values in found.items()}


def _minutes(values: Mapping[int, float], since: int, until: int, *, keep: bool) -> Iterable[tuple[int, float]]:
    """Every minute. One without a value is 0, or with `keep` as the one before: nobody looked in it."""
    step: Any = MINUTE * MICRO
    last = 0.0
    for at in range(since - since % step, until, step):
        last = values.get(at, last if keep else 0.0)
        yield at + step, last
