"""The contract, checked: operation logs and the final state in, a report out. Pure.

One file an aspect: `jobs` (A, B, D, E: what became of every job), `executions` (C, L: what ran, and why more than
once), `calls` (F, K, M: how processes behaved while things were broken).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from naq.job import JobState
from naq.testing.chaos.calls import check_calls, check_lines, check_readiness
from naq.testing.chaos.executions import check_attempts, check_extra
from naq.testing.chaos.expected import Expected
from naq.testing.chaos.history import History
from naq.testing.chaos.jobs import check_jobs, check_records
from naq.testing.chaos.ops import Op
from naq.testing.chaos.report import Report, Violation
from naq.testing.chaos.state import FinalState

Check = Callable[[History, FinalState, Expected], list[Violation]]
CHECKS: Final[tuple[Check, ...]] = (
    check_jobs,
    check_records,
    check_attempts,
    check_calls,
    check_readiness,
    check_lines,
)
_WORKER_LOST: Final = "WorkerLost"


def check(ops: Iterable[Op], state: FinalState, expected: Expected | None = None) -> Report:
    """What of the delivery contract did not hold in a run that left `ops` and `state`."""
    history, expected = History.of(ops), expected or Expected()
    violations = [violation for each in CHECKS for violation in each(history, state, expected)]
    extra, excused = check_extra(history, state)
    seen = _seen(history, state)
    seen["excused"] = len(excused)
    return Report((*violations, *extra), tuple(excused), seen)


def _seen(history: History, state: FinalState) -> dict[str, int]:
    """What happened in the run, counted: a test insists on what proves that its fault struck."""
    records = [stored.record for each in state.records.values() for stored in each]
    said = Counter(line.text.partition(":")[0] for line in history.lines)
    return {
        "accepted": len(history.accepted),
        "unknown": sum(op.stage == "unknown" for op in history.enqueues),
        "refused": sum(op.stage == "fail" for op in history.enqueues),
        "duplicate": sum(op.duplicate for op in history.enqueues),
        "executed": len(history.executions),
        "interrupted": sum(execution.outcome == "interrupted" for execution in history.executions),
        "succeeded": sum(record.state is JobState.SUCCEEDED for record in records),
        "failed": sum(record.state is JobState.FAILED for record in records),
        "redelivered": sum(record.delivered > 1 for record in records),
        "retried": sum(record.attempt > 1 for record in records),
        "poison": sum(record.error is not None and record.error.type.endswith(_WORKER_LOST) for record in records),
        "malformed": sum(letter.kind == "malformed" for letter in state.dead),
        "death": sum(fault.excuses == "death" for fault in history.faults),
        "shutdown": sum(fault.excuses == "shutdown" for fault in history.faults),
        "outage": sum(fault.outage for fault in history.faults),
        "unready": sum(not health.ready for health in history.health),
        "lease lost": said["LeaseLost"],
        "superseded": sum("had a final record already" in line.text for line in history.lines),
        "blocked": sum("has blocked the event loop" in line.text for line in history.lines),
    }
