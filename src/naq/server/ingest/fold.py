"""Events become rows: pure, whatever order they come in and however often.

Of a job, the row shows what is newest by run, then a final record before all else, then attempt, then time. So an event
that comes late, or twice, changes nothing that is newer; and what is counted is counted when its row is first made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from naq.backends.base import Event
from naq.codec.arguments import LEFT_OUT
from naq.codec.headers import trace_id
from naq.inside.notes import Lines, Metric, Progress
from naq.job import AttemptError, JobRecord
from naq.server.ingest.fingerprint import fingerprint
from naq.server.ingest.ids import made_at, schedule_of
from naq.server.ingest.said import AttemptFailed, Other, Said, Started
from naq.server.store.changes import Changes, ErrorDelta
from naq.server.store.rows import MICRO, AttemptRow, EventRow, JobRow, LogRow, micros

Hide = Callable[[str, str, str], str]
"""Task, what it is (args, result), and its JSON: what may be stored of it."""

MAX_TEXT: Final = 65_536  # characters of a result, a reason, a log line: the broker has all of it for `record_ttl`
MAX_LINKS: Final = 1_000  # jobs that a job waits for of which the way back is kept; a page draws fewer
HOUR: Final = 3600 * MICRO
_FINAL: Final = 1 << 20
_LEFT_OUT: Final = f'{{"{LEFT_OUT}"'
_encode: Final = msgspec.json.Encoder().encode


def rank(run: int, attempt: int, *, final: bool = False) -> int:
    """What is newer of a job has the higher one."""
    return run << 21 | (_FINAL if final else 0) | min(attempt, _FINAL - 1)


def clean(text: str, most: int = MAX_TEXT) -> str:
    """`text` as PostgreSQL takes it, cut."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if len(text) <= most else text[: most - 1] + "…"


def fold(changes: Changes, event: Event, said: Said, *, hide: Hide | None = None) -> None:
    """Let `event`, which says `said`, change what is known."""
    at = micros(event.at)
    match said:
        case JobRecord():
            _record(changes, said, at, hide)
        case AttemptFailed():
            _attempt_failed(changes, event, said, at)
        case Started():
            _running(changes, event, said.run, said.attempt, at, said)
        case Progress():
            _progress(changes, event, said, at)
        case Lines():
            _lines(changes, event, said, at)
        case Metric():
            data = _encode({"name": said.name, "value": said.value, "run": said.run, "attempt": said.attempt}).decode()
            _running(changes, event, said.run, said.attempt, at)
            changes.events.append(EventRow(job_id=event.job_id, at=at, kind=event.kind, data=clean(data)))
        case Other(data):
            if event.job_id in changes.jobs:  # not of every word that somebody logs a job is made
                changes.events.append(EventRow(job_id=event.job_id, at=at, kind=event.kind, data=clean(data)))


def hold_parent(changes: Changes, row: JobRow, parent: str, root: str) -> None:
    """Give `row` its parent; one that is not known yet gets a row that holds its place."""
    if not parent or parent == row.id:
        return
    if parent not in changes.jobs:
        place = JobRow(parent, state="running", queue=row.queue, created_at=made_at(parent, row.created_at))
        if root and root != parent:
            place.root_id = root
        changes.jobs[parent] = place
        changes.new.add(parent)
        changes.touched[parent] = None
    row.parent_id = parent
    row.root_id = root or parent


def start_row(changes: Changes, job_id: str, queue: str, created_at: int) -> tuple[JobRow, bool]:
    """The row of a job, and whether nothing but that it exists was known of it."""
    row = changes.jobs.get(job_id)
    if row is None:
        row = changes.jobs[job_id] = JobRow(job_id, queue=queue, created_at=created_at)
        changes.new.add(job_id)
    changes.touched[job_id] = None
    return row, not row.task


