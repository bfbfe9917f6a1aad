"""What the log says of a running attempt: progress, metrics, log lines. Their wire form is in docs/wire.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct

from naq import clock
from naq.backends.base import Event
from naq.codec.sealing import close_value, open_value
from naq.exceptions import SerializationError
from naq.job import new_id

if TYPE_CHECKING:
    from naq.config import Config
    from naq.context import Context

PROGRESS: Final = "progress"
METRIC: Final = "metric"
LOG: Final = "log"

_BY_THE_PIECE: Final = frozenset({METRIC, LOG})  # one twice would be seen; of progress the last counts
_encode: Final = msgspec.json.Encoder().encode
N = TypeVar("N", bound="Note")


class Note(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all notes say: of which run and attempt of the job they are."""

    run: int = 1
    attempt: int = 1


class Progress(Note, frozen=True, kw_only=True, omit_defaults=True):
    """How far an attempt has come.

    Attributes:
        value: 0 to 1; within an attempt it never falls.
        message: what it does, in words.
        at: UNIX seconds; set by whoever reads it.
    """

    value: float = 0.0
    message: str = ""
    at: float = 0.0

    @property
    def percent(self) -> float:
        """0 to 100."""
        return round(self.value * 100, 6)


class Metric(Note, frozen=True, kw_only=True, omit_defaults=True):
    """A number that a task has measured."""

    name: str
    value: float
    at: float = 0.0


class Line(Struct, frozen=True):
    """A log line of a job.

    Attributes:
        at: UNIX seconds.
        level: "INFO" and so on.
        logger: who said it.
        text: the message, and a traceback if it has one.
        run, attempt: of which run and attempt it is; set by whoever reads it.
    """

    at: float
    level: str
    logger: str
    text: str
    run: int = 1
    attempt: int = 1


class Lines(Note, frozen=True, kw_only=True, omit_defaults=True):
    """Log lines. `dropped` is how many were left out before them."""

    lines: list[Line] = []
    dropped: int = 0


class _Sealed(Struct):
    sealed: str


def write_note(config: Config, kind: str, note: Struct, context: Context) -> Event:
    """`note` as an event of the job, sealed as `config` asks."""
    data = _encode(note)
    closed = close_value(config, data, kind, context.job_id)
    if closed is not data:
        data = _encode(_Sealed(closed.decode()))
    known = new_id() if kind in _BY_THE_PIECE else ""
    return Event(kind=kind, job_id=context.job_id, queue=context.queue, data=data, at=clock.now(), id=known)


def read_note(config: Config, event: Event, kind: type[N]) -> N:
    """The note of this `kind` in an event.

    Raises:
        SerializationError: it is none, or is not signed or encrypted as `config` asks.
    """
    data = event.data
    try:
        if b'"sealed"' in data[:12]:
            data = open_value(config, msgspec.json.decode(data, type=_Sealed).sealed.encode(), event.kind, event.job_id)
        else:
            data = open_value(config, data, event.kind, event.job_id)
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise SerializationError(f"an event {event.kind} of job {event.job_id} cannot be read: {error}") from error
