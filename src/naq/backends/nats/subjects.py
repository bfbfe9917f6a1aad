"""Every subject, stream and consumer name (RELIABILITY.md 5.2), made and read in this one place."""

from __future__ import annotations

from typing import Final

from naq.job import PRIORITIES, Priority
from naq.names import check_token, is_token

LETTER: Final[dict[Priority, str]] = {"high": "h", "normal": "n", "low": "l"}
PRIORITY: Final[dict[str, Priority]] = {letter: priority for priority, letter in LETTER.items()}
NO_KEY: Final = "-"  # stands where a job has no unique key


class Subjects:
    """The names of one namespace.

    Attributes:
        prefix: what every subject begins with.
        jobs, log, dead, state, live: the names of the streams.
    """

    def __init__(self, namespace: str) -> None:
        check_token("namespace", namespace)
        self.prefix = f"naq.{namespace}"
        self.jobs = f"NAQ_{namespace}_JOBS"
        self.log = f"NAQ_{namespace}_LOG"
        self.dead = f"NAQ_{namespace}_DEAD"
        self.state = f"NAQ_{namespace}_STATE"
        self.live = f"NAQ_{namespace}_LIVE"

    def ready(self, queue: str, priority: Priority, job_id: str, key: str = "") -> str:
        """Where a job waits for a worker."""
        return f"{self.prefix}.j.q.{queue}.{LETTER[priority]}.{key or NO_KEY}.{job_id}"

    def timer(self, queue: str, priority: Priority, job_id: str, key: str = "") -> str:
        """Where a job waits for a time."""
        return f"{self.prefix}.j.s.{queue}.{LETTER[priority]}.{key or NO_KEY}.{job_id}"

    def parked(self, queue: str, priority: Priority, job_id: str, key: str = "") -> str:
        """Where a job waits for other jobs."""
        return f"{self.prefix}.j.b.{queue}.{LETTER[priority]}.{key or NO_KEY}.{job_id}"

    def parked_as(self, job_id: str) -> str:
        """Filter over the place where this job waits for others, whatever its queue."""
        return f"{self.prefix}.j.b.*.*.*.{job_id}"

    def any_of(self, job_id: str) -> str:
        """Filter over every place where this job may wait."""
        return f"{self.prefix}.j.*.*.*.*.{job_id}"

    def keyed(self, queue: str, key: str) -> str:
        """Filter over every place where a job of `queue` with this unique key may wait."""
        return f"{self.prefix}.j.*.{queue}.*.{key}.*"

    def with_key(self, key: str) -> str:
        """Filter over every place where a job with this unique key may wait, whatever its queue."""
        return f"{self.prefix}.j.*.*.*.{key}.*"

    def lane(self, queue: str, priority: Priority) -> str:
        """Filter over the ready jobs of one lane."""
        return f"{self.prefix}.j.q.{queue}.{LETTER[priority]}.*.*"

    def lanes(self, queue: str) -> str:
        """Filter over the ready jobs of a queue."""
        return f"{self.prefix}.j.q.{queue}.>"

    def timers(self, queue: str = "*") -> str:
        """Filter over the timers of a queue, or all."""
        return f"{self.prefix}.j.s.{queue}.>"

    def unfinished(self, queue: str | None, *, blocked: bool) -> str:
        """Filter over all jobs, or those of a queue, or those that wait for others."""
        if queue is None:
            return f"{self.prefix}.j.b.>" if blocked else f"{self.prefix}.j.>"
        return f"{self.prefix}.j.{'b' if blocked else '*'}.{queue}.>"

    def record(self, queue: str, job_id: str) -> str:
        """Where the final record is stored."""
        return f"{self.prefix}.r.{queue}.{job_id}"

    def records(self, job_id: str) -> str:
        """Filter over the record of a job whose queue is not known."""
        return f"{self.prefix}.r.*.{job_id}"

    def pushed(self, job_id: str) -> str:
        """Where a stored record is pushed to whoever waits for it, whatever its queue."""
        return f"{self.prefix}.c.r.*.{job_id}"

    def event(self, kind: str, queue: str, job_id: str) -> str:
        """Where an event of a job is logged."""
        return f"{self.prefix}.e.{kind}.{queue}.{job_id}"

    def logged(self, kind: str | None) -> str:
        """Filter over what is logged of a kind, or all."""
        if kind is None:
            return f"{self.prefix}.>"
        return f"{self.prefix}.r.>" if kind == "record" else f"{self.prefix}.e.{kind}.>"

    def logged_of(self, job_id: str, kind: str = "*") -> str:
        """Filter over what is logged of a job, of one kind or of all but records."""
        return f"{self.prefix}.e.{kind}.*.{job_id}"

    def told_of(self, job_id: str, kind: str = "*") -> str:
        """What was stored in the log of a job, pushed."""
        return f"{self.prefix}.c.e.{kind}.*.{job_id}"

    def told(self, kind: str) -> str:
        """What was stored in the log of a kind, pushed."""
        return f"{self.prefix}.c.r.>" if kind == "record" else f"{self.prefix}.c.e.{kind}.>"

    def news(self, letter: str) -> str:
        """What was stored in the log, pushed: `r` records, `e` events."""
        return f"{self.prefix}.c.{letter}.>"

    def dead_jobs(self, job_id: str) -> str:
        """Filter over the dead letter of a job whose queue is not known."""
        return f"{self.prefix}.d.failed.*.{job_id}"

    def failed(self, queue: str, job_id: str) -> str:
        """Where a job that failed for good is kept."""
        return f"{self.prefix}.d.failed.{queue}.{job_id}"

    def malformed(self, queue: str, letter_id: str) -> str:
        """Where a message that is no job is kept."""
        return f"{self.prefix}.d.malformed.{queue}.{letter_id}"

    def cancel_mark(self, job_id: str) -> str:
        """Where a cancel request sticks."""
        return f"{self.prefix}.k.cancel.{job_id}"

    def entry(self, kind: str, key: str) -> str:
        """Where a small value is kept; `key` may be a filter."""
        return f"{self.prefix}.k.n.{kind}.{key}"

    def worker(self, worker_id: str) -> str:
        """Where a worker says that it lives."""
        return f"{self.prefix}.l.worker.{worker_id}"

    def lease(self, name: str) -> str:
        """Where a leadership stands."""
        return f"{self.prefix}.l.lease.{name}"

    def signal(self, kind: str, subject: str) -> str:
        """Where a hint is sent."""
        return f"{self.prefix}.c.s.{kind}.{subject}"

    def recall(self, queue: str) -> str:
        """Where workers are asked to hand back what they have not taken."""
        return f"{self.prefix}.c.b.{queue}"

    def probe(self, worker_id: str) -> str:
        """Where a worker answers as long as its process lives."""
        return f"{self.prefix}.c.w.{worker_id}"


def consumer(queue: str, priority: Priority) -> str:
    """The durable consumer of a lane."""
    return f"{queue}_{LETTER[priority]}"


def place_of(subject: str) -> tuple[str, str, Priority, str]:
    """State letter, queue, priority and id of a job's subject."""
    words = subject.split(".")
    return words[3], words[4], PRIORITY.get(words[5], "normal"), words[7]


def key_of(subject: str) -> str:
    """The unique key in a job's subject; empty where it has none."""
    key = subject.split(".")[6]
    return "" if key == NO_KEY or not is_token(key) else key


ALL_LANES: Final = PRIORITIES
