"""Tables up and down, on both databases."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.server.store import open_store, schema
from naq.server.store.rows import MICRO, AttemptRow, EventRow, JobRow, LogRow
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


def test_longer_steps_are_made_of_the_counts_that_are_there(url: str) -> None:
    chance = random.Random(3)
    times = {
        60: [chance.randrange(100) * 60 for _ in range(40)],
        3600: [chance.randrange(48) * 3600 for _ in range(30)],
    }
    sums = sorted({(step, scope, name, at * MICRO, "failed") for step, some in times.items() for at in some
                   for scope, name in (("all", ""), ("task", "a"), ("task", "b"))})  # fmt: skip
    spread = sorted({(*key[:4], measure, bucket) for key in sums for measure in ("run", "wait") for bucket in (3, 40)})
    before = {"rollups": [(*key, n + 1, n * 10**11, n) for n, key in enumerate(sums)],
              "durations": [(*key, n % 7 + 1) for n, key in enumerate(spread)]}  # fmt: skip
    schema.upgrade(url, "0003")
    with connected(url) as ask:
        for table, rows in before.items():
            ask(f"INSERT INTO {table} VALUES {', '.join(map(str, rows))}")
    schema.upgrade(url)
    wanted: dict[str, Counter[Any]] = {table: Counter({row[: 5 if table == "rollups" else 6]: row[-1] for row in rows})
              for table, rows in before.items()}  # fmt: skip
    for finer, step in ((60, 900), (3600, 21600)):
        for found in wanted.values():
            for key, count in [(key, count) for key, count in found.items() if key[0] == finer]:
                found[step, *key[1:3], key[3] - key[3] % (step * MICRO), *key[4:]] += count
    with connected(url) as ask:
        for table, found in wanted.items():
            assert {
                tuple(row[:-3] if table == "rollups" else row[:-1]): row[-1] for row in ask(f"SELECT * FROM {table}")
            } == found
        assert ask("SELECT sum(run_us) FROM rollups WHERE step = 900") == ask(
            "SELECT sum(run_us) FROM rollups WHERE step = 60"
        )
    schema.downgrade(url, "0003")
    with connected(url) as ask:
        for table, rows in before.items():
            assert sorted(ask(f"SELECT * FROM {table}")) == rows


@contextmanager
def connected(url: str) -> Generator[Callable[[str], list[tuple[Any, ...]]]]:
    """Asks the database; what it was told is kept."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as lite, lite:
            yield lambda sql: lite.execute(sql).fetchall()
        return
    with psycopg.connect(url) as server:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            cursor = server.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

        yield ask


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
