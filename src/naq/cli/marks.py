"""``naq mark`` and ``naq marks``: moments that matter to who looks at a chart. Works on the server's database."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from naq.cli.common import DEFAULT, Common
from naq.cli.database import with_database
from naq.cli.output import Column, ago, moment, print_rows
from naq.cli.parameter import Group
from naq.cli.values import read_duration, read_moment
from naq.cli.views import Change

app = Group("marks", "Deploys and other moments that charts show: list them, remove one.")
_DAY = 86_400.0


class MarkLine(Struct, frozen=True, kw_only=True):
    """A mark: ``naq marks list``."""

    id: str
    at: datetime | None
    kind: str
    title: str
    version: str
    url: str
    made_by: str


def mark(
    title: str = "",
    /,
    *,
    version: str = "",
    kind: str = "deploy",
    url: str = "",
    at: str | None = None,
    db: str | None = None,
    common: Common = DEFAULT,
) -> int:
    """Mark a moment, such as a deploy, on the charts of the server.

    Example: naq mark --version 1.4.2 "prices in cents"

    Args:
        title: What happened. Default: the version.
        version: Of the code.
        kind: deploy, or a word of your own.
        url: Where more about it is.
        at: When, such as 2026-11-30T14:00 (local time). Default: now.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report
    from naq.limits.pauses import who
    from naq.server.store.queries import marks

    when = read_moment("--at", at)
    made = marks.make(
        title, by=who(), kind=kind, version=version, url=url, at=None if when is None else when.timestamp()
    )  # fmt: skip
    with_database(db, lambda at: marks.add(at, made), action="createMark", target=made.id)
    return report([Change(id=made.id, done=True, outcome=f"marked: {made.kind} {made.title}")], common)


@app.command(name="list")
def list_(*, window: str = "7d", kind: str | None = None, db: str | None = None, common: Common = DEFAULT) -> None:
    """List marks, the latest first.

    Example: naq marks list --window 30d

    Args:
        window: How far back.
        kind: Only these.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.store.queries import marks

    since, _ = marks.span_of(round(read_duration("--window", window) or _DAY))
    found = with_database(db, lambda connection: marks.find(connection, since=since, kind=kind))
    lines = [
        MarkLine(id=one.id, at=moment(one.at / 1e6), kind=one.kind, title=one.title, version=one.version, url=one.url,
                 made_by=one.made_by)
        for one in found
    ]  # fmt: skip
    columns: list[Column[MarkLine]] = [
        Column("ID", lambda line: line.id),
        Column("AT", lambda line: ago(line.at, common)),
        Column("KIND", lambda line: line.kind),
        Column("TITLE", lambda line: line.title),
        Column("BY", lambda line: line.made_by),
    ]
    print_rows(lines, columns, common, name="id", empty="no marks; naq mark makes one")


@app.command
def remove(mark_id: str, /, *, db: str | None = None, common: Common = DEFAULT) -> int:
    """Remove a mark.

    Example: naq marks remove 01JC4N9W2VQ0R8S6T4XKZB7M3F

    Args:
        mark_id: Which one.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report
    from naq.server.store.queries import marks

    done = with_database(db, lambda at: marks.remove(at, mark_id), action="deleteMark", target=mark_id)
    return report([Change(id=mark_id, done=done, outcome="removed" if done else "not found")], common)
