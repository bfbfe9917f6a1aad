"""What jobs report while the broker is frozen or dead: it waits in bounds, and arrives once, in order, afterwards."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psutil
import pytest
from rig.fleet import Rig, story, until
from rig.processes import Process
from rig.reporting import reported
from rig.specs import job

from naq import Naq, clock
from naq.testing.chaos import Expected

pytestmark = pytest.mark.faults
LONG = 60.0  # seconds of lease: longer than any outage here, so that no job is lost to one
#: Seconds of events: one outage that connections outlive, so that all is sent again and again (every 2 s), and one that
#: is longer than a write is waited for (15 s).
BEFORE, SHORT, OUTAGE, AFTER = 3.0, 5.0, 22.0, 5.0
JOBS = 4
MEGABYTE = 1024 * 1024
QUIET = Expected(unready_within=20.0, within=LONG)


async def passed(seconds: float) -> None:
    """Wait for time itself: it is what an outage consists of."""
    end = clock.now() + seconds
    await until(lambda: clock.now() >= end, "time passes", timeout=seconds + 30.0)


@asynccontextmanager
async def outage(rig: Rig, how: str) -> AsyncGenerator[None]:
    """The broker is frozen, or dead, while the block runs."""
    with rig.breaking(f"{how} of the broker", "nothing" if how == "SIGSTOP" else "amnesia", outage=True):
        rig.server.pause() if how == "SIGSTOP" else rig.server.kill()
        try:
            yield
        finally:
            rig.server.resume() if how == "SIGSTOP" else rig.server.start()


async def reporting(rig: Rig, app: Naq, at_once: int, **env: str) -> tuple[Process, list[str]]:
    """A worker, and the jobs that report in it."""
    worker = rig.worker(NAQ_LEASE=f"{LONG:g}", NAQ_JOB_LOG_LINES="100000", NAQ_JOB_LOG_BYTES="100000000", **env)
    await rig.ready(worker)
    ids = await rig.enqueue(*(job(app, "reporter", str(rig.folder), at_once) for _ in range(JOBS)))
    await rig.running(JOBS)
    return worker, ids


@pytest.mark.parametrize(("how", "overflow"), [("SIGSTOP", "drop_oldest_progress"), ("kill -9", "spill")])
@story
async def test_half_a_minute_of_events_arrives_once_and_in_order(rig: Rig, how: str, overflow: str) -> None:
    """1,600 metrics and 400 log lines a second; 27 s of them while there is no broker."""
    async with rig.connected(lease=LONG) as app:
        spill = {"NAQ_EVENT_OVERFLOW": "spill", "NAQ_EVENT_SPILL_DIR": str(rig.folder / "kept")}
        worker, ids = await reporting(rig, app, 4, **(spill if overflow == "spill" else {}))
        await passed(BEFORE)
        process = psutil.Process(worker.pid)
        before = process.memory_info().rss
        for seconds in (SHORT, OUTAGE):
            async with outage(rig, how):
                await passed(seconds)
                grown = process.memory_info().rss - before
            await passed(AFTER)
        rig.gate().touch()
        await rig.verdict("outage", "succeeded", expected=QUIET)
        assert grown < 64 * MEGABYTE, f"{grown / MEGABYTE:.0f} MiB more"
        assert not [line.text for line in rig.lines() if "dropped" in line.text]
        total = reported(rig.folder, worker.pid)
        assert sum(total.values()) > 10_000
        for job_id in ids:
            values = [int(metric.value) for metric in await app.job(job_id).metrics()]
            assert values == list(range(total[job_id])), _differ(values, total[job_id])
            lines = [int(line.text.split()[1]) async for line in app.job(job_id).logs()]
            assert lines == list(range(4, total[job_id] + 1, 4))
        await rig.stop(worker)


@story
async def test_a_buffer_that_is_too_small_stays_small_and_says_what_it_drops(rig: Rig) -> None:
    """20,000 metrics a second on 1 MiB: they are dropped and counted, and how the jobs ended is known all the same."""
    async with rig.connected(lease=LONG) as app:
        worker, ids = await reporting(rig, app, 50, NAQ_EVENT_BUFFER=f"{MEGABYTE}")
        await passed(BEFORE)
        process = psutil.Process(worker.pid)
        before = process.memory_info().rss
        async with outage(rig, "SIGSTOP"):
            await passed(OUTAGE / 2)
            grown = process.memory_info().rss - before
            rig.gate().touch()
            await until(lambda: len(rig.executions("returned")) == JOBS, "the jobs end")
        await rig.verdict("outage", "succeeded", expected=QUIET)
        assert grown < 32 * MEGABYTE, f"{grown / MEGABYTE:.0f} MiB more"
        await until(lambda: _said(rig, "has room again"), "it says what was dropped")
        [full, dropping, over] = _said(rig, "buffer of events")
        assert "raise event_buffer" in full
        assert "dropped from now on" in dropping
        lost = sum(int(count) for count in re.findall(r"(\d+) (?:metric|log|progress|started)", over.partition(":")[2]))
        arrived = 0
        for job_id in ids:
            arrived += len(await app.job(job_id).metrics())
        total = sum(reported(rig.folder, worker.pid).values())
        assert arrived < total, "nothing had to be dropped: this shows nothing"
        assert total - arrived <= lost, f"{total - arrived} are missing, {lost} were counted"
        await rig.stop(worker)


@story
async def test_what_was_spilled_survives_the_worker(rig: Rig) -> None:
    """The broker is frozen, the worker is killed meanwhile; the next one with the folder writes what it had kept."""
    async with rig.connected(lease=LONG) as app:
        spill = {"NAQ_EVENT_OVERFLOW": "spill", "NAQ_EVENT_SPILL_DIR": str(rig.folder / "kept")}
        victim, ids = await reporting(rig, app, 4, **spill)
        await passed(BEFORE)
        async with outage(rig, "SIGSTOP"):
            await passed(OUTAGE / 2)
            rig.kill(victim)
        rig.gate().touch()  # the jobs run once more, and end at once
        rescuer = rig.worker(NAQ_LEASE=f"{LONG:g}", **spill)
        await rig.verdict("outage", "death", "succeeded", expected=QUIET, timeout=LONG)
        kept = rig.folder / "kept" / "rig"
        await until(lambda: not list(kept.iterdir()), "the file is written")
        total = reported(rig.folder, victim.pid)
        for job_id in ids:
            metrics = await app.job(job_id).metrics()
            values = [int(metric.value) for metric in metrics if metric.name == f"of {victim.pid}"]
            assert values == list(range(len(values)))
            assert len(values) > 0.95 * total[job_id], f"{len(values)} of {total[job_id]}"
        await rig.ready(rescuer)
        await rig.stop(rescuer)


def _said(rig: Rig, what: str) -> list[str]:
    return [line.text for line in rig.lines() if what in line.text]


def _differ(values: list[int], total: int) -> str:
    missing = sorted(set(range(total)) - set(values))
    return f"{len(values)} of {total}; missing {missing[:10]}, twice {len(values) - len(set(values))}"
