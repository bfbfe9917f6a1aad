"""``naq outbox``: jobs that are rows of a SQL database until a relay sends them."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, read_config, say
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.exits import Exit
from naq.cli.logs import Format
from naq.cli.outbox_text import RowView
from naq.cli.output import Column, ago, print_item, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.views import Change

if TYPE_CHECKING:
    from naq.outbox import Outbox
    from naq.outbox.store import Store

app = Group("outbox", "Jobs that are rows of a SQL database until they are sent: look, relay, retry.")

Ids = Annotated[list[str] | None, Parameter(negative_iterable="")]
All = Annotated[bool, Parameter(name="--all", negative="", show_default=False)]
_MANY: Final = 100_000  # rows that --all acts on at most, at once


@app.command(name="list")
def list_(
    *,
    stuck: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    table: str | None = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    common: Common = DEFAULT,
) -> None:
    """List what has not been sent yet, the oldest first: what waits, what is put off and why, what is stuck.

    Example: naq outbox list --app shop:app --stuck

    Args:
        stuck: Only what was set aside.
        table: The table, where the app has several outboxes.
        limit: At most so many.
    """
    columns: list[Column[RowView]] = [
        Column("JOB", lambda row: row.id),
        Column("STATE", lambda row: row.state),
        Column("QUEUE", lambda row: row.queue),
        Column("TASK", lambda row: row.task),
        Column("SINCE", lambda row: ago(row.created_at, common)),
        Column("TRIES", lambda row: str(row.tries)),
        Column("REASON", lambda row: row.reason[:200]),
    ]
    with _store(common, table) as store:
        rows = store.rows(stuck=stuck, limit=limit)
    print_rows([RowView.of(row) for row in rows], columns, common, name="id", empty="everything has been sent")


@app.command
def show(job_id: str, /, *, table: str | None = None, common: Common = DEFAULT) -> None:
    """Show one row: why it has not been sent, and what it is.

    Example: naq outbox show --app shop:app 01JC4N9W2V

    Args:
        job_id: The job that it is to be.
        table: The table, where the app has several outboxes.
    """
    with _store(common, table) as store:
        rows = store.rows(job_id=job_id, limit=1)
    if not rows:
        raise NotFoundError(f"there is no row of job {job_id!r}: it was sent (naq jobs show), or never committed")
    view = RowView.of(rows[0])
    lines = [
        ("job", view.id),
        ("state", view.state),
        ("queue", view.queue),
        ("task", view.task),
        ("enqueued", ago(view.created_at, common)),
        ("tries", str(view.tries)),
        ("again", ago(view.due_at, common)),
        ("set aside", ago(view.stuck_at, common)),
        ("reason", view.reason),
        ("spec", view.spec),
        ("payload", view.payload),
    ]
    print_item(view, lines, common, name="id")


@app.command
def retry(job_ids: Ids = None, /, *, every: All = False, table: str | None = None, common: Common = DEFAULT) -> int:
    """Send what was set aside after all, and what is put off now.

    Example: naq outbox retry --app shop:app 01JC4N9W2V

    Args:
        job_ids: Which jobs, or say --all.
        every: All that are stuck.
        table: The table, where the app has several outboxes.
    """
    with _store(common, table) as store:
        ids = _chosen(store, job_ids, every)
        return _report([(name, store.retry(name)) for name in ids], "waiting", common)


@app.command
def discard(
    job_ids: Ids = None,
    /,
    *,
    every: All = False,
    table: str | None = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Remove rows that were set aside; their jobs are never sent.

    Example: naq outbox discard --app shop:app 01JC4N9W2V --yes

    Args:
        job_ids: Which jobs, or say --all.
        every: All that are stuck.
        table: The table, where the app has several outboxes.
    """
    with _store(common, table) as store:
        ids = _chosen(store, job_ids, every)
        if consent.dry_run:
            return _report([(name, True) for name in ids], "would be removed", common)
        if ids and not agree(consent, f"Remove {len(ids):,} row{'s' * (len(ids) != 1)}?"):
            say("nothing was done")
            return Exit.FAILED
        return _report([(name, store.discard(name)) for name in ids], "removed", common)


