"""How often: ``"100/m"`` as data."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from naq.exceptions import ConfigurationError

RateMode = Literal["wait", "reject", "delay", "drop"]
MODES: Final[tuple[RateMode, ...]] = ("wait", "reject", "delay", "drop")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE: Final = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{0,6})\s*(s|m|h|d)\s*", re.ASCII)
MOST_COUNT: Final = 1_000_000  # above that nobody counts
MOST_SECONDS: Final = 30 * 86400  # what is remembered longer would have to be kept in a database


class Rate(Struct, frozen=True):
    """At most `count` in any `seconds`; in no window of that length are there more."""

    count: int
    seconds: float

    def __str__(self) -> str:
        for unit, size in _UNITS.items():
            if self.seconds == size:
                return f"{self.count}/{unit}"
        return f"{self.count}/{self.seconds:g}s"


def read_rate(where: str, value: object) -> Rate:
    """`value` as a rate: ``"10/s"``, ``"100/m"``, ``"1000/h"``, ``"5000/d"``, ``"5/10s"``, or a `Rate`.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(value, Rate):
        rate = value
    else:
        found = _RATE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ConfigurationError(
                f"{where} is {value!r}; expected how many in which time, such as '10/s', '100/m', '5/10s'"
            )
        count, span, unit = found.groups()
        rate = Rate(int(count), float(int(span or 1) * _UNITS[unit]))
    if not 1 <= rate.count <= MOST_COUNT or not 0 < rate.seconds <= MOST_SECONDS:
        raise ConfigurationError(f"{where} is {value!r}; the count goes from 1 to 1,000,000, the time up to 30 days")
    return rate
