"""Cron expressions: which moments they name, in a zone, through the changes of its clocks.

Five fields (minute, hour, day of month, month, day of week), six with seconds in front, or a name such as ``@daily``.
Ranges, steps, lists, names of months and days, ``L``, ``LW`` and ``5#2`` as Debian's cron and cronsim have them.

**The rule where clocks change** (Debian's, here for six fields as well):

- *Fixed times* — neither the minute nor the hour field begins with ``*`` — fire **once a day**, whatever the clocks do.
  A time that does not exist, since the clocks went forward over it, fires at the first minute that does. A time that
  comes twice fires the first time.
- *All others* (``*/15 * * * *``, ``30 * * * *``, ``* 2 * * *``) go by the time that passes: in the hour that comes
  twice they fire twice, in the one that is left out not at all, and the distance between two firings stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from naq.exceptions import ConfigurationError

NAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST: Final = 200  # characters; the longest honest list of minutes has 170
_LATEST: Final = 9990  # the year at which we stop to look: datetime ends with 9999


class Cron(NamedTuple):
    """An expression, read: its five fields, and the seconds within the minute at which it fires."""

    minutes: str
    seconds: tuple[int, ...]


@lru_cache(maxsize=512)
def read_cron(text: str) -> Cron:
    """`text` as an expression.

    Raises:
        ConfigurationError: it is none, or names no moment that ever comes; says why.
    """
    from cronsim import CronSim, CronSimError
    from cronsim.cronsim import Field

    expanded = NAMES.get(text.strip().lower(), text)
    fields = expanded.split()
    if expanded.startswith("@"):
        raise _refused(text, f"there are {', '.join(NAMES)}")
    if len(expanded) > _LONGEST or len(fields) not in {5, 6}:
        raise _refused(text, "5 fields (minute hour day month weekday), or 6 with seconds in front")
    try:
        named = {0} if len(fields) == 5 else cast("set[int]", Field.SECOND.parse(fields[0]))
        seconds = tuple(sorted(named))
        cron = Cron(" ".join(fields[-5:]), seconds)
        next(CronSim(cron.minutes, datetime(2024, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise _refused(text, "no such moment comes within fifty years") from None
    except (CronSimError, ValueError, AssertionError, IndexError) as error:
        raise _refused(text, str(error) or "it cannot be read") from error
    return cron


@lru_cache(maxsize=128)
def read_zone(name: str) -> tzinfo:
    """The zone `name`, such as ``Europe/Berlin``.

    Raises:
        ConfigurationError: there is none here of this name.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"there is no time zone {name!r} here: use a name of the IANA data base, such as 'Europe/Berlin' or 'UTC' "
            "(where the system has none of them: pip install tzdata)"
        ) from error


def moments(text: str, zone: str, after: float) -> Iterator[float]:
    """The moments (whole UNIX seconds) later than `after` at which `text` fires in `zone`, in order.

    The same whatever `after` they are counted from.

    Raises:
        ConfigurationError: `text` is no expression, or `zone` no zone.
    """
    cron, place = read_cron(text), read_zone(zone)
    # From the minute before the one that `after` is in, whose later seconds may be still to come.
    start = datetime.fromtimestamp(after - after % 60 - 60, place)
    for minute in _minutes(cron.minutes, start):
        if minute.year > _LATEST:
            return
        first = minute.timestamp()
        for second in cron.seconds:
            if first + second > after:
                yield first + second


def explain(text: str) -> str:
    """`text` in English words."""
    from cronsim import CronSim

    cron = read_cron(text)
    words = CronSim(cron.minutes, datetime(2024, 1, 1, tzinfo=UTC)).explain()
    if cron.seconds == (0,):
        return words
    return f"{words}, at second{'s' * (len(cron.seconds) > 1)} {', '.join(map(str, cron.seconds))}"


def _minutes(expression: str, start: datetime) -> Iterator[datetime]:
    from cronsim import CronSim

    found: Iterator[datetime] = CronSim(expression, start)
    last = start
    for minute in found:
        # A fixed time is looked for on the clock's face: seen from the second of two like hours, it may lie behind.
        if minute.timestamp() > last.timestamp():
            yield minute
            last = minute


def _refused(text: str, why: str) -> ConfigurationError:
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    return ConfigurationError(f"cron {shown!r} cannot be: {why}")