def introduce(changes: Changes, row: JobRow) -> None:
    """A job is known by its task for the first time."""
    changes.count("created", row.created_at, row.task, row.queue)
    changes.saw_task(row.task, row.queue, row.created_at)


def _record(changes: Changes, record: JobRecord, at: int, hide: Hide | None) -> None:
    """How a run of a job ended."""
    enqueued = made_at(record.id, micros(record.enqueued_at) or micros(record.started_at) or at)
    known = changes.jobs.get(record.id)
    ours = rank(record.run, record.attempt, final=True)
    if known is not None and known.rank > ours:
        _past_run(changes, record, at, known)
        return
    if known is not None and known.rank == ours:
        return  # it was read before
    row, is_new = start_row(changes, record.id, record.queue, enqueued)
    if row.run < record.run and row.finished_at is not None:
        archive(changes, row)
    state = record.state.value
    row.task, row.queue, row.priority, row.state = record.task, record.queue, record.priority, state
    row.run, row.attempt, row.delivered, row.worker = record.run, record.attempt, record.delivered, clean(record.worker)
    row.created_at = enqueued if is_new or not row.created_at else row.created_at
    row.schedule = row.schedule or schedule_of(record.id)
    row.run_at = micros(record.run_at) or row.run_at
    row.started_at = micros(record.started_at) or None
    row.finished_at = micros(record.finished_at) or at
    row.expires_at = micros(record.expires_at) or row.expires_at
    row.key = None
    _measure(row, micros(record.enqueued_at))
    row.reason = clean(record.reason)
    if record.tags:
        set_tags(changes, row, record.tags)
    if record.after:
        set_links(changes, row, record.after)
    if record.trace:
        row.trace = trace_id(record.trace) or row.trace
    _show_call(row, record, hide)
    if row.progress is not None and state == "succeeded":
        row.progress = 1.0
    row.rank, row.ranked_at, row.updated_at = ours, row.finished_at, at
    if record.parent:
        hold_parent(changes, row, record.parent, record.root)
    if record.root and row.root_id is None and record.root != row.id:
        row.root_id = record.root
    if is_new:
        introduce(changes, row)
    changes.count(row.state, row.finished_at, row.task, row.queue, run_us=row.duration_us, wait_us=row.wait_us)
    if record.errors or record.attempt > 1 or record.run > 1:
        _attempts(changes, record, row)


def _show_call(row: JobRow, record: JobRecord, hide: Hide | None) -> None:
    """What it was called with, and what came of that: a result, or an error."""
    if record.arguments is not None:
        row.args = called_with(record.task, bytes(record.arguments).decode(), row.args, hide)
    result = None if record.result is None else bytes(record.result).decode()
    if result is not None and hide is not None:
        result = hide(record.task, "result", result)
    row.result = None if result is None else short_json(result)
    row.error_type = row.error = row.fingerprint = None
    error = record.error
    if error is not None and row.state != "succeeded":
        row.error_type, row.error = clean(error.type, 400), clean(error.message)
        row.fingerprint = fingerprint(record.task, error)


def _attempts(changes: Changes, record: JobRecord, row: JobRow) -> None:
    """What a record says of the attempts of its run."""
    for error in record.errors:
        if 0 < error.attempt < record.attempt:
            _attempt(changes, row, record.run, error.attempt, "retrying", error, at=micros(error.at))
    last = record.error if record.error is not None and record.error.attempt in {0, record.attempt} else None
    if last is None and row.state in {"failed", "expired"}:
        last = record.error
    _attempt(
        changes, row, record.run, record.attempt, record.state.value, last if row.state != "succeeded" else None,
        at=row.finished_at or 0, started_at=row.started_at, worker=row.worker,
    )  # fmt: skip


