"""Rules, channels, incidents and deliveries as they are kept."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.alerts.incidents import Incident
from naq.server.alerts.rules import Rule
from naq.server.store import bulk
from naq.server.store.queries.build import build
from naq.server.store.rows import MICRO
from naq.server.store.tables.alerts import (
    alert_channels,
    alert_rules,
    deliveries,
    dismissed,
    incidents,
    leases,
    readings,
)

_KEPT: Final = 30 * 86_400 * MICRO  # microseconds: longer than anything is dismissed for
Form = Literal["naq", "slack", "discord", "teams", "pagerduty"]


class Channel(Struct, frozen=True, kw_only=True):
    """A row of ``alert_channels``: who is told, and how."""

    name: str
    kind: Literal["webhook", "email"]
    url: str = ""
    form: Form = "naq"
    addresses: tuple[str, ...] = ()
    secret: str = ""
    enabled: bool = True
    version: int = 1
    changed_at: int = 0
    changed_by: str = ""

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, {self.kind})"  # neither its secret nor its URL, which is one as well


class Delivery(Struct, frozen=True, kw_only=True):
    """A row of ``deliveries``; `body` is JSON."""

    id: str
    incident_id: str | None
    channel: str
    what: str
    body: str
    state: Literal["waiting", "sent", "failed"] = "waiting"
    tries: int = 0
    next_at: int
    answer: str = ""
    created_at: int
    ended_at: int | None = None


async def lead(connection: AsyncConnection, name: str, holder: str, *, ttl: float, now: int) -> bool:
    """Take or keep the right to do `name` for `ttl` seconds; whether `holder` has it."""
    until = now + round(ttl * MICRO)
    done = await connection.execute(
        update(leases)
        .where(leases.c.name == name, or_(leases.c.holder == holder, leases.c.until_at < now))
        .values(holder=holder, until_at=until)
    )
    if done.rowcount:
        return True
    if (await connection.execute(select(leases.c.name).where(leases.c.name == name))).first() is not None:
        return False
    try:
        async with connection.begin_nested():
            await connection.execute(insert(leases).values(name=name, holder=holder, until_at=until))
    except IntegrityError:  # another one was faster
        return False
    return True


async def resign(connection: AsyncConnection, name: str, holder: str) -> None:
    """Give the right to do `name` back, so that another may have it at once."""
    await connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


async def find_rules(connection: AsyncConnection) -> list[Rule]:
    """All rules, by name: there are few."""
    found = await connection.execute(select(alert_rules).order_by(alert_rules.c.name))
    return [_rule(row) for row in found.mappings()]


async def get_rule(connection: AsyncConnection, name: str) -> Rule | None:
    """A rule, or None."""
    found = await connection.execute(select(alert_rules).where(alert_rules.c.name == name))
    row = found.mappings().one_or_none()
    return None if row is None else _rule(row)


async def find_channels(connection: AsyncConnection) -> list[Channel]:
    """All channels, by name: there are few."""
    found = await connection.execute(select(alert_channels).order_by(alert_channels.c.name))
    return [_channel(row) for row in found.mappings()]


async def get_channel(connection: AsyncConnection, name: str) -> Channel | None:
    """A channel, or None."""
    found = await connection.execute(select(alert_channels).where(alert_channels.c.name == name))
    row = found.mappings().one_or_none()
    return None if row is None else _channel(row)


async def put(connection: AsyncConnection, thing: Rule | Channel) -> bool:
    """Keep a new rule or channel (`version` 1), or the next version of one; False: it is there, or another is there."""
    table = alert_rules if isinstance(thing, Rule) else alert_channels
    values: dict[str, Any] = asdict(thing)
    for name in ("channels", "addresses"):
        if name in values:
            values[name] = json.dumps(values[name])
    if thing.version > 1:
        where = (table.c.name == thing.name, table.c.version == thing.version - 1)
        return (await connection.execute(update(table).where(*where).values(**values))).rowcount > 0
    try:
        async with connection.begin_nested():
            await connection.execute(insert(table).values(**values))
    except IntegrityError:
        return False
    return True


async def remove(connection: AsyncConnection, thing: Rule | Channel) -> bool:
    """Remove this version of it; False: another one is there, or none."""
    table = alert_rules if isinstance(thing, Rule) else alert_channels
    where = (table.c.name == thing.name, table.c.version == thing.version)
    return (await connection.execute(delete(table).where(*where))).rowcount > 0


async def current(connection: AsyncConnection, *, since: int) -> dict[tuple[str, str], Incident]:
    """By rule and subject: what has not been resolved, else what was resolved last from `since` on."""
    recent = incidents.c.resolved_at >= since
    asked = select(incidents).where(incidents.c.state.in_(("pending", "open", "acknowledged")))
    late = select(incidents).where(recent).order_by(incidents.c.resolved_at)
    found = [build(Incident, row) for each in (late, asked) for row in (await connection.execute(each)).mappings()]
    return {(one.rule, one.subject): one for one in found}


async def save(connection: AsyncConnection, before: Incident | None, after: Incident | None) -> bool:
    """Keep what came of a look; False: somebody else has changed it meanwhile, and nothing was kept."""
    if after is None:
        assert before is not None
        return (await connection.execute(delete(incidents).where(_same(before)))).rowcount > 0
    values: dict[str, Any] = asdict(after)
    try:
        async with connection.begin_nested():
            if before is None or before.id != after.id:
                await connection.execute(insert(incidents).values(**values))
                return True
            return (await connection.execute(update(incidents).where(_same(before)).values(**values))).rowcount > 0
    except IntegrityError:  # there is another one of this rule and subject
        return False


def _same(before: Incident) -> ColumnElement[bool]:
    """That a row is as it was seen, as far as people change it."""
    return and_(incidents.c.id == before.id, incidents.c.state == before.state)


async def get_incident(connection: AsyncConnection, incident_id: str) -> Incident | None:
    """An incident, or None."""
    found = await connection.execute(select(incidents).where(incidents.c.id == incident_id))
    row = found.mappings().one_or_none()
    return None if row is None else build(Incident, row)


async def find_incidents(
    connection: AsyncConnection,
    *,
    states: Collection[str] = (),
    rule: str | None = None,
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[Incident]:
    """Incidents, those that began last first; `after` is (`since_at`, `id`) of the last one seen."""
    asked = select(incidents)
    if states:
        asked = asked.where(incidents.c.state.in_(states))
    if rule is not None:
        asked = asked.where(incidents.c.rule == rule)
    if after is not None:
        asked = asked.where(tuple_(incidents.c.since_at, incidents.c.id) < tuple_(literal(after[0]), literal(after[1])))
    asked = asked.order_by(incidents.c.since_at.desc(), incidents.c.id.desc()).limit(limit)
    return [build(Incident, row) for row in (await connection.execute(asked)).mappings()]


async def find_open_since(connection: AsyncConnection, since: int, *, limit: int) -> list[Incident]:
    """Incidents that have opened and were, or are, open after `since` (microseconds), the latest first."""
    sure = incidents.c.opened_at.is_not(None)
    still = select(incidents).where(incidents.c.state.in_(("open", "acknowledged")), sure)
    over = select(incidents).where(incidents.c.resolved_at >= since, sure)
    found = [
        build(Incident, row)
        for asked in (still.order_by(incidents.c.since_at.desc()), over.order_by(incidents.c.resolved_at.desc()))
        for row in (await connection.execute(asked.limit(limit))).mappings()
    ]
    return sorted(found, key=lambda one: one.since_at, reverse=True)[:limit]


async def count_incidents(connection: AsyncConnection) -> dict[str, int]:
    """How many there are in each state but the last."""
    asked = select(incidents.c.state, func.count()).where(incidents.c.state.in_(("pending", "open", "acknowledged")))
    return {state: int(count) for state, count in await connection.execute(asked.group_by(incidents.c.state))}


async def add_deliveries(connection: AsyncConnection, made: Sequence[Delivery]) -> None:
    """Keep what is to be sent."""
    if made:
        await connection.execute(insert(deliveries), [asdict(one) for one in made])


async def due(connection: AsyncConnection, now: int, *, limit: int) -> list[Delivery]:
    """What is to be sent now, the oldest first; to a channel about an incident one after the other."""
    earlier = deliveries.alias()
    first = ~exists().where(
        earlier.c.state == "waiting", earlier.c.incident_id == deliveries.c.incident_id,
        earlier.c.channel == deliveries.c.channel, earlier.c.created_at < deliveries.c.created_at,
    )  # fmt: skip
    asked = select(deliveries).where(deliveries.c.state == "waiting", deliveries.c.next_at <= now, first)
    found = await connection.execute(asked.order_by(deliveries.c.next_at).limit(limit))
    return [build(Delivery, row) for row in found.mappings()]


async def note_delivery(connection: AsyncConnection, delivery: Delivery) -> None:
    """Keep what came of a try; nothing where it is over already: another server, which leads now, was done before."""
    values: dict[str, Any] = {name: getattr(delivery, name) for name in _TRIED}
    mine = (deliveries.c.id == delivery.id, deliveries.c.state == "waiting")
    await connection.execute(update(deliveries).where(*mine).values(**values))


_TRIED: Final = ("state", "tries", "next_at", "answer", "ended_at")


async def find_deliveries(
    connection: AsyncConnection,
    *,
    incident_id: str | None = None,
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Deliveries, the newest first; `after` is (`created_at`, `id`) of the last one seen."""
    asked = select(deliveries)
    if incident_id is not None:
        asked = asked.where(deliveries.c.incident_id == incident_id)
    if after is not None:
        asked = asked.where(
            tuple_(deliveries.c.created_at, deliveries.c.id) < tuple_(literal(after[0]), literal(after[1]))
        )
    asked = asked.order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()).limit(limit)
    return [build(Delivery, row) for row in (await connection.execute(asked)).mappings()]


