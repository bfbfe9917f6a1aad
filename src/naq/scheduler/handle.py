"""Schedules as programs see them: `Schedules` of an app, and `Schedule`, a handle on one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Unpack

from naq import clock, sync
from naq.connections import Host, on_bridge
from naq.exceptions import ConfigurationError
from naq.names import check_token
from naq.scheduler.acts import Acts
from naq.scheduler.ticks import Jobs, check_schedulable
from naq.schedules import moves
from naq.schedules.kept import Kept, Template
from naq.schedules.moves import Step
from naq.schedules.slots import Slot, next_slots
from naq.schedules.timetable import Timing, read_timetable

if TYPE_CHECKING:
    from naq.task.call import Call


class Schedule:
    """A handle on the schedule `name`. Every method asks the broker; none holds anything here.

    Raises (all methods):
        ScheduleNotFoundError: there is no such schedule (any more).
        NaqConnectionError: the broker cannot be reached.
    """

    def __init__(self, name: str, host: Host) -> None:
        self.name: Final = check_token("schedule", name)
        self._host: Final = host

    def __repr__(self) -> str:
        return f"<Schedule {self.name}>"

    @property
    def job_id(self) -> str:
        """The name, as the functions without an app call it."""
        return self.name

    async def info(self) -> Kept:
        """All that is known of it."""
        return await (await self._acts()).get(self.name)

    def info_sync(self) -> Kept:
        """`info` for code without an event loop."""
        return sync.run("await schedule.info(...)", self._there.info)

    async def upcoming(self, n: int = 5) -> list[datetime]:
        """When its next `n` jobs are due, in UTC, exactly as they will be; empty while it is paused."""
        kept = await self.info()
        return [clock.as_datetime(slot.due) for slot in kept.upcoming(clock.now(), n)]

    def upcoming_sync(self, n: int = 5) -> list[datetime]:
        """`upcoming` for code without an event loop."""
        return sync.run("await schedule.upcoming(...)", self._there.upcoming, n)

    async def edit(self, call: Call[Any] | None = None, **timing: Unpack[Timing]) -> Kept:
        """Change when (only what is given), or with `call` what it runs. Jobs not due yet follow the new definition.

        Raises:
            ConfigurationError: an option that does not exist, or a value it cannot take. Nothing was changed.
        """
        acts = await self._acts()
        template = None if call is None else make_template(self.name, call, acts.jobs)

        def move(kept: Kept, now: float) -> Step:
            table = read_timetable(f"schedule {self.name}", timing, base=kept.table) if timing else None
            return moves.change(kept, now, template=template, table=table)

        return await acts.change(self.name, move)

    def edit_sync(self, call: Call[Any] | None = None, **timing: Unpack[Timing]) -> Kept:
        """`edit` for code without an event loop."""
        return sync.run("await schedule.edit(...)", self._there.edit, call, **timing)

    async def pause(self, note: str = "", *, by: str = "") -> Kept:
        """Make no more jobs until `resume`; those that wait for their time are taken back. `note` says why."""
        return await (await self._acts()).change(
            self.name, lambda kept, now: Step(kept) if kept.paused else moves.pause(kept, now, by=by, note=note)
        )

    def pause_sync(self, note: str = "", *, by: str = "") -> Kept:
        """`pause` for code without an event loop."""
        return sync.run("await schedule.pause(...)", self._there.pause, note, by=by)

    async def resume(self, *, by: str = "") -> Kept:
        """Go on with the first slot from now on; those that passed meanwhile are not made up for."""
        return await (await self._acts()).change(
            self.name, lambda kept, now: moves.resume(kept, now, by=by) if kept.paused else Step(kept)
        )

    def resume_sync(self, *, by: str = "") -> Kept:
        """`resume` for code without an event loop."""
        return sync.run("await schedule.resume(...)", self._there.resume, by=by)

    async def skip_next(self) -> datetime | None:
        """Leave out the next slot; which one, None where none is to come."""
        at = await (await self._acts()).skip_next(self.name)
        return None if at is None else clock.as_datetime(at)

    def skip_next_sync(self) -> datetime | None:
        """`skip_next` for code without an event loop."""
        return sync.run("await schedule.skip_next(...)", self._there.skip_next)

    async def run_now(self) -> str:
        """Enqueue its job now, once, beside the slots, which stay as they are; the job's id."""
        return await (await self._acts()).run_now(self.name)

    def run_now_sync(self) -> str:
        """`run_now` for code without an event loop."""
        return sync.run("await schedule.run_now(...)", self._there.run_now)

    async def backfill(
        self, start: datetime, end: datetime, *, rate: float | None = None, dry_run: bool = False
    ) -> list[str]:
        """Enqueue a job for each slot from `start` up to `end` (naive means UTC), at most `rate` a second; their ids.

        A slot is filled once, however often that is asked for. `dry_run`: only say which.

        Raises:
            ConfigurationError: more than 10,000 slots, or some of them in the future.
        """
        acts, first, last = await self._acts(), clock.as_timestamp(start), clock.as_timestamp(end)
        return [job_id for _, job_id in await acts.backfill(self.name, first, last, rate=rate, dry_run=dry_run)]

    def backfill_sync(
        self, start: datetime, end: datetime, *, rate: float | None = None, dry_run: bool = False
    ) -> list[str]:
        """`backfill` for code without an event loop."""
        return sync.run("await schedule.backfill(...)", self._there.backfill, start, end, rate=rate, dry_run=dry_run)

    async def delete(self) -> bool:
        """Remove it, and its jobs that wait; what runs goes on. False where there was none."""
        return await (await self._acts()).delete(self.name)

    def delete_sync(self) -> bool:
        """`delete` for code without an event loop."""
        return sync.run("await schedule.delete(...)", self._there.delete)

    @property
    def _there(self) -> Schedule:
        return Schedule(self.name, on_bridge(self._host))

    async def _acts(self) -> Acts:
        return Acts(await self._host.connect(), self._host.config)


