"""``naq alerts``: what is watched and what is wrong. Works on the server's database; a server follows."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from naq.cli.common import DEFAULT, Common
from naq.cli.database import settings_of, with_database
from naq.cli.errors import ConflictError, NotFoundError, UsageError
from naq.cli.output import Column, ago, moment, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.values import read_duration
from naq.cli.views import Change

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from naq.server.alerts.rules import Rule

app = Group("alerts", "What is watched, what is wrong, and who is told.")


class AlertView(Struct, frozen=True, kw_only=True):
    """An alert rule: ``naq alerts list``."""

    name: str
    kind: str
    target: str
    threshold: float
    state: str
    channels: list[str]
    sentence: str
    muted_until: datetime | None


class IncidentView(Struct, frozen=True, kw_only=True):
    """Something wrong: ``naq alerts incidents``."""

    id: str
    rule: str
    subject: str
    state: str
    value: float
    since_at: datetime | None
    resolved_at: datetime | None
    text: str


@app.command(name="list")
def list_(*, db: str | None = None, common: Common = DEFAULT) -> None:
    """List alert rules.

    Example: naq alerts list

    Args:
        db: The server's database. Default: the setting server_database.
    """
    from naq import clock
    from naq.server.alerts import rows
    from naq.server.alerts.message import in_words

    now = round(clock.now() * 1e6)
    views = [
        AlertView(
            name=rule.name, kind=rule.kind, target=rule.target, threshold=rule.threshold,
            state="off" if not rule.enabled else "muted" if (rule.muted_until or 0) > now else "on",
            channels=list(rule.channels), sentence=in_words(rule), muted_until=moment((rule.muted_until or 0) / 1e6),
        )
        for rule in with_database(db, rows.find_rules)
    ]  # fmt: skip
    columns: list[Column[AlertView]] = [
        Column("NAME", lambda view: view.name),
        Column("STATE", lambda view: view.state),
        Column("TELLS", lambda view: ", ".join(view.channels) or "nobody"),
        Column("WHEN", lambda view: view.sentence),
    ]
    print_rows(views, columns, common, name="name", empty="no alert rules; see naq alerts create --help")


@app.command
def incidents(
    *,
    state: Literal["open", "acknowledged", "resolved", "pending"] | None = None,
    rule: str | None = None,
    limit: int = 50,
    db: str | None = None,
    common: Common = DEFAULT,
) -> None:
    """List incidents, those that began last first.

    Example: naq alerts incidents --state open

    Args:
        state: Only those; default: all that are sure.
        rule: Only those of this rule.
        limit: How many at most.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.alerts import rows
    from naq.server.alerts.message import sentence

    states = ("open", "acknowledged", "resolved") if state is None else (state,)
    found = with_database(db, lambda at: rows.find_incidents(at, states=states, rule=rule, limit=limit))
    views = [
        IncidentView(
            id=one.id, rule=one.rule, subject=one.subject, state=one.state, value=one.value,
            since_at=moment(one.since_at / 1e6), resolved_at=moment((one.resolved_at or 0) / 1e6),
            text=sentence("resolved" if one.state == "resolved" else "opened", one),
        )
        for one in found
    ]  # fmt: skip
    columns: list[Column[IncidentView]] = [
        Column("ID", lambda view: view.id),
        Column("STATE", lambda view: view.state),
        Column("RULE", lambda view: view.rule),
        Column("SINCE", lambda view: ago(view.since_at, common)),
        Column("WHAT", lambda view: view.text),
    ]
    print_rows(views, columns, common, name="id", empty="no incidents")