async def note_readings(connection: AsyncConnection, minute: int, found: Sequence[tuple[str, str, float]]) -> None:
    """Keep kinds, subjects and values of a minute (its beginning, microseconds); the first time counts."""
    made = sorted((kind, subject, minute, value) for kind, subject, value in found)
    await bulk.insert(connection, readings, ("kind", "subject", "at", "value"), made, bulk.NOTHING)


async def find_readings(
    connection: AsyncConnection, kinds: Collection[str], *, since: int
) -> list[tuple[str, str, int, float]]:
    """Kind, subject, minute and value of what was noted of `kinds` from `since` on (microseconds), in that order."""
    asked = select(readings.c.kind, readings.c.subject, readings.c.at, readings.c.value).where(
        readings.c.kind.in_(kinds), readings.c.at >= since
    )
    found = await connection.execute(asked.order_by(readings.c.kind, readings.c.subject, readings.c.at))
    return [(kind, subject, int(at), float(value)) for kind, subject, at, value in found]


async def dismiss(connection: AsyncConnection, need: str, *, until: int, by: str) -> None:
    """Show `need` no more until then (microseconds); a later word counts, and old ones go."""
    await connection.execute(delete(dismissed).where(or_(dismissed.c.id == need, dismissed.c.until_at < until - _KEPT)))
    await connection.execute(insert(dismissed).values(id=need, until_at=until, by=by))


async def find_dismissed(connection: AsyncConnection, *, now: int) -> set[str]:
    """What is not to be shown now."""
    asked = select(dismissed.c.id).where(dismissed.c.until_at > now)
    return {str(one) for one in (await connection.execute(asked)).scalars()}


async def prune(connection: AsyncConnection, *, before: int, limit: int = 1000) -> int:
    """Remove what was resolved, and sent, before (microseconds); how many incidents."""
    old = select(incidents.c.id).where(incidents.c.resolved_at < before).limit(limit)
    done = await connection.execute(delete(incidents).where(incidents.c.id.in_(old)))
    tests = select(deliveries.c.id).where(deliveries.c.created_at < before, deliveries.c.incident_id.is_(None))
    await connection.execute(delete(deliveries).where(deliveries.c.id.in_(tests.limit(limit))))
    return done.rowcount


def _rule(row: RowMapping) -> Rule:
    fields: dict[str, Any] = dict(row) | {"channels": tuple(json.loads(row["channels"]))}
    return Rule(**fields)


def _channel(row: RowMapping) -> Channel:
    fields: dict[str, Any] = dict(row) | {"addresses": tuple(json.loads(row["addresses"]))}
    return Channel(**fields)
