"""Judging all rules, again and again, by one server of those that share a database.

Who does is written in the database, not with the broker: that the broker is away must be said by somebody, and by one.
While the database is away nobody can take over, so the server that judged last goes on with what it remembers: it
judges ``database_lost`` alone, sends what that brings at once, and writes it down when the database is back (ADR 18).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.server.alerts import rows, standing
from naq.server.alerts.counted import TooMuch
from naq.server.alerts.courier import Courier, make_delivery
from naq.server.alerts.incidents import Incident, Step, look, resolve
from naq.server.alerts.message import What
from naq.server.alerts.rows import Channel, Delivery
from naq.server.alerts.rules import Rule
from naq.server.alerts.standing import Broker, Reading
from naq.server.problems import Problem
from naq.server.store.changes import MINUTE
from naq.server.store.rows import MICRO, micros

if TYPE_CHECKING:
    from naq.server.core import Core

log = logging.getLogger("naq.server.alerts")

LEASE: Final = "alerts"
TTL: Final = 3.0  # rounds after which another server takes over from one that died
AGAIN: Final = 2.0  # seconds until the next round where broker or database could not be asked
PRUNE: Final = 3600.0  # seconds between two removals of what is old
_MINUTE: Final = MINUTE * MICRO
#: What is judged without broker and database.
_DARK: Final = "database_lost"

Change = tuple[Rule | None, Incident | None, Step]
"""A rule (None: it has gone), its incident as it was, and what comes of the look."""


class Watch:
    """The alerts of one server.

    Attributes:
        courier: sends what comes of it.
        incidents: how many are pending, open and acknowledged, as this server knows; empty where another one judges.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.courier: Final = Courier(core)
        self.incidents: dict[str, int] = {}
        self._rules: Sequence[Rule] = ()
        self._channels: Sequence[Channel] = ()
        self._dark: dict[str, Incident] = {}
        self._untold: list[Delivery] = []
        self._pruned = 0.0
        self._noted = 0

    @property
    def leading(self) -> bool:
        """Whether this server judges."""
        return self.courier.leading

    async def run(self) -> None:
        """Until it is cancelled; the courier beside it."""
        self._core.spawn(self.courier.run(), "courier")
        try:
            await self._run()
        finally:
            if self.leading:
                with contextlib.suppress(Problem, TimeoutError):
                    async with asyncio.timeout(AGAIN), self._core.writing() as connection:
                        await rows.resign(connection, LEASE, self._core.id)

    async def _run(self) -> None:
        while True:
            pause = self._core.settings.alert_every
            try:
                if not await self.round():
                    pause = min(AGAIN, pause)
            except Problem:
                pause = min(AGAIN, pause)
                if self.leading:
                    await self._in_the_dark()
            except Exception:  # a loop that must survive: the next round looks again
                log.exception("alerts could not be judged")
            await asyncio.sleep(pause)

    async def round(self) -> bool:
        """Look once; whether all that was to be asked could be. Nothing, where another server does.

        Raises:
            Problem: the database is away.
        """
        core, every = self._core, self._core.settings.alert_every
        async with core.writing() as connection:
            # Leading or not: another server may have been faster to the lease, and knows nothing of what was said here.
            await self._write_down(connection)
            held = await rows.lead(connection, LEASE, core.id, ttl=max(TTL * every, 10.0), now=micros(clock.now()))
        self._dark, self._untold = {}, []
        self.courier.leading = held
        if not held:
            self.incidents = {}
            return True
        async with core.reading() as connection:
            known = await rows.find_rules(connection), await rows.find_channels(connection)
        self._rules, self._channels = (
            known  # both or neither: without channels, what comes in the dark is told to nobody
        )
        rules = [rule for rule in self._rules if rule.enabled]
        minute = micros(clock.now()) // _MINUTE * _MINUTE
        broker = await standing.ask_broker(core, rules if minute == self._noted else [*rules, *standing.NOTED])
        changes = await self._judge(rules, broker)
        if changes:
            await self._keep(changes)
        if minute != self._noted:
            await self._note(minute, broker)
        async with core.reading() as connection:
            self.incidents = await rows.count_incidents(connection)
        await self._prune()
        return core.broker.since is None

    async def _note(self, minute: int, broker: Broker | None) -> None:
        """Keep, once a minute, what rules are judged by where nothing else tells what it was."""
        async with self._core.reading() as connection:
            found = await standing.survey(self._core, connection, broker)
        async with self._core.writing() as connection:
            await rows.note_readings(connection, minute, found)
        self._noted = minute

    async def _judge(self, rules: Sequence[Rule], broker: Broker | None) -> list[Change]:
        """What comes of a look at everything."""
        now, changes = micros(clock.now()), list[Change]()
        longest = max((rule.repeat_s for rule in rules), default=0)
        async with self._core.reading() as connection:
            known = await rows.current(connection, since=now - longest * MICRO)
            for rule in rules:
                try:
                    reading = await standing.read(self._core, connection, rule, broker)
                except TooMuch:
                    log.warning("rule %s counts too much for its window: give it a target", rule.name)
                    continue
                if reading is not None:
                    changes += _steps(rule, reading, known, now)
        names = {rule.name for rule in rules}
        for incident in known.values():
            if incident.rule not in names and incident.state != "resolved":
                pending = incident.state == "pending"
                changes.append((None, incident, Step(None if pending else resolve(incident, now, by="its rule ended"))))
        return changes

    async def _keep(self, changes: Sequence[Change]) -> None:
        """Write down what came of a look, and what is to be told."""
        made: list[Delivery] = []
        async with self._core.writing() as connection:
            for rule, before, step in changes:
                if await rows.save(connection, before, step.incident) and rule and step.tell and step.incident:
                    made += self._messages(rule, step.incident, step.tell)
            await rows.add_deliveries(connection, made)
        for rule, _, step in changes:
            if rule is not None and step.tell is not None and step.incident is not None:
                log.warning("incident %s %s: rule %s, %s is %g", step.incident.id, step.tell, rule.name,
                            step.incident.subject or "the whole", step.incident.value,
                            extra={"event": f"incident.{step.tell}"})  # fmt: skip
        if made:
            self.courier.woken.set()

    def _messages(self, rule: Rule, incident: Incident, what: What) -> list[Delivery]:
        known = {channel.name for channel in self._channels if channel.enabled}
        return [self.message(name, incident, what) for name in rule.channels if name in known]

    def message(self, channel: str, incident: Incident | None, what: What) -> Delivery:
        """A message to `channel`, to be sent now."""
        return make_delivery(self._core.settings, channel, incident, what)

    async def _in_the_dark(self) -> None:
        """The database is away: judge that alone, and send at once what it brings."""
        now = micros(clock.now())
        for rule in self._rules:
            if rule.kind != _DARK or not rule.enabled:
                continue
            step = look(rule, self._dark.get(rule.name), "", standing.lost(self._core, rule), now)
            if step.incident is None:
                continue
            self._dark[rule.name] = step.incident
            if step.tell is not None:
                log.error("incident %s %s: the database is away", step.incident.id, step.tell)
                self._untold += self._messages(rule, step.incident, step.tell)
        channels = {channel.name: channel for channel in self._channels}
        due = [one for one in self._untold if one.state == "waiting" and one.next_at <= now]
        sent = await asyncio.gather(*(self.courier.send(one, channels.get(one.channel)) for one in due))
        after = {one.id: one for one in sent}
        self._untold = [after.get(one.id, one) for one in self._untold]

    async def _write_down(self, connection: AsyncConnection) -> None:
        """The database is back: what happened meanwhile becomes rows."""
        for incident in self._dark.values():
            if not await rows.save(connection, None, incident):  # there is one of before: this was the same
                self._untold = [one for one in self._untold if one.incident_id != incident.id]
        await rows.add_deliveries(connection, self._untold)

    async def _prune(self) -> None:
        if (now := clock.monotonic()) - self._pruned > PRUNE or not self._pruned:
            self._pruned = now
            before = micros(clock.now() - self._core.settings.keep_incidents)
            async with self._core.writing() as connection:
                await rows.prune(connection, before=before)


def _steps(rule: Rule, reading: Reading, known: dict[tuple[str, str], Incident], now: int) -> list[Change]:
    """What `reading` makes of each subject, and of those that have an incident and are not in it any more."""
    subjects = {*reading, *(subject for name, subject in known if name == rule.name)}
    found: list[Change] = []
    for subject in sorted(subjects):
        before = known.get((rule.name, subject))
        step = look(rule, before, subject, reading.get(subject, 0.0), now)
        if step.incident is not before:
            found.append((rule, before, step))
    return found
