"""Alert rules: when something is wrong, who is told, and what a rule would have said."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query, Request, Response
from msgspec.structs import replace
from pydantic import AwareDatetime, Field

from naq import clock
from naq.server.alerts import preview, rows
from naq.server.alerts.counted import TooMuch
from naq.server.alerts.message import in_words
from naq.server.alerts.rules import KINDS, Basis, Kind, Rule, Scope, Unit
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Given, Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.api.versions import CHANGED, IfMatch, check_version, conflict
from naq.server.core import Core
from naq.server.names import TASK, RuleName, Token
from naq.server.problems import Problem, wrong
from naq.server.store.rows import MICRO, micros

routes = Routes("alerts")
Seconds = Annotated[int, Field(ge=0, le=7 * 86400)]
Target = Annotated[str, Field(pattern=f"^$|{TASK}|^[A-Za-z0-9_-]{{1,64}}$", max_length=200)]
_SHOWN = 100  # incidents of a preview that are listed; the rest is counted


class KindView(Model):
    """What may be watched. `preview`: from what a preview is made; `none`: there is none."""

    kind: Kind
    says: str
    unit: Unit
    scope: Scope
    counts: bool
    samples: bool
    preview: Basis
    threshold: float
    window_s: int
    for_s: int


class RuleBody(Given):
    """What a rule is made of. A threshold is in the unit of the kind; more than it is bad."""

    kind: Kind
    target: Target = Field(default="", description="One task, queue, schedule, worker or store; empty: each by itself.")
    threshold: float = Field(ge=0, le=1e12, examples=[0.2])
    window_s: int = Field(default=300, ge=60, le=86400, description="How far back is counted.")
    least: int = Field(default=10, ge=0, le=1_000_000, description="Jobs below which a share says nothing.")
    for_s: Seconds = Field(default=0, description="How long it must be bad before it opens.")
    clear_s: Seconds = Field(default=120, description="How long it must be good before it is resolved.")
    repeat_s: Seconds = Field(default=1800, description="Between two messages about one incident at least.")


class NewRule(RuleBody):
    """A rule to make."""

    name: Token = Field(examples=["failing-tasks"])
    channels: list[Token] = Field(default=[], max_length=20)
    enabled: bool = True


class RuleEdit(Given):
    """What is not given stays. `muted_until`: until then incidents are noted and nobody is told; null: no more."""

    threshold: Annotated[float | None, Field(ge=0, le=1e12)] = None
    target: Target | None = None
    window_s: Annotated[int | None, Field(ge=60, le=86400)] = None
    least: Annotated[int | None, Field(ge=0, le=1_000_000)] = None
    for_s: Seconds | None = None
    clear_s: Seconds | None = None
    repeat_s: Seconds | None = None
    channels: Annotated[list[Token] | None, Field(max_length=20)] = None
    enabled: bool | None = None
    muted_until: AwareDatetime | None = None


class RuleView(Model):
    """A rule. `sentence` says it in words; `version` is its ETag."""

    name: str
    kind: Kind
    unit: Unit
    scope: Scope
    target: str
    threshold: float
    window_s: int
    least: int
    for_s: int
    clear_s: int
    repeat_s: int
    channels: list[str]
    enabled: bool
    muted_until: Moment | None
    sentence: str
    changed_at: Moment | None
    changed_by: str
    version: str

    @classmethod
    def of(cls, rule: Rule) -> RuleView:
        """As it is shown."""
        kind = rule.watched
        return cls(
            name=rule.name, kind=rule.kind, unit=kind.unit, scope=kind.scope, target=rule.target,
            threshold=rule.threshold, window_s=rule.window_s, least=rule.least, for_s=rule.for_s,
            clear_s=rule.clear_s, repeat_s=rule.repeat_s, channels=list(rule.channels), enabled=rule.enabled,
            muted_until=at(rule.muted_until), sentence=in_words(rule), changed_at=at(rule.changed_at),
            changed_by=rule.changed_by, version=etag(rule),
        )  # fmt: skip


class SpellView(Model):
    """An incident that would have been; `until` null: it would last."""

    subject: str
    since: Moment | None
    until: Moment | None
    worst: float
    messages: int


class Preview(Model):
    """What a rule would have said from `since` to `until`. `basis` `none`: of this kind the history keeps nothing."""

    basis: Basis
    since: Moment | None
    until: Moment | None
    count: int
    messages: int
    incidents: list[SpellView]


def etag(rule: Rule) -> str:
    """What changes with every change."""
    return f'"{rule.changed_at}-{rule.version}"'


@routes.add("GET", "/alerts/kinds", "listAlertKinds", "List what alert rules may watch", scope="nothing")
async def list_kinds() -> Page[KindView]:
    """With a threshold and times to begin with."""
    return Page(
        items=[
            KindView(
                kind=one.kind, says=one.says, unit=one.unit, scope=one.scope, counts=one.counts, samples=one.samples,
                preview=one.basis, threshold=one.threshold, window_s=one.window_s, for_s=one.for_s,
            )
            for one in KINDS.values()
        ]
    )  # fmt: skip


@routes.add(
    "GET", "/alerts/rules", "listAlertRules", "List alert rules", problems=("cursor_invalid", "cursor_mismatch")
)
async def list_rules(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[RuleView]:
    """All of them, by name. Some are there from the start; they tell nobody until they are given channels."""
    core = core_of(request)
    async with core.reading() as connection:
        found = await rows.find_rules(connection)
    return sliced(
        core, request, response, found, RuleView.of, about="alert rules", limit=limit, cursor=cursor,
        key=lambda rule: rule.name,
    )  # fmt: skip


@routes.add("POST", "/alerts/rules", "createAlertRule", "Make an alert rule", role="admin", status=201,
            problems=("already_exists",))  # fmt: skip
async def create_rule(request: Request, response: Response, new: NewRule) -> RuleView:
    """It is judged from the next look on, within `server_alert_every`."""
    core = core_of(request)
    given: dict[str, Any] = new.model_dump()
    given["channels"] = tuple(given["channels"])
    rule = Rule(**given, changed_at=micros(clock.now()), changed_by=identity_of(request).name)
    async with core.writing() as connection:
        await _check_channels(core, rule)
        if not await rows.put(connection, rule):
            raise Problem("already_exists", f"there is an alert rule {rule.name!r} already")
    view = RuleView.of(rule)
    response.headers["ETag"] = view.version
    response.headers["Location"] = f"{core.settings.path_prefix}/api/v1/alerts/rules/{rule.name}"
    note(request, target=rule.name, after=view.model_dump(mode="json", include={"sentence"}))
    return view


@routes.add("GET", "/alerts/rules/{name}", "getAlertRule", "Show an alert rule", problems=("not_found",))
async def get_rule(request: Request, response: Response, name: RuleName) -> RuleView:
    """The ETag is for If-Match."""
    view = RuleView.of(await _get(core_of(request), name))
    response.headers["ETag"] = view.version
    return view


@routes.add("PATCH", "/alerts/rules/{name}", "editAlertRule", "Change an alert rule", role="admin",
            problems=("not_found", *CHANGED))  # fmt: skip
async def edit_rule(
    request: Request, response: Response, name: RuleName, edit: RuleEdit, match: IfMatch = None
) -> RuleView:
    """What is open stays open, and is judged by what the rule says from now on."""
    core = core_of(request)
    given: dict[str, Any] = edit.model_dump(exclude_unset=True)
    empty = sorted(key for key, value in given.items() if value is None and key != "muted_until")
    if empty or not given:
        raise wrong(f"/{empty[0]}" if empty else "", "give a value, or leave it out" if empty else "nothing was given")
    if "muted_until" in given and (until := given["muted_until"]) is not None:
        given["muted_until"] = micros(until.timestamp())
    if "channels" in given:
        given["channels"] = tuple(given["channels"])
    before = await _get(core, name)
    check_version(match, etag(before))
    rule = replace(
        before, **given, version=before.version + 1, changed_at=micros(clock.now()),
        changed_by=identity_of(request).name,
    )  # fmt: skip
    await _check_channels(core, rule)
    async with core.writing() as connection:
        if not await rows.put(connection, rule):
            raise conflict(etag(before))
    view = RuleView.of(rule)
    response.headers["ETag"] = view.version
    changed = set(given)
    note(
        request,
        before=RuleView.of(before).model_dump(mode="json", include=changed),
        after=view.model_dump(mode="json", include=changed),
    )
    return view


@routes.add("DELETE", "/alerts/rules/{name}", "deleteAlertRule", "Remove an alert rule", role="admin",
            problems=("not_found", *CHANGED))  # fmt: skip
async def delete_rule(request: Request, name: RuleName, match: IfMatch = None) -> Done:
    """What it has found open is resolved; its incidents stay in the list."""
    core = core_of(request)
    rule = await _get(core, name)
    check_version(match, etag(rule))
    async with core.writing() as connection:
        if not await rows.remove(connection, rule):
            raise conflict(etag(rule))
    entry = note(request, before=RuleView.of(rule).model_dump(mode="json", include={"sentence"}))
    return Done(id=name, done=True, outcome="deleted", audit_id=entry)


@routes.add("POST", "/alerts/preview", "previewAlertRule", "Say what an alert rule would have said")
async def preview_rule(
    request: Request, body: RuleBody, hours: Annotated[int, Query(ge=1, le=24, description="How far back.")] = 24
) -> Preview:
    """Judges the past as the rule would have, minute by minute. Makes nothing."""
    core = core_of(request)
    note(request, target="preview")
    until = micros(clock.now())
    since = until - hours * 3600 * MICRO
    rule = Rule(name="preview", **body.model_dump())
    if rule.watched.basis == "none":
        return Preview(basis="none", since=at(since), until=at(until), count=0, messages=0, incidents=[])
    try:
        async with core.reading() as connection:
            series = await preview.load(connection, rule, since, until)
    except TooMuch:
        raise wrong("/target", f"{hours} hours of every {rule.watched.scope} are too much: name one") from None
    found = await asyncio.to_thread(preview.spells, rule, series)
    spells = [
        SpellView(subject=one.subject, since=at(one.since), until=at(one.until), worst=one.worst, messages=one.messages)
        for one in found[-_SHOWN:]
    ]
    return Preview(
        basis=rule.watched.basis, since=at(since), until=at(until), count=len(found),
        messages=sum(one.messages for one in found), incidents=spells,
    )  # fmt: skip


async def _get(core: Core, name: str) -> Rule:
    async with core.reading() as connection:
        rule = await rows.get_rule(connection, name)
    if rule is None:
        raise Problem("not_found", f"there is no alert rule {name}")
    return rule


async def _check_channels(core: Core, rule: Rule) -> None:
    async with core.reading() as connection:
        known = [channel.name for channel in await rows.find_channels(connection)]
    for place, name in enumerate(rule.channels):
        if name not in known:
            raise wrong(f"/channels/{place}", f"there is no channel {name!r}", given=name, known=known)
    if rule.watched.unit == "share" and rule.threshold > 1:
        raise wrong("/threshold", "a share is from 0 to 1")
