"""Operations put in order: who enqueued what, what ran where, what was broken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from msgspec import Struct

from naq.testing.chaos.ops import Enqueue, Execution, Fault, Health, Line, Op

Attempt = tuple[str, int, int]
"""Job, run, attempt."""


class Ran(Struct, frozen=True):
    """One execution from start to end. `outcome` and `ended` are empty where its process died first."""

    job: str
    run: int
    attempt: int
    pid: int
    started: float
    outcome: str = ""
    ended: float = 0.0


class History(Struct, frozen=True, kw_only=True):
    """All operations of a run, by kind, each oldest first.

    Attributes:
        accepted: when each job was acknowledged first.
        unsure: jobs that may be stored although nobody knows: unknown outcomes and producers that died.
        executions: oldest first.
        healed: when the last fault was over; 0 where there was none.
        ended: when the last operation was written; what would have come later, nobody knows.
    """

    enqueues: list[Enqueue]
    executions: list[Ran]
    faults: list[Fault]
    health: list[Health]
    lines: list[Line]
    accepted: dict[str, float]
    unsure: set[str]
    healed: float
    ended: float

    @classmethod
    def of(cls, ops: Iterable[Op]) -> Self:
        """The history that `ops` tell."""
        ordered = sorted(ops, key=lambda op: op.at)
        enqueues = [op for op in ordered if isinstance(op, Enqueue)]
        faults = [op for op in ordered if isinstance(op, Fault)]
        accepted: dict[str, float] = {}
        for op in enqueues:
            if op.stage == "ok":
                accepted.setdefault(op.job, op.at)
        outcomes = {(op.pid, op.number, op.job) for op in enqueues if op.stage != "invoke"}
        return cls(
            enqueues=enqueues,
            executions=_pair([op for op in ordered if isinstance(op, Execution)]),
            faults=faults,
            health=[op for op in ordered if isinstance(op, Health)],
            lines=[op for op in ordered if isinstance(op, Line)],
            accepted=accepted,
            unsure={op.job for op in enqueues if op.stage == "unknown" or (op.pid, op.number, op.job) not in outcomes},
            healed=max((fault.until for fault in faults), default=0.0),
            ended=max((op.at for op in ordered), default=0.0),
        )

    def attempts(self) -> dict[Attempt, list[Ran]]:
        """Executions by attempt, oldest first."""
        found: dict[Attempt, list[Ran]] = {}
        for ran in self.executions:
            found.setdefault((ran.job, ran.run, ran.attempt), []).append(ran)
        return found

    def died(self, pid: int, *, after: float) -> bool:
        """Whether the process `pid` was killed at `after` or later."""
        return any(fault.excuses == "death" and fault.pid == pid and fault.until >= after for fault in self.faults)


def _pair(steps: list[Execution]) -> list[Ran]:
    ends = {(step.pid, step.number, step.job): step for step in steps if step.stage != "start"}
    out: list[Ran] = []
    for step in steps:
        if step.stage != "start":
            continue
        end = ends.get((step.pid, step.number, step.job))
        ran = Ran(step.job, step.run, step.attempt, step.pid, step.at)
        out.append(ran if end is None else Ran(*_start(ran), end.stage, end.at))
    return out


def _start(ran: Ran) -> tuple[str, int, int, int, float]:
    return (ran.job, ran.run, ran.attempt, ran.pid, ran.started)
