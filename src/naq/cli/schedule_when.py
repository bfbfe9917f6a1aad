"""When a schedule is to fire, as options of commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from naq.cli.parameter import Parameter, spread
from naq.cli.values import read_duration, read_moment
from naq.schedules.timetable import Overlap

NEVER: Final = "never"  # --until never: without an end


@spread
@dataclass(frozen=True)
class When:
    """Options that say when."""

    cron: str | None = None
    """Five fields, six with seconds in front, or @daily and its like."""
    every: str | None = None
    """Instead of --cron: the time between two runs, such as 30s or 5m."""
    tz: str | None = None
    """The zone that --cron is meant in, such as Europe/Berlin. Default: UTC."""
    start: Annotated[str | None, Parameter(name="--from")] = None
    """The first moment that may be a run, such as 2026-12-24T18:00 (local time)."""
    end: Annotated[str | None, Parameter(name="--until")] = None
    """From this moment on there are no more; "never" takes that back."""
    repeat: int | None = None
    """How many runs there are at most; 0: no end."""
    jitter: str | None = None
    """Put each run off by a part of this time, the same whenever one looks."""
    missed: str | None = None
    """Of runs that nobody could start: skip, latest (the default), or catch_up(N)."""
    overlap: Overlap | None = None
    """While the run before has not ended: allow (the default), skip, or cancel_previous."""

    @property
    def timing(self) -> Any:
        """What was given, as `naq.schedules.timetable.Timing`."""
        given = {
            "cron": self.cron,
            "interval": read_duration("--every", self.every),
            "tz": self.tz,
            "start": read_moment("--from", self.start),
            "end": None if self.end == NEVER else read_moment("--until", self.end),
            "repeat": self.repeat or None,
            "jitter": read_duration("--jitter", self.jitter),
            "missed": self.missed,
            "overlap": self.overlap,
        }
        taken_back = {name for name, back in (("end", self.end == NEVER), ("repeat", self.repeat == 0)) if back}
        return {name: value for name, value in given.items() if value is not None or name in taken_back}


ANY: Final = When()
