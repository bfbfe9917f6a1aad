"""A timetable: when something is to happen again and again, and what becomes of slots that cannot be kept."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypedDict, cast

from msgspec import Struct

from naq import clock
from naq.config import hint
from naq.exceptions import ConfigurationError
from naq.schedules.cron import read_cron, read_zone

Missed = str  # "skip", "latest", "catch_up(3)"
Overlap = Literal["allow", "skip", "cancel_previous"]
MISSED: Final = ("skip", "latest", "catch_up(N)")
OVERLAP: Final[tuple[Overlap, ...]] = ("allow", "skip", "cancel_previous")
MOST_CAUGHT_UP: Final = 10_000  # slots that catch_up makes up at most; more is a backfill, which has a rate
_LONGEST: Final = 366 * 86400.0  # seconds of the longest interval: a year
_CATCH_UP: Final = re.compile(r"catch_up\(\s*([0-9]{1,6})\s*\)", re.ASCII)


class Details(TypedDict, total=False):
    """What may be said of a schedule beside when it fires.

    Attributes:
        tz: the IANA zone that `cron` is meant in; default "UTC".
        start: the first moment that may be a slot; a datetime (naive means UTC) or UNIX seconds. An interval counts
            from here; without it, from one interval after the schedule was made.
        end: slots from here on are none.
        repeat: how many jobs it makes at most.
        jitter: seconds, or a timedelta: each slot's job is put off by a part of it, which is the same each time the
            slot is looked at.
        missed: what becomes of slots that nobody could put in line: "skip", "latest" (default: the newest of them
            runs, once), or "catch_up(N)" (the newest N of them, oldest first).
        overlap: what becomes of a slot while the job of an earlier one has not ended: "allow" (default), "skip", or
            "cancel_previous".
    """

    tz: str
    start: datetime | float | None
    end: datetime | float | None
    repeat: int | None
    jitter: float | timedelta
    missed: Missed
    overlap: Overlap


class Timing(Details, total=False):
    """How a schedule may be given; `cron` or `interval` is needed. All else as in `Details`.

    Attributes:
        cron: five fields, six with seconds in front, or ``@daily`` and its like (`naq.schedules.cron`).
        interval: whole seconds, or a timedelta, between two slots; 1 second to 366 days.
    """

    cron: str | None
    interval: float | timedelta | None


_OPTIONS: Final = ("cron", "interval", *Details.__annotations__)


class Timetable(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checked timetable. Times are UNIX seconds, durations seconds.

    Attributes:
        cron, interval: one of them says when.
        tz, start, end, repeat, jitter, missed, overlap: as in `Timing`; `missed` is "skip", "latest" or "catch_up".
        catch_up: how many slots are made up at most where `missed` is "catch_up".
    """

    cron: str = ""
    interval: int = 0
    tz: str = "UTC"
    start: float | None = None
    end: float | None = None
    repeat: int | None = None
    jitter: int = 0
    missed: Literal["skip", "latest", "catch_up"] = "latest"
    catch_up: int = 1
    overlap: Overlap = "allow"

    @property
    def words(self) -> str:
        """When it fires, in words."""
        from naq.schedules.cron import explain

        if self.cron:
            return f"{explain(self.cron)} ({self.tz})"
        return f"Every {timedelta(seconds=self.interval)} h" if self.interval >= 3600 else f"Every {self.interval} s"

    @property
    def policy(self) -> str:
        """`missed` as it is given."""
        return f"catch_up({self.catch_up})" if self.missed == "catch_up" else self.missed


def read_timetable(where: str, timing: Timing, *, base: Timetable | None = None) -> Timetable:
    """`timing` checked, over what `base` says (None: over the defaults). `where` begins every error.

    Raises:
        ConfigurationError: says what is wrong.
    """
    for name in timing:
        if name not in _OPTIONS:
            raise ConfigurationError(f"{where}: there is no option {name!r}; {hint(name, _OPTIONS)}")
    fields: dict[str, Any] = {} if base is None else {name: getattr(base, name) for name in base.__struct_fields__}
    cron, interval = timing.get("cron"), timing.get("interval")
    if cron is not None:
        fields |= {"cron": _cron(where, cron), "interval": 0}
        if base is not None and base.interval:
            fields["start"] = None  # that was where the interval counted from
    if interval is not None:
        fields |= {"interval": _whole(where, "interval", interval, 1), "cron": fields["cron"] if cron else ""}
        if base is not None and base.interval != fields["interval"]:
            fields["start"] = None
    if bool(fields.get("cron")) == bool(fields.get("interval")) or (cron and interval):
        raise ConfigurationError(f"{where}: give cron or interval, one of them, to say when")
    given: Mapping[str, object] = cast("Mapping[str, object]", timing)
    for name, read in _READERS.items():
        if name in given:
            fields |= read(where, name, given[name])
    table = Timetable(**fields)
    if table.start is not None and table.end is not None and table.end <= table.start:
        raise ConfigurationError(f"{where}: end is not after start, so nothing would ever run")
    if table.interval and table.jitter >= table.interval:
        raise ConfigurationError(f"{where}: jitter must be less than interval, or slots would change places")
    return table


def _cron(where: str, text: object) -> str:
    if not isinstance(text, str):
        raise ConfigurationError(f"{where}: cron is {text!r}; expected text such as '*/5 * * * *'")
    try:
        read_cron(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return " ".join(text.split())


def _whole(where: str, name: str, value: object, least: int) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != int(seconds) \
            or not least <= seconds <= _LONGEST:  # fmt: skip
        raise ConfigurationError(
            f"{where}: {name} is {value!r}; expected whole seconds or a timedelta, from {least} second(s) to 366 days"
        )
    return int(seconds)


def _zone(where: str, name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: {name} is {value!r}; expected the name of a zone, such as 'Europe/Berlin'")
    read_zone(value)
    return {name: value}


def _moment(where: str, name: str, value: object) -> dict[str, Any]:
    if value is None:
        return {name: None}
    moment = clock.as_timestamp(value) if isinstance(value, datetime) else value
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not 0 <= moment < 253_402_300_800:
        raise ConfigurationError(f"{where}: {name} is {value!r}; expected a datetime or UNIX seconds")
    return {name: float(math.ceil(moment))}  # slots are whole seconds


def _repeat(where: str, name: str, value: object) -> dict[str, Any]:
    if value is None:
        return {name: None}
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{where}: {name} is {value!r}; expected a whole number, 1 or more, or None")
    return {name: value}


def _jitter(where: str, name: str, value: object) -> dict[str, Any]:
    return {name: _whole(where, name, value, 0)}


def _overlap(where: str, name: str, value: object) -> dict[str, Any]:
    if value not in OVERLAP:
        raise ConfigurationError(f"{where}: there is no overlap {value!r}; {hint(str(value), OVERLAP)}")
    return {name: value}


def _missed(where: str, name: str, value: object) -> dict[str, Any]:
    if value in {"skip", "latest"}:
        return {"missed": value, "catch_up": 1}
    match = _CATCH_UP.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[1]) <= MOST_CAUGHT_UP:
        raise ConfigurationError(
            f"{where}: {name} is {value!r}; expected 'skip', 'latest', or 'catch_up(N)', N from 1 to {MOST_CAUGHT_UP}"
        )
    return {"missed": "catch_up", "catch_up": int(match[1])}


_READERS: Final = {
    "tz": _zone,
    "start": _moment,
    "end": _moment,
    "repeat": _repeat,
    "jitter": _jitter,
    "missed": _missed,
    "overlap": _overlap,
}
