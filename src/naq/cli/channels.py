"""``naq channels``: who is told. URLs and keys are secrets: they are read, never arguments, and never shown."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from naq.cli.common import DEFAULT, Common, say
from naq.cli.database import with_database
from naq.cli.errors import ConflictError, NotFoundError, UsageError
from naq.cli.output import Column, print_json, print_rows
from naq.cli.parameter import Group
from naq.cli.views import Change

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from naq.server.alerts.rows import Channel

app = Group("channels", "Who alerts are told to: list, make, change, remove.")
Form = Literal["naq", "slack", "discord", "teams", "pagerduty"]
#: Not of `NAQ_...`: those are settings, and what is none is refused.
URL: Final = "CHANNEL_URL"
KEY: Final = "CHANNEL_KEY"


class ChannelView(Struct, frozen=True, kw_only=True):
    """A channel, without its secrets; of its URL the host: ``naq channels list``."""

    name: str
    kind: str
    form: str
    host: str
    addresses: list[str]
    enabled: bool
    rules: list[str]


class MadeChannel(Struct, frozen=True, kw_only=True):
    """A channel that was made, or has a new secret; it signs messages, and is shown this once. Null: none signs."""

    name: str
    secret: str | None


@app.command(name="list")
def list_(*, db: str | None = None, common: Common = DEFAULT) -> None:
    """List channels and the rules that tell them.

    Example: naq channels list

    Args:
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.alerts import rows

    async def act(connection: AsyncConnection) -> list[ChannelView]:
        rules = await rows.find_rules(connection)
        return [
            ChannelView(
                name=one.name, kind=one.kind, form=one.form, host=urlsplit(one.url).netloc,
                addresses=list(one.addresses), enabled=one.enabled,
                rules=[rule.name for rule in rules if one.name in rule.channels],
            )
            for one in await rows.find_channels(connection)
        ]  # fmt: skip

    columns: list[Column[ChannelView]] = [
        Column("NAME", lambda view: view.name),
        Column("KIND", lambda view: view.kind if view.form == "naq" else view.form),
        Column("TO", lambda view: view.host or ", ".join(view.addresses)),
        Column("STATE", lambda view: "on" if view.enabled else "off"),
        Column("RULES", lambda view: ", ".join(view.rules) or "none"),
    ]
    print_rows(with_database(db, act), columns, common, name="name", empty="no channels; naq channels create")


@app.command
def create(
    name: str,
    /,
    *,
    email: list[str] | None = None,
    form: Form = "naq",
    db: str | None = None,
    common: Common = DEFAULT,
) -> None:
    """Make a channel: e-mail, or a webhook, whose URL is read.

    The URL of a webhook, which is a secret, is $CHANNEL_URL, else it is asked for, or read from stdin; the routing
    key of PagerDuty likewise, $CHANNEL_KEY. What its messages are signed with is printed, this once.

    Example: naq channels create people --email ann@example.org --email bob@example.org

    Args:
        name: What it is called.
        email: Who gets an e-mail; again for more. Without one it is a webhook.
        form: What a webhook is sent: naq (signed JSON), slack, discord, teams, pagerduty.
        db: The server's database. Default: the setting server_database.
    """
    from naq import clock
    from naq.limits.pauses import who
    from naq.names import check_token
    from naq.server.alerts import rows
    from naq.server.alerts.rows import Channel
    from naq.server.alerts.webhook import make_secret

    check_token("channel", name)
    is_mail = bool(email)
    secret = _secret(KEY, "routing key") if form == "pagerduty" else make_secret() if form == "naq" else ""
    channel = _checked(
        Channel(
            name=name, kind="email" if is_mail else "webhook", url="" if is_mail else _secret(URL, "URL"), form=form,
            addresses=tuple(email or ()), secret="" if is_mail else secret, changed_at=round(clock.now() * 1e6),
            changed_by=who(),
        )
    )  # fmt: skip
    if not with_database(db, lambda at: rows.put(at, channel), action="createAlertChannel", target=name):
        raise ConflictError(f"there is a channel {name!r} already")
    _show(channel, common)


