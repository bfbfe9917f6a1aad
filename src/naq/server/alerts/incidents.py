"""From how things are to what is wrong, one look after the other. Pure: a rule, an incident, a value -> the next one.

An incident is *pending* until it was bad for `for_s`, *open* from then on, *acknowledged* when a person says so, and
*resolved* when it was good for `clear_s`. One that comes back within `repeat_s` is the same one, and what is told about
it is no more than one message in that time: something that comes and goes is one incident and few messages.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from naq.job import new_id
from naq.server.alerts.rules import Kind, Rule
from naq.server.store.rows import MICRO

State = Literal["pending", "open", "acknowledged", "resolved"]
What = Literal["opened", "repeated", "resolved"]
#: Of states in which something is wrong.
WRONG: Final = frozenset({"open", "acknowledged"})


class Incident(Struct, frozen=True, kw_only=True):
    """A row of ``incidents``, where each field is explained. Times in microseconds."""

    id: str
    rule: str
    kind: Kind
    subject: str
    state: State
    threshold: float
    value: float
    worst: float
    since_at: int
    seen_at: int
    opened_at: int | None = None
    good_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str = ""
    note: str = ""
    resolved_at: int | None = None
    resolved_by: str = ""
    reopened: int = 0
    told_at: int | None = None
    told: bool = False


class Step(Struct, frozen=True):
    """What comes of a look.

    Attributes:
        incident: as it is now; None: there is none.
        tell: what is to be told about it.
    """

    incident: Incident | None
    tell: What | None = None


def look(rule: Rule, before: Incident | None, subject: str, value: float, now: int) -> Step:
    """What `value` of `subject` makes of the incident `before`: the current one, or the last resolved one, or None."""
    if value > rule.threshold:
        return _announce(rule, _bad(rule, before, subject, value, now), now)
    if before is None or before.state == "resolved":
        return Step(before)
    return _good(rule, replace(before, value=value), now)


def resolve(incident: Incident, now: int, *, by: str = "", note: str = "") -> Incident:
    """`incident`, over: by itself, or because somebody says so."""
    return replace(
        incident, state="resolved", resolved_at=now, resolved_by=by, note=note or incident.note,
        good_at=incident.good_at or now,
    )  # fmt: skip


def acknowledge(incident: Incident, now: int, *, by: str, note: str = "") -> Incident:
    """`incident`, of which somebody knows: no more is told about it but its end."""
    return replace(incident, state="acknowledged", acknowledged_at=now, acknowledged_by=by, note=note or incident.note)


def _bad(rule: Rule, before: Incident | None, subject: str, value: float, now: int) -> Incident:
    if before is None or (before.state == "resolved" and not _is_back(rule, before, now)):
        first = Incident(
            id=new_id(), rule=rule.name, kind=rule.kind, subject=subject, state="pending", threshold=rule.threshold,
            value=value, worst=value, since_at=now, seen_at=now,
        )  # fmt: skip
        return _opened(rule, first, now)
    seen = replace(
        before, value=value, worst=max(value, before.worst), seen_at=now, good_at=None, threshold=rule.threshold
    )
    if before.state == "resolved":
        return replace(
            seen, state="open", opened_at=now, told=False, reopened=before.reopened + 1, resolved_at=None,
            resolved_by="", acknowledged_at=None, acknowledged_by="",
        )  # fmt: skip
    return _opened(rule, seen, now)


def _is_back(rule: Rule, before: Incident, now: int) -> bool:
    return before.resolved_at is not None and now - before.resolved_at < rule.repeat_s * MICRO


def _opened(rule: Rule, incident: Incident, now: int) -> Incident:
    if incident.state == "pending" and now - incident.since_at >= rule.for_s * MICRO:
        return replace(incident, state="open", opened_at=now)
    return incident


def _good(rule: Rule, incident: Incident, now: int) -> Step:
    if incident.state == "pending":
        return Step(None)
    since = incident.good_at or now
    if now - since < rule.clear_s * MICRO:
        return Step(replace(incident, good_at=since))
    ended = resolve(replace(incident, good_at=since), now)
    # An opening that nobody was told of needs no word about its end.
    return Step(replace(ended, told_at=now), "resolved") if ended.told else Step(ended)


def _announce(rule: Rule, incident: Incident, now: int) -> Step:
    """Whether anything is told about `incident`, which is bad."""
    if incident.state != "open" or (rule.muted_until or 0) > now:
        return Step(incident)
    if incident.told_at is not None and now - incident.told_at < max(rule.repeat_s, 1) * MICRO:
        return Step(incident)
    what: What = "repeated" if incident.told else "opened"
    return Step(replace(incident, told=True, told_at=now), what)
