"""Dead letters: found, run again in bulk, edited, no faster than asked, and gone after their time."""

from __future__ import annotations

import asyncio
import time

import pytest
from flow_tasks import Tasks

from naq import ConfigurationError, JobState, SerializationError
from naq.flow.letters import Pace, Search, edited, find_letters, replay
from naq.job import JobSpec, new_id
from tests.tools import Place, ended, run, working

KEYS = ["k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]


def test_search(place: Place):
    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app, queues=["default", "mail"]):
            backend = await app.connect()
            begin = time.time()
            first = await tasks.fail.options(tags={"n": "1"}).enqueue("first")
            await ended(first)
            second = await tasks.fail.options(queue="mail").enqueue("second")
            await ended(second)
            third = await tasks.note.options(depends_on=second).enqueue("third")
            await ended(third)
            junk = JobSpec(id=new_id(), payload=b"\xff junk", queue="mail")
            await backend.enqueue([junk])

            async def found(**words: object) -> list[str]:
                search = Search(**words)  # pyright: ignore[reportArgumentType]
                return [letter.id for letter in await find_letters(backend, search)]

            async with asyncio.timeout(30):
                while not await found(kind="malformed"):  # noqa: ASYNC110  stores have no event for this
                    await asyncio.sleep(0.01)
            failed = [third.id, second.id, first.id]
            assert await found(kind="failed") == failed
            assert len(await found()) == 4
            assert await found(task="fa*") == failed[1:]
            assert await found(reason="ON PURPOSE") == failed[1:]
            assert await found(reason="waited for") == [third.id]
            assert await found(queue="mail", kind="failed") == [second.id]
            assert await found(tags={"n": "1"}) == [first.id]
            assert await found(until=begin) == []
            assert await found(since=begin - 1, task="fail") == failed[1:]
            assert [letter.id for letter in await find_letters(backend, Search(task="fail"), limit=1)] == [second.id]

    run(body())


def test_in_bulk_and_slowly(place: Place):
    async def body() -> None:
        app = place.make()
        fine = False

        @app.task(name="flaky")
        async def flaky() -> bool:
            if not fine:
                raise OSError("down")
            return fine

        async with app, working(app):
            backend = await app.connect()
            jobs = [await flaky.enqueue() for _ in range(12)]
            for job in jobs:
                assert (await ended(job)).state is JobState.FAILED
            fine = True
            letters = await app.dead_letters(task="fl?ky", reason="down")
            ids = [letter.id for letter in letters]
            begin = time.monotonic()
            assert await replay(backend, ids[:5], rate=20) == [True] * 5
            assert time.monotonic() - begin >= 4 / 20
            assert await replay(backend, [*ids[5:7], "nobody"]) == [True, True, False]
            assert await app.retry_dead([*letters[7:], ids[0]]) == 5
            for job in jobs:
                record = await ended(job)
                assert (record.state, record.run) == (JobState.SUCCEEDED, 2)
            assert await find_letters(backend, Search()) == []

    run(body())


@pytest.mark.parametrize(
    "keys", [{}, {"signing_keys": KEYS}, {"encryption_keys": KEYS}], ids=["plain", "signed", "encrypted"]
)
def test_edited(place: Place, keys: dict[str, list[str]]):
    async def body() -> None:
        app = place.make(**keys)

        @app.task(name="divide")
        async def divide(number: int, by: int, *, note: str = "") -> str:
            return f"{number // by} {note}"

        async with app, working(app):
            backend = await app.connect()
            job = await divide.enqueue(8, 0, note="first")
            assert (await ended(job)).state is JobState.FAILED
            letter = await backend.letter(job.id)
            assert letter is not None
            payload = edited(letter, app.config, args=[8, 2], kwargs={"note": "again"})
            assert await backend.requeue(job.id, payload=payload)
            assert await job.result(30) == "4 again"
            assert (await job.record()).errors == []
            assert not await app.retry_edited(letter, [8, 2])
            with pytest.raises(SerializationError, match="no JSON form"):
                edited(letter, app.config, kwargs={"note": object()})

    run(body())


def test_a_message_that_is_no_job_is_not_edited(place: Place):
    async def body() -> None:
        app = place.make()
        async with app, working(app, queues=["default"]):
            backend = await app.connect()
            await backend.enqueue([JobSpec(id=new_id(), payload=b"junk")])
            async with asyncio.timeout(30):
                while not (letters := await find_letters(backend, Search())):  # noqa: ASYNC110  no event for this
                    await asyncio.sleep(0.01)
            with pytest.raises(ConfigurationError, match="nothing to edit"):
                edited(letters[0], app.config, args=[])
            assert await replay(backend, [letters[0].id]) == [False]

    run(body())


def test_they_are_kept_for_as_long_as_is_said(place: Place):
    async def body() -> None:
        app = place.make(dead_ttl=2)
        tasks = Tasks(app)
        async with app, working(app):
            backend = await app.connect()
            job = await tasks.fail.enqueue()
            await ended(job)
            assert await backend.letter(job.id) is not None
            async with asyncio.timeout(30):
                while await backend.letter(job.id) is not None:  # noqa: ASYNC110  time has no event
                    await asyncio.sleep(0.05)
            assert await backend.dead() == []
            assert not await backend.requeue(job.id)
            assert (await job.record()).state is JobState.FAILED

    run(body())


def test_a_pace_that_is_none():
    with pytest.raises(ConfigurationError, match="nothing happen"):
        Pace(0)
