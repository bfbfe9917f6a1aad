"""How processes behaved: calls end in time (F), readiness tells the truth (K), nobody spins or blows up (M)."""

from __future__ import annotations

from collections import Counter
from typing import Final

from naq import exceptions
from naq.testing.chaos.expected import Expected
from naq.testing.chaos.history import History
from naq.testing.chaos.ops import Enqueue, Fault, Health
from naq.testing.chaos.report import Violation
from naq.testing.chaos.state import FinalState

_LOUD: Final = frozenset({"WARNING", "ERROR", "CRITICAL"})


def check_calls(history: History, state: FinalState, expected: Expected) -> list[Violation]:  # noqa: ARG001
    """Every enqueue ended by its deadline with one of naq's own errors, unless its process died."""
    out: list[Violation] = []
    open_calls: dict[tuple[int, int, str], Enqueue] = {}
    for op in history.enqueues:
        if op.stage == "invoke":
            open_calls[op.pid, op.number, op.job] = op
            continue
        invoked = open_calls.pop((op.pid, op.number, op.job), None)
        if invoked is None:
            out.append(Violation("F", "torn log", op.job, f"an outcome ({op.stage}) without a call"))
            continue
        took = op.at - invoked.at
        if invoked.deadline and took > invoked.deadline + expected.slack:
            text = f"a call with a deadline of {invoked.deadline:g} s took {took:.3f} s"
            out.append(Violation("F", "overdue", op.job, text))
        if op.error and not _is_ours(op.error):
            out.append(Violation("F", "wrong error", op.job, f"ended with {op.error}, which is none of naq's errors"))
    for (pid, _, job), invoked in open_calls.items():
        if not history.died(pid, after=invoked.at):
            out.append(Violation("F", "hung", job, f"a call of process {pid} never ended"))
    return out


def _is_ours(name: str) -> bool:
    found = getattr(exceptions, name, None)
    return isinstance(found, type) and issubclass(found, exceptions.NaqException)


def check_readiness(history: History, state: FinalState, expected: Expected) -> list[Violation]:  # noqa: ARG001
    """In an outage every process that says how it is says that it is not ready in time, and again when it is."""
    out: list[Violation] = []
    by_pid: dict[int, list[Health]] = {}
    for health in history.health:
        by_pid.setdefault(health.pid, []).append(health)
    for fault in (fault for fault in history.faults if fault.outage):
        for pid, said in by_pid.items():
            # Who started later, or died meanwhile, has nothing to say about this outage.
            if fault.pid in {0, pid} and said[0].at < fault.at and not history.died(pid, after=0.0):
                out += _check_outage(fault, pid, said, expected, ended=history.ended)
    return out


def _check_outage(fault: Fault, pid: int, said: list[Health], expected: Expected, *, ended: float) -> list[Violation]:
    out: list[Violation] = []
    by = fault.at + expected.unready_within
    if by < fault.until and _ready_at(said, by):
        text = f"process {pid} still said ready {expected.unready_within:g} s into: {fault.name}"
        out.append(Violation("K", "false readiness", "", text))
    by = fault.until + expected.ready_within
    was_ready = _ready_at(said, by) or any(health.ready and fault.until <= health.at <= by for health in said)
    if by <= ended and not was_ready:  # at any moment of that: the next outage may have come meanwhile
        text = f"process {pid} was not ready {expected.ready_within:g} s after: {fault.name}"
        out.append(Violation("K", "late readiness", "", text))
    return out


def _ready_at(said: list[Health], at: float) -> bool:
    before = [health for health in said if health.at <= at]
    return bool(before) and before[-1].ready


def check_lines(history: History, state: FinalState, expected: Expected) -> list[Violation]:  # noqa: ARG001
    """No log line carries an unexpected traceback, and nobody floods the log while something is broken."""
    out = [
        Violation("F", "traceback", "", f"process {line.pid} logged a {line.failure}: {line.text[:300]}")
        for line in history.lines
        if line.failure and line.failure not in expected.tracebacks
    ]
    for fault in history.faults:
        span = fault.until - fault.at
        if span < 1.0:
            continue
        loud = Counter(x.pid for x in history.lines if x.level in _LOUD and fault.at <= x.at <= fault.until)
        for pid, number in loud.items():
            if number / span > expected.lines_per_second:
                text = f"process {pid} logged {number} warnings in {span:.1f} s of: {fault.name}"
                out.append(Violation("M", "flood", "", text))
    return out
