"""What became of every job: none lost (A), one record a run (B), in time (D), same id one job (E)."""

from __future__ import annotations

from collections import Counter

from naq.job import JobState
from naq.testing.chaos.expected import Expected
from naq.testing.chaos.history import History
from naq.testing.chaos.report import Violation
from naq.testing.chaos.state import FinalState


def check_jobs(history: History, state: FinalState, expected: Expected) -> list[Violation]:
    """Every accepted job ended as expected and in time; nothing exists that nobody enqueued."""
    out: list[Violation] = []
    for job, at in history.accepted.items():
        out += _check_accepted(job, at, history, state, expected)
    known = {*history.accepted, *history.unsure}
    executed = {ran.job for ran in history.executions}
    for job in sorted({*state.records, *state.visible, *executed} - known):
        refused = [op for op in history.enqueues if op.job == job and op.stage == "fail"]
        kind, text = (
            ("ghost", f"refused with {refused[0].error}, yet") if refused else ("stranger", "never enqueued, yet")
        )
        out.append(Violation("E", kind, job, f"{text} it is stored or ran"))
    for job in sorted(history.unsure - set(history.accepted)):
        if job in state.visible:
            out.append(Violation("D", "stuck", job, f"stored after all, and still {state.visible[job].state}"))
    if expected.settled and state.unsettled:
        counts = ", ".join(f"{q.queue}: {q.queued}/{q.running}/{q.scheduled}" for q in state.stats)
        out.append(Violation("D", "left over", "", f"queued/running/scheduled in the end: {counts}"))
    return out


def _check_accepted(job: str, at: float, history: History, state: FinalState, expected: Expected) -> list[Violation]:
    records = state.records.get(job)
    if not records:
        seen = state.visible.get(job)
        if seen is None:
            return [Violation("A", "lost", job, f"acknowledged at {at:.3f}; there is neither a job nor a record")]
        return [Violation("D", "stuck", job, f"acknowledged at {at:.3f} and still {seen.state}")]
    out: list[Violation] = []
    last = records[-1].record
    wanted = expected.states.get(job, JobState.SUCCEEDED)
    if last.state is not wanted:
        why = "" if last.error is None else f" ({last.error.type}: {last.error.message[:200]})"
        out.append(Violation("A", "wrong end", job, f"{last.state}{why}; expected {wanted}"))
    due = max(at, history.healed) + expected.within
    if records[-1].at > due:
        out.append(Violation("D", "late", job, f"its record came {records[-1].at - due:.3f} s after it was due"))
    attempt = expected.attempts.get(job, last.attempt)
    if last.attempt != attempt:
        out.append(Violation("A", "wrong attempt", job, f"ended by attempt {last.attempt}; expected {attempt}"))
    return out


def check_records(history: History, state: FinalState, expected: Expected) -> list[Violation]:  # noqa: ARG001
    """At most one final record a run, and none of a success that no execution returned."""
    out: list[Violation] = []
    returned = {(ran.job, ran.run, ran.attempt) for ran in history.executions if ran.outcome == "returned"}
    for job, records in state.records.items():
        for run, number in Counter(stored.record.run for stored in records).items():
            if number > 1:
                out.append(Violation("B", "duplicate record", job, f"run {run} has {number} final records"))
        for record in (stored.record for stored in records):
            if record.state is JobState.SUCCEEDED and (job, record.run, record.attempt) not in returned:
                text = f"a success of attempt {record.attempt} is recorded, but no execution of it returned"
                out.append(Violation("B", "phantom", job, text))
    return out
