"""What happens to a schedule, as pure steps: planning ahead, missed slots, pauses, edits, skips."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace
from schedule_tools import at, table

from naq.exceptions import SerializationError
from naq.schedules import moves
from naq.schedules.kept import Kept, Template, Tick, backfill_id, decode_kept, encode_kept, tick_id
from naq.schedules.moves import AHEAD, GRACE, HORIZON, advance, objection

NOON = at("2026-06-01 12:00")
TEMPLATE = Template(task="t", payload=b"{}")


def kept(**timing: Any) -> Kept:
    return moves.first("s", TEMPLATE, table(**({"cron": "* * * * *"} | timing)), NOON)


def slots_of(ticks: Iterable[Tick]) -> list[float]:
    return [tick.at - NOON for tick in ticks]


class TestAhead:
    def test_two_ticks_are_in_the_broker(self) -> None:
        step = advance(kept(), NOON)
        assert slots_of(step.store) == [60, 120]
        assert step.kept.count == 2
        assert advance(step.kept, NOON + 30).kept is step.kept  # nothing to do: nothing is written

    def test_each_that_falls_due_is_followed(self) -> None:
        step = advance(advance(kept(), NOON).kept, NOON + 61)
        assert slots_of(step.store) == [180]
        assert slots_of(step.kept.past) == [60]
        assert slots_of(step.kept.ahead) == [120, 180]

    def test_short_periods_are_in_the_broker_for_longer_than_a_leader_takes_to_be_followed(self) -> None:
        step = advance(kept(cron="* * * * * *"), NOON)
        assert slots_of(step.store) == list(range(1, int(HORIZON) + 1))

    def test_doing_it_again_asks_for_the_same_jobs(self) -> None:
        """After a death before the note, the next leader stores the same ids."""
        before = kept()
        first, second = advance(before, NOON), advance(before, NOON + 5)
        assert [tick_id("s", tick) for tick in first.store] == [tick_id("s", tick) for tick in second.store]

    def test_repeat_is_how_many_there_are(self) -> None:
        step = advance(kept(repeat=3), NOON)
        step = advance(step.kept, NOON + 61)
        assert slots_of(step.kept.ahead) == [120, 180]
        assert step.kept.upcoming(NOON + 61, 9) == [(NOON + 120, NOON + 120), (NOON + 180, NOON + 180)]
        step = advance(step.kept, NOON + 1000)
        assert (step.store, step.kept.ended) == ([], True)

    def test_after_its_end_nothing_follows(self) -> None:
        step = advance(kept(end=NOON + 90), NOON)
        assert slots_of(step.store) == [60]
        assert not step.kept.ended
        assert advance(step.kept, NOON + 100).kept.ended

    def test_the_preview_is_what_is_stored(self) -> None:
        one = kept(cron="*/7 * * * *", jitter=100, repeat=20)
        promised = [slot.due for slot in one.upcoming(NOON, 30)]
        made: list[float] = []
        now = NOON
        while not one.ended:
            step = advance(one, now)
            made += [tick.due for tick in step.store]
            one, now = step.kept, now + 200
        assert made == promised
        assert len(made) == 20


class TestMissed:
    """Nobody looked for an hour."""

    def after_an_hour(self, **timing: Any) -> moves.Step:
        return advance(advance(kept(**timing), NOON).kept, NOON + 3600)

    def test_latest_makes_up_for_one(self) -> None:
        step = self.after_an_hour()
        assert slots_of(step.store) == [3600, 3660, 3720]
        assert [tick.late for tick in step.store] == [True, False, False]
        # Those from before that have not started are not wanted any more.
        old = Tick(NOON + 60, NOON + 60, step.kept.generation)
        assert "missed" in objection(step.kept, old, NOON + 3600)
        assert objection(step.kept, step.store[0], NOON + 3600) == ""

    def test_skip_makes_up_for_none_but_the_one_that_is_only_just_late(self) -> None:
        step = advance(advance(kept(missed="skip", cron="*/5 * * * *"), NOON).kept, NOON + 3700)
        assert slots_of(step.store) == [3900, 4200]
        just = advance(advance(kept(missed="skip", cron="*/5 * * * *"), NOON).kept, NOON + 3620)
        assert slots_of(just.store) == [3600, 3900, 4200]

    def test_catch_up_makes_up_for_the_newest(self) -> None:
        step = self.after_an_hour(missed="catch_up(3)")
        assert slots_of(step.store) == [3480, 3540, 3600, 3660, 3720]
        everything = self.after_an_hour(missed="catch_up(1000)")
        assert slots_of(everything.store) == [float(n) for n in range(180, 3721, 60)]

    def test_what_is_made_up_counts(self) -> None:
        step = self.after_an_hour(missed="catch_up(1000)", repeat=5)
        assert (len(step.store), step.kept.left, step.kept.ended) == (3, 0, True)

    def test_a_late_look_is_no_outage(self) -> None:
        """A slot that is a moment late is made up for, and those before it that wait in line stay wanted."""
        step = advance(advance(kept(), NOON).kept, NOON + 181)
        assert slots_of(step.store) == [180, 240, 300]
        assert objection(step.kept, Tick(NOON + 60, NOON + 60, step.kept.generation), NOON + 181) == ""

    def test_a_tick_of_skip_that_starts_too_late_is_missed(self) -> None:
        step = advance(kept(missed="skip"), NOON)
        (tick, _) = step.store
        assert objection(step.kept, tick, tick.due + GRACE - 1) == ""
        assert "missed" in objection(step.kept, tick, tick.due + GRACE + 1)


class TestChanges:
    def test_a_pause_takes_back_what_is_not_due(self) -> None:
        before = advance(kept(), NOON).kept
        step = moves.pause(before, NOON + 70, by="ann", note="why")
        assert slots_of(step.cancel) == [120]
        paused = step.kept
        assert paused.paused is not None
        assert (paused.paused.by, paused.count, paused.upcoming(NOON, 5)) == ("ann", 1, [])
        assert advance(paused, NOON + 300).store == ()
        early, late = (Tick(NOON + n, NOON + n, before.generation) for n in (60, 120))
        assert objection(paused, early, NOON + 300) == ""  # it was due before: it only waits for a worker
        assert "paused" in objection(paused, late, NOON + 300)

    def test_what_a_leader_stored_that_had_not_heard_of_it_never_runs(self) -> None:
        before = advance(kept(), NOON).kept
        paused = moves.pause(before, NOON + 10).kept
        stale = advance(before, NOON + 61).store  # by a leader that was frozen meanwhile
        resumed = moves.resume(paused, NOON + 500).kept
        for tick in stale:
            for now in (paused, resumed):
                assert "paused or changed" in objection(now, tick, NOON + 600)

    def test_a_tick_that_was_not_noted_falls_to_the_next_generation(self) -> None:
        """Its leader stood still between storing it and saying so, and then the schedule was changed."""
        before = kept()
        unnoted = advance(before, NOON).store[0]
        changed = moves.change(before, NOON + 70, template=replace(TEMPLATE, queue="other")).kept
        assert "changed" in objection(changed, unnoted, NOON + 70)
        assert slots_of(advance(changed, NOON + 70).store) == [60, 120, 180]

    def test_a_slot_that_had_its_tick_has_no_other(self) -> None:
        """With a jitter longer than the period a later slot may be due before an earlier one."""
        one = advance(kept(jitter=600), NOON).kept
        while all(a.due < b.due for a, b in zip(one.ahead, one.ahead[1:], strict=False)):
            one = advance(one, one.ahead[0].due).kept
        overtaken, quick = one.ahead[0], min(one.ahead[1:], key=lambda tick: tick.due)
        now = (quick.due + overtaken.due) / 2
        changed = moves.change(one, now, template=replace(TEMPLATE, queue="other")).kept
        assert objection(changed, quick, now) == ""
        again = advance(changed, now).store
        assert overtaken.at in [tick.at for tick in again]
        assert quick.at not in [tick.at for tick in again]

    def test_what_passes_in_a_pause_was_not_missed(self) -> None:
        paused = moves.pause(advance(kept(missed="catch_up(100)"), NOON).kept, NOON + 10).kept
        step = advance(moves.resume(paused, NOON + 3605).kept, NOON + 3605)
        assert slots_of(step.store) == [3660, 3720]

    def test_another_generation_has_other_ids(self) -> None:
        one = advance(kept(), NOON)
        two = advance(moves.change(one.kept, NOON + 1, template=replace(TEMPLATE, queue="other")).kept, NOON + 1)
        assert slots_of(one.store) == slots_of(two.store)
        assert not {tick_id("s", t) for t in one.store} & {tick_id("s", t) for t in two.store}

    def test_another_timetable_counts_from_now(self) -> None:
        step = moves.change(advance(kept(), NOON).kept, NOON + 70, table=table(interval=100))
        assert slots_of(advance(step.kept, NOON + 70).store) == [170, 270]
        assert "changed" in objection(step.kept, Tick(NOON + 120, NOON + 120, 0), NOON + 130)

    def test_another_call_loses_no_slot(self) -> None:
        before = advance(kept(jitter=50, cron="*/2 * * * *"), NOON).kept
        tick = before.ahead[0]
        now = (tick.at + tick.due) / 2  # the slot has come, its job is still put off
        step = moves.change(before, now, template=replace(TEMPLATE, queue="other"))
        assert advance(step.kept, now).kept.ahead[0].at == tick.at

    def test_skip_next(self) -> None:
        before = advance(kept(), NOON).kept
        step, skipped = moves.skip_next(before, NOON)
        assert skipped == NOON + 60
        assert slots_of(step.cancel) == [60]
        assert objection(step.kept, before.ahead[0], NOON + 61) != ""
        assert slots_of(advance(step.kept, NOON + 1).kept.ahead) == [120, 180]
        again, _ = moves.skip_next(step.kept, NOON)
        assert again.kept.skips == [NOON + 60, NOON + 120]

    def test_deleted(self) -> None:
        assert "deleted" in objection(None, Tick(NOON, NOON, 1), NOON)


class TestForm:
    def test_there_and_back(self) -> None:
        one = advance(moves.pause(kept(repeat=7, jitter=5), NOON, note="x").kept, NOON).kept
        assert decode_kept(encode_kept(one)) == one

    def test_something_else(self) -> None:
        with pytest.raises(SerializationError):
            decode_kept(b'{"v":1}')

    def test_ids_are_names(self) -> None:
        name = "a-very-long-name-of-a-schedule-as-long-as-a-name-may-be-no-longer"[:64]
        tick = Tick(NOON, NOON, int(NOON * 1000))
        assert len(tick_id(name, tick)) <= 64
        assert len(backfill_id(name, NOON)) <= 64
        assert tick_id(name, tick) != tick_id(name[:-1] + "X", tick)
        assert tick_id("nightly", tick).startswith("cron-nightly-20260601T120000Z-")

    def test_at_least_two_are_ahead(self) -> None:
        assert AHEAD == 2
