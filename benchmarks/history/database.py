"""A database for one measurement."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from secrets import token_hex

import psycopg

from benchmarks.settings import postgres_url

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
