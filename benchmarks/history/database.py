"""A database for one measurement."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from secrets import token_hex
from typing import Any

import psycopg

from benchmarks.settings import postgres_url
from naq.server.store.tables import metadata

DATABASES = ("sqlite", "postgresql")


@contextmanager
def fresh(kind: str) -> Generator[str]:
    """The URL of an empty database of `kind`, which is gone afterwards."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/history.db"
        return
    schema, url = f"naq_bench_{token_hex(4)}", postgres_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@contextmanager
def asked(url: str) -> Generator[Callable[[str], int]]:
    """Asks the database at `url` for a number, again and again, beside whoever writes to it."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as connection:
            lite = connection
            yield lambda sql: int(lite.execute(sql).fetchone()[0])
        return
    with psycopg.connect(url, autocommit=True) as other:

        def ask(sql: str) -> int:
            row: Any = other.execute(sql.encode()).fetchone()
            return int(row[0])

        yield ask


def settle(url: str) -> None:
    """What PostgreSQL does by itself in time: statistics, and its note of which pages need no second look.

    SQLite does nothing by itself, and the server asks for nothing: it is measured without statistics.
    """
    if url.startswith("sqlite:///"):
        return
    with psycopg.connect(url, autocommit=True) as connection:
        for table in metadata.sorted_tables:
            connection.execute(f"VACUUM (ANALYZE) {table.name}".encode())
