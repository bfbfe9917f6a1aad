"""Proof that nothing was lost: an operation log that processes write while things break, and a checker that reads it.

::

    log = OpLog(folder / "worker.jsonl")
    with log.execution():                       # in a task: who ran which attempt, and how that ended
        ...
    report = check(read_ops(folder), await read_state(backend, ids), Expected(within=40.0))
    report.verify("redelivered")                # raises unless all held, and unless the fault really struck

The invariants are those of the delivery contract, by letter (docs/faults.md).
"""

from naq.testing.chaos.check import check
from naq.testing.chaos.expected import Expected
from naq.testing.chaos.oplog import OpLog, read_ops
from naq.testing.chaos.ops import Enqueue, Execution, Fault, Health, Line, Op
from naq.testing.chaos.report import Excused, Report, Violation
from naq.testing.chaos.state import FinalState, Stored, read_state

__all__ = [
    "Enqueue",
    "Excused",
    "Execution",
    "Expected",
    "Fault",
    "FinalState",
    "Health",
    "Line",
    "Op",
    "OpLog",
    "Report",
    "Stored",
    "Violation",
    "check",
    "read_ops",
    "read_state",
]
