"""A schedule as it is kept: what to do, when, and how far it has come. Changed only by compare-and-set.

All changes are functions from one `Kept` to the next; who does them, and in which order with the jobs in the broker, is
`naq.scheduler`'s. A *generation* is what holds between two changes: the ids of ticks carry it, so that ticks of a
definition that was changed can never be taken for those of the new one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from naq.exceptions import SerializationError
from naq.job import Priority
from naq.schedules.slots import Slot, slots
from naq.schedules.timetable import Timetable

PAST: Final = 30  # ticks that a schedule remembers, for people
CLOSED: Final = 20  # generations that are remembered; ticks of older ones have long been run
_NAME: Final = 30  # characters of a schedule's name that its ticks' ids carry
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Tick(Struct, frozen=True, array_like=True, gc=False):
    """A slot for which a job was stored: the moment, when it was due, under which generation, and if it was made up."""

    at: float
    due: float
    generation: int
    late: bool = False


class Pause(Struct, frozen=True, omit_defaults=True):
    """Since when a schedule stands still (UNIX seconds), by whom, and why."""

    at: float
    by: str = ""
    note: str = ""


class Template(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The job that every tick is a copy of.

    Attributes:
        task: the task's name.
        payload: its envelope; sealed where the configuration has keys.
        queue, priority, headers: as of a job.
        expires_in: seconds after it was due from which it is not started any more; None: never.
    """

    task: str
    payload: bytes
    queue: str = "default"
    priority: Priority = "normal"
    headers: dict[str, str] = {}
    expires_in: float | None = None


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule and where it stands. Times are UNIX seconds.

    Attributes:
        name: what it is called.
        template, table: what to do, and when.
        app: the app that declares it in its code; "" for one that was made at run time.
        declared: a digest of the declaration it was last brought in line with.
        generation: grows with every change; in milliseconds of the day it began, so that a schedule of a name that was
            used before begins above it.
        closed: earlier generations, each with the time until which its ticks were right, and the last slot of which it
            was noted that it has one.
        last: the last slot that was dealt with.
        ahead: ticks whose jobs are in the broker and not due yet, as far as is known.
        past: the last ticks that fell due.
        count: how many jobs were made for slots.
        paused: set while it stands still.
        skips: slots to come that somebody asked to leave out.
        void_before: slots before this that have not started are void: later ones were made up for them.
        created_at, changed_at, changed_by: for people.
    """

    name: str
    template: Template
    table: Timetable
    app: str = ""
    declared: str = ""
    generation: int = 0
    closed: list[tuple[int, float, float]] = []
    last: float = 0.0
    ahead: list[Tick] = []
    past: list[Tick] = []
    count: int = 0
    paused: Pause | None = None
    skips: list[float] = []
    void_before: float = 0.0
    created_at: float = 0.0
    changed_at: float = 0.0
    changed_by: str = ""

    @property
    def left(self) -> int | None:
        """How many jobs it may still make for slots that are not in the broker yet; None: no end."""
        return None if self.table.repeat is None else max(0, self.table.repeat - self.count)

    def upcoming(self, after: float, n: int) -> list[Slot]:
        """The next `n` slots due later than `after`, as they will fire; none of a schedule that is paused."""
        if self.paused is not None:
            return []
        known = [Slot(tick.at, tick.due) for tick in self.ahead]
        later = islice((s for s in slots(self.table, self.last, self.name) if s.at not in self.skips), self.left)
        return list(islice((s for s in (*known, *islice(later, n)) if s.due > after), n))

    @property
    def ended(self) -> bool:
        """Whether no slot follows any more."""
        return not self.ahead and not (self.left != 0 and any(True for _ in islice(slots(self.table, self.last), 1)))


def tick_id(name: str, tick: Tick) -> str:
    """The id of a tick's job: the same whoever makes it, and another in every generation."""
    return f"cron-{short_name(name)}-{_moment(tick.at)}-{_base36(tick.generation)}"


def short_name(name: str) -> str:
    """At most 30 characters that stand for `name`."""
    if len(name) <= _NAME:
        return name
    return f"{name[: _NAME - 9]}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


def backfill_id(name: str, at: float) -> str:
    """The id of the job that a backfill makes for the slot at `at`: filling twice makes it once."""
    return f"back-{short_name(name)}-{_moment(at)}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _ALPHABET[digit] + text
    return text or "0"


_encode: Final = Encoder().encode
_decode: Final = Decoder(Kept).decode


def encode_kept(kept: Kept) -> bytes:
    """The form in which it is stored."""
    return _encode(kept)


def decode_kept(value: bytes) -> Kept:
    """What `encode_kept` made.

    Raises:
        SerializationError: it is something else.
    """
    try:
        return _decode(value)
    except ValueError as error:
        raise SerializationError(f"this is no stored schedule: {error}") from error
