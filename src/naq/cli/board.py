"""What ``naq top`` shows: everything at one moment, and how it has been a while."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from naq import clock
from naq.cli.output import moment
from naq.cli.views import JobView, LetterView, QueueView, Top, WorkerView
from naq.job import JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend

_BARS: Final = " ▁▂▃▄▅▆▇█"
#: Looks that a history goes back, running jobs and failures that are asked for.
HISTORY, RUNNING, FAILED = 60, 100, 50
#: Seconds over which a rate is taken: workers say what they have done with each heartbeat (10 s).
_SPAN: Final = 30.0


class Mark(Struct, frozen=True):
    """How much had been done at a time (monotonic seconds)."""

    at: float
    processed: int
    failed: int


class Board:
    """Looks again and again, and remembers.

    Attributes:
        depths: how many jobs were queued in each queue, oldest first.
    """

    def __init__(self) -> None:
        self.depths: dict[str, deque[int]] = {}
        self._marks: dict[str, deque[Mark]] = {}

    async def look(self, backend: Backend) -> Top:
        """Everything as it is now."""
        workers, stats, running, dead = await asyncio.gather(
            backend.workers(),
            backend.stats(),
            backend.jobs(states={JobState.RUNNING}, limit=RUNNING),
            backend.dead(limit=FAILED),
        )
        for queue in stats:
            self.depths.setdefault(queue.queue, deque(maxlen=HISTORY)).append(queue.queued)
        now = clock.monotonic()
        for worker in workers:
            self._mark(worker.id, Mark(now, worker.processed, worker.failed))
        self._marks = {name: marks for name, marks in self._marks.items() if now - marks[-1].at < _SPAN}
        done, failed = self._rates(now)
        at = moment(clock.now())
        assert at is not None
        return Top(
            at=at,
            done_per_second=done,
            failed_per_second=failed,
            queues=[QueueView.of(queue, workers) for queue in sorted(stats, key=lambda queue: queue.queue)],
            workers=[WorkerView.of(worker) for worker in sorted(workers, key=lambda worker: worker.id)],
            running=[JobView.of(job) for job in sorted(running, key=lambda job: job.enqueued_at)],
            failed=[LetterView.of(letter) for letter in dead],
        )

    def _mark(self, worker: str, mark: Mark) -> None:
        marks = self._marks.setdefault(worker, deque())
        marks.append(mark)
        while mark.at - marks[0].at > _SPAN:
            marks.popleft()

    def _rates(self, now: float) -> tuple[float | None, float | None]:
        """What all workers together do in a second, succeeded or not, and of these what fails; None while unknown."""
        spans = [(marks[0], marks[-1]) for marks in self._marks.values()]
        time = now - min((first.at for first, _ in spans), default=now)
        if time <= 0:
            return None, None
        done = sum(last.processed - first.processed for first, last in spans)
        return done / time, sum(last.failed - first.failed for first, last in spans) / time


def sparkline(values: deque[int] | None, width: int) -> str:
    """The last `width` of `values` as bars, the highest the full height."""
    shown = list(values or ())[-width:]
    top = max(shown, default=0)
    steps = len(_BARS) - 1
    return "".join(_BARS[-(-value * steps // top) if top else 0] for value in shown).rjust(width)


def gauge(part: int, whole: int, width: int) -> str:
    """How full something is."""
    full = 0 if whole <= 0 else min(width, -(-part * width // whole))
    return "▇" * full + "·" * (width - full)
