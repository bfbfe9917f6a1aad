"""What a batch of events changes, collected before anything is written. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct

from naq.server.store.rows import MICRO, AttemptRow, EventRow, InvalidRow, JobRow, LogRow

MINUTE, HOUR = 60, 3600
STEPS: Final = (MINUTE, HOUR)


class ErrorDelta(Struct):
    """What was learnt of an error group."""

    fingerprint: str
    task: str
    type: str
    message: str
    detail: str
    first_at: int
    last_at: int
    last_job_id: str
    count: int = 0


class Sums(Struct):
    """What a rollup grows by."""

    count: int = 0
    run_us: int = 0
    wait_us: int = 0


class Changes:
    """What the tables are to become.

    Attributes:
        jobs: rows as they are to be, by id.
        new: ids of those that the table lacks.
        touched: ids of those that changed.
    """

    def __init__(self, known: dict[str, JobRow], attempts: set[tuple[str, int, int]]) -> None:
        self.jobs = known
        self.new: set[str] = set()
        self.touched: dict[str, None] = {}
        self.known_attempts = attempts
        self.attempts: list[AttemptRow] = []
        self.logs: list[LogRow] = []
        self.events: list[EventRow] = []
        self.invalid: list[InvalidRow] = []
        self.tags: list[tuple[str, str, int, str]] = []
        self.errors: dict[str, ErrorDelta] = {}
        self.error_hours: Counter[tuple[str, int]] = Counter()
        self.rollups: dict[tuple[int, str, str, int, str], Sums] = {}
        self.durations: Counter[tuple[int, str, str, int, str, int]] = Counter()
        self.tasks: dict[str, tuple[str, int, int]] = {}

    def count(
        self, what: str, at: int, task: str, queue: str, *, run_us: int | None = None, wait_us: int | None = None
    ) -> None:
        """One more of `what` at `at`."""
        buckets = [(measure, bucket_of(us)) for measure, us in (("run", run_us), ("wait", wait_us)) if us is not None]
        for step in STEPS:
            begin = at - at % (step * MICRO)
            for scope, name in (("all", ""), ("task", task), ("queue", queue)):
                key = (step, scope, name, begin, what)
                sums = self.rollups.get(key)
                if sums is None:
                    sums = self.rollups[key] = Sums()
                sums.count += 1
                sums.run_us += run_us or 0
                sums.wait_us += wait_us or 0
                for measure, bucket in buckets:
                    self.durations[step, scope, name, begin, measure, bucket] += 1

    def saw_task(self, task: str, queue: str, at: int) -> None:
        """There was a job of `task`."""
        before = self.tasks.get(task)
        if before is None:
            self.tasks[task] = (queue, at, at)
        else:
            self.tasks[task] = (queue if at >= before[2] else before[0], min(before[1], at), max(before[2], at))


_PER_OCTAVE: Final = 4  # buckets of a histogram: a percentile is at most 19 % off
BUCKETS: Final = 64 * _PER_OCTAVE


def bucket_of(us: int) -> int:
    """The bucket of a duration: four to each doubling, from 1 µs."""
    if us < 8:
        return max(us, 0)
    top = us.bit_length() - 3  # the three leading bits say where in the octave it lies
    return top * _PER_OCTAVE + (us >> top)


def bucket_end(bucket: int) -> int:
    """Microseconds at which a bucket ends (exclusive)."""
    if bucket < 8:
        return bucket + 1
    top = bucket // _PER_OCTAVE - 1
    return (bucket - top * _PER_OCTAVE + 1) << top
