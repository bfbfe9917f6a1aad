"""Incidents: what was wrong, what was told about it, and what people say of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import Field

from naq import clock
from naq.server.alerts import incidents, rows
from naq.server.alerts.incidents import Incident, State
from naq.server.alerts.message import page, sentence
from naq.server.alerts.rows import Delivery
from naq.server.alerts.rules import KINDS, Kind, Unit
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.job_views import parsed
from naq.server.api.lists import Cursor, Limit, begin, cut, size
from naq.server.api.models import Given, Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.core import Core
from naq.server.names import Id, Token
from naq.server.problems import Problem
from naq.server.store.rows import micros

routes = Routes("alerts")
_PAGES = ("cursor_invalid", "cursor_mismatch")
_ONE = ("not_found", "wrong_state")


class DeliveryView(Model):
    """A message. `next_at`: when it is tried again; `answer`: what came of the last try."""

    id: str
    incident_id: str | None
    channel: str
    what: Literal["opened", "repeated", "resolved", "test"]
    state: Literal["waiting", "sent", "failed"]
    tries: int
    next_at: Moment | None
    answer: str
    created_at: Moment | None
    ended_at: Moment | None
    message: Any

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """As it is shown."""
        what: Any = delivery.what
        return cls(
            id=delivery.id, incident_id=delivery.incident_id, channel=delivery.channel, what=what,
            state=delivery.state, tries=delivery.tries,
            next_at=at(delivery.next_at) if delivery.state == "waiting" else None, answer=delivery.answer,
            created_at=at(delivery.created_at), ended_at=at(delivery.ended_at), message=parsed(delivery.body),
        )  # fmt: skip


class IncidentView(Model):
    """Something wrong. `text` says it in words, `page` where to look; `pending`: it is not sure yet."""

    id: str
    rule: str
    kind: Kind
    subject: str
    state: State
    unit: Unit
    threshold: float
    value: float
    worst: float
    text: str
    page: str
    since_at: Moment | None
    seen_at: Moment | None
    opened_at: Moment | None
    good_at: Moment | None
    acknowledged_at: Moment | None
    acknowledged_by: str
    note: str
    resolved_at: Moment | None
    resolved_by: str
    reopened: int
    told_at: Moment | None

    @classmethod
    def of(cls, one: Incident) -> IncidentView:
        """As it is shown."""
        return cls(
            id=one.id, rule=one.rule, kind=one.kind, subject=one.subject, state=one.state,
            unit=KINDS[one.kind].unit, threshold=one.threshold, value=one.value, worst=one.worst,
            text=sentence("resolved" if one.state == "resolved" else "opened", one), page=page(one),
            since_at=at(one.since_at), seen_at=at(one.seen_at), opened_at=at(one.opened_at), good_at=at(one.good_at),
            acknowledged_at=at(one.acknowledged_at), acknowledged_by=one.acknowledged_by, note=one.note,
            resolved_at=at(one.resolved_at), resolved_by=one.resolved_by, reopened=one.reopened,
            told_at=at(one.told_at),
        )  # fmt: skip


class IncidentDetail(IncidentView):
    """And what was told about it, the newest first."""

    deliveries: list[DeliveryView]


class Said(Given):
    """Why, for others."""

    note: str = Field(default="", max_length=1000)


@routes.add("GET", "/alerts/incidents", "listIncidents", "List incidents", problems=_PAGES)
async def list_incidents(
    request: Request,
    response: Response,
    state: Annotated[list[State] | None, Query(description="One or more; else all but `pending`.")] = None,
    rule: Annotated[Token | None, Query(description="Of this rule.")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[IncidentView]:
    """Those that began last first."""
    core = core_of(request)
    wanted = tuple(dict.fromkeys(state or ("open", "acknowledged", "resolved")))
    most, about = size(core, limit), f"incidents {wanted} {rule!r}"
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        found = await rows.find_incidents(connection, states=wanted, rule=rule, after=place, limit=most + 1)
    return cut(
        request, response, found, IncidentView.of, about=about, most=most, key=lambda row: [row.since_at, row.id]
    )


@routes.add("GET", "/alerts/incidents/{incident_id}", "getIncident", "Show an incident", problems=("not_found",))
async def get_incident(request: Request, incident_id: Id) -> IncidentDetail:
    """With the latest messages about it."""
    core = core_of(request)
    one = await _get(core, incident_id)
    async with core.reading() as connection:
        told = await rows.find_deliveries(connection, incident_id=incident_id, limit=core.settings.page_size)
    return IncidentDetail(**IncidentView.of(one).model_dump(), deliveries=[DeliveryView.of(each) for each in told])


@routes.add("POST", "/alerts/incidents/{incident_id}/acknowledge", "acknowledgeIncident", "Acknowledge an incident",
            role="operator", problems=_ONE)  # fmt: skip
async def acknowledge(request: Request, incident_id: Id, said: Said | None = None) -> IncidentView:
    """Somebody knows: nobody is told again until it is over."""
    return await _change(request, incident_id, "acknowledged", said.note if said else "")


@routes.add("POST", "/alerts/incidents/{incident_id}/resolve", "resolveIncident", "Resolve an incident",
            role="operator", problems=_ONE)  # fmt: skip
async def resolve(request: Request, incident_id: Id, said: Said | None = None) -> IncidentView:
    """It is over, whatever the rule says. Where it still holds, the incident opens again at the next look."""
    return await _change(request, incident_id, "resolved", said.note if said else "")


@routes.add("GET", "/alerts/deliveries", "listDeliveries", "List messages", problems=_PAGES)
async def list_deliveries(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[DeliveryView]:
    """Those that were sent, are to be, or could not be; the newest first."""
    core = core_of(request)
    most, about = size(core, limit), "deliveries"
    place = begin(core, cursor, about)
    async with core.reading() as connection:
        found = await rows.find_deliveries(connection, after=place, limit=most + 1)
    return cut(
        request, response, found, DeliveryView.of, about=about, most=most, key=lambda row: [row.created_at, row.id]
    )


async def _change(
    request: Request, incident_id: str, state: Literal["acknowledged", "resolved"], why: str
) -> IncidentView:
    core, by, now = core_of(request), identity_of(request).name, micros(clock.now())
    before = await _get(core, incident_id)
    good: tuple[State, ...] = ("open",) if state == "acknowledged" else ("open", "acknowledged", "pending")
    if before.state not in good:
        raise Problem("wrong_state", f"it is {before.state}", params={"state": before.state})
    act = incidents.acknowledge if state == "acknowledged" else incidents.resolve
    after = act(before, now, by=by, note=why)
    async with core.writing() as connection:
        if not await rows.save(connection, before, after):
            raise Problem("wrong_state", "it has changed meanwhile: look again")
    note(request, before={"state": before.state}, after={"state": after.state, "note": after.note})
    return IncidentView.of(after)


async def _get(core: Core, incident_id: str) -> Incident:
    async with core.reading() as connection:
        found = await rows.get_incident(connection, incident_id)
    if found is None:
        raise Problem("not_found", f"there is no incident {incident_id}")
    return found