@app.command
def create(
    name: str,
    kind: str,
    /,
    *,
    threshold: float | None = None,
    target: str = "",
    channel: list[str] | None = None,
    db: str | None = None,
    common: Common = DEFAULT,
) -> int:
    """Make an alert rule.

    Example: naq alerts create shop-fails failure_rate --threshold 0.1 --target shop.send --channel ops

    Args:
        name: What it is called.
        kind: What it watches, such as failure_rate, queue_age, no_workers; docs/alerts.md lists all.
        threshold: More than this is bad. Default: that of the kind.
        target: One task, queue or schedule; default: each by itself.
        channel: Who is told; again for more.
        db: The server's database. Default: the setting server_database.
    """
    from naq import clock
    from naq.cli.changes import report
    from naq.config.suggest import hint
    from naq.limits.pauses import who
    from naq.names import check_token
    from naq.server.alerts import rows
    from naq.server.alerts.rules import KINDS, Rule

    watched = KINDS.get(kind)
    if watched is None:
        raise UsageError(f"there is no kind {kind!r}; {hint(kind, list(KINDS))}")
    limit = watched.threshold if threshold is None else threshold
    rule = Rule(
        name=check_token("alert rule", name), kind=watched.kind, threshold=limit, target=target,
        window_s=watched.window_s, for_s=watched.for_s, channels=tuple(channel or ()),
        changed_at=round(clock.now() * 1e6), changed_by=who(),
    )  # fmt: skip

    async def act(connection: AsyncConnection) -> bool:
        await _check(connection, rule)
        return await rows.put(connection, rule)

    if not with_database(db, act, action="createAlertRule", target=name):
        raise ConflictError(f"there is an alert rule {name!r} already")
    return report([Change(id=name, done=True, outcome="created")], common)


@app.command
def edit(
    name: str,
    /,
    *,
    threshold: float | None = None,
    channel: list[str] | None = None,
    silent: bool = False,
    window: str | None = None,
    at_most_every: str | None = None,
    on: bool | None = None,
    db: str | None = None,
    common: Common = DEFAULT,
) -> int:
    """Change an alert rule; what is not given stays.

    Example: naq alerts edit failing-tasks --threshold 0.1 --channel ops --at-most-every 30m

    Args:
        name: The rule.
        threshold: More than this is bad.
        channel: Who is told from now on; again for more.
        silent: Tell nobody from now on.
        window: How far back is counted.
        at_most_every: Between two messages about one incident at least.
        on: Whether it is judged at all; --no-on: it is not.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report

    given: dict[str, Any] = {
        key: value
        for key, value in {
            "threshold": threshold, "channels": () if silent else tuple(channel) if channel else None,
            "window_s": _whole("--window", window), "repeat_s": _whole("--at-most-every", at_most_every), "enabled": on,
        }.items()
        if value is not None
    }  # fmt: skip
    if not given:
        raise UsageError("nothing to change was given; see naq alerts edit --help")
    done = _change_rule(name, db, given)
    return report([Change(id=name, done=done, outcome="changed" if done else _MEANWHILE)], common)


@app.command
def delete(name: str, /, *, db: str | None = None, common: Common = DEFAULT) -> int:
    """Remove an alert rule; what it has found open is resolved, and its incidents stay in the list.

    Example: naq alerts delete old-jobs

    Args:
        name: The rule.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report
    from naq.server.alerts import rows

    async def act(connection: AsyncConnection) -> bool:
        return await rows.remove(connection, await _rule(connection, name))

    done = with_database(db, act, action="deleteAlertRule", target=name)
    return report([Change(id=name, done=done, outcome="removed" if done else _MEANWHILE)], common)


@app.command
def mute(
    name: str,
    /,
    *,
    until: Annotated[str, Parameter(name="--for")] = "1h",
    db: str | None = None,
    common: Common = DEFAULT,
) -> int:
    """Tell nobody what a rule finds for a while; incidents are noted all the same.

    Example: naq alerts mute old-jobs --for 2h

    Args:
        name: The rule.
        until: For how long; 0s ends it.
        db: The server's database. Default: the setting server_database.
    """
    from naq import clock
    from naq.cli.changes import report

    seconds = read_duration("--for", until) or 0.0
    done = _change_rule(name, db, {"muted_until": round((clock.now() + seconds) * 1e6) if seconds else None})
    outcome = _MEANWHILE if not done else f"muted for {until}" if seconds else "not muted"
    return report([Change(id=name, done=done, outcome=outcome)], common)


