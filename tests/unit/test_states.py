"""The table of transitions: properties that must hold whatever is added to it."""

import pytest

from naq.job import FINAL, TRANSITIONS, JobState, may_move


def reachable(start: JobState, *, through_final: bool = False) -> set[JobState]:
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        if state in FINAL and not through_final:
            continue
        for after in TRANSITIONS[state] - seen:
            seen.add(after)
            waiting.append(after)
    return seen


def test_every_state_is_in_the_table():
    assert set(TRANSITIONS) == set(JobState)
    assert frozenset().union(*TRANSITIONS.values()) <= set(JobState)


@pytest.mark.parametrize("state", JobState)
def test_nothing_moves_to_itself(state: JobState):
    assert not may_move(state, state)


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL))
def test_what_is_not_final_can_still_run_and_can_still_end(state: JobState):
    found = reachable(state)
    assert JobState.RUNNING in found
    assert found >= FINAL


@pytest.mark.parametrize("state", sorted(FINAL))
def test_what_is_final_only_ever_starts_over(state: JobState):
    assert TRANSITIONS[state] == {JobState.QUEUED}


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL))
def test_whatever_is_not_final_can_be_cancelled_and_can_expire(state: JobState):
    assert may_move(state, JobState.CANCELLED)
    assert may_move(state, JobState.EXPIRED)


def test_only_what_runs_succeeds_or_is_retried():
    for after in (JobState.SUCCEEDED, JobState.RETRYING):
        assert [before for before in JobState if may_move(before, after)] == [JobState.RUNNING]


def test_only_what_is_queued_starts():
    assert [before for before in JobState if may_move(before, JobState.RUNNING)] == [JobState.QUEUED]


def test_states_are_the_words_that_travel():
    assert {str(state) for state in JobState} == {
        *("scheduled", "blocked", "queued", "running", "retrying"),
        *("succeeded", "failed", "cancelled", "expired"),
    }
    assert {str(state) for state in FINAL} == {"succeeded", "failed", "cancelled", "expired"}
