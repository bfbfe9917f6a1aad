"""Tasks that stream: every reader gets everything, in order, typed; attempts that begin anew are told apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from naq import JobCancelled, JobExecutionError, JobNotFoundError, ResultTimeout, current_context
from naq.backends.base import Event
from naq.backends.memory import MemoryBackend
from naq.codec.streamed import Streamed
from naq.config import Config
from naq.context import Context
from naq.exceptions import StreamRestarted
from naq.inside.ground import set_ground
from naq.streaming import writing
from naq.streaming.writing import stream
from naq.worker.buffer.writer import EventWriter
from naq.worker.noting import Noting
from tests.tools import DEADLINE, Place, until_so, working


@dataclass
class Token:
    text: str


def test_items_come_while_the_task_goes_on(place: Place) -> None:
    app = place.make()
    said: list[asyncio.Event] = []

    @app.task(name="talk")
    async def talk(words: list[str]) -> AsyncIterator[Token]:
        for word, event in zip(words, said, strict=True):
            yield Token(word)
            await event.wait()

    async def main() -> None:
        said.extend(asyncio.Event() for _ in range(3))
        async with working(app):
            job = await talk.enqueue(["a", "b", "c"])
            got: list[Token] = []
            async for token in job.stream(timeout=DEADLINE):
                got.append(token)
                said[len(got) - 1].set()  # the next comes only when this one has been read
            assert got == [Token("a"), Token("b"), Token("c")]
            assert await job.result(timeout=DEADLINE) == Streamed(3)
            again = [token async for token in job.stream()]  # a late reader, from the start
            assert again == got
            async with place.again(app) as other:
                plain: Any = [item async for item in other.job(job.id).stream()]
                assert plain == [{"text": "a"}, {"text": "b"}, {"text": "c"}]

    asyncio.run(main())


def test_many_items_for_many_readers_of_every_speed(place: Place) -> None:
    app = place.make()
    count = 3000

    @app.task(name="count")
    def numbers(count: int) -> Iterator[int]:
        yield from range(count)

    async def read(items: AsyncIterator[int], pause: bool) -> list[int]:
        found: list[int] = []
        async for item in items:
            found.append(item)
            if pause and not item % 100:
                await asyncio.sleep(0.002)
        return found

    async def main() -> None:
        async with working(app):
            job = await numbers.enqueue(count)
            readers = [read(job.stream(timeout=DEADLINE), pause) for pause in (False, True, True)]
            assert await asyncio.gather(*readers) == [list(range(count))] * 3
            stream = job.stream()
            marked = [(item.number, item.value, item.attempt) async for item in stream.items()]
            assert marked == [(n, n, 1) for n in range(count)]

    asyncio.run(main())


def test_an_attempt_that_begins_anew_is_told(place: Place) -> None:
    app = place.make()

    @app.task(name="fragile", retry=[0.3])
    async def fragile() -> AsyncIterator[str]:
        attempt = current_context().attempt
        for n in range(attempt + 1):
            yield f"{attempt}.{n}"
        if attempt == 1:
            raise ValueError("broken")

    async def main() -> None:
        async with working(app):
            job = await fragile.enqueue()
            stream = job.stream(timeout=DEADLINE)
            first = [await anext(stream), await anext(stream)]
            assert first == ["1.0", "1.1"]
            with pytest.raises(StreamRestarted, match="attempt 2") as told:
                await anext(stream)
            assert told.value.attempt == 2
            assert [item async for item in stream] == ["2.0", "2.1", "2.2"]
            assert (stream.attempt, stream.count) == (2, 3)
            assert [item async for item in job.stream()] == ["2.0", "2.1", "2.2"]  # a late reader: what counts

    asyncio.run(main())


def test_how_it_ends_is_how_the_job_ends(place: Place) -> None:
    app = place.make()
    forever = asyncio.Event()

    @app.task(name="fails")
    async def fails() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    @app.task(name="waits")
    async def waits() -> AsyncIterator[int]:
        yield 1
        await forever.wait()

    @app.task(name="odd")
    def odd() -> Iterator[Any]:
        yield 1
        yield object()

    async def read(items: AsyncIterator[Any]) -> list[Any]:
        found: list[Any] = []
        try:
            async for item in items:
                found.append(item)  # noqa: PERF401  what came before the error counts
        except (JobExecutionError, JobCancelled, ResultTimeout) as error:
            found.append(type(error).__name__)
        return found

    async def main() -> None:
        async with working(app):
            assert await read((await fails.enqueue()).stream(timeout=DEADLINE)) == [1, "JobExecutionError"]
            assert await read((await odd.enqueue()).stream(timeout=DEADLINE)) == [1, "JobExecutionError"]
            job = await waits.enqueue()
            assert await read(job.stream(timeout=1)) == [1, "ResultTimeout"]
            reading = asyncio.create_task(read(job.stream(timeout=DEADLINE)))
            await job.cancel()
            assert await reading == [1, "JobCancelled"]
            with pytest.raises(JobNotFoundError):
                await read(app.job("never-was").stream())

    asyncio.run(main())


def test_a_task_is_not_asked_for_more_than_the_broker_has_taken() -> None:
    """Back-pressure: with a broker that takes nothing, a generator stops after so many items."""

    class Stuck(MemoryBackend):
        goes_on: asyncio.Event

        async def append(self, events: Any) -> None:
            await self.goes_on.wait()
            await super().append(events)

    given: list[int] = []

    async def endless() -> AsyncIterator[int]:
        for n in range(2 * writing.MOST_ITEMS + 50):
            given.append(n)
            yield n

    async def main() -> None:
        from naq.backends.memory import connect
        from naq.codec.signature import Signature

        config = Config(broker_url="memory:stuck-stream")
        healthy = connect(config)
        assert isinstance(healthy, MemoryBackend)
        backend = Stuck(config, healthy._store)  # pyright: ignore[reportPrivateUsage]
        backend.goes_on = asyncio.Event()
        await backend.open()
        set_ground(Noting(backend, config, EventWriter(backend, config, "w")))
        context = Context(job_id="j", task="t", queue="q")
        going = asyncio.create_task(stream(endless(), Signature.of(endless, "t"), context))

        async def stopped() -> bool:
            before = len(given)
            await asyncio.sleep(0.05)
            return 0 < before == len(given)

        await until_so(stopped)
        assert len(given) <= 2 * writing.MOST_ITEMS + 2
        assert not going.done()
        backend.goes_on.set()
        assert await going == Streamed(2 * writing.MOST_ITEMS + 50)
        events: list[Event] = [event for _, event in await backend.follow("j")]
        assert len(events) < 20  # what was waiting went together
        await backend.close()

    asyncio.run(main())
