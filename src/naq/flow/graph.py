"""Who waits for whom, as far as it goes on: pure bookkeeping, made anew by every leader from the jobs themselves."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from msgspec import Struct

from naq.codec.after import After, ParentFailure
from naq.job import JobState

GONE: Final = "gone"  # said of a parent that neither waits, nor runs, nor has a record: it was purged or forgotten


class Then(Enum):
    """What is to be done with a child."""

    GO = "go"
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"


class Decision(Struct, frozen=True):
    """`child` is ready: `parent`, which ended as `state` (or is `GONE`), decided it; or, without one, its own time."""

    child: str
    then: Then
    parent: str
    state: str

    @property
    def reason(self) -> str:
        """In words, for the record of a child that does not run."""
        if self.then is Then.EXPIRE:
            return "not started before its expires_at: it still waited for others"
        if self.state == GONE:
            return f"the job {self.parent}, which it waited for, was removed without a trace"
        return f"the job {self.parent}, which it waited for, ended as {self.state}"


class _Child:
    __slots__ = ("any", "expires", "left", "policy", "since")

    def __init__(self, left: int, after: After, since: int, expires: float | None) -> None:
        self.left = left  # parents that have not ended
        self.policy: ParentFailure = after.policy
        self.any = after.any
        self.expires = expires
        self.since = since


class Graph:
    """The edges that are open. A parent ends once: what is said of it later finds nobody who waits."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Child] = {}
        self._children: dict[str, list[str]] = {}
        self._clock = 0
        self._deadlines: list[tuple[float, str]] = []  # a heap; of children that wait no more, too

    def __len__(self) -> int:
        """How many jobs wait for others."""
        return len(self._waiting)

    def __contains__(self, job_id: str) -> bool:
        """Whether this job waits for others."""
        return job_id in self._waiting

    @property
    def now(self) -> int:
        """A number that grows with every child that is added."""
        return self._clock

    def add(self, child: str, after: After, parents: Sequence[str], *, expires: float | None = None) -> Decision | None:
        """`child` waits for `parents` (each once), until `expires` (UNIX seconds); a decision where there are none.

        Known already, nothing happens.
        """
        if child in self._waiting:
            return None
        self._clock += 1
        if not parents:
            return Decision(child, Then.GO, "", "")
        self._waiting[child] = _Child(len(parents), after, self._clock, expires)
        if expires is not None:
            heapq.heappush(self._deadlines, (expires, child))
        for parent in parents:
            self._children.setdefault(parent, []).append(child)
        return None

    @property
    def next_deadline(self) -> float:
        """UNIX seconds at which the next of them is not wanted any more; infinity where none has an end."""
        while self._deadlines:
            at, child_id = self._deadlines[0]
            child = self._waiting.get(child_id)
            if child is not None and child.expires == at:
                break
            heapq.heappop(self._deadlines)  # it waits no more, or another of its id does
        return self._deadlines[0][0] if self._deadlines else math.inf

    def expired(self, now: float) -> list[Decision]:
        """Those whose time is over at `now`; they wait no more."""
        decisions: list[Decision] = []
        while self.next_deadline <= now:
            child = heapq.heappop(self._deadlines)[1]
            del self._waiting[child]
            decisions.append(Decision(child, Then.EXPIRE, "", ""))
        return decisions

    def ended(self, parent: str, state: str) -> list[Decision]:
        """`parent` has ended as `state`, or is `GONE`: what follows for those who wait for it."""
        decisions: list[Decision] = []
        for child_id in self._children.pop(parent, ()):
            child = self._waiting.get(child_id)
            if child is None:
                continue  # another of its parents decided it
            child.left -= 1
            then = _judge(child, state)
            if then is not None:
                del self._waiting[child_id]
                decisions.append(Decision(child_id, then, parent, state))
        return decisions

    def drop(self, child: str) -> None:
        """`child` does not wait any more: somebody cancelled, purged or released it."""
        self._waiting.pop(child, None)

    def parents(self) -> list[str]:
        """Those that somebody may wait for."""
        return list(self._children)

    def is_parent(self, job_id: str) -> bool:
        """Whether somebody may wait for this job."""
        return job_id in self._children

    def older(self, than: int) -> Iterator[str]:
        """Children that were added before `now` was `than`."""
        return (child_id for child_id, child in list(self._waiting.items()) if child.since <= than)

    def prune(self) -> None:
        """Forget parents for whom nobody waits any more."""
        for parent, children in list(self._children.items()):
            if not any(child in self._waiting for child in children):
                del self._children[parent]


def _judge(child: _Child, state: str) -> Then | None:
    """What one more parent that ended as `state` means for `child`; None: it goes on waiting."""
    good = state == JobState.SUCCEEDED or child.policy == "run_anyway"
    if child.any:
        return Then.GO if good else None if child.left else _Bad[child.policy]
    if not good:
        return _Bad[child.policy]
    return None if child.left else Then.GO


_Bad: Final = {"fail": Then.FAIL, "cancel": Then.CANCEL}
