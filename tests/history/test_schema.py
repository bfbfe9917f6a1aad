"""Tables up and down, on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.server.store import open_store, schema
from naq.server.store.rows import AttemptRow, EventRow, JobRow, LogRow
from naq.server.store.tables import attempts, events, jobs, logs, metadata


def test_up_down_and_up_again(url: str) -> None:
    assert schema.current(url) is None
    schema.upgrade(url)
    assert schema.current(url) == schema.head()
    assert schema.differences(url) == []
    schema.upgrade(url)
    for revision, _ in schema.history()[1:]:
        schema.downgrade(url, revision)
        assert schema.current(url) == revision
    schema.downgrade(url, "base")
    assert schema.current(url) is None
    assert len(schema.differences(url)) > len(metadata.tables)
    schema.upgrade(url)
    assert schema.differences(url) == []


def test_the_sql_for_a_person_makes_the_same_tables(url: str, tmp_path: Path) -> None:
    text = schema.sql(url)
    if url.startswith("sqlite"):
        connection = sqlite3.connect(f"{tmp_path}/history.db")
        connection.executescript(text)
        connection.close()
    else:
        with psycopg.connect(url) as server:
            server.execute(text.encode())
    assert schema.differences(url) == []
    assert schema.current(url) == schema.head()
    assert "DROP TABLE jobs" in schema.sql(url, "base", down=True)


def test_a_database_of_another_version_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="run naq db upgrade"):
        asyncio.run(open_store(url, upgrade=False))
    schema.upgrade(url)
    statement = "UPDATE alembic_version SET version_num = 'later'"
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute(statement)
        connection.close()
    else:
        with psycopg.connect(url) as server:
            server.execute(statement)
    for attempt in (lambda: schema.upgrade(url), lambda: schema.check_current(url)):
        with pytest.raises(ConfigurationError, match="'later', which this naq does not know"):
            attempt()


def test_two_that_upgrade_at_once_both_succeed(url: str) -> None:
    code = f"from naq.server.store import schema; schema.upgrade({url!r})"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert schema.current(url) == schema.head()


def test_where_nothing_is_it_says_so() -> None:
    with pytest.raises(NaqConnectionError, match=r"127\.0\.0\.1:1/none cannot be reached"):
        schema.current("postgresql://user:secret@127.0.0.1:1/none")
    for bad in ("mysql://host/x", "sqlite://", "sqlite:///:memory:", "nonsense"):
        with pytest.raises(ConfigurationError):
            schema.current(bad)


def test_values_have_the_columns_of_their_tables() -> None:
    pairs = [(jobs, JobRow), (attempts, AttemptRow), (logs, LogRow), (events, EventRow)]
    for table, kind in pairs:
        assert tuple(table.columns.keys()) == kind.__struct_fields__