@app.command
def relay(
    target: str | None = None,
    /,
    *,
    table: str | None = None,
    log_level: str = "info",
    log_format: Format | None = None,
    common: Common = DEFAULT,
) -> int:
    """Send what is there, until it is told to stop. Workers do this by themselves; this is for doing it apart.

    Any number may run, beside workers too: they share the work.

    Example: naq outbox relay shop:app

    Args:
        target: The app. Default: --app, or that of [tool.naq].
        table: The table, where the app has several outboxes.
        log_level: debug, info, warning or error.
        log_format: text or json. Default: text on a terminal, else json.
    """
    import asyncio
    import dataclasses
    import signal

    from naq.cli.common import refuse_memory
    from naq.cli.logs import set_up
    from naq.outbox import Relay

    set_up(log_level, log_format)
    outbox = _outbox(common if target is None else dataclasses.replace(common, app=target), table)
    refuse_memory(outbox.app.config)

    async def main() -> None:
        one = Relay(outbox)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, one.stop)
        await one.run()

    asyncio.run(main())
    return Exit.DONE


@app.command
def ddl(dialect: str, /, *, table: str = "naq_outbox") -> None:
    """Print the statements that make the table.

    Example: naq outbox ddl postgresql

    Args:
        dialect: postgresql, sqlite or mysql.
        table: Its name, with a schema in front if it is in one.
    """
    from naq.outbox.tables import ddl as statements

    print(";\n\n".join(statements(dialect, table)) + ";")


@app.command(name="create-table")
def create_table(*, table: str | None = None, common: Common = DEFAULT) -> None:
    """Make the table of an app's outbox, where there is none. A program of yours does it by a migration.

    Example: naq outbox create-table --app shop:app

    Args:
        table: The table, where the app has several outboxes.
    """
    outbox = _outbox(common, table)
    with _closing(outbox) as store:
        store.create()
    say(f"{outbox.table} is there, in {outbox.database.where}")


def _outbox(common: Common, table: str | None) -> Outbox:
    """The outbox that is meant.

    Raises:
        UsageError: no app is named, or it has none, or several.
    """
    from naq.config.load import project_app
    from naq.outbox import Outbox
    from naq.worker.loader import load_app

    target = common.app or project_app()
    if target is None:
        raise UsageError("say whose outbox: --app shop:app (or app in [tool.naq])")
    read_config(common)
    found = [each for each in load_app(target).extensions if isinstance(each, Outbox)]
    fits = [each for each in found if table in {None, each.table}]
    if not fits:
        tables = ", ".join(each.table for each in found)
        raise UsageError(
            f"{target} has no outbox" + (f" in {table}; it has: {tables}" if found else ": Outbox(app, ...)")
        )
    if len(fits) > 1:
        raise UsageError(f"{target} has several outboxes: say which with --table {' or '.join(f.table for f in fits)}")
    return fits[0]


@contextmanager
def _store(common: Common, table: str | None) -> Generator[Store]:
    with _closing(_outbox(common, table)) as store:
        yield store


@contextmanager
def _closing(outbox: Outbox) -> Generator[Store]:
    store = outbox.store()
    try:
        yield store
    finally:
        store.close()


def _chosen(store: Store, job_ids: list[str] | None, every: bool) -> list[str]:
    if not job_ids and not every:
        raise UsageError("say which jobs: their ids (naq outbox list --stuck -q), or --all")
    return job_ids or [row.job_id for row in store.rows(stuck=True, limit=_MANY)]


def _report(done: list[tuple[str, bool]], outcome: str, common: Common) -> int:
    if not done:
        say("nothing is stuck")
        return Exit.DONE
    return report([Change(id=name, done=ok, outcome=outcome if ok else "not found") for name, ok in done], common)
