"""Faults 25 and 57: the network between naq and its broker resets, cuts, swallows and goes half-open."""

from __future__ import annotations

import pytest
from rig.fleet import LEASE, Rig, story, until
from rig.jobs import make_app
from rig.specs import job, jobs

from naq import clock
from naq.exceptions import NaqConnectionError
from naq.testing.chaos import Expected
from naq.testing.proxy import DOWN, FaultProxy

pytestmark = pytest.mark.faults


@story
async def test_connections_are_reset_and_cut_in_the_middle_of_messages(rig: Rig) -> None:
    """Fault 57: what was under way is lost; no half message is taken for a whole one, and nothing runs twice."""
    async with rig.connected() as app:
        with FaultProxy(rig.server.url) as proxy:
            worker = rig.worker(url=proxy.url)
            await rig.ready(worker)
            await rig.enqueue(*jobs(app, "work", 1000))
            for number, cut in enumerate((0, 997, 5003, 0)):
                await until(lambda done=100 * (number + 1): len(rig.executions("returned")) > done, "jobs flow")
                accepted = proxy.accepted
                with rig.breaking(f"reset after {cut} bytes", "nothing"):
                    if cut:
                        proxy.cut_after(cut, DOWN)
                        await until(lambda before=accepted: proxy.accepted > before, "the connection is cut")
                        proxy.heal()
                    else:
                        proxy.reset()
                await until(lambda before=accepted: proxy.accepted > before, "the worker dials again")
                await rig.enqueue(*jobs(app, "work", 200))
            report = await rig.verdict("succeeded", expected=Expected(within=LEASE + 15.0))
            assert report.seen["executed"] == 1800
            await rig.stop(worker)


@story
async def test_a_half_open_connection_is_noticed_and_its_jobs_go_elsewhere(rig: Rig) -> None:
    """Fault 57: the broker's side is gone and nobody tells the worker: it says so within 15 s, and settles nothing."""
    async with rig.connected() as app:
        with FaultProxy(rig.server.url) as proxy:
            cut_off = rig.worker(url=proxy.url)
            await rig.ready(cut_off)
            gate = str(rig.gate("{pid}.gate"))
            await rig.enqueue(*(job(app, "gated", gate) for _ in range(5)))
            await rig.running(5)
            other = rig.worker()
            with rig.breaking("half-open", "cut_off", pid=cut_off.pid, outage=True):
                proxy.abandon_server()
                await rig.running(5, pid=other.pid)
                rig.gate(f"{other.pid}.gate").touch()
                by = clock.now() + 15.0
                await rig.unready(cut_off)
                await until(lambda: clock.now() > by, "15 s have passed")
                proxy.reset()
                proxy.heal()
            await rig.ready(cut_off)
            rig.gate(f"{cut_off.pid}.gate").touch()
            report = await rig.verdict("unready", "redelivered", "excused")
            assert report.seen["executed"] == 10
            await rig.stop(cut_off, other)


@story
async def test_acknowledgements_of_enqueues_are_lost(rig: Rig) -> None:
    """Fault 25: stored, and nobody told the producer. Tried again within the call or by the caller: one job an id."""
    async with rig.connected():
        with FaultProxy(rig.server.url) as proxy:
            far = make_app(broker_url=proxy.url)
            async with far:
                backend = await far.connect()
                chosen = [job(far, "work", n, job_id=f"chosen-{n}") for n in range(20)]
                fresh = jobs(far, "work", 20)
                ids = [each.id for each in (*chosen, *fresh)]
                with rig.breaking("PubAcks dropped", "nothing"):
                    proxy.drop(DOWN)
                    with pytest.raises(NaqConnectionError), rig.log.enqueuing(ids, deadline=1.0):
                        await backend.enqueue([*chosen, *fresh], timeout=1.0)
                    proxy.reset()
                    proxy.heal()
                # The same ids again, as a careful caller does.
                with rig.log.enqueuing(ids, deadline=15.0) as duplicates:
                    results = await backend.enqueue([*chosen, *fresh])
                    duplicates.update(result.job_id for result in results if result.duplicate)
                assert duplicates >= {each.id for each in chosen}
                worker = rig.worker()
                report = await rig.verdict("unknown", "duplicate", "succeeded")
                assert report.seen["executed"] == 40
                await rig.stop(worker)
