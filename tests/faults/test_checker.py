"""The checker must be able to fail: every kind of breach, shown to it as a log, is found; a good log passes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from naq.backends.base import QueueStats
from naq.context import Context, reset_context, set_context
from naq.exceptions import NaqConnectionError, PayloadTooLarge
from naq.job import AttemptError, JobRecord, JobState
from naq.testing.chaos import (
    Enqueue,
    Execution,
    Expected,
    Fault,
    FinalState,
    Health,
    Line,
    Op,
    OpLog,
    Stored,
    check,
    read_ops,
)

PRODUCER, WORKER, OTHER = 1, 2, 3


def enqueued(job: str = "j", at: float = 1.0, stage: Any = "ok", **more: Any) -> list[Op]:
    return [
        Enqueue(stage="invoke", job=job, at=at, pid=PRODUCER, deadline=more.pop("deadline", 0.0)),
        Enqueue(stage=stage, job=job, at=at + more.pop("took", 0.1), pid=PRODUCER, **more),
    ]


def ran(
    job: str = "j", at: float = 2.0, *, took: float = 0.5, end: Any = "returned", pid: int = WORKER, **more: Any
) -> list[Op]:
    number = int(at * 1000)
    start = Execution(stage="start", job=job, at=at, pid=pid, number=number, **more)
    return (
        [start] if end is None else [start, Execution(stage=end, job=job, at=at + took, pid=pid, number=number, **more)]
    )


def killed(at: float, pid: int = WORKER) -> Fault:
    return Fault(name="kill -9", excuses="death", at=at, until=at, pid=pid)


def stored(job: str = "j", at: float = 3.0, **more: Any) -> Stored:
    return Stored(at, JobRecord(id=job, state=more.pop("state", JobState.SUCCEEDED), **more))


def ended(*records: Stored, **more: Any) -> FinalState:
    by_id: dict[str, list[Stored]] = {}
    for each in records:
        by_id.setdefault(each.record.id, []).append(each)
    return FinalState(records=by_id, **more)


def kinds(ops: list[Op], state: FinalState, **expected: Any) -> set[str]:
    return check(ops, state, Expected(**expected)).kinds()


def test_a_run_in_which_all_went_well_passes() -> None:
    report = check([*enqueued(), *ran()], ended(stored()))
    report.verify("accepted", "executed", "succeeded")
    assert report.violations == ()
    assert report.seen["executed"] == 1


def test_a_fault_that_never_struck_fails_the_run() -> None:
    report = check([*enqueued(), *ran()], ended(stored()))
    with pytest.raises(AssertionError, match="'redelivered' was never seen"):
        report.verify("redelivered")


def test_violations_fail_the_run_with_their_evidence() -> None:
    with pytest.raises(AssertionError, match=r"\[A\] lost j: acknowledged at 1\.100"):
        check(enqueued(), ended()).verify()


def test_an_acknowledged_job_that_is_nowhere_is_lost() -> None:
    assert kinds(enqueued(), ended()) == {"lost"}


def test_a_job_that_is_still_visible_in_the_end_is_stuck() -> None:
    assert kinds(enqueued(), ended(visible={"j": JobRecord(id="j", state=JobState.QUEUED)})) == {"stuck"}


def test_a_job_of_unknown_fate_may_be_nowhere_but_not_stuck() -> None:
    unknown = enqueued(stage="unknown", error="NaqConnectionError")
    assert kinds(unknown, ended()) == set()
    assert kinds(unknown, ended(visible={"j": JobRecord(id="j", state=JobState.QUEUED)})) == {"stuck"}


def test_what_the_store_still_counts_is_left_over() -> None:
    assert kinds([*enqueued(), *ran()], ended(stored(), stats=[QueueStats("q", running=1)])) == {"left over"}


def test_two_records_of_one_run_are_found() -> None:
    assert kinds([*enqueued(), *ran()], ended(stored(), stored())) == {"duplicate record"}


def test_a_success_that_nothing_returned_is_a_phantom() -> None:
    assert kinds(enqueued(), ended(stored())) == {"phantom"}
    assert kinds([*enqueued(), *ran(end=None)], ended(stored())) == {"phantom"}


def test_a_job_that_should_have_succeeded_and_failed_is_found() -> None:
    failed = stored(state=JobState.FAILED, errors=[AttemptError(type="E", message="boom")])
    assert kinds([*enqueued(), *ran(end="raised")], ended(failed)) == {"wrong end"}
    assert kinds([*enqueued(), *ran(end="raised")], ended(failed), states={"j": JobState.FAILED}) == set()


def test_a_record_that_comes_too_long_after_healing_is_late() -> None:
    run: list[Op] = [*enqueued(), killed(2.0, pid=9), *ran(at=50.0)]
    assert kinds(run, ended(stored(at=51.0)), within=10.0) == {"late"}
    assert kinds(run, ended(stored(at=51.0)), within=50.0) == set()


def test_an_execution_of_a_job_that_nobody_enqueued_is_found() -> None:
    assert kinds([*enqueued(), *ran(), *ran("other")], ended(stored())) == {"stranger"}


def test_a_refused_job_that_exists_all_the_same_is_found() -> None:
    assert kinds([*enqueued(stage="fail", error="PayloadTooLarge"), *ran()], ended(stored())) == {"ghost"}


def test_an_extra_execution_without_a_fault_is_found() -> None:
    again: list[Op] = [*enqueued(), *ran(), *ran(at=2.7, pid=OTHER)]
    assert kinds(again, ended(stored())) == {"extra execution"}


def test_an_extra_execution_after_the_worker_died_is_excused_and_named() -> None:
    ops: list[Op] = [*enqueued(), *ran(end=None), killed(2.2), *ran(at=5.0, pid=OTHER)]
    report = check(ops, ended(stored(at=5.6, delivered=2)))
    report.verify("redelivered", "death", "excused")
    assert [(extra.job, extra.attempt, extra.fault) for extra in report.excused] == [("j", 1, "kill -9")]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (killed(2.2, pid=OTHER), "another process died"),
        (killed(1.5), "it had died before the job began"),
        (killed(9.0), "it died after the job began again"),
        (Fault(name="pause", excuses="nothing", at=2.1, until=2.3, pid=WORKER), "a short pause excuses nothing"),
        (Fault(name="deploy", excuses="shutdown", at=2.1, until=2.3, pid=WORKER), "the job had returned"),
    ],
)
def test_faults_that_excuse_no_extra_execution(fault: Fault, why: str) -> None:
    ops: list[Op] = [*enqueued(), *ran(), fault, *ran(at=5.0, pid=OTHER)]
    assert kinds(ops, ended(stored(at=5.6))) == {"extra execution"}, why


def test_a_shutdown_excuses_running_an_interrupted_job_again() -> None:
    stop = Fault(name="SIGTERM", excuses="shutdown", at=2.1, until=2.3, pid=WORKER)
    ops: list[Op] = [*enqueued(), *ran(end="interrupted"), stop, *ran(at=5.0, pid=OTHER)]
    check(ops, ended(stored(at=5.6))).verify("interrupted", "excused")


def test_a_broker_that_died_excuses_what_had_just_begun_and_nothing_that_was_recorded() -> None:
    forgot = Fault(name="kill -9 broker", excuses="amnesia", at=2.2, until=2.5, outage=True)
    ops: list[Op] = [*enqueued(), *ran(), forgot, *ran(at=5.0, pid=OTHER)]
    assert kinds(ops, ended(stored(at=5.6))) == set()
    assert kinds(ops, ended(stored(at=4.0))) == {"extra execution"}
    for began in (0.5, 3.6):  # long before its death, and long after it was back
        far: list[Op] = [*enqueued(at=0.1), *ran(at=began), forgot, *ran(at=5.0, pid=OTHER)]
        assert kinds(far, ended(stored(at=5.6))) == {"extra execution"}
    held: list[Op] = [*enqueued(), forgot, *ran(at=3.0), *ran(at=3.1, pid=OTHER)]
    assert kinds(held, ended(stored(at=3.6))) == set()


def test_each_death_excuses_one_execution_only() -> None:
    ops: list[Op] = [*enqueued(), *ran(end=None), killed(2.2), *ran(at=5.0, pid=OTHER), *ran(at=6.0, pid=OTHER)]
    assert kinds(ops, ended(stored(at=7.0))) == {"extra execution"}


def test_not_even_a_death_excuses_running_a_job_that_has_its_record() -> None:
    ops: list[Op] = [*enqueued(), *ran(), killed(3.2), *ran(at=5.0, pid=OTHER)]
    assert kinds(ops, ended(stored(at=3.0))) == {"extra execution"}


def test_attempts_that_follow_failures_are_right() -> None:
    ops: list[Op] = [*enqueued(), *ran(end="raised"), *ran(at=3.0, attempt=2)]
    check(ops, ended(stored(at=4.0, attempt=2))).verify("retried")


def test_a_record_with_the_wrong_attempt_is_found() -> None:
    ops: list[Op] = [*enqueued(), *ran(end="raised"), *ran(at=3.0, attempt=2)]
    assert kinds(ops, ended(stored(at=4.0, attempt=1, state=JobState.FAILED)), states={"j": JobState.FAILED}) == {
        "wrong attempt"
    }
    assert kinds([*enqueued(), *ran()], ended(stored()), attempts={"j": 2}) == {"wrong attempt"}


def test_an_attempt_that_was_counted_without_a_failure_is_found() -> None:
    ops: list[Op] = [*enqueued(), *ran(end=None), killed(2.2), *ran(at=5.0, attempt=2, pid=OTHER)]
    assert kinds(ops, ended(stored(at=6.0, attempt=2))) == {"burnt attempt"}
    stop = Fault(name="SIGTERM", excuses="shutdown", at=2.1, until=2.3, pid=WORKER)
    ops = [*enqueued(), *ran(end="interrupted"), stop, *ran(at=5.0, attempt=2, pid=OTHER)]
    assert kinds(ops, ended(stored(at=6.0, attempt=2))) == {"burnt attempt"}


def test_a_call_that_never_ended_is_found_unless_its_process_died() -> None:
    hung: list[Op] = [Enqueue(stage="invoke", job="j", at=1.0, pid=PRODUCER)]
    assert kinds(hung, ended()) == {"hung"}
    assert kinds([*hung, killed(2.0, pid=PRODUCER)], ended()) == set()


def test_a_call_past_its_deadline_is_found() -> None:
    assert kinds([*enqueued(deadline=2.0, took=3.5), *ran(at=5.0)], ended(stored(at=6.0))) == {"overdue"}
    assert kinds([*enqueued(deadline=2.0, took=2.5), *ran(at=5.0)], ended(stored(at=6.0))) == set()


def test_an_error_that_is_not_of_naq_is_found() -> None:
    assert kinds(enqueued(stage="fail", error="AttributeError"), ended()) == {"wrong error"}
    assert kinds(enqueued(stage="fail", error="PayloadTooLarge"), ended()) == set()


def outage(*said: tuple[float, bool]) -> list[Op]:
    broken = Fault(name="broker gone", excuses="nothing", at=10.0, until=40.0, outage=True)
    return [broken, *(Health(ready=ready, at=at, pid=WORKER) for at, ready in said)]


def test_readiness_that_tells_the_truth_passes() -> None:
    report = check(outage((1.0, True), (12.0, False), (41.0, True)), ended())
    report.verify("unready", "outage")


def test_readiness_that_lies_is_found() -> None:
    assert kinds(outage((1.0, True)), ended()) == {"false readiness"}
    later: list[Op] = [*outage((1.0, True), (12.0, False)), *enqueued(at=50.0), *ran(at=51.0)]
    assert kinds(later, ended(stored(at=52.0))) == {"late readiness"}
    assert kinds(outage((1.0, True), (12.0, False), (46.0, True)), ended()) == {"late readiness"}


def test_a_traceback_and_a_flood_of_warnings_are_found() -> None:
    line = Line(level="ERROR", logger="naq", text="a round failed", at=11.0, pid=WORKER, failure="KeyError")
    assert kinds([line], ended()) == {"traceback"}
    assert kinds([line], ended(), tracebacks=frozenset({"KeyError"})) == set()
    warnings = [Line(level="WARNING", logger="naq", text="again", at=10.0 + n / 100, pid=WORKER) for n in range(2000)]
    assert kinds([*outage(), *warnings], ended()) == {"flood"}


def test_the_log_keeps_calls_and_executions_as_they_end(tmp_path: Path) -> None:
    log = OpLog(tmp_path / "one.jsonl")
    with log.enqueuing(["a", "b"]) as duplicates:
        duplicates.add("b")
    with pytest.raises(NaqConnectionError), log.enqueuing(["c"]):
        raise NaqConnectionError("away")
    with pytest.raises(PayloadTooLarge), log.enqueuing(["d"]):
        raise PayloadTooLarge("big")
    token = set_context(Context(job_id="a", task="t", attempt=2))
    for error in (None, ValueError("boom"), asyncio.CancelledError()):
        try:
            with log.execution():
                if error is not None:
                    raise error
        except (ValueError, asyncio.CancelledError):
            pass
    reset_context(token)
    log.close()
    ops = read_ops(tmp_path)
    calls = [(op.job, op.stage, op.duplicate) for op in ops if isinstance(op, Enqueue) and op.stage != "invoke"]
    assert calls == [("a", "ok", False), ("b", "ok", True), ("c", "unknown", False), ("d", "fail", False)]
    steps = [(op.attempt, op.stage) for op in ops if isinstance(op, Execution)]
    assert steps == [(2, end) for last in ("returned", "raised", "interrupted") for end in ("start", last)]


def test_a_torn_line_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "torn.jsonl").write_bytes(b'{"op":"health","ready":true,"at":1,"pid":1}\n{"op":"hea')
    with pytest.raises(ValueError, match=r"torn\.jsonl:2 is no operation"):
        read_ops(tmp_path)


def _append(path: str, number: int) -> None:
    log = OpLog(Path(path))
    for index in range(200):
        log.write(Health(ready=True, at=float(index), pid=os.getpid(), detail=f"{number}-{index}-" + "x" * 500))


def test_lines_of_processes_that_write_at_once_never_mix(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append, args=(str(tmp_path / "shared.jsonl"), number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert len({op.detail for op in read_ops(tmp_path) if isinstance(op, Health)}) == 600