@app.command
def acknowledge(incident: str, /, *, note: str = "", db: str | None = None, common: Common = DEFAULT) -> int:
    """Say that somebody knows of an incident: nobody is told again until it is over.

    Example: naq alerts acknowledge 01JC4N9W2VQ0R8S6T4XKZB7M3F --note "on it"

    Args:
        incident: Its id, of naq alerts incidents.
        note: Why, for others.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.alerts import incidents as steps

    return _say_of(incident, ("open",), steps.acknowledge, "acknowledged", note, db, common)


@app.command
def resolve(incident: str, /, *, note: str = "", db: str | None = None, common: Common = DEFAULT) -> int:
    """Say that an incident is over; where it still holds, it opens again at the next look.

    Example: naq alerts resolve 01JC4N9W2VQ0R8S6T4XKZB7M3F

    Args:
        incident: Its id, of naq alerts incidents.
        note: Why, for others.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.alerts import incidents as steps

    return _say_of(incident, ("open", "acknowledged", "pending"), steps.resolve, "resolved", note, db, common)


@app.command(name="test")
def send_test(channel: str, /, *, db: str | None = None, common: Common = DEFAULT) -> int:
    """Send a test to a channel, from this machine with its settings, and say what came of it.

    Example: naq alerts test ops

    Args:
        channel: Whom to tell.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report
    from naq.server.alerts import rows
    from naq.server.alerts.courier import attempt, make_delivery

    settings = settings_of(db)

    async def act(connection: AsyncConnection) -> Change:
        found = await rows.get_channel(connection, channel)
        if found is None:
            raise NotFoundError(f"there is no channel {channel!r}")
        done = await attempt(settings, found, make_delivery(settings, channel, None, "test"))
        return Change(id=channel, done=done.state == "sent", outcome=f"{done.state}: {done.answer}")

    return report([with_database(db, act)], common)


_MEANWHILE: Final = "changed by somebody else meanwhile"


def _change_rule(name: str, db: str | None, given: dict[str, Any]) -> bool:
    from naq import clock
    from naq.limits.pauses import who
    from naq.server.alerts import rows

    async def act(connection: AsyncConnection) -> bool:
        rule = await _rule(connection, name)
        now = round(clock.now() * 1e6)
        after = replace(rule, **given, version=rule.version + 1, changed_at=now, changed_by=who())
        await _check(connection, after)
        return await rows.put(connection, after)

    return with_database(db, act, action="editAlertRule", target=name)


async def _rule(connection: AsyncConnection, name: str) -> Rule:
    from naq.server.alerts import rows

    rule = await rows.get_rule(connection, name)
    if rule is None:
        raise NotFoundError(f"there is no alert rule {name!r}; see naq alerts list")
    return rule


async def _check(connection: AsyncConnection, rule: Rule) -> None:
    from naq.server.alerts import rows

    if rule.threshold < 0 or (rule.watched.unit == "share" and rule.threshold > 1):
        why = "a share is from 0 to 1" if rule.watched.unit == "share" else "give 0 or more"
        raise UsageError(f"--threshold is {rule.threshold:g}; {why}")
    known = [one.name for one in await rows.find_channels(connection)]
    for one in rule.channels:
        if one not in known:
            raise NotFoundError(f"there is no channel {one!r}; see naq channels")


def _whole(option: str, text: str | None) -> int | None:
    seconds = read_duration(option, text)
    if seconds is not None and option == "--window" and not 60 <= seconds <= 86_400:
        raise UsageError(f"{option} is {text}; give 1m to 1d")
    return None if seconds is None else round(seconds)


def _say_of(
    incident_id: str, good: tuple[str, ...], step: Any, outcome: str, note: str, db: str | None, common: Common
) -> int:
    from naq import clock
    from naq.cli.changes import report
    from naq.limits.pauses import who
    from naq.server.alerts import rows

    async def act(connection: AsyncConnection) -> bool:
        before = await rows.get_incident(connection, incident_id)
        if before is None:
            raise NotFoundError(f"there is no incident {incident_id!r}; see naq alerts incidents")
        if before.state not in good:
            raise ConflictError(f"incident {incident_id} is {before.state}")
        return await rows.save(connection, before, step(before, round(clock.now() * 1e6), by=who(), note=note))

    action = "acknowledgeIncident" if outcome == "acknowledged" else "resolveIncident"
    done = with_database(db, act, action=action, target=incident_id)
    return report([Change(id=incident_id, done=done, outcome=outcome if done else _MEANWHILE)], common)
