"""``naq db``: the tables of the history, brought up to date, compared and pruned."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, say
from naq.cli.db_text import DatabaseState, Pruning, Revision
from naq.cli.errors import UsageError
from naq.cli.exits import Exit
from naq.cli.output import Column, print_item, print_rows
from naq.cli.parameter import Group, Parameter

if TYPE_CHECKING:
    from naq.server.store.retention import Pruned, Retention

app = Group("db", "The tables of the history: bring them up to date, compare them, prune them.")

Database = Annotated[str | None, Parameter(name=["--database", "-d"])]
Sql = Annotated[bool, Parameter(negative="", show_default=False)]
_REVISIONS: Final[tuple[Column[Revision], ...]] = (
    Column("REVISION", lambda one: one.revision),
    Column("WHAT", lambda one: one.what),
    Column("", lambda one: "this database" if one.current else ""),
)


@app.command
def upgrade(
    revision: str = "head", /, *, sql: Sql = False, database: Database = None, common: Common = DEFAULT
) -> None:
    """Bring the tables up to date. `naq server` does so by itself where it may.

    Example: naq db upgrade --database postgresql://naq@db/naq

    Args:
        revision: Up to this one.
        sql: Print the statements instead, from nothing up, for a person to run.
        database: The database. Default: the server's.
    """
    from naq.server.store import schema

    url = _url(database)
    if sql:
        print(schema.sql(url, revision))
        return
    before = schema.current(url)
    schema.upgrade(url, revision)
    _show(url, common, before)


@app.command
def downgrade(
    revision: str, /, *, sql: Sql = False, database: Database = None, consent: Consent = ASK, common: Common = DEFAULT
) -> None:
    """Take the tables back to an earlier revision; what only later ones can hold is lost.

    Example: naq db downgrade base --sql

    Args:
        revision: Down to this one; `base`: nothing is left.
        sql: Print the statements instead, for a person to run.
        database: The database. Default: the server's.
    """
    from naq.server.store import schema

    url = _url(database)
    if sql:
        print(schema.sql(url, revision, down=True))
        return
    before = schema.current(url)
    if consent.dry_run:
        say(f"the tables would go from {before or 'nothing'} to {revision}")
    elif agree(consent, f"Take the tables back from {before or 'nothing'} to {revision}?"):
        schema.downgrade(url, revision)
        _show(url, common, before)


@app.command
def current(*, database: Database = None, common: Common = DEFAULT) -> None:
    """Show which revision the tables are at, and which one this naq needs.

    Example: naq db current

    Args:
        database: The database. Default: the server's.
    """
    _show(_url(database), common)


@app.command
def history(*, database: Database = None, common: Common = DEFAULT) -> None:
    """List all revisions of the tables, the newest first.

    Example: naq db history

    Args:
        database: The database. Default: the server's.
    """
    from naq.server.store import schema

    there = schema.current(_url(database))
    rows = [Revision(revision=name, what=what, current=name == there) for name, what in schema.history()]
    print_rows(rows, _REVISIONS, common, name="revision")


@app.command
def check(*, database: Database = None, common: Common = DEFAULT) -> int:
    """Compare the tables with those that this naq needs: exit code 0 if they are the same, 4 if not.

    Example: naq db check

    Args:
        database: The database. Default: the server's.
    """
    from naq.server.store import schema

    url = _url(database)
    found = schema.differences(url)
    state = _state(url, differences=found)
    lines = [("database", state.database), ("revision", state.revision or "none"), ("needed", state.needed)]
    print_item(state, [*lines, *(("differs", each) for each in found)], common, name="revision")
    return Exit.DONE if not found and state.revision == state.needed else Exit.CONFLICT


@app.command
def prune(
    *,
    older_than: str | None = None,
    state: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    keep: int | None = None,
    database: Database = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> None:
    """Remove jobs that ended long ago from the history, in small batches; the broker's own records are not touched.

    Example: naq db prune --older-than 30d --state succeeded --dry-run

    Args:
        older_than: Jobs that ended longer ago than that, such as 30d. Default: what the server keeps.
        state: Only jobs of these final states.
        keep: Only as many as leave this number of ended jobs, the latest.
        database: The database. Default: the server's.
    """
    import asyncio

    kept = _retention(older_than, state, keep)
    url = _url(database)

    async def act(look: bool) -> Pruned:
        from naq.server.store import open_store
        from naq.server.store.retention import preview
        from naq.server.store.retention import prune as remove

        store = await open_store(url, upgrade=False)
        try:
            return await (preview(store, kept) if look else remove(store, kept))
        finally:
            await store.close()

    due = asyncio.run(act(True))
    if not consent.dry_run and (due.jobs == 0 or agree(consent, f"Remove {_about(due.jobs)} from {_shown(url)}?")):
        due = asyncio.run(act(False))
    view = Pruning(jobs=due.jobs, errors=due.errors, rollups=due.rollups, invalid=due.invalid, workers=due.workers,
                   dry_run=consent.dry_run)  # fmt: skip
    word = "would remove" if consent.dry_run else "removed"
    print_item(view, [(word, _about(view.jobs))], common, name="jobs")


def _retention(older_than: str | None, states: list[str] | None, keep: int | None) -> Retention:
    from msgspec.structs import replace

    from naq.config.fields import read_seconds
    from naq.config.server import load_server
    from naq.server.store.retention import retention_of
    from naq.server.store.tables import FINAL_STATES

    kept = retention_of(load_server())
    if keep is not None or older_than is not None or states:
        kept = replace(kept, jobs=keep)
    if keep is not None and states:
        raise UsageError("--keep counts ended jobs of all states: use it without --state")
    if unknown := [each for each in states or () if each not in FINAL_STATES]:
        raise UsageError(f"--state {unknown[0]}: only jobs that have ended are removed: {', '.join(FINAL_STATES)}")
    if keep is not None and keep < 1:
        raise UsageError(f"--keep {keep}: use 1 or more")
    ages = dict(kept.ages)
    if older_than is not None:
        try:
            seconds = read_seconds(older_than)
        except ValueError:
            seconds = -1.0
        if seconds <= 0:
            raise UsageError(f"--older-than {older_than}: use a time such as 12h or 30d")
        ages = dict.fromkeys(FINAL_STATES, seconds)
    elif keep is not None:
        ages = {}
    return replace(kept, ages={name: age for name, age in ages.items() if not states or name in states})


def _about(jobs: int) -> str:
    return f"{jobs:,} job{'' if jobs == 1 else 's'}"


def _url(database: str | None) -> str:
    if database is not None:
        return database
    from naq.config.server import load_server

    return load_server().database


def _shown(url: str) -> str:
    from naq.server.store.address import shown

    return shown(url)


def _state(url: str, *, differences: list[str] | None = None, before: str | None = None) -> DatabaseState:
    from naq.server.store import schema

    return DatabaseState(
        database=_shown(url), revision=schema.current(url), needed=schema.head(), before=before,
        differences=differences or [],
    )  # fmt: skip


def _show(url: str, common: Common, before: str | None = None) -> None:
    state = _state(url, before=before)
    lines = [("database", state.database), ("revision", state.revision or "none"), ("needed", state.needed)]
    print_item(state, lines, common, name="revision")
    if state.revision != state.needed:
        print("bring it up to date: naq db upgrade", file=sys.stderr)
