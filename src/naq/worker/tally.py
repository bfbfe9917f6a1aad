"""What a worker counts about its jobs, for ``/metrics``: plain numbers, a fraction of a microsecond a job.

Written by the main loop alone. `snapshot` is for any thread: it copies everything in one step of the interpreter.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from naq.measures import OTHER, TASKS, Durations, count_type

QUEUES: Final = 20  # queues of one task that are told apart


class Counts(Struct):
    """Of one task in one queue: how attempts ended, how long they ran, and how long they had waited for a worker."""

    ends: dict[str, int] = {}
    ran: Durations = msgspec.field(default_factory=Durations)
    waited: Durations = msgspec.field(default_factory=Durations)

    def ended(self, end: str, ran: float | None) -> None:
        """An attempt ended so, after `ran` seconds; None: its task was not called."""
        self.ends[end] = self.ends.get(end, 0) + 1
        if ran is not None:
            self.ran.add(ran)


class Tally(Struct):
    """All that is counted since the worker started.

    Attributes:
        jobs: by task and queue.
        failures: attempts that failed, by task and type of error.
        claimed: jobs claimed.
        idle: times that it waited for a job as long as it waits, and there was none.
        lost: claims whose lease lapsed, or that went to another worker, before they were settled.
    """

    jobs: dict[str, dict[str, Counts]] = {}
    failures: dict[str, dict[str, int]] = {}
    claimed: int = 0
    idle: int = 0
    lost: int = 0

    def of(self, task: str, queue: str) -> Counts:
        """What is counted of `task` in `queue`."""
        queues = self.jobs.get(task)
        if queues is not None and (counts := queues.get(queue)) is not None:
            return counts
        queues = self.jobs.setdefault(task if task in self.jobs or len(self.jobs) < TASKS else OTHER, {})
        return queues.setdefault(queue if len(queues) < QUEUES else OTHER, Counts())

    def failed(self, task: str, kind: str) -> None:
        """An attempt of `task` ended with an error of the type `kind`."""
        count_type(self.failures, task, kind)


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Tally).decode


def snapshot(tally: Tally) -> Tally:
    """A copy."""
    return _decode(_encode(tally))  # the encoder lets no other thread in
