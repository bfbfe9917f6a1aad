"""Events: handlers as jobs of their own, once for each event, wherever they are known."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

from naq import ConfigurationError, Naq, PayloadTooLarge, SerializationError, current_context
from naq.events.handling import forget, known
from naq.events.wire import check_pattern, matches
from naq.job import JobState
from naq.worker import Worker
from tests.tools import Place, until_so, working


@dataclass
class Order:
    number: int


def test_every_handler_that_fits_runs_as_a_job_of_its_own(place: Place) -> None:
    app = place.make()
    seen: list[tuple[str, Any]] = []
    placed = app.event("order.placed", Order)

    @app.on("order.*", name="audit")
    async def audit(order: Order) -> None:
        headers = current_context().headers
        seen.append((f"audit {headers['Naq-Event']} {headers['Naq-Event-Id']} {headers['Naq-Event-Key']}", order))

    @app.on(placed, name="ship", retry=[0.01])
    def ship(order: Order) -> None:
        if current_context().attempt == 1:
            raise ValueError("again")
        seen.append(("ship", order))

    @app.on("invoice.>", name="other")
    def other(order: Order) -> None:
        seen.append(("other", order))

    async def main() -> None:
        async with working(app):
            # The producer knows nothing of the handlers.
            async with place.again(app) as producer:
                event_id = await producer.event("order.placed").publish({"number": 7}, key="o7")

            async def attempts() -> dict[str, int]:
                jobs = await (await app.connect()).jobs(states=[JobState.SUCCEEDED])
                return {job.task: job.attempt for job in jobs}

            async def both() -> bool:
                return len(await attempts()) == 2

            await until_so(both)
            assert await attempts() == {"audit": 1, "ship": 2}
            assert sorted(seen, key=lambda each: each[0]) == [
                (f"audit order.placed {event_id} o7", Order(7)),
                ("ship", Order(7)),
            ]

    asyncio.run(main())


def test_the_same_event_is_handled_once(place: Place) -> None:
    app = place.make()
    seen: list[int] = []
    placed = app.event("order.placed", Order)

    @app.on("order.placed", name="handle")
    async def handle(order: Order) -> None:
        seen.append(order.number)

    async def main() -> None:
        async with working(app):
            for _ in range(3):
                await placed.publish(Order(1), event_id="order-1-placed")
            await placed.publish(Order(2))

            async def the_last_was_seen() -> bool:
                return 2 in seen

            await until_so(the_last_was_seen)
        async with working(app):  # another worker, which begins where the first has stopped
            await placed.publish(Order(1), event_id="order-1-placed")
            await placed.publish(Order(3))

            async def the_next_was_seen() -> bool:
                return 3 in seen

            await until_so(the_next_was_seen)
        assert seen == [1, 2, 3]

    asyncio.run(main())


def test_a_handler_that_comes_later_gets_what_comes_later_unless_it_asks(place: Place) -> None:
    app = place.make()
    seen: dict[str, list[int]] = {"first": [], "new": [], "all": [], "since": []}
    placed = app.event("order.placed", Order)

    def collector(name: str) -> Any:
        async def collect(order: Order) -> None:
            seen[name].append(order.number)

        return collect

    app.on("order.placed", name="first")(collector("first"))

    async def sees(name: str, number: int) -> None:
        async def there() -> bool:
            return number in seen[name]

        await until_so(there)

    async def main() -> None:
        async with working(app):
            await placed.publish(Order(1))
            await sees("first", 1)
            since = time.time()
            await placed.publish(Order(2))
            await sees("first", 2)
        later = place.again(app)
        for name, options in {"new": {}, "all": {"replay": True}, "since": {"since": since}}.items():
            later.on("order.*", name=name, **options)(collector(name))  # pyright: ignore[reportArgumentType]
        async with working(later):
            async with place.again(app) as producer:
                await producer.event("order.placed", Order).publish(Order(3))
            for name in ("new", "all", "since"):
                await sees(name, 3)
            handlers = await known(await later.connect(), later.config)
            assert [handler.task for handler in handlers] == ["all", "first", "new", "since"]
            assert all(handler.joined for handler in handlers)
            assert await forget(await later.connect(), "first")
            assert not await forget(await later.connect(), "first")
        assert {name: sorted(numbers) for name, numbers in seen.items()} == {
            "first": [1, 2],
            "new": [3],
            "all": [1, 2, 3],
            "since": [2, 3],
        }

    asyncio.run(main())


def test_no_event_is_lost_or_handled_twice_when_leaders_change(place: Place) -> None:
    app = place.make()
    seen: list[int] = []
    count = 60

    @app.on("tick", name="tick")
    async def tick(number: int) -> None:
        seen.append(number)

    async def main() -> None:
        async with working(app):
            published = 0
            for _ in range(3):
                worker = Worker(app)
                running = asyncio.create_task(worker.run())
                await worker.wait_ready()
                for _ in range(count // 3):
                    await app.event("tick", int).publish(published)
                    published += 1
                worker.stop()
                await running

            async def all_of_them() -> bool:
                return len(set(seen)) == count

            await until_so(all_of_them)
            assert sorted(seen) == list(range(count))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("order.placed", "order.placed", True),
        ("order.placed", "order.paid", False),
        ("order.*", "order.placed", True),
        ("order.*", "order", False),
        ("order.*", "order.item.added", False),
        ("*.placed", "order.placed", True),
        ("order.>", "order.item.added", True),
        ("order.>", "order", False),
        (">", "order", True),
        ("*", "order.placed", False),
        ("order.*.added", "order.item.added", True),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches(check_pattern(pattern), name) is fits


@pytest.mark.parametrize("pattern", ["", ".", "a.", "a..b", "a b", ">.a", "a.>.b", "a*", "ä", 5])
def test_patterns_that_are_none(pattern: Any) -> None:
    with pytest.raises(ConfigurationError, match="event pattern"):
        check_pattern(pattern)


def test_what_cannot_be_is_refused_before_anything_is_stored() -> None:
    app = Naq(broker_url="memory:events-refused", max_payload=2000)
    for name in ("", "a..b", "a b", "order.*"):
        with pytest.raises(ConfigurationError, match="event"):
            app.event(name)
    with pytest.raises(ConfigurationError, match="which events"):
        app.on()
    with pytest.raises(ConfigurationError, match="one argument"):

        @app.on("x", name="none")
        def none() -> None: ...

    with pytest.raises(ConfigurationError, match="one argument"):

        @app.on("x", name="two")
        def two(a: int, b: int) -> None: ...

    async def main() -> None:
        async with app:
            with pytest.raises(SerializationError, match=r"event order\.placed"):
                await app.event("order.placed", Order).publish({"number": 7})  # pyright: ignore[reportArgumentType]
            with pytest.raises(PayloadTooLarge, match="max_payload"):
                await app.event("x", str).publish("y" * 3000)
            with pytest.raises(ConfigurationError, match="event key"):
                await app.event("x", str).publish("y", key="a\r\nb")
            with pytest.raises(ConfigurationError, match="event id"):
                await app.event("x", str).publish("y", event_id="a b")
            assert await (await app.connect()).read() == []

    asyncio.run(main())


def test_a_sync_program_publishes(place: Place) -> None:
    app = place.make()
    seen: list[int] = []

    @app.on("order.placed", name="handle")
    def handle(order: Order) -> None:
        seen.append(order.number)

    async def main() -> None:
        async with working(app):
            await asyncio.to_thread(app.event("order.placed", Order).publish_sync, Order(5))

            async def it_was_seen() -> bool:
                return seen == [5]

            await until_so(it_was_seen)

    asyncio.run(main())
