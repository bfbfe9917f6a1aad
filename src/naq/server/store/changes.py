"""What a batch of events changes, collected before anything is written. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from msgspec import Struct

from naq.server.store.rows import MICRO, AttemptRow, EventRow, InvalidRow, JobRow, LogRow

MINUTE, QUARTER, HOUR, SHIFT = 60, 900, 3600, 21_600
#: Seconds that are counted by, each a multiple of the one before: so a chart of any length reads about a hundred steps.
STEPS: Final = (MINUTE, QUARTER, HOUR, SHIFT)
_MINUTE: Final = MINUTE * MICRO


class ErrorDelta(Struct):
    """What was learnt of an error group; `workers` are those that had it."""

    fingerprint: str
    task: str
    type: str
    message: str
    detail: str
    first_at: int
    last_at: int
    last_job_id: str
    count: int = 0
    workers: set[str] = set()


class Sums(Struct):
    """What a rollup grows by."""

    count: int = 0
    run_us: int = 0
    wait_us: int = 0

    def add(self, other: Sums) -> None:
        """Grow by `other`."""
        self.count += other.count
        self.run_us += other.run_us
        self.wait_us += other.wait_us


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
        self.links: list[tuple[str, str]] = []
        self.errors: dict[str, ErrorDelta] = {}
        self.error_hours: Counter[tuple[str, int]] = Counter()
        # By minute, task and queue only, for each job; scopes and steps are made of them once, when it is written.
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

    @cached_property
    def rollups(self) -> dict[tuple[int, str, str, int, str], Sums]:
        """What was counted, by step, scope, name, beginning of the step, and what it is; made once all is counted."""
        found: dict[tuple[int, str, str, int, str], Sums] = {}
        level: dict[tuple[str, str, int, str], Sums] = {}
        for (minute, what, task, queue), sums in self._sums.items():
            for scope, name in _scopes(task, queue):
                level.setdefault((scope, name, minute, what), Sums()).add(sums)
        for step, begins, merge in self._longer({at for *_, at, _ in level}):
            if merge:
                finer, level = level, dict[tuple[str, str, int, str], Sums]()
                for (scope, name, at, what), sums in finer.items():
                    level.setdefault((scope, name, begins[at], what), Sums()).add(sums)
            else:
                level = {(scope, name, begins[at], what): sums for (scope, name, at, what), sums in level.items()}
            found |= {(step, *key): sums for key, sums in level.items()}
        return found

    @cached_property
    def durations(self) -> dict[tuple[int, str, str, int, str, int], int]:
        """How long it took and waited, by step, scope, name, beginning of the step, measure, and bucket; as above."""
        found: dict[tuple[int, str, str, int, str, int], int] = {}
        level: dict[tuple[str, str, int, str, int], int] = {}
        for (minute, task, queue, measure, bucket), count in self._spread.items():
            for scope, name in _scopes(task, queue):
                key = (scope, name, minute, measure, bucket)
                level[key] = level.get(key, 0) + count
        for step, begins, merge in self._longer({key[2] for key in level}):
            finer, level = level, dict[tuple[str, str, int, str, int], int]()
            if merge:
                for (scope, name, at, measure, bucket), count in finer.items():
                    key = (scope, name, begins[at], measure, bucket)
                    level[key] = level.get(key, 0) + count
            else:
                level = {
                    (s, n, begins[at], measure, bucket): count for (s, n, at, measure, bucket), count in finer.items()
                }
            found |= {(step, *key): count for key, count in level.items()}
        return found

    def _longer(self, ats: set[int]) -> Iterator[tuple[int, dict[int, int], bool]]:
        """Each step, where what began at `ats` by the step before begins, and whether some of it begins as one."""
        for step in self.steps:
            begins = {at: at - at % (step * MICRO) for at in ats}
            ats = set(begins.values())
            yield step, begins, len(ats) < len(begins)

    def saw_task(self, task: str, queue: str, at: int) -> None:
        """There was a job of `task`."""
        before = self.tasks.get(task)
        if before is None:
            self.tasks[task] = (queue, at, at)
        else:
            self.tasks[task] = (queue if at >= before[2] else before[0], min(before[1], at), max(before[2], at))


def _scopes(task: str, queue: str) -> tuple[tuple[str, str], ...]:
    """Where a job of `task` in `queue` is counted."""
    return ("all", ""), ("task", task), ("queue", queue)


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
