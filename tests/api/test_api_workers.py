"""Workers through the API: what they say of themselves, their slots, where their jobs are, and how one was."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import DEADLINE, Served, eventually, serving, working

from naq import Naq
from naq.backends import from_url
from naq.backends.base import Running, WorkerInfo
from naq.config import Config
from naq.context import current_context
from naq.testing.clock import FakeClock
from naq.worker import Worker

GATE = threading.Event()


def held(secret: str) -> None:
    current_context().progress(0.25, "a quarter")
    GATE.wait(DEADLINE)  # here
    assert secret


@pytest.fixture(scope="module")
def apart(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Served, Worker, httpx.Client]]:
    """A server and a worker of their own, which beats often."""
    app = Naq("apart", broker_url=broker, namespace="apart", heartbeat_interval=0.1, code_version="v7", concurrency=3)
    app.task(name="held")(held)
    folder: Path = tmp_path_factory.mktemp("apart")
    with (
        serving(Config(broker_url=broker, namespace="apart"), folder) as served,
        working(app) as worker,
        served.client() as client,
    ):
        try:
            yield served, worker, client
        finally:
            GATE.set()


def test_a_running_job_and_its_worker_are_seen_from_all_sides(apart: tuple[Served, Worker, httpx.Client]) -> None:
    _, worker, client = apart
    url = f"/api/v1/workers/{worker.id}"
    job = client.post("/api/v1/jobs", json={"task": "held", "args": ["hunter2"]}).json()["id"]
    shown = eventually(lambda: (found := client.get(url).json()).get("jobs") and found, "its heartbeat names the job")
    assert [(one["id"], one["task"]) for one in shown["jobs"]] == [(job, "held")]
    assert (shown["code"], shown["slots"], shown["concurrency"], shown["paused"]) == ("v7", 3, 3, False)
    assert shown["memory"] > 10_000_000
    assert shown["threads_busy"] == 1
    assert shown["facts"]["lease"] == 30.0
    eventually(lambda: set(client.get(url).json()["leads"]) == {"leader", "scheduler"})
    listed = client.get("/api/v1/workers").json()
    assert (listed["mixed"], [one["code"] for one in listed["versions"]]) == (False, ["v7"])

    def pace() -> Any:
        answer = client.get(f"/api/v1/jobs/{job}/running")
        return answer.status_code == 200 and answer.json()["progress"] and answer.json()

    now = eventually(pace, "the history knows that it runs")
    assert (now["progress"], now["progress_text"], now["usual"], now["is_slow"]) == (0.25, "a quarter", None, False)
    assert now["process"]["worker"] == worker.id
    assert abs(now["eta_ms"] - 3 * now["elapsed_ms"]) <= 3

    stack = client.post(f"/api/v1/jobs/{job}/stack").json()
    assert (stack["job"], stack["where"], stack["phase"]) == (job, "thread", "running")
    own = [frame for frame in stack["frames"] if frame["own"]]
    assert (own[-1]["function"], own[-1]["code"]) == ("held", "GATE.wait(DEADLINE)  # here")
    both = client.post(f"{url}/stack")
    assert [one["job"] for one in both.json()["jobs"]] == [job]
    assert "hunter2" not in both.text

    def point() -> Any:
        return client.get(f"{url}/minutes").json()["items"]

    assert eventually(point, "the history keeps how it was")[-1]["memory"] > 10_000_000
    GATE.set()
    eventually(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "succeeded")
    assert client.get(f"/api/v1/jobs/{job}/running").json()["code"] == "wrong_state"
    assert client.post(f"/api/v1/jobs/{job}/stack").json()["code"] == "wrong_state"
    second = client.post("/api/v1/jobs", json={"task": "held", "args": ["x"]}).json()["id"]
    eventually(lambda: client.get(f"/api/v1/jobs/{second}").json()["state"] == "succeeded")


def test_slots_are_told_and_those_who_have_gone_are_remembered(apart: tuple[Served, Worker, httpx.Client]) -> None:
    served, worker, client = apart
    url = f"/api/v1/workers/{worker.id}"

    def slots() -> int:
        return int(client.get(url).json()["concurrency"])

    done = client.post(f"{url}/slots", json={"slots": 5}).json()
    assert (done["done"], done["outcome"]) == (True, "told its slots")
    eventually(lambda: slots() == 5)
    assert client.post(f"{url}/pause").json()["outcome"] == "told to pause"
    eventually(lambda: client.get(url).json()["paused"] is True)
    client.post(f"{url}/resume")
    eventually(lambda: slots() == 3)
    assert client.post(f"{url}/slots", json={"slots": -1}).status_code == 422
    assert client.post("/api/v1/workers/nobody/slots", json={"slots": 1}).json()["code"] == "not_found"
    changes = client.get("/api/v1/audit", params={"action": "setWorkerSlots"}).json()["items"]
    assert any(one["after"] == {"slots": 5} for one in changes)

    other = Naq("apart", broker_url=served.core.config.broker_url, namespace="apart", code_version="v8")
    other.task(name="held")(held)
    with working(other) as second:
        listed = eventually(lambda: (found := client.get("/api/v1/workers").json())["mixed"] and found)
        assert [(one["code"], one["workers"]) for one in listed["versions"]] == [("v7", 1), ("v8", 1)]
        eventually(lambda: client.get(f"/api/v1/workers/{second.id}/minutes").json()["items"], "the history saw it")
    eventually(lambda: client.get(f"/api/v1/workers/{second.id}").json()["state"] == "gone")
    gone = client.get("/api/v1/workers", params={"gone_s": 600}).json()["items"]
    assert {one["id"]: one["state"] for one in gone} == {worker.id: "running", second.id: "gone"}
    assert [one["id"] for one in client.get("/api/v1/workers").json()["items"]] == [worker.id]


def test_who_watches_workers_is_not_told_that_time_passes() -> None:
    from naq.server.live.polling import look_at_workers

    async def test() -> None:
        backend = from_url(Config(broker_url="memory:watched-workers"))
        await backend.open()
        try:
            info = WorkerInfo(
                id="w", queues=["q"], started_at=1.0, seen_at=999.0, facts={"heartbeat": 10.0},
                jobs=[Running("j", "t", 2.0)],
            )  # fmt: skip
            await backend.register(info, ttl=600)
            with FakeClock(1000.0) as time:
                first = await look_at_workers(backend)
                time.advance(10)
                assert await look_at_workers(backend) == first
                assert first["w"]["silent"] is False
                time.advance(20)
                assert (await look_at_workers(backend))["w"]["silent"] is True
            assert first["w"]["jobs"] == [{"id": "j", "task": "t", "started_at": "1970-01-01T00:00:02.000000Z"}]
        finally:
            await backend.close()

    asyncio.run(test())
