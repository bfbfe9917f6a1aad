"""Progress, metrics, tags and log lines of jobs: in a coroutine, and in a thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import msgspec
import pytest

from naq import ConfigurationError, NaqException, current_context
from naq.config import Config
from naq.context import Context
from naq.inside.notes import LOG, PROGRESS, Line, Lines, Progress, read_note
from naq.inside.taken import TAIL, Taken
from naq.job import JobState
from tests.tools import DEADLINE, Place, working

mine = logging.getLogger("inside.tests")


@pytest.fixture(autouse=True)
def lines_of_info() -> Iterator[None]:
    mine.setLevel(logging.INFO)
    logging.getLogger("naq.task").setLevel(logging.INFO)
    yield
    mine.setLevel(logging.NOTSET)
    logging.getLogger("naq.task").setLevel(logging.NOTSET)


def test_what_a_job_reports_can_be_read_while_it_runs_and_afterwards(place: Place) -> None:
    app = place.make()
    goes_on = asyncio.Event()

    @app.task(name="load", tags={"tenant": "acme"})
    async def load() -> dict[str, str]:
        context = current_context()
        context.progress(0.25, "reading")
        context.record_metric("rows", 17)
        mine.info("read %d rows", 17, extra={"table": "t"})
        context.logger.warning("slow")
        await goes_on.wait()
        context.progress(percent=100)
        return context.tags

    async def main() -> None:
        async with working(app):
            job = await load.enqueue()
            seen = [line async for line in _first(job.logs(follow=True), 2)]
            assert [(line.level, line.logger, line.text) for line in seen] == [
                ("INFO", "inside.tests", "read 17 rows"),
                ("WARNING", "naq.task.load", "slow"),
            ]
            progress = await job.progress()
            assert progress is not None
            assert (progress.value, progress.percent, progress.message, progress.attempt) == (0.25, 25.0, "reading", 1)
            assert await job.status() is JobState.RUNNING
            goes_on.set()
            assert await job.result(timeout=DEADLINE) == {"tenant": "acme"}
            progress = await job.progress()
            assert progress is not None
            assert (progress.value, progress.message) == (1.0, "reading")
            assert [(metric.name, metric.value) for metric in await job.metrics()] == [("rows", 17)]
            other = place.again(app)
            async with other:
                handle = other.job(job.id)
                assert [line.text async for line in handle.logs()] == ["read 17 rows", "slow"]
                assert [line.text async for line in handle.logs(tail=1, follow=True)] == ["slow"]

    asyncio.run(main())


def test_a_plain_function_reports_from_its_thread(place: Place) -> None:
    app = place.make()

    @app.task(name="crunch", retry=[0.05])
    def crunch() -> int:
        context = current_context()
        context.progress(percent=10 * context.attempt)
        mine.error("attempt %d", context.attempt)
        if context.attempt == 1:
            raise ValueError("again")
        return context.attempt

    async def main() -> None:
        async with working(app):
            job = await crunch.enqueue()
            assert await job.result(timeout=DEADLINE) == 2
            progress = await job.progress()
            assert progress is not None
            assert (progress.value, progress.attempt) == (0.2, 2)
            assert [(line.attempt, line.text) async for line in job.logs()] == [(1, "attempt 1"), (2, "attempt 2")]

    asyncio.run(main())


def test_lines_of_others_are_not_a_jobs(place: Place) -> None:
    app = place.make()

    @app.task(name="talk")
    async def talk(word: str) -> None:
        mine.info("%s", word)
        await asyncio.sleep(0)
        mine.info("%s again", word)
        logging.getLogger("naq.worker").warning("not of the job")

    async def main() -> None:
        async with working(app):
            mine.info("of nobody")
            jobs = [await talk.enqueue(word) for word in ("a", "b", "c")]
            for job, word in zip(jobs, "abc", strict=True):
                await job.result(timeout=DEADLINE)
                assert [line.text async for line in job.logs()] == [word, f"{word} again"]

    asyncio.run(main())


def test_what_is_encrypted_is_read_with_the_keys_alone(place: Place) -> None:
    pytest.importorskip("cryptography", reason="missing: cryptography; pip install 'naq[crypto]'")
    key = "k1:" + "A" * 43 + "="
    app = place.make(encryption_keys=[key], signing_keys=[key])

    @app.task(name="secret")
    async def secret() -> str:
        context = current_context()
        context.progress(0.5, "counting the gold")
        await context.checkpoint({"gold": 7})
        await context.artifact("gold.txt", b"seven bars")
        return await context.step("weigh", lambda: "7 kg")

    async def main() -> None:
        async with working(app):
            job = await secret.enqueue()
            assert await job.result(timeout=DEADLINE) == "7 kg"
            progress = await job.progress()
            assert progress is not None
            assert progress.message == "counting the gold"
            [artifact] = await job.artifacts()
            assert await artifact.read() == b"seven bars"
            backend = await app.connect()
            raw = [event.data for _, event in await backend.follow(job.id, kinds=(PROGRESS,))]
            for kind in ("checkpoint", "step", "artifact"):
                raw += [entry.value for entry in await backend.entries(kind)]
            assert len(raw) == 5
            assert not any(word in data for data in raw for word in (b"gold", b"weigh", b"seven"))
            async with place.again(app) as other:
                with pytest.raises(NaqException, match="there are no keys for it here"):
                    await other.job(job.id).progress()

    asyncio.run(main())


def test_progress_is_coalesced_and_never_falls() -> None:
    taken = _taken(progress_delta=0.1, progress_interval=1.0)
    _report(taken, 0.0)
    assert _written(taken, 100.0) == [0.0]
    for value in (0.05, 0.09):
        _report(taken, value)
        assert _written(taken, 200.0) == []  # too little to be worth it
    _report(taken, 0.1)
    assert _written(taken, 201.0) == [0.1]
    _report(taken, 0.5)
    assert taken.take(201.5) == ([], 202.0)  # too soon: asked again when it is time
    _report(taken, 0.3)
    assert _written(taken, 202.0) == [0.5]
    _report(taken, 0.2)
    _report(taken, 0.501)
    assert _written(taken, 300.0) == []
    assert _written(taken, 300.0, last=True) == [0.501]  # at the end nothing is kept back
    assert _written(taken, 400.0, last=True) == []


def test_a_new_message_is_worth_a_write() -> None:
    taken = _taken()
    taken.progress(0.5, "one")
    taken.take(1.0)
    taken.progress(None, "two")
    [event], _ = taken.take(2.0)
    note = read_note(Config(), event, Progress)
    assert (note.value, note.message) == (0.5, "two")


@pytest.mark.parametrize("given", [{"value": -0.1}, {"value": 1.01}, {"percent": 101}, {"value": float("nan")}])
def test_progress_out_of_range_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="0 to 1"):
        Context(job_id="j", task="t").progress(given.get("value"), percent=given.get("percent"))


def test_outside_a_worker_it_says_what_is_missing() -> None:
    with pytest.raises(NaqException, match="no worker runs this"):
        Context(job_id="j", task="t").progress(0.5)


def test_log_lines_are_bounded_and_the_last_ones_kept() -> None:
    taken = _taken(job_log_lines=5)
    for number in range(5 + 7 + TAIL):
        taken.line(Line(0.0, "INFO", "x", f"line {number}"))
    events, _ = taken.take(1.0)
    assert [line.text for event in events for line in _lines(event.data)] == [f"line {n}" for n in range(5)]
    events, _ = taken.take(2.0, last=True)
    note = read_note(Config(), events[-1], Lines)
    assert note.dropped == 7
    assert [line.text for line in note.lines] == [f"line {n}" for n in range(12, 12 + TAIL)]


def test_long_lines_and_many_bytes_are_cut() -> None:
    taken = _taken(job_log_bytes=20_000)
    for _ in range(3):
        taken.line(Line(0.0, "INFO", "x", "y" * 100_000))
    events, _ = taken.take(1.0, last=True)
    notes = [read_note(Config(), event, Lines) for event in events if event.kind == LOG]
    assert [len(note.lines) for note in notes] == [1, 2]
    assert all(len(line.text) < 20_000 and "100000 characters" in line.text for note in notes for line in note.lines)


def test_without_lines_none_are_kept() -> None:
    taken = _taken(job_log_lines=0)
    taken.line(Line(0.0, "INFO", "x", "y"))
    assert taken.take(1.0, last=True) == ([], None)


def _taken(**settings: float) -> Taken:
    context = Context(job_id="j", task="t", queue="q", attempt=2)
    return Taken(context, Config(**settings), lambda _: None)  # pyright: ignore[reportArgumentType]


def _report(taken: Taken, value: float) -> None:
    taken.progress(value, None)


def _written(taken: Taken, now: float, *, last: bool = False) -> list[float]:
    events, _ = taken.take(now, last=last)
    return [read_note(Config(), event, Progress).value for event in events]


def _lines(data: bytes) -> list[Line]:
    return msgspec.json.decode(data, type=Lines).lines


async def _first(lines: AsyncGenerator[Line], count: int) -> AsyncGenerator[Line]:
    """The first `count` of them."""
    async with aclosing(lines):
        for _ in range(count):
            yield await anext(lines)
