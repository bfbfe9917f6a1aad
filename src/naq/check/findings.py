"""What a check found: frozen data, and the count that it is grown from."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from msgspec import Struct

Level = Literal["problem", "warning"]
Kind = Literal[
    "malformed",  # it goes to the dead letters unread
    "codec",  # its arguments are written in a way that this code has not opted into
    "keys",  # the keys at hand do not open it, or it is not sealed as they ask
    "refused path",  # it names a module that workers are not told to import
    "unknown task",  # it waits until a worker knows the task
    "newer version",  # it waits until a worker knows that version of the task
    "no upcaster",  # it fails: nothing makes its version of the arguments the next
    "arguments",  # it fails: its arguments do not fit, or an upcaster does not take them
    "schedule",  # a schedule that cannot be read makes no jobs
    "handler",  # events make jobs for a task that is not there
]
WAITS: Final[frozenset[Kind]] = frozenset(
    {"unknown task", "newer version", "handler"}
)  # a deploy of others may mend it
MOST: Final = 500  # groups of one check; a stranger's thousand broken messages make one more, not a thousand
OTHERS: Final = "(other reasons; mend those above first)"


class Finding(Struct, frozen=True, kw_only=True):
    """Something about the code itself; `advice` says what to do."""

    level: Level
    what: str
    text: str
    advice: str = ""


class Refused(Struct, frozen=True, kw_only=True):
    """Jobs of one task that the code would not run, all for one reason.

    Attributes:
        level: "warning" where that was said to be fine.
        kind, reason: what is wrong, as a word and as a sentence.
        task: of which task; empty where that cannot be read.
        count: how many; `states` and `queues` say where they wait.
        example: the id of one of them, or the name of the schedule.
    """

    level: Level
    kind: Kind
    task: str
    reason: str
    count: int
    states: dict[str, int]
    queues: list[str]
    example: str


class Report(Struct, frozen=True, kw_only=True):
    """What is on a broker, judged by the code.

    Attributes:
        jobs: how many wait (or run), by state.
        schedules: how many there are.
        refused: what would not run, the most of it first.
        expired: jobs that will not run because their `expires_at` has passed; that is as it should be.
        unread: jobs whose arguments were not looked into, because reading a pickle runs what is in it.
        replaced: ticks of schedules that the code changes or drops: its first worker takes them back.
    """

    jobs: dict[str, int] = {}
    schedules: int = 0
    refused: list[Refused] = []
    expired: int = 0
    unread: int = 0
    replaced: int = 0


class Problem(Struct, frozen=True):
    """What is wrong with one job."""

    kind: Kind
    task: str
    reason: str


class _Group:
    def __init__(self, example: str) -> None:
        self.states = Counter[str]()
        self.queues = set[str]()
        self.example = example


class Groups:
    """Problems, counted by what they have in common."""

    def __init__(self) -> None:
        self._groups: dict[Problem, _Group] = {}

    def add(self, problem: Problem, *, example: str, state: str, queue: str) -> None:
        """One more, of the job (or schedule) `example`."""
        group = self._groups.get(problem)
        if group is None and len(self._groups) >= MOST:
            problem = Problem(problem.kind, "", OTHERS)
            group = self._groups.get(problem)
        if group is None:
            group = self._groups[problem] = _Group(example)
        group.states[state] += 1
        group.queues.add(queue)

    def refused(self, *, fine: frozenset[Kind] = frozenset()) -> list[Refused]:
        """The groups, problems first and the most of them first; those of a kind in `fine` are warnings."""
        found = [
            Refused(
                level="warning" if problem.kind in fine else "problem",
                kind=problem.kind,
                task=problem.task,
                reason=problem.reason,
                count=group.states.total(),
                states=dict(group.states),
                queues=sorted(group.queues),
                example=group.example,
            )
            for problem, group in self._groups.items()
        ]
        return sorted(found, key=lambda each: (each.level != "problem", -each.count, each.kind, each.task, each.reason))
