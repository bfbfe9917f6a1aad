"""Faults 24, 26, 27, 30 and 31: producers that die, repeat themselves, or hand over what must be refused."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.json import decode
from rig.fleet import Rig, story
from rig.specs import job, jobs

from naq.exceptions import ConfigurationError, PayloadTooLarge
from naq.job import JobSpec, JobState, new_id
from naq.testing.broker import bundled_server
from naq.testing.chaos import Expected

pytestmark = pytest.mark.faults
KILOBYTE = 1024
BROKER_LIMIT = 64 * KILOBYTE  # bytes a message may have, in these tests: far below what naq's own settings allow


@story
async def test_a_producer_dies_in_the_middle_of_a_batch_and_runs_again(rig: Rig) -> None:
    """Fault 24: what was acknowledged is stored; run again with the same ids, each is one job."""
    async with rig.connected() as app:
        await rig.enqueue(job(app, "work", 0))
        victim = rig.producer("work", 0, 400, batch=400, fault="enqueue.mid_batch:kill")
        await rig.struck(victim)
        (stored,) = await rig.broker.stats(["default"])
        assert 1 < stored.queued < 400, "it should have died with a part of the batch stored"
        again = rig.producer("work", 0, 400, batch=400)
        await rig.ended(again, 0)
        worker = rig.worker()
        report = await rig.verdict("death", "duplicate")
        assert report.seen["executed"] == 401
        await rig.stop(worker)


@story
async def test_the_same_enqueue_many_times_is_one_job(rig: Rig) -> None:
    """Faults 26 and 27: five at once, once more when it is done, and once more after the broker was killed."""
    async with rig.connected() as app:
        chosen, fresh = job(app, "work", 1, job_id="chosen"), job(app, "work", 2)
        await asyncio.gather(*(rig.enqueue(each) for each in (chosen, fresh) for _ in range(5)))
        worker = rig.worker()
        await rig.settle()
        await rig.enqueue(chosen)
        await rig.settle()
        with rig.breaking("kill -9 of the broker", "nothing", outage=True):
            rig.server.restart(kill=True)
        await rig.ready(worker)
        await rig.enqueue(chosen)
        report = await rig.verdict("duplicate", "outage")
        assert report.seen["executed"] == 2
        await rig.stop(worker)


@pytest.fixture
def small(tmp_path: Path) -> Generator[Rig]:
    """A world whose broker takes 64 KiB a message."""
    with bundled_server(tmp_path / "broker", max_payload=BROKER_LIMIT) as server:
        rig = Rig(tmp_path, server)
        try:
            yield rig
        finally:
            rig.close()


class _Connection(Struct):
    cid: int


class _Connections(Struct):
    connections: list[_Connection]


def connection_ids(rig: Rig) -> set[int]:
    """The connections that the broker has, by its own numbers, which it never gives twice."""
    with urllib.request.urlopen(f"{rig.server.monitor_url}/connz") as answer:
        return {each.cid for each in decode(answer.read(), type=_Connections).connections}


@story
async def test_what_the_broker_would_not_take_never_costs_the_connection(small: Rig) -> None:
    """Fault 30: payloads, headers and results over the broker's own limit, and exactly at it; other jobs flow."""
    rig = small
    async with rig.connected() as app:
        worker = rig.worker()
        await rig.ready(worker)
        before = connection_ids(rig)
        for size in (BROKER_LIMIT - 1, BROKER_LIMIT, 4 * BROKER_LIMIT):
            with pytest.raises(PayloadTooLarge):
                await rig.enqueue(job(app, "sized", "x" * size))
        # Headers come on top of what a payload may have.
        most = "x" * (BROKER_LIMIT - 10 * KILOBYTE)
        await rig.enqueue(job(app, "sized", most))
        await rig.enqueue(job(app, "sized", most, tags={f"tag-{n}": "y" * 100 for n in range(20)}))
        (swollen,) = await rig.enqueue(job(app, "swelling", 2 * BROKER_LIMIT))
        await rig.enqueue(*jobs(app, "work", 20))
        report = await rig.verdict("refused", expected=Expected(states={swollen: JobState.FAILED}))
        assert report.seen["executed"] == 23
        record = await rig.broker.get(swollen)
        assert record is not None
        assert record.error is not None
        assert record.error.type.endswith("PayloadTooLarge")
        assert before <= connection_ids(rig), "a connection was replaced"
        assert [line.text for line in rig.lines() if line.logger == "naq.nats"] == []
        await rig.stop(worker)


HOSTILE = ["*", ">", "a.b", "a b", "a\r\nPUB x 0", "a\0b", "", "ä", "x" * 65, "x" * 4096, "$JS", "../../etc"]


@pytest.mark.parametrize("name", HOSTILE)
@story
async def test_hostile_names_are_refused_before_the_wire(rig: Rig, name: str) -> None:
    """Fault 31: as a queue, an id and a task."""
    async with rig.connected() as app:
        good = job(app, "work", 1)
        for bad in (
            JobSpec(id=name, payload=good.payload),
            JobSpec(id=new_id(), payload=good.payload, queue=name),
            JobSpec(id=new_id(), payload=good.payload, queue=name, fresh=True, run_at=4e9),
        ):
            with pytest.raises(ConfigurationError):
                await rig.enqueue(bad)
        with pytest.raises(ConfigurationError):
            app.get_task("work").options(queue=name)
        with pytest.raises(ConfigurationError):
            app.get_task("work").options(job_id=name)
        assert [queue.queue for queue in await rig.broker.stats()] == ["default", "poison"]
        (stats,) = await rig.broker.stats(["default"])
        assert (stats.queued, stats.scheduled) == (0, 0)
        assert rig.broker.health().ready
