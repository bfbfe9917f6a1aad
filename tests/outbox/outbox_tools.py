"""What the outbox's tests share: databases to write to, connections of every kind, a table of one's own in each."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from naq import Naq
from naq.exceptions import NaqConnectionError
from naq.outbox import Outbox
from naq.outbox.databases import read_database
from naq.outbox.rows import Kept
from tests.tools import make_app, until_so


def _setting(name: str, default: str) -> str:
    """Taken out of the environment, where naq would take it for a setting; kept for the processes of pytest-xdist."""
    value = os.environ.pop(f"NAQ_{name}", None) or os.environ.get(f"PYTEST_{name}") or default
    os.environ[f"PYTEST_{name}"] = value
    return value


POSTGRES = _setting("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
MYSQL = _setting("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")


class Place(NamedTuple):
    """A database, and the name of a table in it that no other test has."""

    dialect: str
    url: str
    table: str

    def outbox(self, app: Naq, **options: Any) -> Outbox:
        """The outbox of `app` here."""
        return Outbox(app, self.url, table=self.table, **options)

    def run(self, statement: str, *values: Any) -> list[Any]:
        """What a statement gives, in a transaction of its own; ``{table}`` stands for the table."""
        connection = read_database(self.url).connect()
        statement = statement.format(table=self.table)
        try:
            with closing(connection.cursor()) as cursor:
                cursor.execute(statement if self.dialect == "sqlite" else statement.replace("?", "%s"), values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    @contextmanager
    def connected(self, kind: str) -> Generator[Any]:
        """A connection of `kind` that is not awaited, in a transaction that nobody commits."""
        if kind == "sqlalchemy":
            from sqlalchemy import create_engine
            from sqlalchemy.orm import Session

            engine = create_engine(_alchemy(self))
            with Session(engine) as session:
                yield session
            engine.dispose()
        elif self.dialect == "sqlite":
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
                yield connection
        elif self.dialect == "postgresql":
            import psycopg

            with closing(psycopg.connect(self.url)) as connection:
                yield connection
        else:
            with closing(read_database(self.url).connect()) as connection:
                connection.autocommit(False)
                yield connection

    @asynccontextmanager
    async def connected_async(self, kind: str) -> AsyncGenerator[Any]:
        """A connection of `kind` that is awaited, in a transaction that nobody commits."""
        if kind == "sqlalchemy":
            from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

            engine = create_async_engine(_alchemy(self, is_async=True))
            async with AsyncSession(engine) as session:
                yield session
            await engine.dispose()
        elif self.dialect == "sqlite":
            import aiosqlite

            async with aiosqlite.connect(self.url.removeprefix("sqlite:///")) as connection:
                yield connection
        else:
            import psycopg

            connection = await psycopg.AsyncConnection.connect(self.url)
            try:
                yield connection
            finally:
                await connection.close()


def _alchemy(place: Place, *, is_async: bool = False) -> str:
    driver = {"sqlite": "aiosqlite" if is_async else "pysqlite", "postgresql": "psycopg", "mysql": "pymysql"}
    return place.url.replace("://", f"+{driver[place.dialect]}://", 1)


@contextmanager
def make_place(dialect: str, folder: Path) -> Generator[Place]:
    """A database of `dialect` with an empty table, which is gone afterwards."""
    url = {"sqlite": f"sqlite:///{folder}/shop.db", "postgresql": POSTGRES, "mysql": MYSQL}[dialect]
    if dialect != "sqlite":
        _require(dialect, url)
    place = Place(dialect, url, f"naq_outbox_{token_hex(4)}")
    store = place.outbox(Naq("maker", broker_url="memory:maker")).store()
    store.create()
    store.close()
    try:
        yield place
    finally:
        place.run("DROP TABLE {table}")


def _require(dialect: str, url: str) -> None:
    where = urlsplit(url)
    try:
        read_database(url).connect().close()
    except NaqConnectionError as error:  # whatever keeps it from being used is the reason
        if dialect == "postgresql":
            pytest.skip(f"missing: PostgreSQL at {where.hostname}:{where.port} (NAQ_TEST_POSTGRES_URL): {error}")
        pytest.skip(f"no MySQL or MariaDB at {where.hostname}:{where.port} (NAQ_TEST_MYSQL_URL): {error}")


def rows(outbox: Outbox, **which: Any) -> list[Kept]:
    """What is in the table."""
    store = outbox.store()
    try:
        return store.rows(**which)
    finally:
        store.close()


class Shop:
    """An app with an outbox in `place`, and what its task was called with."""

    def __init__(self, place: Place, **settings: Any) -> None:
        self.app = make_app(**settings)
        ran: list[int] = []
        self.ran = ran

        @self.app.task(name="note")
        async def note(number: int) -> int:
            ran.append(number)
            return number * 2

        self.note = note
        self.outbox = place.outbox(self.app)

    async def emptied(self) -> None:
        """Wait until the relay has removed every row."""

        async def empty() -> bool:
            return not await asyncio.to_thread(rows, self.outbox)

        await until_so(empty)
