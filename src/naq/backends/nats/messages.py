"""A job as a JetStream message, there and back. Pure functions; the hot path of both producer and worker."""

from __future__ import annotations

import functools
import math
from datetime import UTC, datetime
from typing import Final

from naq.backends.nats.api import parse_headers
from naq.backends.nats.subjects import Subjects
from naq.job import JobSpec, Priority

EXPECT: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECT_ON: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
FRESH: Final = "Naq-Fresh"
NONCE: Final = "Naq-Nonce"
ATTEMPT: Final = "Naq-Attempt"
CLAIMS: Final = "Naq-Claims"
RUN: Final = "Naq-Run"
REASON: Final = "Naq-Reason"
REPUBLISH: Final = "Naq-Republish"
KEY: Final = "Naq-Key"  # of a dead letter, whose subject does not say it
SCHEDULE: Final = "Nats-Schedule"
TARGET: Final = "Nats-Schedule-Target"
ROLLUP: Final = "Nats-Schedule-Rollup"
SCHEDULER: Final = "Nats-Scheduler"
NEXT: Final = "Nats-Schedule-Next"
RUN_AT: Final = "Naq-Run-At"  # of a job that waits for others: UNIX seconds before which it may not start either
_OWN: Final = frozenset({FRESH, NONCE, ATTEMPT, CLAIMS, RUN, REASON, REPUBLISH, RUN_AT, KEY})
FOR_OTHERS: Final = "@at 2199-01-01T00:00:00Z"  # when the broker would let go what waits for jobs: not in this life

# The header of nearly every job and record, built once. A new message on its subject, or none.
CAS_NEW: Final = f"NATS/1.0\r\n{EXPECT}: 0\r\n\r\n".encode()
CAS_FRESH: Final = f"NATS/1.0\r\n{EXPECT}: 0\r\n{FRESH}: 1\r\n\r\n".encode()


def at(timestamp: float) -> str:
    """The broker's schedule expression for a UNIX time; rounded up to its microsecond, so never early."""
    return f"@at {datetime.fromtimestamp(timestamp, UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')}"


def stored_at(time: str) -> float:
    """The UNIX time in a time of the broker's (RFC 3339 with nanoseconds); 0 where it said none."""
    return _second(time[:19]) + float(time[19:26].rstrip("Z") or 0) if time else 0.0


@functools.lru_cache(maxsize=64)
def _second(time: str) -> float:
    """The UNIX time of a full second; thousands of messages are of one."""
    return datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()


def time_of(expression: str) -> float:
    """The UNIX time in what `at` made; 0 where it is something else."""
    if not expression.startswith("@at "):
        return 0.0
    try:
        return datetime.fromisoformat(expression[4:]).timestamp()
    except ValueError:
        return 0.0  # a stranger's schedule; the broker read it, we only show it


def describe(job: JobSpec) -> str:
    """Header lines that carry what the subject and the payload do not."""
    lines = f"{FRESH}: 1\r\n" if job.fresh else ""
    if job.attempt != 1:
        lines += f"{ATTEMPT}: {job.attempt}\r\n"
    if job.run != 1:
        lines += f"{RUN}: {job.run}\r\n"
    if job.claims:
        lines += f"{CLAIMS}: {job.claims}\r\n"
    if job.reason:
        lines += f"{REASON}: {header_value(job.reason)}\r\n"
    if job.headers:
        lines += "".join([f"{name}: {value}\r\n" for name, value in job.headers.items()])
    return lines


def header_value(text: str) -> str:
    """`text` as a header value: ASCII, one line, at most 200 characters."""
    return text[:200].encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")


def schedule(subjects: Subjects, job: JobSpec, when: float) -> str:
    """Header lines of a timer: at `when` the broker puts the message on the ready subject, replacing what is there."""
    target = subjects.ready(job.queue, job.priority, job.id, job.key)
    return f"{SCHEDULE}: {at(when)}\r\n{TARGET}: {target}\r\n{ROLLUP}: sub\r\n"


def park(subjects: Subjects, job: JobSpec) -> str:
    """Header lines of a job that waits for others: a timer for a time that does not come."""
    target = subjects.ready(job.queue, job.priority, job.id, job.key)
    own = "" if job.run_at is None else f"{RUN_AT}: {job.run_at!r}\r\n"
    return f"{SCHEDULE}: {FOR_OTHERS}\r\n{TARGET}: {target}\r\n{ROLLUP}: sub\r\n{own}"


def ttl(seconds: float) -> str:
    """The header line after which a message is gone; the broker counts whole seconds, at least one."""
    return f"Nats-TTL: {max(1, math.ceil(seconds))}s\r\n"


def block(lines: str) -> bytes:
    """A raw header block of header `lines`."""
    return f"NATS/1.0\r\n{lines}\r\n".encode("ascii", "replace")


def read_job(job_id: str, queue: str, priority: Priority, payload: bytes, header: bytes, key: str = "") -> JobSpec:
    """The job in a delivered message. A header that is none of ours is kept for the task's context."""
    if header == CAS_FRESH:
        return JobSpec(id=job_id, queue=queue, priority=priority, payload=payload, fresh=True, key=key)
    return job_from(job_id, queue, priority, payload, parse_headers(header) if header else {}, key)


def job_from(
    job_id: str, queue: str, priority: Priority, payload: bytes, headers: dict[str, str], key: str = ""
) -> JobSpec:
    """The same from headers by name."""
    kept = {name: value for name, value in headers.items() if name not in _OWN and not name.startswith("Nats-")}
    return JobSpec(
        id=job_id,
        queue=queue,
        priority=priority,
        payload=payload,
        headers=kept or None,
        run_at=_moment(headers.get(RUN_AT)),
        attempt=number(headers.get(ATTEMPT)),
        run=number(headers.get(RUN)),
        claims=number(headers[CLAIMS]) if CLAIMS in headers else 0,
        fresh=FRESH in headers and REPUBLISH not in headers,
        reason=headers.get(REASON, ""),
        key=key,
    )


def _moment(text: str | None) -> float | None:
    """UNIX seconds from a header; a stranger may have written anything there."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def number(text: str | None) -> int:
    """A counter from a header; a stranger may have written anything there."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 1


class Receipt:
    """The parts of an ack subject: ``$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<…>.<time>.<pending>``.

    The second form (servers with `js_ack_fc_v2`) has the domain and an account hash before the stream.
    """

    __slots__ = ("_words", "delivered", "pending", "sequence")

    def __init__(self, receipt: bytes) -> None:
        self._words = words = receipt.split(b".")
        first = 4 if len(words) == 9 else 6
        self.delivered = int(words[first])
        self.sequence = int(words[first + 1])
        self.pending = int(words[first + 4])

    @property
    def place(self) -> tuple[bytes, int]:
        """The consumer and the stream sequence: the same for every delivery of a message."""
        return self._words[3 if len(self._words) == 9 else 5], self.sequence
