"""Rows through the connection of whoever enqueues: SQLAlchemy's, psycopg's, sqlite3's, Django's. It commits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from naq.exceptions import ConfigurationError
from naq.faults import fault
from naq.outbox.tables import CHANNEL, WRITTEN, Dialect, ddl, own_table, read_dialect

if TYPE_CHECKING:
    from naq.outbox.rows import Row

Library = Literal["sqlalchemy", "dbapi"]


class Kind(NamedTuple):
    """A kind of connection: whose it is, whether it is awaited, its dialect ("" where it says so itself), its mark."""

    library: Library
    is_async: bool
    dialect: str = ""
    mark: str = "%s"


#: By package and class of anything in the type's line: what is not imported cannot be handed in.
KINDS: Final = {
    "sqlalchemy.Session": Kind("sqlalchemy", False),
    "sqlalchemy.scoped_session": Kind("sqlalchemy", False),
    "sqlalchemy.Connection": Kind("sqlalchemy", False),
    "sqlalchemy.AsyncSession": Kind("sqlalchemy", True),
    "sqlalchemy.async_scoped_session": Kind("sqlalchemy", True),
    "sqlalchemy.AsyncConnection": Kind("sqlalchemy", True),
    "psycopg.Connection": Kind("dbapi", False, "postgresql"),
    "psycopg.AsyncConnection": Kind("dbapi", True, "postgresql"),
    "sqlite3.Connection": Kind("dbapi", False, "sqlite", "?"),
    "aiosqlite.Connection": Kind("dbapi", True, "sqlite", "?"),
    "pymysql.Connection": Kind("dbapi", False, "mysql"),
    "django.BaseDatabaseWrapper": Kind("dbapi", False),
    "django.ConnectionProxy": Kind("dbapi", False),
}
_NOTIFY: Final = "SELECT pg_notify('{channel}', {mark})"


def kind_of(connection: object, *, is_async: bool) -> Kind:
    """What `connection` is.

    Raises:
        ConfigurationError: nothing that rows can be written through, or not in this way; says in which.
    """
    for cls in type(connection).__mro__:
        kind = KINDS.get(f"{cls.__module__.partition('.')[0].lstrip('_')}.{cls.__name__}")
        if kind is None:
            continue
        if kind.is_async and not is_async:
            raise ConfigurationError(f"{_name(connection)} is awaited: write await outbox.enqueue(...), without _sync")
        if is_async and not kind.is_async:
            raise ConfigurationError(
                f"{_name(connection)} is not awaited: write outbox.enqueue_sync(...), without await"
            )
        return kind
    raise ConfigurationError(
        f"an outbox cannot write through {_name(connection)}: hand in a session or connection of SQLAlchemy, a "
        "connection of psycopg 3, sqlite3, aiosqlite or PyMySQL, or django.db.connection"
    )


def write(connection: Any, table: str, rows: Sequence[Row], *, notify: str) -> None:
    """Write `rows` in the transaction of `connection`; relays hear of namespace `notify` once it is committed."""
    kind = kind_of(connection, is_async=False)
    dialect = dialect_of(connection, kind)
    if kind.library == "sqlalchemy":
        connection.execute(*_insert(table, rows))
        if dialect == "postgresql" and notify:
            connection.execute(*_sqlalchemy_notify(notify))
    else:
        with closing(connection.cursor()) as cursor:
            cursor.executemany(_statement(table, kind.mark), [row.values for row in rows])
            if dialect == "postgresql" and notify:
                cursor.execute(_NOTIFY.format(channel=CHANNEL, mark=kind.mark), (notify,))
    fault("outbox.row_written")


async def write_async(connection: Any, table: str, rows: Sequence[Row], *, notify: str) -> None:
    """`write` through a connection that is awaited."""
    kind = kind_of(connection, is_async=True)
    dialect = dialect_of(connection, kind)
    if kind.library == "sqlalchemy":
        await connection.execute(*_insert(table, rows))
        if dialect == "postgresql" and notify:
            await connection.execute(*_sqlalchemy_notify(notify))
    else:
        await connection_many(connection, _statement(table, kind.mark), [row.values for row in rows])
        if dialect == "postgresql" and notify:
            await connection.execute(_NOTIFY.format(channel=CHANNEL, mark=kind.mark), (notify,))
    fault("outbox.row_written")


async def connection_many(connection: Any, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
    """One statement with each of `values`, through a connection of psycopg or aiosqlite."""
    if hasattr(connection, "executemany"):  # aiosqlite, whose cursors are awaited into being
        cursor = await connection.executemany(statement, values)
        await cursor.close()
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(statement, values)


def create(connection: Any, table: str) -> None:
    """Make the table through `connection`, in its transaction where the database can do that."""
    kind = kind_of(connection, is_async=False)
    for statement in ddl(dialect_of(connection, kind), table):
        if kind.library == "sqlalchemy":
            connection.execute(_text(statement))
        else:
            with closing(connection.cursor()) as cursor:
                cursor.execute(statement)


async def create_async(connection: Any, table: str) -> None:
    """`create` through a connection that is awaited."""
    kind = kind_of(connection, is_async=True)
    for statement in ddl(dialect_of(connection, kind), table):
        await connection.execute(_text(statement) if kind.library == "sqlalchemy" else statement)


def dialect_of(connection: Any, kind: Kind) -> Dialect:
    """Which database `connection` is to.

    Raises:
        ConfigurationError: one in which there is no outbox.
    """
    if kind.dialect:
        return read_dialect(kind.dialect)
    if kind.library == "sqlalchemy":
        bound = connection.get_bind() if hasattr(connection, "get_bind") else connection
        return read_dialect(bound.dialect.name)
    return read_dialect(connection.vendor)


def _insert(table: str, rows: Sequence[Row]) -> tuple[Any, list[dict[str, Any]]]:
    from sqlalchemy import insert

    return insert(own_table(table)), [dict(zip(WRITTEN, row.values, strict=True)) for row in rows]


def _sqlalchemy_notify(namespace: str) -> tuple[Any, dict[str, str]]:
    return _text(_NOTIFY.format(channel=CHANNEL, mark=":namespace")), {"namespace": namespace}


def _text(statement: str) -> Any:
    from sqlalchemy import text

    return text(statement)


def _statement(table: str, mark: str) -> str:
    return f"INSERT INTO {table} ({', '.join(WRITTEN)}) VALUES ({', '.join([mark] * len(WRITTEN))})"


def _name(connection: object) -> str:
    cls = type(connection)
    return f"{cls.__module__.partition('.')[0]}.{cls.__name__}"
