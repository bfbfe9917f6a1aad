"""Reading a stream whose parts come as a crash leaves them: begun anew, twice, late, or with a gap."""

from __future__ import annotations

import asyncio
from itertools import count

import msgspec
import pytest
from msgspec import Raw

from naq import Naq, NaqException, StreamRestarted
from naq.backends.base import Backend
from naq.config import Config
from naq.context import Context
from naq.inside.notes import write_note
from naq.streaming.items import ITEM, Part

_numbers = count(1)


async def _give(backend: Backend, values: list[int], first: int, *, attempt: int = 1, claims: int = 1) -> None:
    context = Context(job_id="j", task="t", queue="q", attempt=attempt, claims=claims)
    items = [Raw(msgspec.json.encode(value)) for value in values]
    part = Part(attempt=attempt, claims=claims, task="t", first=first, items=items)
    await backend.append([write_note(Config(), ITEM, part, context)])


def _app() -> Naq:
    return Naq("parts", broker_url=f"memory:stream-parts-{next(_numbers)}")


def test_a_second_delivery_of_the_same_attempt_begins_anew() -> None:
    async def main() -> None:
        async with _app() as app:
            backend = await app.connect()
            await _give(backend, [1, 2], 0)
            stream = app.job("j").stream(timeout=10)
            assert [await anext(stream), await anext(stream)] == [1, 2]
            await _give(backend, [10, 11], 0, claims=2)  # its worker died, another has it
            await _give(backend, [3], 2)  # it was only frozen, and goes on talking
            await _give(backend, [10, 11], 0, claims=2)  # the acknowledgement of a part was lost
            await _give(backend, [12], 2, claims=2)
            with pytest.raises(StreamRestarted):
                await anext(stream)
            assert [await anext(stream) for _ in range(3)] == [10, 11, 12]
            late = app.job("j").stream(timeout=10)
            assert [await anext(late) for _ in range(3)] == [10, 11, 12]

    asyncio.run(main())


def test_what_is_gone_is_told() -> None:
    async def main() -> None:
        async with _app() as app:
            backend = await app.connect()
            await _give(backend, [1], 0)
            await _give(backend, [5], 4)
            stream = app.job("j").stream(timeout=10)
            assert await anext(stream) == 1
            with pytest.raises(NaqException, match="items 1 to 3 of job j are gone"):
                await anext(stream)

    asyncio.run(main())
