"""Kinds that count over a window: what the history counted, minute by minute, and what that makes.

One way for now and for the past, so that a preview shows what would really have happened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.alerts.rules import Kind, Rule
from naq.server.store.changes import MINUTE
from naq.server.store.queries.trends import percentile
from naq.server.store.rows import MICRO
from naq.server.store.tables import FINAL_STATES, durations, errors, invalid, rollups, workers

#: By subject and minute (its beginning, microseconds): what was counted in it.
Minutes = dict[str, dict[int, Counter[Any]]]
_MINUTE: Final = MINUTE * MICRO
MOST: Final = 200_000  # rows that a question may bring: a day of 70 tasks by the minute; more needs a target
_COUNT: Final = "n"  # of what is only counted


class TooMuch(Exception):
    """The time is too long for so many subjects."""


async def count(connection: AsyncConnection, rule: Rule, since: int, until: int) -> Minutes:
    """What `rule` counts, from the minute of `since` to that of `until`.

    Raises:
        TooMuch: there are more than `MOST` rows.
    """
    asked = _ASK[rule.kind](rule, since - since % _MINUTE, until).limit(MOST + 1)
    rows = [tuple(row) for row in await connection.execute(asked)]
    if len(rows) > MOST:
        raise TooMuch
    found: Minutes = defaultdict(lambda: defaultdict(Counter))
    for subject, at, key, many in rows:
        found[subject][int(at)][key] += int(many)
    return found


def windows(rule: Rule, minutes: Mapping[int, Counter[Any]], since: int, until: int) -> Iterator[tuple[int, float]]:
    """The value at the end of each minute from `since` to `until`, over the window before it."""
    width = -(-rule.window_s // MINUTE)
    held: Counter[Any] = Counter()
    begin = since - since % _MINUTE
    for at in range(begin - (width - 1) * _MINUTE, begin, _MINUTE):
        held += minutes.get(at, _NOTHING)
    for at in range(begin, until, _MINUTE):
        held += minutes.get(at, _NOTHING)
        yield at + _MINUTE, measure(rule, held)
        held -= minutes.get(at - (width - 1) * _MINUTE, _NOTHING)


def measure(rule: Rule, counted: Counter[Any]) -> float:
    """What was counted in a window, as the value of the rule; 0 where there was too little to say."""
    if rule.kind == "failure_rate":
        ended = counted.total()
        return counted["failed"] / ended if ended >= max(rule.least, 1) else 0.0
    if rule.kind in {"run_p95", "wait_p95"}:
        if counted.total() < max(rule.least, 1):
            return 0.0
        return (percentile(counted, 0.95) or 0) / MICRO
    return float(counted.total())


def total(minutes: Mapping[int, Counter[Any]]) -> Counter[Any]:
    """All minutes as one."""
    found: Counter[Any] = Counter()
    for one in minutes.values():
        found.update(one)
    return found


_NOTHING: Final[Counter[Any]] = Counter()


def _rollups(rule: Rule, since: int, until: int) -> Select[*tuple[Any, ...]]:
    whats = FINAL_STATES if rule.kind == "failure_rate" else ("failed",)
    scope = rule.watched.scope
    asked = select(rollups.c.name, rollups.c.at, rollups.c.what, rollups.c.count).where(
        rollups.c.step == MINUTE, rollups.c.scope == scope, rollups.c.at >= since, rollups.c.at < until,
        rollups.c.what.in_(whats),
    )  # fmt: skip
    return asked.where(rollups.c.name == rule.target) if rule.target else asked


def _durations(rule: Rule, since: int, until: int) -> Select[*tuple[Any, ...]]:
    measured, scope = ("run", "task") if rule.kind == "run_p95" else ("wait", "queue")
    asked = select(durations.c.name, durations.c.at, durations.c.bucket, durations.c.count).where(
        durations.c.step == MINUTE, durations.c.scope == scope, durations.c.at >= since, durations.c.at < until,
        durations.c.measure == measured,
    )  # fmt: skip
    return asked.where(durations.c.name == rule.target) if rule.target else asked


def _invalid(_rule: Rule, since: int, until: int) -> Select[*tuple[Any, ...]]:
    minute = invalid.c.seen_at - invalid.c.seen_at % _MINUTE
    asked = select(func.min(""), minute, func.min(_COUNT), func.count())
    return asked.where(invalid.c.seen_at >= since, invalid.c.seen_at < until).group_by(minute)


def _lost(_rule: Rule, since: int, until: int) -> Select[*tuple[Any, ...]]:
    """Workers end with nothing running, unless they are killed or cut off."""
    minute = workers.c.gone_at - workers.c.gone_at % _MINUTE
    asked = select(func.min(""), minute, func.min(_COUNT), func.count())
    # What has gone was seen before; the index of that is the one there is.
    return asked.where(
        workers.c.seen_at >= since - _SEEN, workers.c.gone_at >= since, workers.c.gone_at < until,
        workers.c.running > 0,
    ).group_by(minute)  # fmt: skip


def _errors(rule: Rule, since: int, until: int) -> Select[*tuple[Any, ...]]:
    """New since (when they first came) or come back since (when they last did); what people decided of is neither."""
    new = errors.c.state == "open"
    came = case((new, errors.c.first_at), else_=errors.c.last_at)
    minute = (came - came % _MINUTE).label("minute")
    asked = select(errors.c.task, minute, func.min(_COUNT), func.count()).where(
        errors.c.last_at >= since, came >= since, came < until, errors.c.state.in_(("open", "regressed"))
    )
    asked = asked.where(errors.c.task == rule.target) if rule.target else asked
    return asked.group_by(errors.c.task, minute)


_SEEN: Final = 600 * MICRO  # a worker that vanished is noticed in less after it was last seen
_ASK: Final[dict[Kind, Any]] = {
    "failure_rate": _rollups,
    "failures": _rollups,
    "dead_letters": _rollups,
    "run_p95": _durations,
    "wait_p95": _durations,
    "invalid_events": _invalid,
    "workers_lost": _lost,
    "new_errors": _errors,
}
