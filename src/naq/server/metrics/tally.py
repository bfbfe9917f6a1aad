"""What one server counts: what the history learnt through it, and what it was asked. Plain numbers since it started."""

from __future__ import annotations

from collections import Counter
from typing import Final

from naq.measures import OTHER, TASKS, Durations, count_type
from naq.server.ingest.reader import Batch
from naq.server.store.changes import MINUTE, bucket_end
from naq.server.store.rows import MICRO

ROUTES: Final = 500  # method, route and status of requests that are told apart


class Tally:
    """Written and read on the event loop alone.

    Attributes:
        tasks, queues: what happened to jobs, by task or queue and what it was.
        ran, waited: how long jobs of a task ran, and those of a queue waited.
        errors: by task and type.
        requests: by method, route and status.
        answered: how long they took, by method and route.
    """

    def __init__(self) -> None:
        self.tasks: Final[Counter[tuple[str, str]]] = Counter()
        self.queues: Final[Counter[tuple[str, str]]] = Counter()
        self.ran: Final[dict[str, Durations]] = {}
        self.waited: Final[dict[str, Durations]] = {}
        self.errors: Final[dict[str, dict[str, int]]] = {}
        self.requests: Final[Counter[tuple[str, str, str]]] = Counter()
        self.answered: Final[dict[tuple[str, str], Durations]] = {}
        self._names: Final[dict[str, set[str]]] = {"task": set(), "queue": set()}

    def batch(self, batch: Batch) -> None:
        """What was written to the history."""
        changes = batch.changes
        for (step, scope, name, _, what), sums in changes.rollups.items():
            if step == MINUTE and scope != "all":
                (self.tasks if scope == "task" else self.queues)[self._name(scope, name), what] += sums.count
        for (step, scope, name, _, measure, bucket), count in changes.durations.items():
            if step == MINUTE and (scope, measure) in {("task", "run"), ("queue", "wait")}:
                into = self.ran if scope == "task" else self.waited
                into.setdefault(self._name(scope, name), Durations()).add(bucket_end(bucket) / MICRO, count)
        for delta in changes.errors.values():
            count_type(self.errors, delta.task, delta.type, delta.count)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = (method, route, str(status))
        if key not in self.requests and len(self.requests) >= ROUTES:
            key = (OTHER, OTHER, OTHER)
        self.requests[key] += 1
        self.answered.setdefault(key[:2], Durations()).add(seconds)

    def _name(self, scope: str, name: str) -> str:
        names = self._names[scope]
        if name in names:
            return name
        if len(names) >= TASKS:
            return OTHER
        names.add(name)
        return name
