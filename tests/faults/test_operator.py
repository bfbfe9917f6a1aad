"""Faults 42 and 43: an operator deletes what naq stands on, while it runs. It says so, and goes on once it can."""

from __future__ import annotations

import pytest
from rig.fleet import Rig, story, until
from rig.foreign import foreign
from rig.specs import job, jobs

from naq.exceptions import NaqException

pytestmark = pytest.mark.faults


@story
async def test_a_consumer_is_deleted(rig: Rig) -> None:
    """Fault 43: made again within moments; what was claimed through it goes to another worker."""
    async with rig.connected() as app:
        workers = [rig.worker(), rig.worker()]
        await rig.ready(*workers)
        await rig.enqueue(*(job(app, "gated", str(rig.gate())) for _ in range(3)), *jobs(app, "work", 50))
        await rig.running(53)
        with rig.breaking("consumer deleted", "cut_off"), foreign(rig.url) as operator:
            answer = operator.ask("$JS.API.CONSUMER.DELETE.NAQ_rig_JOBS.default_n")
            assert answer.get("success"), answer
            await rig.enqueue(*jobs(app, "work", 50))
            await until(lambda: len(rig.executions()) >= 103, "jobs flow again")
        rig.gate().touch()
        await rig.verdict("succeeded")
        await rig.stop(*workers)


@story
async def test_the_stream_of_jobs_is_deleted(rig: Rig) -> None:
    """Fault 42: enqueuing fails loudly and in time; once somebody makes the stream again, the same worker goes on."""
    async with rig.connected() as app:
        worker = rig.worker()
        await rig.ready(worker)
        await rig.enqueue(*jobs(app, "work", 20))
        await rig.settle()
        with rig.breaking("stream deleted", "nothing"), foreign(rig.url) as operator:
            answer = operator.ask("$JS.API.STREAM.DELETE.NAQ_rig_JOBS")
            assert answer.get("success"), answer
            with pytest.raises(NaqException):
                await rig.enqueue(job(app, "work", 1), timeout=2.0)
            await until(
                lambda: any("NAQ_rig_JOBS" in line.text for line in rig.lines()), "the worker says what is gone"
            )
        # A new producer makes what is missing.
        again = rig.producer("work", 0, 20, batch=20)
        await rig.ended(again, 0)
        report = await rig.verdict("unknown")
        assert report.seen["executed"] == 40
        await rig.stop(worker)
