"""``naq bulk``: what is done to many jobs at once by a server. Works on the server's database; a server follows."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Struct

from naq.cli.changes import report
from naq.cli.common import DEFAULT, Common
from naq.cli.database import note, with_database
from naq.cli.errors import NotFoundError
from naq.cli.output import Column, ago, moment, print_item, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.views import Change

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from naq.server.bulk.rows import BulkRow

app = Group("bulk", "What a server does to many jobs at once: look, break off.")


class BulkView(Struct, frozen=True, kw_only=True):
    """A bulk action: ``naq bulk list|show``. `total` is capped; `skips` says why jobs were left as they are."""

    id: str
    name: str
    action: str
    options: dict[str, Any]
    filter: str
    state: str
    total: int | None
    done: int
    skipped: int
    skips: dict[str, int]
    failed: int
    failures: list[dict[str, str]]
    created_at: datetime | None
    created_by: str
    finished_at: datetime | None


_COLUMNS: list[Column[BulkView]] = [
    Column("ID", lambda one: one.id),
    Column("STATE", lambda one: one.state),
    Column("ACTION", lambda one: " ".join([one.action, *(f"{key}={value}" for key, value in one.options.items())])),
    Column("DONE", lambda one: f"{one.done:,}" + ("" if one.total is None else f" of {one.total:,}")),
    Column("SKIPPED", lambda one: f"{one.skipped:,}"),
    Column("FAILED", lambda one: f"{one.failed:,}"),
    Column("WHICH", lambda one: one.name or one.filter or "by id"),
]


@app.command(name="list")
def list_(
    *,
    state: Literal["running", "finished", "aborted"] | None = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    db: str | None = None,
    common: Common = DEFAULT,
) -> None:
    """List bulk actions, the newest first.

    Example: naq bulk list --state running

    Args:
        state: Only those.
        limit: At most so many.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.bulk import rows

    found = with_database(db, lambda at: rows.page(at, state=state, limit=limit))
    print_rows([_view(one) for one in found], _COLUMNS, common, name="id", empty="no bulk actions")


@app.command
def show(bulk_id: str, /, *, db: str | None = None, common: Common = DEFAULT) -> None:
    """Show one: how far it has come, what it skipped and why, what failed.

    Example: naq bulk show 01JC4N9W2V

    Args:
        bulk_id: The action.
        db: The server's database. Default: the setting server_database.
    """
    view = _view(with_database(db, lambda at: _get(at, bulk_id)))
    lines = [(column.title.lower(), column.text(view)) for column in _COLUMNS]
    lines += [("begun", f"{ago(view.created_at, common)} by {view.created_by}")]
    lines += [("filter", view.filter)] if view.filter else []
    lines += [("ended", ago(view.finished_at, common))] if view.finished_at else []
    lines += [("  skipped", f"{count:,}: {why}") for why, count in view.skips.items()]
    lines += [("  failed", f"{one['id']}: {one['reason']}") for one in view.failures]
    print_item(view, lines, common, name="id")


@app.command
def abort(bulk_id: str, /, *, db: str | None = None, common: Common = DEFAULT) -> int:
    """Break one off; what was done is not undone.

    Example: naq bulk abort 01JC4N9W2V

    Args:
        bulk_id: The action.
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.bulk import rows

    async def act(connection: AsyncConnection) -> Change:
        before = await _get(connection, bulk_id)
        done = await rows.abort(connection, bulk_id)
        await note(connection, "abortBulk", bulk_id, before={"state": before.state, "done": before.done})
        return Change(id=bulk_id, done=done, outcome="aborted" if done else f"is {before.state}")

    return report([with_database(db, act)], common)


async def _get(connection: AsyncConnection, bulk_id: str) -> BulkRow:
    from naq.server.bulk import rows

    found = await rows.get(connection, bulk_id)
    if found is None:
        raise NotFoundError(f"there is no bulk action {bulk_id!r}; see naq bulk list")
    return found


def _view(row: BulkRow) -> BulkView:
    decode = msgspec.json.decode
    return BulkView(
        id=row.id, name=row.name, action=row.action, options=decode(row.options), filter=row.filter, state=row.state,
        total=row.total, done=row.done, skipped=row.skipped, skips=decode(row.skips), failed=row.failed,
        failures=decode(row.failures), created_at=moment(row.created_at / 1e6), created_by=row.created_by,
        finished_at=moment((row.finished_at or 0) / 1e6),
    )  # fmt: skip
