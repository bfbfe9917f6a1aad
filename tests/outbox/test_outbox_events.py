"""Events and functions without an app, as rows of a transaction."""

from __future__ import annotations

from typing import Any

import pytest
from outbox_functions import double
from outbox_tools import Place, Shop, rows

from naq import Naq, Queue, clock
from naq.events.wire import KIND
from naq.exceptions import ConfigurationError, PayloadTooLarge, SerializationError
from naq.outbox.outbox import LEASE
from naq.testing.clock import FakeClock
from tests.tools import run, until, working


def heard_by(shop: Shop) -> list[int]:
    """What the handler of an app hears of ``order.placed``."""
    heard: list[int] = []

    @shop.app.on("order.*")
    @shop.app.task(name="hear")
    async def hear(number: int) -> None:
        heard.append(number)

    return heard


@pytest.mark.parametrize("kind", ["driver", "sqlalchemy"])
def test_an_event_that_is_committed_is_published_once_and_one_that_is_rolled_back_never(
    place: Place, kind: str
) -> None:
    async def test() -> None:
        shop = Shop(place)
        heard, placed = heard_by(shop), shop.app.event("order.placed", int)
        async with working(shop.app):
            with place.connected(kind) as connection:
                shop.outbox.publish_sync(connection, placed, 1)
                connection.rollback()
                first = shop.outbox.publish_sync(connection, placed, 2)
                shop.outbox.publish_sync(connection, placed, 3, event_id="three")
                job = shop.outbox.enqueue_sync(connection, shop.note, 4)
                connection.commit()
                shop.outbox.publish_sync(connection, placed, 3, event_id="three")
                connection.commit()
            assert first
            assert await job.result(timeout=10) == 8
            await until(lambda: len(heard) == 2)
            await shop.emptied()
        assert sorted(heard) == [2, 3]

    run(test())


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)  # for MySQL naq knows no such driver
def test_the_same_through_a_connection_that_is_awaited(place: Place) -> None:
    async def test() -> None:
        shop = Shop(place)
        heard, placed = heard_by(shop), shop.app.event("order.placed", int)
        async with working(shop.app):
            async with place.connected_async("driver") as connection:
                await shop.outbox.publish(connection, placed, 5, key="five")
                await connection.commit()
            await until(lambda: heard == [5])

    run(test())


def test_a_relay_that_died_after_it_published_is_followed(file: Place) -> None:
    async def test(time: FakeClock) -> None:
        shop = Shop(file)
        placed = shop.app.event("order.placed", int)
        async with shop.app:
            with file.connected("driver") as connection:
                event_id = shop.outbox.publish_sync(connection, placed, 1)
                connection.commit()
            store = shop.outbox.store()
            [row] = store.claim(10, clock.now(), clock.now() + LEASE)
            assert (row.job_id, row.task) == (event_id, "order.placed")
            backend = await shop.app.connect()
            await backend.append([placed.event(1, event_id=event_id)])
            assert await shop.outbox.flush() == 0
            time.advance(LEASE + 1)
            assert await shop.outbox.flush() == 1
            assert rows(shop.outbox) == []
            assert [event.job_id for _, event in await backend.read(kind=KIND)] == [event_id, event_id]
            store.close()

    with FakeClock() as time:
        run(test(time))


def test_beyond_the_time_that_records_are_kept_a_person_is_asked(file: Place) -> None:
    async def test(time: FakeClock) -> None:
        shop = Shop(file)
        placed = shop.app.event("order.placed", int)
        async with shop.app:
            with file.connected("driver") as connection:
                shop.outbox.publish_sync(connection, placed, 1)
                connection.commit()
            store = shop.outbox.store()
            store.claim(10, clock.now(), clock.now() + LEASE)
            store.close()
            time.advance(8 * 86_400)
            await shop.app.connect()
            assert await shop.outbox.flush() == 1
            [row] = rows(shop.outbox, stuck=True)
            assert "cannot be known" in (row.reason or "")

    with FakeClock() as time:
        run(test(time))


def test_what_is_wrong_with_an_event_is_refused_in_the_transaction(file: Place) -> None:
    shop, other = Shop(file), Naq("elsewhere", broker_url="memory:elsewhere")
    placed, text = shop.app.event("order.placed", int), shop.app.event("note.written", str)
    with file.connected("driver") as connection:
        bad: list[tuple[type[Exception], str, Any, Any]] = [
            (SerializationError, "order.placed", placed, "x"),
            (PayloadTooLarge, "max_payload", text, "x" * 2_000_000),
            (ConfigurationError, "not of app", other.event("order.placed", int), 1),
        ]
        for kind, words, event, data in bad:
            with pytest.raises(kind, match=words):
                shop.outbox.publish_sync(connection, event, data)
        connection.commit()
    assert rows(shop.outbox) == []


def test_a_naq_that_knows_no_rows_of_events_does_not_take_one_for_a_job(file: Place) -> None:
    """It says that it is too old for version 2, and the row is kept."""
    shop = Shop(file)
    with file.connected("driver") as connection:
        shop.outbox.publish_sync(connection, shop.app.event("order.placed", int), 1)
        connection.commit()
    [row] = rows(shop.outbox)
    assert '"v":2' in row.spec


def test_functions_without_an_app(place: Place) -> None:
    """By themselves, and with the options that a queue gives them."""

    async def test() -> None:
        shop = Shop(place)
        async with working(shop.app, imports=["outbox_functions"]):
            with place.connected("driver") as connection:
                job = shop.outbox.enqueue_sync(connection, double, 4)
                queue = Queue("default", app=shop.app)
                [more] = shop.outbox.enqueue_many_sync(connection, [queue.call(double, 5, max_retries=2)])
                with pytest.raises(SerializationError):
                    shop.outbox.enqueue_sync(connection, double, "x")  # pyright: ignore[reportArgumentType]
                with pytest.raises(ConfigurationError, match="where a task is expected"):
                    shop.outbox.enqueue_sync(connection, "double", 1)  # pyright: ignore[reportArgumentType, reportCallIssue]
                connection.commit()
            assert await job.result(timeout=10) == 8
            assert await more.result(timeout=10) == 10
            assert (await more.record()).task == "outbox_functions.double"

    run(test())


def test_an_outbox_says_which_call_a_connection_needs(file: Place) -> None:
    async def test() -> None:
        shop = Shop(file)
        placed = shop.app.event("order.placed", int)
        with file.connected("driver") as connection, pytest.raises(ConfigurationError, match="_sync"):
            await shop.outbox.publish(connection, placed, 1)

    run(test())