def _past_run(changes: Changes, record: JobRecord, at: int, row: JobRow) -> None:
    """The record of a run after which there was another."""
    if record.run >= row.run:
        return
    ended = micros(record.finished_at) or at
    if not row.task and record.task:
        changes.touched[row.id] = None
        row.task, row.schedule = record.task, schedule_of(row.id)
        introduce(changes, row)
    fresh = _attempt(
        changes, row, record.run, record.attempt, record.state.value,
        record.error if record.state.value != "succeeded" else None,
        at=ended, started_at=micros(record.started_at) or None, worker=clean(record.worker),
    )  # fmt: skip
    if fresh:
        changes.count(record.state.value, ended, row.task or record.task, record.queue)


def archive(changes: Changes, row: JobRow) -> None:
    """The end of the run that `row` shows becomes an attempt, before another run takes its place."""
    key = (row.id, row.run, row.attempt)
    if key in changes.known_attempts:
        return
    changes.known_attempts.add(key)
    changes.attempts.append(
        AttemptRow(
            row.id,
            row.run,
            row.attempt,
            row.state,
            row.worker,
            row.started_at,
            row.finished_at or 0,
            error_type=row.error_type,
            error=row.error,
            fingerprint=row.fingerprint,
        )
    )


def _attempt(
    changes: Changes,
    row: JobRow,
    run: int,
    attempt: int,
    outcome: str,
    error: AttemptError | None,
    *,
    at: int,
    started_at: int | None = None,
    worker: str = "",
    next_in: int | None = None,
) -> bool:
    """Note how an attempt ended, if that was not known; whether it was not."""
    key = (row.id, run, attempt)
    if key in changes.known_attempts:
        return False
    changes.known_attempts.add(key)
    made = AttemptRow(row.id, run, attempt, outcome, worker, started_at, at, next_in)
    changes.attempts.append(made)
    if outcome == "retrying":
        changes.count(outcome, at, row.task, row.queue)
    if error is None:
        return True
    made.error_type, made.error = clean(error.type, 400), clean(error.message)
    made.detail = clean(_encode(error).decode(), 10 * MAX_TEXT)
    made.fingerprint = fingerprint(row.task, error)
    _error(changes, made, row)
    return True


def _error(changes: Changes, made: AttemptRow, row: JobRow) -> None:
    name = made.fingerprint or ""
    delta = changes.errors.get(name)
    if delta is None:
        delta = changes.errors[name] = ErrorDelta(
            name, row.task, made.error_type or "", made.error or "", made.detail or "", made.ended_at, 0, row.id
        )
    delta.count += 1
    if made.worker:
        delta.workers.add(made.worker)
    delta.first_at = min(delta.first_at, made.ended_at)
    if made.ended_at >= delta.last_at:
        delta.last_at, delta.last_job_id = made.ended_at, row.id
        delta.message, delta.detail = made.error or "", made.detail or ""
    changes.error_hours[name, made.ended_at - made.ended_at % HOUR] += 1


def _running(
    changes: Changes, event: Event, run: int, attempt: int, at: int, said: Started | None = None
) -> JobRow | None:
    """An attempt runs, as something says that it did; the row, where it is still that attempt's."""
    row, is_new = start_row(changes, event.job_id, event.queue, made_at(event.job_id, at))
    ours = rank(run, attempt)
    if (row.rank, row.ranked_at) <= (ours, at):
        if row.run < run and row.finished_at is not None:
            archive(changes, row)
        if row.rank != ours or row.state != "running":
            row.started_at = None
        row.state, row.run, row.attempt, row.rank, row.ranked_at = "running", run, attempt, ours, at
        row.updated_at = at
        row.finished_at = row.duration_us = row.result = row.error = row.error_type = row.fingerprint = None
        row.reason = ""
        if said is not None:
            row.started_at, row.worker = at, clean(said.worker)
            _measure(row)
    elif row.rank != ours:
        return row if row.run == run and row.attempt == attempt else None
    elif said is not None and row.state == "running" and row.started_at is None:
        row.started_at, row.worker = at, clean(said.worker)  # something that it said came before its beginning
        _measure(row)
    if said is not None and is_new and said.task:
        row.task, row.schedule = clean(said.task, 200), schedule_of(row.id)
        introduce(changes, row)
    return row


