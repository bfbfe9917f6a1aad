"""What a batch of events changes, collected before anything is written. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from naq.server.store.rows import MICRO, AttemptRow, EventRow, InvalidRow, JobRow, LogRow

MINUTE, HOUR = 60, 3600
STEPS: Final = (MINUTE, HOUR)
_MINUTE: Final = MINUTE * MICRO


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
        steps: seconds of the steps that are counted by.
    """

    def __init__(self, known: dict[str, JobRow], attempts: set[tuple[str, int, int]]) -> None:
        self.jobs = known
        self.new: set[str] = set()
        self.steps: tuple[int, ...] = STEPS
        self.touched: dict[str, None] = {}
        self.known_attempts = attempts
        self.attempts: list[AttemptRow] = []
        self.logs: list[LogRow] = []
        self.events: list[EventRow] = []
        self.invalid: list[InvalidRow] = []
        self.tags: list[tuple[str, str, int, str]] = []
        self.errors: dict[str, ErrorDelta] = {}
        self.error_hours: Counter[tuple[str, int]] = Counter()
        # By minute, task and queue only, for each job; scopes and hours are made of them once, when it is written.
        self._sums: dict[tuple[int, str, str, str], Sums] = {}
        self._spread: Counter[tuple[int, str, str, str, int]] = Counter()
        self.tasks: dict[str, tuple[str, int, int]] = {}

    def count(
        self, what: str, at: int, task: str, queue: str, *, run_us: int | None = None, wait_us: int | None = None
    ) -> None:
        """One more of `what` at `at`."""
        minute = at - at % _MINUTE
        sums = self._sums.get(key := (minute, what, task, queue))
        if sums is None:
            sums = self._sums[key] = Sums()
        sums.count += 1
        if run_us is not None:
            sums.run_us += run_us
            self._spread[minute, task, queue, "run", bucket_of(run_us)] += 1
        if wait_us is not None:
            sums.wait_us += wait_us
            self._spread[minute, task, queue, "wait", bucket_of(wait_us)] += 1

    @property
    def rollups(self) -> dict[tuple[int, str, str, int, str], Sums]:
        """What was counted, by step, scope, name, beginning of the step, and what it is."""
        found: dict[tuple[int, str, str, int, str], Sums] = {}
        for (minute, what, task, queue), sums in self._sums.items():
            for step, scope, name, begin in _places(self.steps, minute, task, queue):
                total = found.setdefault((step, scope, name, begin, what), Sums())
                total.count += sums.count
                total.run_us += sums.run_us
                total.wait_us += sums.wait_us
        return found

    @property
    def durations(self) -> Counter[tuple[int, str, str, int, str, int]]:
        """How long it took and waited, by step, scope, name, beginning of the step, measure, and bucket."""
        found: Counter[tuple[int, str, str, int, str, int]] = Counter()
        for (minute, task, queue, measure, bucket), count in self._spread.items():
            for step, scope, name, begin in _places(self.steps, minute, task, queue):
                found[step, scope, name, begin, measure, bucket] += count
        return found

    def saw_task(self, task: str, queue: str, at: int) -> None:
        """There was a job of `task`."""
        before = self.tasks.get(task)
        if before is None:
            self.tasks[task] = (queue, at, at)
        else:
            self.tasks[task] = (queue if at >= before[2] else before[0], min(before[1], at), max(before[2], at))


def _places(steps: tuple[int, ...], minute: int, task: str, queue: str) -> Iterator[tuple[int, str, str, int]]:
    """Where a job of `task` in `queue` is counted: step, scope, name, beginning."""
    for step in steps:
        begin = minute - minute % (step * MICRO)
        yield step, "all", "", begin
        yield step, "task", task, begin
        yield step, "queue", queue, begin


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
