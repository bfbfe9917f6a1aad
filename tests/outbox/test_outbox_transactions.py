"""Rows through every kind of connection: what is committed is sent and runs, what is rolled back never was."""

from __future__ import annotations

import asyncio

import pytest
from outbox_tools import Place, Shop, rows

from naq.exceptions import ConfigurationError, PayloadTooLarge, ResultTimeout, SerializationError
from naq.outbox import Outbox, ddl
from tests.tools import make_app, run, working


@pytest.mark.parametrize("kind", ["driver", "sqlalchemy"])
def test_what_is_committed_runs_and_what_is_rolled_back_does_not(place: Place, kind: str) -> None:
    async def test() -> None:
        shop = Shop(place)
        async with working(shop.app):
            with place.connected(kind) as connection:
                shop.outbox.enqueue_sync(connection, shop.note, 1)
                connection.rollback()
                job = shop.outbox.enqueue_sync(connection, shop.note, 2)
                more = shop.outbox.enqueue_many_sync(connection, [shop.note.call(number) for number in (3, 4, 5)])
                assert await asyncio.to_thread(rows, shop.outbox) == [], "seen before it is committed"
                connection.commit()
            assert await job.result(timeout=10) == 4
            assert [await each.result(timeout=10) for each in more] == [6, 8, 10]
            await shop.emptied()
        assert sorted(shop.ran) == [2, 3, 4, 5]

    run(test())


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)  # for MySQL naq knows no such driver
@pytest.mark.parametrize("kind", ["driver", "sqlalchemy"])
def test_the_same_through_connections_that_are_awaited(place: Place, kind: str) -> None:
    async def test() -> None:
        shop = Shop(place)
        async with working(shop.app):
            async with place.connected_async(kind) as connection:
                await shop.outbox.enqueue(connection, shop.note, 1)
                await connection.rollback()
                job = await shop.outbox.enqueue(connection, shop.note.options(priority="high"), 2)
                more = await shop.outbox.enqueue_many(connection, [shop.note.call(number) for number in (3, 4)])
                assert await shop.outbox.enqueue_many(connection, []) == []
                await connection.commit()
            assert await job.result(timeout=10) == 4
            assert [await each.result(timeout=10) for each in more] == [6, 8]
            await shop.emptied()
        assert sorted(shop.ran) == [2, 3, 4]

    run(test())


def test_a_savepoint_that_is_rolled_back_takes_its_rows_along(place: Place) -> None:
    shop = Shop(place)
    with place.connected("sqlalchemy") as session:
        shop.outbox.enqueue_sync(session, shop.note, 1)
        inner = session.begin_nested()
        shop.outbox.enqueue_sync(session, shop.note, 2)
        inner.rollback()
        session.commit()
    assert len(rows(shop.outbox)) == 1


def _nothing() -> None:
    """A task's function."""


def _sized(text: str) -> int:
    return len(text)


def test_what_is_wrong_is_refused_in_the_transaction_and_nothing_is_written(file: Place) -> None:
    shop = Shop(file)
    rejecting = shop.app.task(name="rejecting", rate="1/m", rate_mode="reject")(_nothing)
    sized = shop.app.task(name="sized")(_sized)
    other = Shop(file)
    calls = shop.note.call
    with file.connected("driver") as connection:
        with pytest.raises(SerializationError, match="call 1 of the batch") as caught:
            shop.outbox.enqueue_many_sync(connection, [calls(1), calls("x")])  # pyright: ignore[reportArgumentType]
        assert "nothing of the batch was stored" in caught.value.__notes__[0]
        with pytest.raises(ConfigurationError, match='rate_mode="reject"'):
            shop.outbox.enqueue_sync(connection, rejecting)
        with pytest.raises(ConfigurationError, match="not of app"):
            shop.outbox.enqueue_sync(connection, other.note, 1)
        first, second = shop.note.options(job_id="a", depends_on="b"), shop.note.options(job_id="b", depends_on="a")
        with pytest.raises(ConfigurationError, match="in a circle"):
            shop.outbox.enqueue_many_sync(connection, [first.call(1), second.call(2)])
        with pytest.raises(ConfigurationError, match="not enqueued with it"):
            shop.outbox.enqueue_sync(connection, shop.note.options(depends_on=calls(1)), 2)
        with pytest.raises(PayloadTooLarge):
            shop.outbox.enqueue_sync(connection, sized, "x" * 2_000_000)
        with pytest.raises(ConfigurationError, match="where a task is expected"):
            shop.outbox.enqueue_sync(connection, "note", 1)  # pyright: ignore[reportArgumentType, reportCallIssue]
        connection.commit()
    assert rows(shop.outbox) == []