def _attempt_failed(changes: Changes, event: Event, said: AttemptFailed, at: int) -> None:
    row, is_new = start_row(changes, event.job_id, event.queue, made_at(event.job_id, at))
    if is_new and said.task:
        row.task, row.schedule = clean(said.task, 200), schedule_of(row.id)
        introduce(changes, row)
    started = row.started_at if (row.run, row.attempt) == (said.run, said.attempt) else None
    _attempt(
        changes, row, said.run, said.attempt, "retrying", said.error,
        at=at, started_at=started, worker=clean(said.worker), next_in=micros(said.next_in),
    )  # fmt: skip
    ours = rank(said.run, said.attempt + 1)
    if (row.rank, row.ranked_at) <= (ours, at):
        row.state, row.run, row.attempt, row.rank, row.ranked_at = "retrying", said.run, said.attempt + 1, ours, at
        row.run_at, row.updated_at = at + micros(said.next_in), at
        row.started_at = row.finished_at = row.duration_us = row.wait_us = None
        if said.error is not None:
            row.error_type, row.error = clean(said.error.type, 400), clean(said.error.message)
            row.fingerprint = fingerprint(row.task, said.error)


def _progress(changes: Changes, event: Event, said: Progress, at: int) -> None:
    row = _running(changes, event, said.run, said.attempt, at)
    if row is not None and (row.progress is None or row.attempt == said.attempt):
        row.progress, row.progress_text = min(max(said.value, 0.0), 1.0), clean(said.message, 1000) or None


def _lines(changes: Changes, event: Event, said: Lines, at: int) -> None:
    _running(changes, event, said.run, said.attempt, at)
    for n, line in enumerate(said.lines):
        changes.logs.append(
            LogRow(
                event.job_id,
                at,
                n,
                said.run,
                said.attempt,
                micros(min(max(line.at, 0.0), 253_402_300_799.0)),
                clean(line.level, 20),
                clean(line.logger, 200),
                clean(line.text),
                said.dropped if n == 0 else 0,
            )
        )


def _measure(row: JobRow, enqueued: int = 0) -> None:
    """How long it waited since it was `enqueued` (0: since it was made), and took."""
    row.wait_us = row.duration_us = None
    if row.started_at is None:
        return
    could = max(enqueued or row.created_at, row.run_at or 0)
    if row.attempt == 1 or (row.run_at or 0) > row.created_at:
        row.wait_us = max(row.started_at - could, 0)
    if row.finished_at is not None:
        row.duration_us = max(row.finished_at - row.started_at, 0)


def set_tags(changes: Changes, row: JobRow, tags: dict[str, str]) -> None:
    """Tag a row; it is found by all tags that it ever had."""
    text = clean(_encode(tags).decode())
    if row.tags != text:
        changes.tags += [(clean(name, 200), clean(value, 500), row.created_at, row.id) for name, value in tags.items()]
    row.tags = text


def set_links(changes: Changes, row: JobRow, parents: Sequence[str]) -> None:
    """Say which jobs a job waits for, unless that is known: a record has no more than the first hundred of them."""
    if row.waits_for is None:
        row.waits_for = _encode(parents).decode()
        changes.links += [(clean(parent, 200), row.id) for parent in dict.fromkeys(parents[:MAX_LINKS])]


def called_with(task: str, text: str, known: str | None, hide: Hide | None) -> str:
    """The arguments `text` of a job as they are kept; `known` are better than word that they were left out."""
    if known is not None and text.startswith(_LEFT_OUT):
        return known
    return short_json(text if hide is None else hide(task, "args", text))


def short_json(text: str) -> str:
    """JSON that is too long to keep becomes JSON that says so."""
    if len(text) <= MAX_TEXT:
        return text
    return _encode({LEFT_OUT: f"{len(text)} characters; the broker has all of them"}).decode()
