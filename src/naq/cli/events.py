"""``naq events``: publish events, see them, and who handles them."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Struct

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, read_config, say, talk
from naq.cli.errors import UsageError
from naq.cli.exits import Exit
from naq.cli.output import Column, moment, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.text import plain
from naq.cli.views import Change
from naq.events.handling import forget as forget_handler
from naq.events.handling import known
from naq.events.publishing import EventType
from naq.events.wire import KIND, check_pattern, matches, read_event
from naq.job import Priority

if TYPE_CHECKING:
    from naq.backends.base import Backend, Event
    from naq.config import Config

app = Group("events", "Publish events, see them, and who handles them.")

PAGE = 500  # events fetched at once
WAIT = 5.0  # seconds of one question to the broker while following


class EventView(Struct, frozen=True, kw_only=True):
    """An event: ``naq events list``."""

    id: str
    at: datetime | None
    name: str
    key: str
    data: Any


class HandlerView(Struct, frozen=True, kw_only=True):
    """A handler of events: ``naq events handlers``."""

    task: str
    patterns: list[str]
    queue: str
    priority: Priority


@app.command
def publish(
    name: str,
    data: str = "null",
    /,
    *,
    key: str = "",
    event_id: Annotated[str | None, Parameter(name=["--id"])] = None,
    common: Common = DEFAULT,
) -> None:
    """Publish an event; its handlers run as jobs. Prints its id.

    Example: naq events publish order.placed '{"number": 7}' --key 7

    Args:
        name: Its name, words joined by dots.
        data: Its data, as JSON.
        key: Of what it has happened, for jobs that wait for it.
        event_id: Its id: the same id is one event, however often it is published.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise UsageError(f"the data are no JSON: {error}; quote text twice: '\"text\"'") from None
    config = read_config(common)

    async def act(backend: Backend) -> str:
        from naq.connections import Held

        return await EventType[Any](name, Any, Held(backend, config)).publish(value, key=key, event_id=event_id)

    done = talk(config, act)
    print(msgspec.json.encode({"id": done}).decode() if common.json else done)


@app.command(name="list")
def list_(
    pattern: str = ">",
    /,
    *,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", show_default=False)] = False,
    common: Common = DEFAULT,
) -> None:
    """List events, oldest first, the last of them. With --follow also those to come, one a line, until Ctrl-C.

    Example: naq events list 'order.*' --follow

    Args:
        pattern: Only these: * is any one word, > at the end all that follow.
        limit: At most so many of those there are.
        follow: Also those to come.
    """
    check_pattern(pattern)
    config = read_config(common)

    async def act(backend: Backend) -> list[EventView]:
        after: str | None = None
        found: list[EventView] = []
        while page := await backend.read(after=after, limit=PAGE, kind=KIND):
            after = page[-1][0]
            found = [*found, *_fitting(config, pattern, [event for _, event in page])][-limit:]
        if not follow:
            return found
        for view in found:
            _tell(view, common)
        while True:
            page = await backend.read(after=after, limit=PAGE, wait=WAIT, kind=KIND)
            after = page[-1][0] if page else after
            for view in _fitting(config, pattern, [event for _, event in page]):
                _tell(view, common)

    columns: list[Column[EventView]] = [
        Column("AT", lambda each: _when(each, common)),
        Column("NAME", lambda each: each.name),
        Column("KEY", lambda each: each.key),
        Column("DATA", lambda each: msgspec.json.encode(each.data).decode()[:200]),
    ]
    print_rows(talk(config, act), columns, common, name="id", empty="no events")


@app.command
def handlers(*, common: Common = DEFAULT) -> None:
    """List who handles events: the tasks, and which events they are for.

    Example: naq events handlers
    """
    config = read_config(common)

    async def act(backend: Backend) -> list[HandlerView]:
        return [
            HandlerView(task=each.task, patterns=each.patterns, queue=each.queue, priority=each.priority)
            for each in await known(backend, config)
        ]

    columns: list[Column[HandlerView]] = [
        Column("TASK", lambda each: each.task),
        Column("EVENTS", lambda each: " ".join(each.patterns)),
        Column("QUEUE", lambda each: each.queue),
    ]
    print_rows(talk(config, act), columns, common, name="task", empty="nobody handles events")


@app.command
def forget(task: str, /, *, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Let a handler get no more events: for one whose code is gone. A worker that has it brings it back.

    Example: naq events forget shop.send_receipt --yes

    Args:
        task: The handler's task, as naq events handlers lists it.
    """
    if not consent.dry_run and not agree(consent, f"Let {task} get no more events?"):
        say("nothing was changed")
        return Exit.FAILED

    async def act(backend: Backend) -> list[Change]:
        if consent.dry_run:
            there = task in {each.task for each in await known(backend, config)}
            return [Change(id=task, done=there, outcome="would be forgotten" if there else "not found")]
        done = await forget_handler(backend, task)
        return [Change(id=task, done=done, outcome="forgotten" if done else "not found")]

    config = read_config(common)
    return report(talk(config, act), common)


def _fitting(config: Config, pattern: str, events: list[Event]) -> list[EventView]:
    views: list[EventView] = []
    for event in events:
        published = read_event(config, event)
        if matches(pattern, published.name):
            data = msgspec.json.decode(published.data)
            view = EventView(id=event.job_id, at=moment(event.at), name=published.name, key=published.key, data=data)
            views.append(view)
    return views


def _tell(view: EventView, common: Common) -> None:
    if common.json:
        print(msgspec.json.encode(view).decode(), flush=True)
    elif common.quiet:
        print(plain(view.id), flush=True)
    else:
        text = f"{_when(view, common)}  {view.name}  {view.key}  {msgspec.json.encode(view.data).decode()[:200]}"
        print(plain(text), flush=True)


def _when(view: EventView, common: Common) -> str:
    if view.at is None:
        return ""
    return view.at.isoformat().replace("+00:00", "Z") if common.iso else f"{view.at.astimezone():%m-%d %H:%M:%S}"