def test_a_connection_of_the_wrong_kind_is_told_what_to_write(file: Place) -> None:
    async def test() -> None:
        shop = Shop(file)
        with file.connected("driver") as connection, pytest.raises(ConfigurationError, match=r"outbox\.enqueue_sync"):
            await shop.outbox.enqueue(connection, shop.note, 1)
        async with file.connected_async("sqlalchemy") as session:
            with pytest.raises(ConfigurationError, match="without _sync"):
                shop.outbox.enqueue_sync(session, shop.note, 1)
        with pytest.raises(ConfigurationError, match=r"cannot write through builtins\.dict"):
            shop.outbox.enqueue_sync({}, shop.note, 1)

    run(test())


def test_a_handle_waits_for_the_commit(file: Place) -> None:
    async def test() -> None:
        shop = Shop(file)
        async with working(shop.app):
            with file.connected("driver") as connection:
                job = shop.outbox.enqueue_sync(connection, shop.note, 1)
                with pytest.raises(ResultTimeout, match="has not been sent yet"):
                    await job.result(timeout=0.05)
                with pytest.raises(ResultTimeout):
                    await job.result(timeout=0)
                waiting = asyncio.create_task(job.result(timeout=10))
                connection.commit()
                assert await waiting == 2
                assert await job.result(timeout=0) == 2

    run(test())


def test_databases_are_said_in_several_ways() -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    app = make_app()
    engine = create_engine("postgresql+psycopg://me:secret@db:5433/shop")
    assert Outbox(app, engine).database.options["conninfo"] == "postgresql://me:secret@db:5433/shop"
    assert Outbox(app, engine).database.where == "postgresql://db:5433/shop"
    file = create_async_engine("sqlite+aiosqlite:////var/shop%20one.db")
    assert Outbox(app, file).database.options["database"] == "/var/shop%20one.db".replace("%20", " ")
    mysql = Outbox(app, "mariadb+pymysql://me:a%2Fb@db/shop").database
    assert (mysql.dialect, mysql.options["password"], mysql.options["database"]) == ("mysql", "a/b", "shop")
    for wrong in ("shop.db", "oracle://db/x", "sqlite://", "sqlite:///:memory:", 7):
        with pytest.raises(ConfigurationError):
            Outbox(app, wrong).database  # noqa: B018
    for table in ("", "a b", "x;drop", "a.b.c", "x" * 49):
        with pytest.raises(ConfigurationError):
            Outbox(app, table=table)
    with pytest.raises(ConfigurationError, match="lease"):
        Outbox(app, lease=0.5)
    with pytest.raises(ConfigurationError, match="does not know its database"):
        Outbox(app).store()
    with pytest.raises(ConfigurationError, match="no outbox for"):
        ddl("oracle")


def test_sqlalchemy_and_the_statements_make_the_same_table(place: Place) -> None:
    """What Alembic would find different, were the table made by one and looked for by the other."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import MetaData

    def own(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name == place.table

    shop, metadata = Shop(place), MetaData()
    shop.outbox.add_to(metadata)
    with place.connected("sqlalchemy") as session:
        context = MigrationContext.configure(session.connection(), opts={"include_name": own, "compare_type": False})
        assert compare_metadata(context, metadata) == []
        place.run("DROP TABLE {table}")
        metadata.create_all(session.connection())
        shop.outbox.enqueue_sync(session, shop.note, 1)
        session.commit()
    assert [row.tries for row in rows(shop.outbox)] == [0]
