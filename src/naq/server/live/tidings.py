"""What is told, as values and as bytes: each is encoded once, however many hear it."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from naq.backends.base import Event
from naq.clock import as_datetime
from naq.config import Config
from naq.inside.notes import Lines, Progress
from naq.job import JobRecord
from naq.server.ingest.said import AttemptFailed, Started, Unreadable, read

Name = Literal[
    "hello", "job.changed", "job.progress", "job.logs", "jobs.matching", "queue.changed", "worker.changed",
    "schedule.changed", "alert.changed", "error.changed", "overview.tick", "attention.changed",
    "bulk.progress", "server.status", "reset",
    "bye",
]  # fmt: skip
NAMES: Final[tuple[str, ...]] = Name.__args__
#: Dropped first when a client does not keep up.
LIGHT: Final = frozenset({"job.progress", "job.logs"})
_encode: Final = msgspec.json.Encoder().encode


class Tidings(Struct, frozen=True, kw_only=True):
    """Something to tell.

    Attributes:
        name: the event's.
        topics: who hears it: those that asked for any of them.
        entity: what it is about; a later one about the same takes its place while it waits. Empty: none does.
        data: what it says.
        id: where a client that heard it goes on; empty where it is not of the log.
        about: of a job, what filters look at.
        queue: of what is of one queue, that.
    """

    name: Name
    topics: tuple[str, ...]
    entity: str = ""
    data: dict[str, Any]
    id: str = ""
    about: dict[str, Any] | None = None
    queue: str = ""

    def wire(self, last: str = "") -> bytes:
        """As an event of a stream; one that is not of the log has the id of what was told `last`."""
        return f"id: {self.id or last}\nevent: {self.name}\ndata: ".encode() + _encode(self.data) + b"\n\n"


def alive(last: str) -> bytes:
    """A comment, which proxies count as life, and how far the client has come; no event."""
    return f": alive\nid: {last}\n\n".encode()


def of_event(config: Config, event: Event, place: str) -> Tidings | None:  # noqa: PLR0911 - one a kind
    """What an event of the log tells; None: nothing that anybody watches. What it must not say, it does not."""
    try:
        said = read(config, event)
    except Unreadable:
        return None  # the history says so, and counts it
    job, at = event.job_id, as_datetime(event.at).isoformat()
    common: dict[str, Any] = {"id": job, "at": at}
    match said:
        case JobRecord():
            error = said.error
            patch: dict[str, Any] = {
                "state": said.state.value, "task": said.task, "queue": said.queue, "run": said.run,
                "attempt": said.attempt, "worker": said.worker, "finished_at": at,
                "error_type": None if error is None else error.type, "reason": said.reason[:200],
            }  # fmt: skip
            return _changed(job, place, said.run, said.attempt, 2, common, patch)
        case AttemptFailed():
            patch = {"state": "retrying", "task": said.task, "queue": event.queue, "run": said.run,
                     "attempt": said.attempt + 1, "worker": said.worker, "next_in_ms": round(said.next_in * 1000),
                     "error_type": None if said.error is None else said.error.type}  # fmt: skip
            return _changed(job, place, said.run, said.attempt, 1, common, patch)
        case Started():
            patch = {"state": "running", "task": said.task, "queue": event.queue, "run": said.run,
                     "attempt": said.attempt, "worker": said.worker, "started_at": at}  # fmt: skip
            return _changed(job, place, said.run, said.attempt, 0, common, patch)
        case Progress():
            data = common | {"v": [said.run, said.attempt, 0], "patch": {
                "progress": said.value, "progress_text": said.message[:200], "attempt": said.attempt}}  # fmt: skip
            return Tidings(name="job.progress", topics=(f"job:{job}",), entity=f"progress {job}", data=data, id=place,
                           queue=event.queue)  # fmt: skip
        case Lines():
            lines = [{"at": as_datetime(line.at).isoformat(), "level": line.level, "logger": line.logger,
                      "text": line.text} for line in said.lines]  # fmt: skip
            told = common | {"run": said.run, "attempt": said.attempt, "lines": lines, "dropped": said.dropped}
            return Tidings(name="job.logs", topics=(f"logs:{job}",), data=told, id=place, queue=event.queue)
        case _:
            return None


def _changed(job: str, place: str, run: int, attempt: int, step: int, common: dict[str, Any],
             patch: dict[str, Any]) -> Tidings:  # fmt: skip
    data = common | {"v": [run, attempt, step], "patch": patch}
    failed = ("dead",) if patch["state"] == "failed" else ()
    return Tidings(
        name="job.changed", topics=(f"job:{job}", "jobs", *failed), entity=f"job {job}", data=data, id=place,
        about=patch | {"id": job}, queue=patch["queue"],
    )  # fmt: skip
