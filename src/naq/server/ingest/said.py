"""What an event of the log says, read and checked: the one place where bytes of others become values of ours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from naq.backends.base import Event
from naq.codec.record import decode_record
from naq.codec.sealing import opened
from naq.config import Config
from naq.exceptions import SerializationError
from naq.inside.notes import LOG, METRIC, PROGRESS, Lines, Metric, Note, Progress, read_note
from naq.job import FINAL, AttemptError, JobRecord
from naq.names import is_task_name, is_token

MOST: Final = 1_000_000  # runs and attempts; the envelope's own limit
LATEST: Final = 253_402_300_799.0  # UNIX seconds: the end of the year 9999
SKIPPED: Final = frozenset({"item", "event"})  # parts of streams, and events that are no job's
RECORD, STARTED, FAILED, BLOCKED = "record", "started", "attempt_failed", "blocked"


class Started(Struct, frozen=True):
    """An attempt has been running for a moment."""

    task: str = ""
    run: int = 1
    attempt: int = 1
    worker: str = ""


class AttemptFailed(Started, frozen=True):
    """An attempt failed, and another follows after `next_in` seconds."""

    error: AttemptError | None = None
    next_in: float = 0.0


class Other(Struct, frozen=True):
    """Something else that was said of a job, as it came."""

    data: str


Said = JobRecord | Started | AttemptFailed | Progress | Lines | Metric | Other


class Unreadable(Exception):
    """An event is none; says why."""


def read(config: Config, event: Event) -> Said | None:
    """What `event` says; None where it is nothing that the history keeps.

    Raises:
        Unreadable: says why.
    """
    if event.kind in SKIPPED:
        return None
    if not is_token(event.job_id) or not is_token(event.queue):
        raise Unreadable("its job id or queue is not allowed")
    if not math.isfinite(event.at) or not 0 <= event.at <= LATEST:
        raise Unreadable("its time is none")
    try:
        return _READERS.get(event.kind, _other)(config, event)
    except (msgspec.MsgspecError, SerializationError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)[:500]) from error


def _record(config: Config, event: Event) -> JobRecord:
    record = decode_record(event.data)
    if record.id != event.job_id:
        raise Unreadable(f"it is the record of another job, {record.id[:80]!r}")
    if record.state not in FINAL:
        raise Unreadable(f"state {record.state.value} is not final")
    _check(record.run, record.attempt)
    for at in (record.enqueued_at, record.run_at, record.started_at, record.finished_at, record.expires_at):
        if not math.isfinite(at) or not 0 <= at <= LATEST:
            raise Unreadable("one of its times is none")
    if not is_token(record.queue) or (record.task and not is_task_name(record.task)):
        raise Unreadable("its queue or task is not allowed")
    for name in (record.parent, record.root):
        if name and not is_token(name):
            raise Unreadable("its parent or root is no job id")
    record = opened(record, event.job_id, config)
    for raw in (record.result, record.arguments):
        if raw is not None:
            bytes(raw).decode()  # what only passes through is not looked at by who reads the JSON
    return record


def _started(_config: Config, event: Event) -> Started:
    said = _decode_started(event.data)
    _check(said.run, said.attempt)
    return said


def _failed(_config: Config, event: Event) -> AttemptFailed:
    said = _decode_failed(event.data)
    _check(said.run, said.attempt)
    if not math.isfinite(said.next_in) or not 0 <= said.next_in <= LATEST:
        raise Unreadable("its delay is none")
    return said


def _note(kind: type[Note]) -> Callable[[Config, Event], Said]:
    def reader(config: Config, event: Event) -> Said:
        note = read_note(config, event, kind)
        _check(note.run, note.attempt)
        return note  # pyright: ignore[reportReturnType] - one of the three below

    return reader


def _other(_config: Config, event: Event) -> Other:
    return Other(bytes(_decode_raw(event.data)).decode())


def _check(run: int, attempt: int) -> None:
    if not 1 <= run <= MOST or not 0 <= attempt <= MOST:
        raise Unreadable(f"run {run} or attempt {attempt} is out of range")


_decode_started: Final = msgspec.json.Decoder(Started).decode
_decode_failed: Final = msgspec.json.Decoder(AttemptFailed).decode
_decode_raw: Final = msgspec.json.Decoder(Raw).decode
_READERS: Final[dict[str, Callable[[Config, Event], Said]]] = {
    RECORD: _record,
    STARTED: _started,
    FAILED: _failed,
    PROGRESS: _note(Progress),
    LOG: _note(Lines),
    METRIC: _note(Metric),
}
