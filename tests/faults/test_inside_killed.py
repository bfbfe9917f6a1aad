"""Workers that die between what a job did and what is kept of it: durable steps, sleeps, waiting, streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from rig.fleet import Rig, story, until
from rig.inside import done
from rig.specs import job

from naq import Naq, StreamRestarted
from naq.job import JobState
from naq.streaming.reading import Stream

if TYPE_CHECKING:
    from naq.job import JobRecord

pytestmark = pytest.mark.faults
PARTS = 40  # items of a stream


@pytest.mark.parametrize(
    ("task", "point", "charged", "shipped"),
    [
        ("stepped", "step.ran:kill", 2, 1),  # it ran and nothing was kept: it is the one thing that happens twice
        ("stepped_thread", "step.ran:kill:after=1", 1, 2),  # the same of the second step, from a thread
        ("stepped", "step.kept:kill", 1, 1),  # it was kept, though the task never heard of it
        ("stepped", "run.after_task:kill", 1, 1),  # all was done, and nobody knew: neither step runs again
    ],
)
@story
async def test_a_worker_dies_around_a_durable_step(rig: Rig, task: str, point: str, charged: int, shipped: int) -> None:
    """What was kept is not done again; what ran without being kept is, once."""
    async with rig.connected() as app:
        victim = rig.worker(fault=point)
        await rig.ready(victim)
        (job_id,) = await rig.enqueue(job(app, task, str(rig.folder)))
        await rig.struck(victim)
        rescuer = rig.worker()
        report = await rig.verdict("succeeded", "death")
        assert report.seen["executed"] == 2
        assert [len(done(rig.folder, what)) for what in ("charge", "ship")] == [charged, shipped]
        assert await app.job(job_id).result(timeout=5) == [charged, shipped], "what is returned is what was kept"
        await rig.ready(rescuer)
        await rig.stop(rescuer)


@pytest.mark.parametrize("point", ["step.kept:kill:after=1", ""])
@story
async def test_a_worker_dies_with_a_job_that_sleeps(rig: Rig, point: str) -> None:
    """As it falls asleep, or while it sleeps and holds no slot: it wakes when it was to, and does nothing twice."""
    async with rig.connected() as app:
        victim = rig.worker(fault=point)
        await rig.ready(victim)
        (job_id,) = await rig.enqueue(job(app, "sleeper", str(rig.folder), 5.0))
        if point:
            await rig.struck(victim)
        else:
            await _state(app, job_id, JobState.SCHEDULED)
            rig.kill(victim)
        rescuer = rig.worker()
        assert await app.job(job_id).result(timeout=40) == 1
        (_, slept), (_, woke) = done(rig.folder, "before")[0], done(rig.folder, "after")[0]
        assert [len(done(rig.folder, what)) for what in ("before", "after")] == [1, 1]
        assert woke - slept >= 5.0
        [step] = [each for each in await _steps(app, job_id) if each.startswith("sleep")]
        assert step == "sleep", "the hour to wake at was kept once, by the first worker"
        assert (await _record(app, job_id)).attempt == 1, "neither the sleep nor the death is a failed attempt"
        await rig.ready(rescuer)
        await rig.stop(rescuer)


@pytest.mark.parametrize("point", ["wait.registered:kill", "", "step.kept:kill"])
@story
async def test_a_worker_dies_with_a_job_that_waits_for_an_event(rig: Rig, point: str) -> None:
    """As it begins to wait, while it waits, or when it has got it: an event that nobody worked for is not missed."""
    async with rig.connected() as app:
        victim = rig.worker(fault=point)
        await rig.ready(victim)
        (job_id,) = await rig.enqueue(job(app, "listener", str(rig.folder)))
        if point.startswith("wait"):
            await rig.struck(victim)
        else:
            await _state(app, job_id, JobState.SCHEDULED)
        if not point:
            rig.kill(victim)
        await app.event("go.ahead", int).publish(41)
        if point.startswith("step"):
            await rig.struck(victim)
        rescuer = rig.worker()
        assert await app.job(job_id).result(timeout=60) == 42
        assert len(done(rig.folder, "got")) == 1
        record = await _record(app, job_id)
        assert (record.state, record.attempt) == (JobState.SUCCEEDED, 1)
        await rig.ready(rescuer)
        await rig.stop(rescuer)


@story
async def test_a_worker_dies_in_the_middle_of_a_stream(rig: Rig) -> None:
    """A reader is told once, and then sees all of it; one that comes later sees one stream without a seam."""
    async with rig.connected() as app:
        victim = rig.worker(fault="stream.written:kill:after=5")
        await rig.ready(victim)
        (job_id,) = await rig.enqueue(job(app, "streamer", PARTS))
        stream = cast("Stream[int]", app.job(job_id).stream(timeout=60))
        before, after, told = list[int](), list[int](), 0

        async def read() -> None:
            nonlocal told
            while True:
                try:
                    async for item in stream:
                        (after if told else before).append(item)
                except StreamRestarted:
                    told += 1
                else:
                    return

        reading = asyncio.create_task(read())
        await rig.struck(victim)
        await until(lambda: len(before) >= 5, "what was stored reaches the reader")
        rescuer = rig.worker()
        await rig.verdict("succeeded", "death")
        await reading
        assert told == 1
        assert 5 <= len(before) < PARTS
        assert before == list(range(len(before))), "whole up to where it stopped"
        assert after == list(range(PARTS))
        late = [item async for item in cast("Stream[int]", app.job(job_id).stream(timeout=5))]
        assert late == list(range(PARTS))
        assert (await app.job(job_id).result(timeout=5)).count == PARTS
        await rig.ready(rescuer)
        await rig.stop(rescuer)


async def _state(app: Naq, job_id: str, state: JobState) -> None:
    backend = await app.connect()
    async with asyncio.timeout(30):
        while (record := await backend.get(job_id)) is None or record.state is not state:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


async def _record(app: Naq, job_id: str) -> JobRecord:
    return await (await app.connect()).wait(job_id, timeout=5)


async def _steps(app: Naq, job_id: str) -> list[str]:
    """The names of what is kept of a job's steps."""
    from naq.inside.steps import KIND, read_step

    entries = await (await app.connect()).entries(KIND, under=job_id)
    return [read_step(app.config, entry.key, entry.value).name for entry in entries]