@app.command
def edit(
    name: str,
    /,
    *,
    email: list[str] | None = None,
    url: bool = False,
    key: bool = False,
    on: bool | None = None,
    db: str | None = None,
    common: Common = DEFAULT,
) -> int:
    """Change a channel; what is not given stays.

    Example: naq channels edit ops --no-on

    Args:
        name: Which one.
        email: Who gets the e-mails from now on; again for more.
        url: Read another URL, as create does.
        key: Read another routing key, as create does.
        on: Whether it is told anything; --no-on: nothing, until it is on again.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report

    given: dict[str, Any] = {"addresses": tuple(email)} if email else {}
    if url:
        given["url"] = _secret(URL, "URL")
    if key:
        given["secret"] = _secret(KEY, "routing key")
    if on is not None:
        given["enabled"] = on
    if not given:
        raise UsageError("nothing to change was given: --email, --url, --key, --on or --no-on")

    def change(channel: Channel) -> Channel:
        if key and channel.form != "pagerduty":
            raise UsageError("only PagerDuty has a key; the secret that signs is changed by naq channels rotate")
        return replace(channel, **given)

    _change(name, db, change)
    return report([Change(id=name, done=True, outcome="changed")], common)


@app.command
def rotate(name: str, /, *, db: str | None = None, common: Common = DEFAULT) -> None:
    """Give a channel a new secret to sign with, and print it, this once.

    Example: naq channels rotate ops

    Args:
        name: Which one.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.alerts.webhook import make_secret

    def change(channel: Channel) -> Channel:
        if channel.kind != "webhook" or channel.form != "naq":
            raise ConflictError(f"messages of channel {name!r} are not signed")
        return replace(channel, secret=make_secret())

    _show(_change(name, db, change), common)


@app.command
def delete(name: str, /, *, db: str | None = None, common: Common = DEFAULT) -> int:
    """Remove a channel that no rule names; what is still to be sent to it is given up.

    Example: naq channels delete ops

    Args:
        name: Which one.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report
    from naq.server.alerts import rows

    async def act(connection: AsyncConnection) -> bool:
        channel = await _get(connection, name)
        using = [rule.name for rule in await rows.find_rules(connection) if name in rule.channels]
        if using:
            raise ConflictError(f"{', '.join(using)} would tell nobody: change that first (naq alerts edit)")
        return await rows.remove(connection, channel)

    done = with_database(db, act, action="deleteAlertChannel", target=name)
    return report([Change(id=name, done=done, outcome="removed" if done else "changed meanwhile")], common)


def _change(name: str, db: str | None, change: Any) -> Channel:
    from naq import clock
    from naq.limits.pauses import who
    from naq.server.alerts import rows

    async def act(connection: AsyncConnection) -> Channel:
        before = await _get(connection, name)
        changed: Channel = change(before)
        after = replace(
            _checked(changed), version=before.version + 1, changed_at=round(clock.now() * 1e6), changed_by=who()
        )
        if not await rows.put(connection, after):
            raise ConflictError(f"channel {name!r} was changed meanwhile: look again")
        return after

    return with_database(db, act, action="editAlertChannel", target=name)


async def _get(connection: AsyncConnection, name: str) -> Channel:
    from naq.server.alerts import rows

    channel = await rows.get_channel(connection, name)
    if channel is None:
        raise NotFoundError(f"there is no channel {name!r}; see naq channels list")
    return channel


def _checked(channel: Channel) -> Channel:
    from naq.server.alerts.channels import fault

    if (found := fault(channel)) is not None:
        raise UsageError(f"channel {channel.name!r}: {found[1]}")
    return channel


def _secret(variable: str, what: str) -> str:
    """What the environment says, else what is typed unseen, else a line of stdin."""
    if text := os.environ.get(variable, ""):
        return text
    read = getpass.getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not (text := read.strip()):
        raise UsageError(f"there is no {what}: set {variable}, or pipe it in as a line")
    return text


def _show(channel: Channel, common: Common) -> None:
    signs = channel.secret if channel.kind == "webhook" and channel.form == "naq" else None
    if common.json:
        print_json(MadeChannel(name=channel.name, secret=signs))
    elif signs is None:
        say(f"channel {channel.name} is there; naq alerts test {channel.name} sends a test")
    else:
        sys.stdout.write(f"{signs}\n")
        say(f"messages to {channel.name} are signed with it; this is the one time that it is shown")
