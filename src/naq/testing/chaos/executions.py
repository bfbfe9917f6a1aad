"""What ran, and why more than once: extra executions need a fault (C), stale workers settle nothing (L)."""

from __future__ import annotations

from typing import Final

from naq.testing.chaos.expected import Expected
from naq.testing.chaos.history import History, Ran
from naq.testing.chaos.ops import Fault
from naq.testing.chaos.report import Excused, Violation
from naq.testing.chaos.state import FinalState

FORGOTTEN: Final = 1.0  # seconds around a broker's death; it writes down its claims every 0.1 s
LOOKED_UP: Final = 0.25  # seconds between looking for a record and the start, on a machine that is busy


def check_extra(history: History, state: FinalState) -> tuple[list[Violation], list[Excused]]:
    """Each execution of an attempt after its first needs a fault that struck an earlier one.

    An earlier execution excuses one later one at most, so three executions need two that were struck.
    """
    violations: list[Violation] = []
    excused: list[Excused] = []
    for (job, run, attempt), rans in history.attempts().items():
        stored = [each.at for each in state.records.get(job, ()) if each.record.run == run]
        free = [rans[0]]
        for ran in rans[1:]:
            # What starts after the record can see the record: then not even a death is an excuse.
            is_late = bool(stored) and ran.started > stored[0] + LOOKED_UP
            found = _excuse(free, ran, history.faults, only_cut_off=is_late)
            if found is None:
                when = "after its record was stored" if is_late else "without a fault that allows it"
                text = f"attempt {attempt} of run {run} ran again in process {ran.pid} at {ran.started:.3f} {when}"
                violations.append(Violation("C", "extra execution", job, text))
            else:
                earlier, fault = found
                free.remove(earlier)
                excused.append(Excused(job, attempt, fault.name))
            free.append(ran)
    return violations, excused


def _excuse(free: list[Ran], ran: Ran, faults: list[Fault], *, only_cut_off: bool) -> tuple[Ran, Fault] | None:
    for earlier in free:
        for fault in faults:
            if (not only_cut_off or fault.excuses == "cut_off") and _strikes(fault, earlier, before=ran.started):
                return earlier, fault
    return None


def _strikes(fault: Fault, ran: Ran, *, before: float) -> bool:
    """Whether `fault` may cost the execution `ran` one more, that begins at `before`."""
    if fault.pid not in {0, ran.pid} or fault.at > before:
        return False
    match fault.excuses:
        case "death" | "cut_off":
            return fault.until >= ran.started
        case "amnesia":
            # Claimed before the broker died; begun just before that, or once it was back and could be asked.
            return fault.at - FORGOTTEN < ran.started < fault.until + FORGOTTEN
        case "shutdown":
            return fault.until >= ran.started and ran.outcome not in {"returned", "raised"}
        case "nothing":
            return False


def check_attempts(history: History, state: FinalState, expected: Expected) -> list[Violation]:  # noqa: ARG001
    """Attempts count from 1 without gaps, each after one that failed, and the record names the last."""
    out: list[Violation] = []
    attempts = history.attempts()
    highest: dict[tuple[str, int], int] = {}
    for (job, run, attempt), rans in attempts.items():
        highest[job, run] = max(attempt, highest.get((job, run), 0))
        if attempt > 1 and not any(_failed(ran, history) for ran in attempts.get((job, run, attempt - 1), [])):
            at = f"{rans[0].started:.3f}"
            text = f"attempt {attempt} of run {run} began at {at}, but attempt {attempt - 1} had not failed"
            out.append(Violation("A", "burnt attempt", job, text))
    for job, records in state.records.items():
        for record in (stored.record for stored in records):
            last = highest.get((job, record.run), record.attempt)
            if last != record.attempt:
                text = f"its record says attempt {record.attempt}, but attempt {last} was executed"
                out.append(Violation("A", "wrong attempt", job, text))
    return out


def _failed(ran: Ran, history: History) -> bool:
    """Whether an execution used its attempt up: it raised, or was interrupted by something else than a shutdown."""
    if ran.outcome == "interrupted":
        return not any(fault.excuses == "shutdown" and fault.pid in {0, ran.pid} for fault in history.faults)
    return ran.outcome == "raised"
