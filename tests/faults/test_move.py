"""Whoever moves jobs dies over it: each is in one of the two queues, a later try ends it, and each runs once."""

from __future__ import annotations

import asyncio
import time

import pytest
from rig.fleet import LOOK, PATIENCE, Rig, story
from rig.specs import job, jobs

from naq import clock
from naq.job import JobState
from naq.testing.chaos import Expected

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("point", ["move.aside", "move.taken"])
@story
async def test_a_mover_dies(rig: Rig, point: str) -> None:
    """Jobs in line, jobs with a time, one that is cancelled while nobody looks after it."""
    async with rig.connected() as app:
        await rig.enqueue(*jobs(app, "work", 40), job(app, "work", 40, run_at=clock.now() + 3))
        gone = await rig.enqueue(job(app, "work", 41))
        await rig.struck(rig.mover("default", "other", fault=f"{point}:kill"))
        left, moved = await rig.broker.stats(["default", "other"])
        in_line = 41 if point == "move.aside" else 0
        assert (left.queued, left.scheduled, left.paused) == (in_line, 41, True)
        assert (moved.queued, moved.scheduled) == (0, 1), "what waits for a time goes first, and at once"
        await rig.broker.cancel(gone[0])

        deadline = time.monotonic() + PATIENCE
        while (left.queued, left.scheduled) != (40, 0):  # the counts are not of one moment
            assert time.monotonic() < deadline, f"nothing puts them back in line: {left}"
            await asyncio.sleep(LOOK)
            [left] = await rig.broker.stats(["default"])

        worker = rig.worker("default", "other")
        again = rig.mover("default", "other")
        await rig.ended(again, 0)
        assert "40 jobs moved to other" in again.printed()
        report = await rig.verdict("death", expected=Expected(states={gone[0]: JobState.CANCELLED}))
        assert report.seen["executed"] == 41
        assert {record.queue for record in await rig.ended_jobs(ids(rig))} == {"other"}
        await rig.stop(worker)


def ids(rig: Rig) -> set[str]:
    """The jobs that have run."""
    return {execution.job for execution in rig.executions()}
