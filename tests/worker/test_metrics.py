"""``/metrics`` of a worker: every number is of something that happened."""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from naq import DiscardJob, Naq, Retry
from naq.measures import BUCKETS, OTHER, TASKS, TYPES
from naq.worker import Worker
from naq.worker.metrics import GAUGES, render
from naq.worker.tally import QUEUES, Tally, snapshot
from naq.worker.vitals import Numbers
from tests.tools import DEADLINE, Place, run, until, working

DOCS = Path(__file__).parents[2] / "docs"


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Each sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Seen:
    """What a worker said."""

    def __init__(self, text: str) -> None:
        self._samples = read(text)

    def __call__(self, name: str, **labels: str) -> float:
        return self._samples[name, tuple(sorted(labels.items()))]

    def names(self) -> set[str]:
        return {name for name, _ in self._samples if name.startswith("naq_")}


def fetch(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return str(response.read().decode())


async def seen(worker: Worker) -> Seen:
    return Seen(await asyncio.to_thread(fetch, worker.health_port))


def tasks_of(app: Naq) -> tuple[Any, Any, Any]:
    async def fine() -> None: ...

    async def shaky(times: int) -> None:
        from naq import current_context

        if current_context().attempt <= times:
            raise LookupError

    async def bad() -> None:
        raise DiscardJob("never")

    return (
        app.task(name="fine")(fine),
        app.task(name="shaky", queue="other", retry=Retry(max_attempts=3, base=0.0, jitter=False))(shaky),
        app.task(name="bad")(bad),
    )


def test_what_happened_is_counted(place: Place) -> None:
    async def test() -> None:
        app = place.make()
        fine, shaky, bad = tasks_of(app)
        async with working(app, health="127.0.0.1:0", concurrency=7) as worker:
            for task, args in (*[(fine, ())] * 5, (shaky, (2,)), (shaky, (9,)), (bad, ())):
                await task.enqueue(*args)
            await until(lambda: worker.processed >= 12 and not worker.running)
            now = await seen(worker)
            assert now("naq_worker_jobs_total", task="fine", queue="default", outcome="succeeded") == 5
            assert now("naq_worker_jobs_total", task="shaky", queue="other", outcome="retrying") == 4
            assert now("naq_worker_jobs_total", task="shaky", queue="other", outcome="succeeded") == 1
            assert now("naq_worker_jobs_total", task="shaky", queue="other", outcome="failed") == 1
            assert now("naq_worker_failures_total", task="shaky", type="builtins.LookupError") == 5
            assert now("naq_worker_job_run_seconds_count", task="fine", queue="default") == 5
            assert now("naq_worker_job_run_seconds_bucket", task="fine", queue="default", le="+Inf") == 5
            assert now("naq_worker_job_wait_seconds_count", task="shaky", queue="other") == 6
            assert now("naq_worker_claims_total") == 12
            assert now("naq_worker_slots") == 7
            assert now("naq_worker_ready") == 1
            assert now("naq_worker_events_capacity_bytes") > 0
            assert now("naq_worker_leases_lost_total") == 0
            assert now("naq_worker_loop_lag_seconds") >= 0
        await app.close()

    run(test())


def test_a_lease_that_was_lost_is_counted(place: Place) -> None:
    async def test() -> None:
        app = place.make(lease=1.0)
        gone = asyncio.Event()

        async def slow() -> None:
            await gone.wait()

        task = app.task(name="slow")(slow)
        async with working(app, health="127.0.0.1:0") as worker:
            await task.enqueue()
            await until(lambda: worker.running)
            crew: Any = worker._crew  # pyright: ignore[reportPrivateUsage]
            [flight] = crew.flights.snapshot()
            flight.deadline = 0.0  # as if the thread that keeps leases had been frozen
            gone.set()
            await until(lambda: crew.flights.tally.lost)
            assert (await seen(worker))("naq_worker_leases_lost_total") == 1
        await app.close()

    run(test())


def test_every_metric_is_in_the_documentation_and_the_other_way_round() -> None:
    tally = Tally()
    tally.of("t", "q").ended("succeeded", 1.0)
    tally.of("t", "q").waited.add(1.0)
    tally.failed("t", "E")
    text = render({"": Numbers(tally, dict.fromkeys(GAUGES, 1.0), {"progress": 1})}).decode()
    page = (DOCS / "observability.md").read_text(encoding="utf-8")
    families = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
        if family.name.startswith("naq_worker")
    }
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `naq_worker_")}
    assert listed == families


def test_there_is_an_end_to_how_many_names_are_told_apart() -> None:
    tally = Tally()
    for number in range(TASKS + 50):
        tally.of(f"t{number}", "q").ended("failed", None)
        tally.of("t0", f"q{number}").ended("failed", None)
        tally.failed("t0", f"E{number}")
        tally.failed(f"t{number}", "E")
    copy = snapshot(tally)
    assert copy == tally
    assert len(copy.jobs) == TASKS + 1
    assert copy.jobs[OTHER]["q"].ends == {"failed": 50}
    assert len(copy.jobs["t0"]) == QUEUES + 1
    assert len(copy.failures) <= TASKS + 1
    assert len(copy.failures["t0"]) <= TYPES + 1
    assert sum(copy.failures["t0"].values()) == TASKS + 51
    one = Tally().of("t", "q")
    for seconds in (0.0, 0.001, 0.0011, 3600.0, 3601.0):
        one.waited.add(seconds)
    assert (one.waited.buckets[0], one.waited.buckets[1], one.waited.buckets[-2:]) == (2, 1, [1, 1])
    assert len(one.waited.buckets) == len(BUCKETS) + 1


def test_several_processes_are_told_apart() -> None:
    one, two = Tally(claimed=1), Tally(claimed=2)
    now = Seen(render({"1": Numbers(one), "2": Numbers(two)}).decode())
    assert now("naq_worker_claims_total", process="1") == 1
    assert now("naq_worker_claims_total", process="2") == 2


def test_without_the_library_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from naq.worker.health import respond
    from naq.worker.vitals import Report

    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    reply = respond(b"GET /metrics HTTP/1.1\r\n\r\n", lambda: Report(live=True, ready=True, detail=""), dict)
    assert reply.startswith(b"HTTP/1.1 501 ")
    assert b"pip install 'naq[prometheus]'" in reply
