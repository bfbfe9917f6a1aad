"""What is told about an incident: in words, as JSON, and in the forms that chats take. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, cast
from urllib.parse import quote

from naq.clock import as_datetime
from naq.server.alerts.incidents import Incident
from naq.server.alerts.rows import Form
from naq.server.alerts.rules import KINDS, Kind, Rule
from naq.server.store.rows import MICRO

What = Literal["opened", "repeated", "resolved", "test"]
Message = dict[str, Any]
_SIGN: Final = {"opened": "\N{LARGE RED CIRCLE}", "repeated": "\N{LARGE RED CIRCLE}",
                "resolved": "\N{LARGE GREEN CIRCLE}", "test": "\N{LARGE BLUE CIRCLE}"}  # fmt: skip


def compose(
    what: What, incident: Incident | None, *, now: int, delivery: str, environment: str = "", address: str = ""
) -> Message:
    """A message; `address` is where people reach the server. Without an incident it is a test."""
    told: Message = {
        "type": "alert.test" if incident is None else f"incident.{what}",
        "id": delivery,
        "at": moment(now),
        "environment": environment,
    }
    if incident is None:
        return told | {"title": "a test of this channel", "text": "This is a test. Nothing is wrong.", "url": address}
    scope = KINDS[incident.kind].scope
    about = f"{scope} {incident.subject}" if incident.subject else environment or "the whole"
    return told | {
        "title": f"{incident.rule}: {about}",
        "text": sentence(what, incident),
        "url": f"{address}{page(incident)}" if address else "",
        "incident": {
            "id": incident.id, "rule": incident.rule, "kind": incident.kind, "scope": scope,
            "subject": incident.subject, "state": incident.state, "value": incident.value, "worst": incident.worst,
            "threshold": incident.threshold, "unit": KINDS[incident.kind].unit, "since": moment(incident.since_at),
            "resolved_at": None if incident.resolved_at is None else moment(incident.resolved_at),
        },
    }  # fmt: skip


def sentence(what: What, incident: Incident) -> str:
    """What is wrong, or was, for people."""
    kind = KINDS[incident.kind]
    subject = f"{kind.scope} {incident.subject}: " if incident.subject else ""
    limit = shown(incident.kind, incident.threshold)
    if what == "resolved":
        lasted = span(((incident.good_at or incident.seen_at) - incident.since_at) / MICRO)
        worst = shown(incident.kind, incident.worst)
        text = f"{subject}over after {lasted}; {kind.says} was {worst} at worst (more than {limit} is bad)."
    else:
        still = "still " if what == "repeated" else ""
        text = f"{subject}{kind.says} is {still}{shown(incident.kind, incident.value)} (more than {limit} is bad)."
    return text[0].upper() + text[1:]


def in_words(rule: Rule) -> str:
    """A rule in words."""
    kind = rule.watched
    of = "" if kind.scope == "all" else f" of {kind.scope} {rule.target}" if rule.target else f" of any {kind.scope}"
    over = f" within {rule.window_s} s" if kind.counts else ""
    least = f" (of at least {rule.least})" if kind.samples else ""
    wait = f" for {rule.for_s} s" if rule.for_s else ""
    told = f"tell {', '.join(rule.channels)}" if rule.channels else "tell nobody"
    text = f"When {kind.says}{of}{over}{least} is more than {shown(rule.kind, rule.threshold)}{wait}, {told}"
    return f"{text}, at most every {rule.repeat_s} s" if rule.channels else text


def shown(kind: Kind, value: float) -> str:
    """A value with its unit, for people."""
    match KINDS[kind].unit:
        case "share":
            return f"{value * 100:.1f} %"
        case "seconds":
            return span(value)
        case "bytes":
            return sized(value)
        case _:
            return f"{value:,.0f}"


def span(seconds: float) -> str:
    """A time, roughly."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def sized(count: float) -> str:
    """Bytes, roughly."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"


def page(incident: Incident) -> str:
    """The page that shows what it is about."""
    subject = quote(incident.subject, safe="")
    match KINDS[incident.kind].scope:
        case "task":
            return f"/jobs?filter=task:{subject}%20state:failed"
        case "queue":
            return f"/queues/{subject}"
        case "schedule":
            return f"/schedules/{subject}"
        case "worker":
            return f"/workers/{subject}"
        case "store":
            return "/settings"
        case _:
            return "/alerts"


def moment(micros: int) -> str:
    """RFC 3339, UTC."""
    return as_datetime(micros / MICRO).isoformat().replace("+00:00", "Z")


def shaped(form: Form, message: Message, *, key: str = "") -> dict[str, Any]:
    """`message` as a webhook of this form takes it; `key` is PagerDuty's routing key."""
    return _FORMS[form](message, key)


def _text(message: Message) -> str:
    sign = _SIGN[str(message["type"]).partition(".")[2]]
    where = f" [{message['environment']}]" if message["environment"] else ""
    link = f"\n{message['url']}" if message["url"] else ""
    return f"{sign} {message['title']}{where}\n{message['text']}{link}"


def _naq(message: Message, _key: str) -> dict[str, Any]:
    return message


def _slack(message: Message, _key: str) -> dict[str, Any]:
    return {"text": _text(message)}


def _discord(message: Message, _key: str) -> dict[str, Any]:
    return {"content": _text(message)[:2000], "allowed_mentions": {"parse": []}}  # 2,000: what it takes at most


def _teams(message: Message, _key: str) -> dict[str, Any]:
    """A card for a workflow of Teams ("when a webhook request is received")."""
    blocks: list[dict[str, Any]] = [
        {"type": "TextBlock", "text": message["title"], "weight": "Bolder", "wrap": True},
        {"type": "TextBlock", "text": message["text"], "wrap": True},
    ]
    card: dict[str, Any] = {"type": "AdaptiveCard", "version": "1.4", "body": blocks}
    if message["url"]:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Show", "url": message["url"]}]
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _pagerduty(message: Message, key: str) -> dict[str, Any]:
    """An event of PagerDuty's API, version 2; the incident's id keeps its messages together."""
    incident = cast("dict[str, Any]", message.get("incident", {}))
    return {
        "routing_key": key,
        "event_action": "resolve" if message["type"] == "incident.resolved" else "trigger",
        "dedup_key": incident.get("id", message["id"]),
        "payload": {
            "summary": f"{message['title']}: {message['text']}"[:1024],
            "source": message["environment"] or "naq",
            "severity": "error",
            "custom_details": incident,
        },
    }


_FORMS: Final[dict[str, Callable[[Message, str], dict[str, Any]]]] = {
    "naq": _naq,
    "slack": _slack,
    "discord": _discord,
    "teams": _teams,
    "pagerduty": _pagerduty,
}
