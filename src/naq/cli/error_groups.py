"""``naq errors``: errors by what they have in common, and deciding about them. Works on the server's database."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Struct

from naq.cli.changes import report
from naq.cli.common import DEFAULT, Common
from naq.cli.database import note, with_database
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.output import Column, ago, moment, print_item, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.values import read_duration
from naq.cli.views import Change

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from naq.server.store.queries.errors import ErrorGroup

app = Group("errors", "Errors by what they have in common: look, resolve, ignore.")
State = Literal["open", "resolved", "ignored", "regressed"]
Names = Annotated[list[str], Parameter(negative_iterable="")]


class ErrorView(Struct, frozen=True, kw_only=True):
    """A group of errors: ``naq errors list|show``. `workers` and `queues` of the newest ones are there in `show`."""

    fingerprint: str
    state: State
    task: str
    type: str
    message: str
    count: int
    first_at: datetime | None
    last_at: datetime | None
    last_job: str
    note: str
    ignored_until: datetime | None
    ignored_count: int | None
    resolved_in: list[str] | None
    queues: dict[str, int] | None = None
    workers: dict[str, int] | None = None
    versions: dict[str, int] | None = None


_COLUMNS: list[Column[ErrorView]] = [
    Column("FINGERPRINT", lambda one: one.fingerprint),
    Column("STATE", lambda one: one.state),
    Column("TASK", lambda one: one.task),
    Column("COUNT", lambda one: f"{one.count:,}"),
    Column("ERROR", lambda one: f"{one.type.removeprefix('builtins.')}: {one.message[:120]}"),
]


@app.command(name="list")
def list_(
    *,
    state: State | None = None,
    task: str | None = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    db: str | None = None,
    common: Common = DEFAULT,
) -> None:
    """List groups of errors, the latest first.

    Example: naq errors list --state open --task shop.send

    Args:
        state: Only those.
        task: Only of this task.
        limit: At most so many.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.store.queries import errors

    found = with_database(db, lambda at: errors.find(at, state=state, task=task, limit=limit))
    last: Column[ErrorView] = Column("LAST", lambda one: ago(one.last_at, common))
    columns = [*_COLUMNS[:4], last, _COLUMNS[4]]
    print_rows([_view(one) for one in found], columns, common, name="fingerprint", empty="no errors")


@app.command
def show(fingerprint: str, /, *, db: str | None = None, common: Common = DEFAULT) -> None:
    """Show one group, and where its newest errors came from.

    Example: naq errors show 3f2a9c

    Args:
        fingerprint: The group.
        db: The server's database. Default: the setting server_database.
    """
    from msgspec.structs import replace

    from naq.server.store.queries import errors

    async def look(connection: AsyncConnection) -> ErrorView:
        view = _view(await _get(connection, fingerprint))
        newest = await errors.newest(connection, fingerprint, most=1_000)
        return replace(
            view,
            queues=_counts(one.queue for one in newest),
            workers=_counts(one.worker for one in newest),
            versions=_counts(one.version for one in newest),
        )

    view = with_database(db, look)
    lines = [(column.title.lower(), column.text(view)) for column in _COLUMNS]
    lines += [("first", ago(view.first_at, common)), ("last", ago(view.last_at, common)), ("last job", view.last_job)]
    lines += [("note", view.note)] if view.note else []
    for name, counts in (("queues", view.queues), ("workers", view.workers), ("versions", view.versions)):
        lines.append((name, ", ".join(f"{value or 'not said'} ({count:,})" for value, count in (counts or {}).items())))
    print_item(view, lines, common, name="fingerprint")


@app.command
def resolve(
    fingerprints: Names, /, *, next_version: Annotated[bool, Parameter(negative="")] = False, reason: str = "",
    db: str | None = None, common: Common = DEFAULT,
) -> int:  # fmt: skip
    """Say that errors are mended; one that comes again is shown as regressed.

    Example: naq errors resolve 3f2a9c --next-version

    Args:
        fingerprints: The groups.
        next_version: Mended in the code that is deployed next: workers of the versions that run now may still have it.
        reason: What to say of it.
        db: The server's database. Default: the setting server_database.
    """
    return _decide(fingerprints, "resolved", db, common, reason=reason, next_version=next_version)


@app.command
def ignore(
    fingerprints: Names, /, *, until: str | None = None, times: int | None = None, reason: str = "",
    db: str | None = None, common: Common = DEFAULT,
) -> int:  # fmt: skip
    """Ignore errors: for good, for a time, or until they came so many times more.

    Example: naq errors ignore 3f2a9c --until 7d --times 100

    Args:
        fingerprints: The groups.
        until: For how long, such as 12h or 7d.
        times: Until they came so often.
        reason: What to say of it.
        db: The server's database. Default: the setting server_database.
    """
    if times is not None and times < 1:
        raise UsageError(f"--times is {times}; give 1 or more")
    seconds = read_duration("--until", until)
    return _decide(fingerprints, "ignored", db, common, reason=reason, seconds=seconds, times=times)


@app.command
def reopen(fingerprints: Names, /, *, db: str | None = None, common: Common = DEFAULT) -> int:
    """Neither resolved nor ignored any more.

    Example: naq errors reopen 3f2a9c

    Args:
        fingerprints: The groups.
        db: The server's database. Default: the setting server_database.
    """
    return _decide(fingerprints, "open", db, common)


_ACTIONS: Final = {"open": "reopenError", "resolved": "resolveError", "ignored": "ignoreError"}


def _decide(
    fingerprints: list[str], state: Literal["open", "resolved", "ignored"], db: str | None, common: Common, *,
    reason: str = "", seconds: float | None = None, times: int | None = None, next_version: bool = False,
) -> int:  # fmt: skip
    from naq import clock
    from naq.server.store.queries import errors

    async def act(connection: AsyncConnection) -> list[Change]:
        running = await errors.versions_running(connection) if next_version else None
        if next_version and not running:
            raise UsageError("no worker that runs says which version of your code it has: set code_version there")
        now = clock.now()
        changes: list[Change] = []
        for name in fingerprints:
            before = await _get(connection, name)
            await errors.decide(
                connection, name, state, at=round(now * 1e6), note=reason, times=times, still_in=running,
                until=None if seconds is None else round((now + seconds) * 1e6),
            )  # fmt: skip
            await note(connection, _ACTIONS[state], name, before={"state": before.state}, after={"state": state})
            changes.append(Change(id=name, done=True, outcome=state))
        return changes

    return report(with_database(db, act), common)


def _counts(values: Iterable[str]) -> dict[str, int]:
    from collections import Counter

    return dict(Counter(values).most_common(10))


async def _get(connection: AsyncConnection, fingerprint: str) -> ErrorGroup:
    from naq.server.store.queries import errors

    found = await errors.get(connection, fingerprint)
    if found is None:
        raise NotFoundError(f"there is no group of errors {fingerprint!r}; see naq errors list")
    return found


def _view(one: ErrorGroup) -> ErrorView:
    return ErrorView(
        fingerprint=one.fingerprint, state=one.state, task=one.task, type=one.type, message=one.message,
        count=one.count, first_at=moment(one.first_at / 1e6), last_at=moment(one.last_at / 1e6),
        last_job=one.last_job_id, note=one.note, ignored_until=moment((one.ignored_until or 0) / 1e6),
        ignored_count=one.ignored_count, resolved_in=one.still_in,
    )  # fmt: skip
