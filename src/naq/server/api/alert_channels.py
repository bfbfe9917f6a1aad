"""Channels: who is told about incidents."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import Request, Response
from msgspec.structs import replace
from pydantic import Field

from naq import clock
from naq.server.alerts import rows
from naq.server.alerts.channels import fault
from naq.server.alerts.rows import Channel, Form
from naq.server.alerts.webhook import make_secret
from naq.server.api.gate import core_of, identity_of, note
from naq.server.api.incidents import DeliveryView
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Given, Model, Moment, Page, at
from naq.server.api.routes import Routes
from naq.server.api.versions import CHANGED, IfMatch, check_version, conflict
from naq.server.core import Core
from naq.server.names import ChannelName, Token
from naq.server.problems import Problem, wrong
from naq.server.store.rows import micros

routes = Routes("alerts")
Url = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://hooks.example.org/naq"])]
Addresses = Annotated[list[Annotated[str, Field(min_length=3, max_length=254)]], Field(max_length=50)]
_Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,128}$")]


class NewChannel(Given):
    """A channel to make: a webhook has a `url`, e-mail has `addresses`.

    `form`: what a webhook is sent; all but `naq` are what chats take. `key`: PagerDuty's routing key.
    """

    name: Token = Field(examples=["ops"])
    kind: Literal["webhook", "email"]
    url: Url | None = None
    form: Form = "naq"
    addresses: Addresses = Field(default=[])
    key: _Key | None = None
    enabled: bool = True


class ChannelEdit(Given):
    """What is not given stays."""

    url: Url | None = None
    form: Form | None = None
    addresses: Addresses | None = None
    key: _Key | None = None
    enabled: bool | None = None


class ChannelView(Model):
    """A channel, without its secret, and of its URL, which is one as well, the host. `version` is its ETag."""

    name: str
    kind: Literal["webhook", "email"]
    host: str
    form: Form
    addresses: list[str]
    enabled: bool
    changed_at: Moment | None
    changed_by: str
    version: str

    @classmethod
    def of(cls, channel: Channel) -> ChannelView:
        """As it is shown."""
        return cls(
            name=channel.name, kind=channel.kind, host=urlsplit(channel.url).netloc if channel.url else "",
            form=channel.form, addresses=list(channel.addresses), enabled=channel.enabled,
            changed_at=at(channel.changed_at), changed_by=channel.changed_by, version=etag(channel),
        )  # fmt: skip


class MadeChannel(Model):
    """A channel, and the secret that its messages are signed with, which is shown this once; null: they are not."""

    channel: ChannelView
    secret: str | None


def etag(channel: Channel) -> str:
    """What changes with every change."""
    return f'"{channel.changed_at}-{channel.version}"'


@routes.add("GET", "/alerts/channels", "listAlertChannels", "List channels",
            problems=("cursor_invalid", "cursor_mismatch"))  # fmt: skip
async def list_channels(
    request: Request, response: Response, limit: Limit = None, cursor: Cursor = None
) -> Page[ChannelView]:
    """All of them, by name."""
    core = core_of(request)
    async with core.reading() as connection:
        found = await rows.find_channels(connection)
    return sliced(
        core, request, response, found, ChannelView.of, about="alert channels", limit=limit, cursor=cursor,
        key=lambda channel: channel.name,
    )  # fmt: skip


@routes.add("POST", "/alerts/channels", "createAlertChannel", "Make a channel", role="admin", status=201,
            problems=("already_exists",))  # fmt: skip
async def create_channel(request: Request, response: Response, new: NewChannel) -> MadeChannel:
    """The secret of a webhook is in this answer and nowhere else: also not kept for an Idempotency-Key."""
    core = core_of(request)
    channel = _checked(
        Channel(
            name=new.name, kind=new.kind, url=new.url or "", form=new.form, addresses=tuple(new.addresses),
            secret=new.key or (make_secret() if new.kind == "webhook" and new.form == "naq" else ""),
            enabled=new.enabled, changed_at=micros(clock.now()), changed_by=identity_of(request).name,
        )
    )  # fmt: skip
    async with core.writing() as connection:
        if not await rows.put(connection, channel):
            raise Problem("already_exists", f"there is a channel {channel.name!r} already")
    return _made(request, response, channel)


@routes.add("GET", "/alerts/channels/{name}", "getAlertChannel", "Show a channel", problems=("not_found",))
async def get_channel(request: Request, response: Response, name: ChannelName) -> ChannelView:
    """The ETag is for If-Match."""
    view = ChannelView.of(await _get(core_of(request), name))
    response.headers["ETag"] = view.version
    return view


@routes.add("PATCH", "/alerts/channels/{name}", "editAlertChannel", "Change a channel", role="admin",
            problems=("not_found", *CHANGED))  # fmt: skip
async def edit_channel(
    request: Request, response: Response, name: ChannelName, edit: ChannelEdit, match: IfMatch = None
) -> ChannelView:
    """Its kind and its secret stay."""
    core = core_of(request)
    given: dict[str, Any] = edit.model_dump(exclude_unset=True)
    empty = sorted(key for key, value in given.items() if value is None)
    if empty or not given:
        raise wrong(f"/{empty[0]}" if empty else "", "give a value, or leave it out" if empty else "nothing was given")
    if "addresses" in given:
        given["addresses"] = tuple(given["addresses"])
    if "key" in given:
        given["secret"] = given.pop("key")
    before = await _get(core, name)
    check_version(match, etag(before))
    if "form" in given and "naq" in {given["form"], before.form} and given["form"] != before.form:
        raise wrong("/form", "what is signed has a secret, and what chats take has none: make another channel")
    channel = await _replace(request, before, given)
    view = ChannelView.of(channel)
    response.headers["ETag"] = view.version
    shown = {"host", "form", "addresses", "enabled"}
    note(request, before=ChannelView.of(before).model_dump(include=shown), after=view.model_dump(include=shown))
    return view


@routes.add("POST", "/alerts/channels/{name}/rotate", "rotateAlertChannel", "Give a channel a new secret", role="admin",
            problems=("not_found", "wrong_state", *CHANGED))  # fmt: skip
async def rotate(request: Request, response: Response, name: ChannelName, match: IfMatch = None) -> MadeChannel:
    """What is sent from now on is signed with it; shown this once."""
    before = await _get(core_of(request), name)
    check_version(match, etag(before))
    if before.kind != "webhook" or before.form != "naq":
        raise Problem("wrong_state", "messages of this channel are not signed", params={"form": before.form})
    return _made(request, response, await _replace(request, before, {"secret": make_secret()}))


@routes.add("DELETE", "/alerts/channels/{name}", "deleteAlertChannel", "Remove a channel", role="admin",
            problems=("not_found", "wrong_state", *CHANGED))  # fmt: skip
async def delete_channel(request: Request, name: ChannelName, match: IfMatch = None) -> Done:
    """Refused while a rule names it; what is still to be sent to it is given up."""
    core = core_of(request)
    channel = await _get(core, name)
    check_version(match, etag(channel))
    async with core.writing() as connection:
        using = [rule.name for rule in await rows.find_rules(connection) if name in rule.channels]
        if using:
            raise Problem("wrong_state", f"{', '.join(using)} would tell nobody: change that first",
                          params={"rules": using})  # fmt: skip
        if not await rows.remove(connection, channel):
            raise conflict(etag(channel))
    entry = note(request, before=ChannelView.of(channel).model_dump(include={"kind", "host", "addresses"}))
    return Done(id=name, done=True, outcome="deleted", audit_id=entry)


@routes.add("POST", "/alerts/channels/{name}/test", "testAlertChannel", "Send a test", role="admin",
            problems=("not_found",))  # fmt: skip
async def test_channel(request: Request, name: ChannelName) -> DeliveryView:
    """At once, and once; the answer says what came of it."""
    core = core_of(request)
    channel = await _get(core, name)
    made = core.alerts.message(name, None, "test")
    done = await core.alerts.courier.send(made, channel)
    if done.state == "waiting":  # a person waits for it: it is not tried again
        done = replace(done, state="failed", ended_at=micros(clock.now()))
    async with core.writing() as connection:
        await rows.add_deliveries(connection, [done])
    note(request, after={"state": done.state})
    return DeliveryView.of(done)


def _made(request: Request, response: Response, channel: Channel) -> MadeChannel:
    view = ChannelView.of(channel)
    response.headers["ETag"] = view.version
    prefix = core_of(request).settings.path_prefix
    response.headers["Location"] = f"{prefix}/api/v1/alerts/channels/{channel.name}"
    note(request, target=channel.name, after=view.model_dump(include={"kind", "host", "form", "addresses"}))
    return MadeChannel(channel=view, secret=channel.secret if channel.form == "naq" and channel.secret else None)


async def _replace(request: Request, before: Channel, given: dict[str, Any]) -> Channel:
    core = core_of(request)
    channel = _checked(
        replace(
            before, **given, version=before.version + 1, changed_at=micros(clock.now()),
            changed_by=identity_of(request).name,
        )
    )  # fmt: skip
    async with core.writing() as connection:
        if not await rows.put(connection, channel):
            raise conflict(etag(before))
    return channel


def _checked(channel: Channel) -> Channel:
    """`channel`, if it can be one.

    Raises:
        Problem: ``invalid``, with the place.
    """
    if (found := fault(channel)) is not None:
        raise wrong(f"/{found[0]}", found[1])
    return channel


async def _get(core: Core, name: str) -> Channel:
    async with core.reading() as connection:
        channel = await rows.get_channel(connection, name)
    if channel is None:
        raise Problem("not_found", f"there is no channel {name}")
    return channel
