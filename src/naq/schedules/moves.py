"""What may happen to a schedule: each a function from what is kept to what is kept then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from naq.schedules.kept import CLOSED, PAST, Kept, Pause, Template, Tick
from naq.schedules.slots import Slot, newest_slots, slots
from naq.schedules.timetable import Timetable

AHEAD: Final = 2  # ticks of a schedule that are in the broker at least, so that a dead leader delays nothing
#: Seconds for which all ticks are in the broker: twice the 10 s in which a dead leader is noticed, and a look of 10 s.
HORIZON: Final = 30.0
MOST_AHEAD: Final = 100  # ticks put into the broker in one go; one a second needs 30
GRACE: Final = 60.0  # seconds that a tick may be late without counting as missed; a failover takes up to 9


class Step(NamedTuple):
    """What is kept then, the ticks whose jobs are to be stored, and those whose jobs are to be taken out again."""

    kept: Kept
    store: Sequence[Tick] = ()
    cancel: Sequence[Tick] = ()


def first(name: str, template: Template, table: Timetable, now: float, *, app: str = "", declared: str = "",
          by: str = "") -> Kept:  # fmt: skip
    """A new schedule: its slots are those after `now`."""
    return Kept(
        name=name,
        template=template,
        table=anchored(table, now),
        app=app,
        declared=declared,
        generation=int(now * 1000),
        last=float(int(now)),
        created_at=now,
        changed_at=now,
        changed_by=by,
    )


def advance(kept: Kept, now: float) -> Step:
    """Bring a schedule to `now`: what fell due is past, what was missed is made up for, and the next ticks are ahead.

    The jobs of `store` must be stored before the new state is kept: done again after a death in between, it asks for
    the same ones.
    """
    past = [*kept.past, *(tick for tick in kept.ahead if tick.due <= now)][-PAST:]
    ahead = [tick for tick in kept.ahead if tick.due > now]
    if kept.paused is not None:
        return Step(kept if ahead == kept.ahead else replace(kept, past=past, ahead=ahead))
    made: list[Tick] = []
    void_before = kept.void_before
    last, left = kept.last, kept.left
    table = kept.table
    missed = _missed(kept, now)
    if missed is not None:
        up, last, is_outage = missed
        up = up[:left] if left is not None else up
        made += [Tick(slot.at, slot.due, kept.generation, late=True) for slot in up]
        if is_outage and up and table.missed != "skip":
            void_before = up[0].at
    past = [*past, *made][-PAST:]
    for slot in slots(table, last, kept.name):
        if left is not None and len(made) >= left:
            break
        if (len(ahead) >= AHEAD and slot.due > now + HORIZON) or len(ahead) >= MOST_AHEAD:
            break
        last = slot.at
        if slot.at in kept.skips or _had(kept, slot.at):
            continue
        tick = Tick(slot.at, slot.due, kept.generation)
        ahead.append(tick)
        made.append(tick)
    if not made and ahead == kept.ahead and last == kept.last:
        return Step(kept)
    skips = [at for at in kept.skips if at > now - 86400]
    after = replace(
        kept, past=past, ahead=ahead, last=last, count=kept.count + len(made), void_before=void_before, skips=skips
    )
    return Step(after, made)


def _missed(kept: Kept, now: float) -> tuple[list[Slot], float, bool] | None:
    """The slots to make up for, the last one that is dealt with by that, and whether any was late beyond `GRACE`."""
    table, until = kept.table, now
    if table.jitter:
        # Up to the first that is not due: with a long jitter, later ones may be due before it.
        recent = slots(table, max(kept.last, now - table.jitter - 1), kept.name)
        until = next((slot.at - 1 for slot in recent if slot.due > now), now)
    newest = newest_slots(table, kept.last, until, 1, kept.name)
    if not newest:
        return None
    most = MOST_AHEAD if table.missed == "skip" else table.catch_up
    up = [slot for slot in newest_slots(table, kept.last, until, most, kept.name) if slot.at not in kept.skips]
    up = [slot for slot in up if not _had(kept, slot.at)]
    if table.missed == "skip":
        up = [slot for slot in up if now - slot.due <= GRACE]
    oldest = next(slots(table, kept.last, kept.name))
    return up, newest[-1].at, now - oldest.due > GRACE


def change(kept: Kept, now: float, *, template: Template | None = None, table: Timetable | None = None,
           declared: str | None = None, by: str = "") -> Step:  # fmt: skip
    """Another job, another timetable, or both. What was due before `now` stays; a new timetable counts from `now`."""
    step = _closed(kept, now, by)
    after = replace(
        step.kept,
        template=kept.template if template is None else template,
        declared=kept.declared if declared is None else declared,
    )
    if table is not None and table != kept.table:
        after = replace(after, table=anchored(table, now), last=float(int(now)), skips=[])
    return Step(after, cancel=step.cancel)


def pause(kept: Kept, now: float, *, by: str = "", note: str = "") -> Step:
    """Nothing more falls due until `resume`."""
    step = _closed(kept, now, by)
    return Step(replace(step.kept, paused=Pause(now, by, note)), cancel=step.cancel)


def resume(kept: Kept, now: float, *, by: str = "") -> Step:
    """Go on with the first slot after `now`; those in between were not missed, they were not wanted."""
    step = _closed(kept, now, by)
    return Step(replace(step.kept, paused=None, last=max(step.kept.last, float(int(now)))), cancel=step.cancel)


def skip_next(kept: Kept, now: float) -> tuple[Step, float | None]:
    """Leave the next slot out; which one it is, None where there is none."""
    coming = kept.upcoming(now, 1)
    if not coming:
        return Step(kept), None
    at = coming[0].at
    gone = [tick for tick in kept.ahead if tick.at == at]
    after = replace(
        kept,
        skips=[*kept.skips, at],
        ahead=[tick for tick in kept.ahead if tick.at != at],
        count=kept.count - len(gone),
    )
    return Step(after, cancel=gone), at


def objection(kept: Kept | None, tick: Tick, now: float) -> str:
    """Why the job of `tick` must not run, though it is in line; "" where nothing speaks against it.

    Asked by the worker that is about to run it: whatever was stored by a leader that knew less than we do ends here.
    """
    if kept is None:
        return "its schedule was deleted"
    if not _is_current(kept, tick):
        return "its schedule was paused or changed before it was due"
    if tick.at in kept.skips:
        return "this run was skipped by request"
    if not tick.late and tick.at < kept.void_before:
        return "missed: a later run was made up for it"
    if not tick.late and kept.table.missed == "skip" and now - tick.due > GRACE:
        return f"missed: it could not start within {GRACE:.0f} s of its time"
    return ""


def _is_current(kept: Kept, tick: Tick) -> bool:
    """Whether a tick is of the generation that holds, or fell due while its own did.

    One that its leader could not note before its generation ended is void: its slot falls to the next generation.
    """
    if tick.generation == kept.generation:
        return True
    return any(
        generation == tick.generation and tick.due <= until and (tick.at <= noted or tick in kept.past)
        for generation, until, noted in kept.closed
    )


def _had(kept: Kept, at: float) -> bool:
    """Whether a slot had its tick already, though others before it are still to come (their jitter was longer)."""
    return any(tick.at == at for tick in kept.past)


def _closed(kept: Kept, now: float, by: str) -> Step:
    """The end of a generation: its ticks that are not due yet are void, and their slots are to come again."""
    void = [tick for tick in kept.ahead if tick.due > now]
    past = [*kept.past, *(tick for tick in kept.ahead if tick.due <= now)][-PAST:]
    last = min([kept.last, *(tick.at - 0.5 for tick in void)])  # slots are whole seconds
    after = replace(
        kept,
        generation=max(kept.generation + 1, int(now * 1000)),
        closed=[*kept.closed, (kept.generation, now, last)][-CLOSED:],
        ahead=[],
        past=past,
        count=kept.count - len(void),
        last=last,
        changed_at=now,
        changed_by=by,
    )
    return Step(after, cancel=void)


def anchored(table: Timetable, now: float) -> Timetable:
    """An interval counts from somewhere: from one interval after now, where nobody said from when."""
    if table.interval and table.start is None:
        return replace(table, start=float(int(now)) + table.interval)
    return table