class Schedules:
    """All schedules of an app's namespace, whether declared in code or made at run time."""

    def __init__(self, host: Host) -> None:
        self._host: Final = host

    def __getitem__(self, name: str) -> Schedule:
        """A handle on the schedule `name`; does not ask whether there is one."""
        return Schedule(name, self._host)

    async def create(self, name: str, call: Call[Any], **timing: Unpack[Timing]) -> Schedule:
        """Keep a new schedule: `call` (of ``task.call(...)``), by `timing` (see `Timing`).

        Its first jobs are in the broker when this returns.

        Raises:
            ConfigurationError: there is one of this name, or an option that cannot be. Nothing was stored.
        """
        check_token("schedule", name)
        table = read_timetable(f"schedule {name}", timing)
        acts = Acts(await self._host.connect(), self._host.config)
        if await acts.create(name, make_template(name, call, acts.jobs), table) is None:
            raise ConfigurationError(
                f"there is a schedule {name!r} already: edit it (schedules[{name!r}].edit(...)), or delete it first"
            )
        return self[name]

    def create_sync(self, name: str, call: Call[Any], **timing: Unpack[Timing]) -> Schedule:
        """`create` for code without an event loop."""
        there = Schedules(on_bridge(self._host))
        sync.run("await schedules.create(...)", there.create, name, call, **timing)
        return self[name]

    async def list(self) -> Sequence[Kept]:
        """Every schedule, by name."""
        return await Acts(await self._host.connect(), self._host.config).all()

    def list_sync(self) -> Sequence[Kept]:
        """`list` for code without an event loop."""
        return sync.run("await schedules.list()", Schedules(on_bridge(self._host)).list)

    @staticmethod
    def preview(n: int = 5, *, after: float | None = None, name: str = "", **timing: Unpack[Timing]) -> list[Slot]:
        """The first `n` slots of a schedule that would be made now (or at `after`), as they would fire; asks nobody.

        Raises:
            ConfigurationError: an option that cannot be.
        """
        now = clock.now() if after is None else after
        return next_slots(moves.anchored(read_timetable("preview", timing), now), now, n, seed=name)


def make_template(name: str, call: Call[Any], jobs: Jobs) -> Template:
    """What a schedule keeps of `call`.

    Raises:
        ConfigurationError: it has options that only a single job can have.
        SerializationError: its arguments do not fit, or cannot be encoded.
    """
    plan = call.plan
    spec = plan.build(call.args, call.kwargs, clock.now())
    check_schedulable(call, spec)
    return jobs.template(name, spec, expires_in=plan.options.expires_in)
