"""The tables' versions: up, down, what is there, what differs. Alembic, without a file of settings."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.server.store.address import read_url, shown

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

_PLACE: Final = "naq.server.store:migrations"
_LOCK: Final = 0x6E61715F64620001  # of PostgreSQL's advisory locks: one process at a time changes tables
PATIENCE: Final = 10  # seconds that connecting may take


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`; does nothing where it is there.

    Raises:
        ConfigurationError: there is no such revision, or the database is of a later naq.
        NaqConnectionError: it cannot be reached.
    """
    from alembic import command

    with _config(url) as config:
        command.upgrade(config, revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision` (``base``: nothing is left). Raises as `upgrade`."""
    from alembic import command

    with _config(url) as config:
        command.downgrade(config, revision)


def current(url: str) -> str | None:
    """The revision that the database is at; None where it has no tables of ours. Raises as `upgrade`."""
    from alembic.migration import MigrationContext

    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this naq is made for."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_bare()).get_current_head() or ""


def history() -> list[tuple[str, str]]:
    """All revisions, the newest first, and what each is for."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_bare())
    return [(script.revision, script.doc) for script in scripts.walk_revisions()]


def differences(url: str) -> list[str]:
    """In what the database's tables are not those that this naq is made for; nothing is changed."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from naq.server.store.tables import metadata

    with _connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return [_show(step) for step in compare_metadata(context, metadata)]


def check_current(url: str) -> None:
    """Refuse a database whose tables are not those of this naq.

    Raises:
        ConfigurationError: says what to do.
        NaqConnectionError: it cannot be reached.
    """
    there, wanted = current(url), head()
    if there != wanted:
        known = {name for name, _ in history()}
        if there is not None and there not in known:
            raise _too_new(url, there)
        raise ConfigurationError(
            f"the tables in {shown(url)} are at {there or 'nothing'}, this naq needs {wanted}: run naq db upgrade"
        )


def sql(url: str, revision: str = "head", *, down: bool = False) -> str:
    """The statements that `upgrade` (or `downgrade`) would run from nothing (from head), for a person to run."""
    from alembic import command

    written = io.StringIO()
    config = _bare(written)
    config.attributes["url"] = read_url(url, is_async=False)
    if down:
        command.downgrade(config, f"head:{revision}", sql=True)
    else:
        command.upgrade(config, revision, sql=True)
    return written.getvalue()


def _bare(output: io.StringIO | None = None) -> Config:
    try:
        from alembic.config import Config
    except ImportError as error:
        raise ConfigurationError(f'the server needs its libraries: pip install "naq[server]" ({error})') from error
    config = Config(output_buffer=output or io.StringIO())
    config.set_main_option("script_location", _PLACE)
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _config(url: str) -> Generator[Config]:
    """Settings of Alembic with a connection that alone may change tables."""
    from alembic.util.exc import CommandError
    from sqlalchemy import text

    config = _bare()
    with _connected(url) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        else:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        try:
            yield config
        except CommandError as error:
            if "Can't locate revision" in str(error):
                raise _too_new(url, str(error).rpartition(" ")[2].strip("'")) from error
            raise ConfigurationError(f"the tables in {shown(url)} cannot be changed: {error}") from error
        connection.exec_driver_sql("COMMIT") if connection.dialect.name == "sqlite" else connection.commit()


@contextmanager
def _connected(url: str) -> Generator[Connection]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    address = read_url(url, is_async=False)
    is_sqlite = address.get_backend_name() == "sqlite"
    options = {"timeout": PATIENCE, "isolation_level": None} if is_sqlite else {"connect_timeout": PATIENCE}
    engine = create_engine(address, connect_args=options)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise NaqConnectionError(f"the database {shown(url)} cannot be reached: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()


def _too_new(url: str, revision: str) -> ConfigurationError:
    return ConfigurationError(
        f"the tables in {shown(url)} are at revision {revision[:40]!r}, which this naq does not know: "
        "they are of a later one, or the revision is misspelt (naq db history)"
    )


def _show(step: object) -> str:
    if isinstance(step, list):  # what differs of one column
        return "; ".join(_show(one) for one in cast("list[object]", step))
    if not isinstance(step, tuple):
        return str(step)
    what, *rest = cast("tuple[object, ...]", step)
    return f"{what}: {', '.join(str(getattr(one, 'name', one)) for one in rest if one is not None)}"
