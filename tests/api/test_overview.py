"""The first page: what needs a person, on a real server with jobs that wait, fail and run for too long."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from alert_tools import QUICK
from api_tools import Served, events, eventually, next_event, serving, working
from sqlalchemy import insert, update

from naq import Naq
from naq.config import Config
from naq.server.live import polling
from naq.server.store.rows import MICRO
from naq.server.store.tables import durations, jobs, readings, workers
from naq.testing.broker import bundled_server
from naq.testing.clock import FakeClock
from tests.history.history_tools import make_url


@pytest.fixture(scope="module")
def broker() -> Generator[str]:
    with bundled_server() as server:
        yield server.url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    dialect = str(request.param)
    app = Naq("overview", broker_url=broker, namespace=f"o-{dialect}", code_version="7.1")

    def fail() -> None:
        raise ValueError("no")

    app.task(name="shop.fail")(fail)
    folder: Path = tmp_path_factory.mktemp(dialect)
    config = Config(broker_url=broker, namespace=f"o-{dialect}")
    with make_url(dialect, folder) as url, serving(config, folder, database=url, **QUICK) as one, working(app):
        yield one


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(polling._SELDOM, "attention", 0.05)  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def client(served: Served) -> Generator[httpx.Client]:
    with served.client() as one:
        yield one


def lines(client: httpx.Client, **params: Any) -> dict[str, dict[str, Any]]:
    answer = client.get("/api/v1/overview", params=params)
    assert answer.status_code == 200, answer.text
    return {one["id"]: one for one in answer.json()["attention"]}


def enqueue(client: httpx.Client, task: str, **body: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"task": task, **body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_what_needs_a_person_is_said_with_what_to_do_and_put_aside(client: httpx.Client) -> None:
    for _ in range(12):
        enqueue(client, "shop.fail")
    enqueue(client, "shop.fail", queue="alone")
    enqueue(client, "shop.fail", queue="held")
    assert client.post("/api/v1/queues/held/pause", json={"note": "a test"}).status_code == 200
    wanted = {"unserved_queue:alone", "paused_queue:held", "failing_task:shop.fail", "dead_letters:"}
    found = eventually(lambda: found if wanted <= set(found := lines(client)) else None, str(wanted))
    assert found["unserved_queue:alone"]["sentence"] == "1 job waits in queue alone, which no worker serves"
    assert found["failing_task:shop.fail"]["sentence"].startswith("100% of shop.fail failed")
    [error] = [one for key, one in found.items() if key.startswith("new_error:")]
    assert error["sentence"] == "ValueError in shop.fail is new"
    assert client.get(f"/api/v1{error['action']['path']}").json()["count"] >= 12
    dead = found["dead_letters:"]["action"]
    tried = client.post(f"/api/v1{dead['path']}/preview", json=dead["body"])
    assert tried.status_code == 200, tried.text
    assert tried.json()["total"]["value"] >= 12
    # The broker may know of a job before the history does, which knows since when it waits.
    eventually(lambda: all(one["since"] is not None for one in lines(client).values()))
    before = client.get("/api/v1/overview").json()
    assert (before["failed_share"], before["failed_share_before"]) == (1.0, None)
    assert (before["put_aside"], before["workers_1d"] >= 1) == (0, True)

    key = "unserved_queue:alone"
    with FakeClock(None, ticking=True) as time:
        assert client.post("/api/v1/overview/put-aside", json={"id": key}).json()["done"] is True
        assert key not in lines(client)
        assert client.get("/api/v1/overview").json()["put_aside"] == 1
        assert key in lines(client, aside=True)
        time.advance(3601)
        assert key in lines(client)
    assert client.post("/api/v1/overview/put-aside", json={"id": "nonsense:x"}).json()["code"] == "invalid"

    act = found["paused_queue:held"]["action"]
    assert (act["method"], act["label"]) == ("POST", "Resume queue")
    assert client.post(f"/api/v1{act['path']}").status_code == 200
    assert "paused_queue:held" not in lines(client)
    for queue in ("alone", "held"):
        client.post(f"/api/v1/queues/{queue}/purge")
    assert key not in lines(client), "what is over is not shown"


def test_a_nul_in_a_text_is_no_error_of_the_server(client: httpx.Client) -> None:
    for path, body in (
        ("bulk-actions", {"action": "retry", "filter": "state:failed", "name": "a\0b"}),
        ("alerts/channels", {"name": "nul", "kind": "webhook", "url": "https://h/\0"}),
    ):
        answer = client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 202 or answer.json()["code"] == "invalid", answer.text
    assert client.get("/api/v1/search", params={"q": "a\0"}).json()["code"] == "invalid"
    answer = client.get("/api/v1/jobs", params={"filter": 'error:"a\0"'})
    assert answer.status_code == 200 or answer.json()["code"] in {"invalid", "invalid_filter"}, answer.text


def test_the_version_that_workers_run_is_marked_by_itself(client: httpx.Client) -> None:
    def marked() -> list[dict[str, Any]]:
        found = client.get("/api/v1/marks", params={"kind": "deploy"}).json()["items"]
        return [one for one in found if one["version"] == "7.1"]

    [mark] = eventually(marked)
    assert (mark["title"], mark["by"]) == ("7.1", "naq")


def test_who_watches_is_told_what_needs_a_person(client: httpx.Client) -> None:
    with client.stream("GET", "/api/v1/events", params={"topics": "attention"}) as response:
        stream = events(response)
        next_event(stream, "hello")
        enqueue(client, "shop.fail", queue="watched")
        told = next_event(stream, "attention.changed", id="unserved_queue:watched")
        assert told["patch"]["action"]["path"] == "/queues/watched"
        client.post("/api/v1/queues/watched/purge")
        next_event(stream, "attention.changed", id="unserved_queue:watched", patch=None)


def test_jobs_that_take_too_long_and_workers_that_vanished(client: httpx.Client, served: Served) -> None:
    """Rows as the history would have them after hours; asked as ever."""
    import asyncio

    from naq import clock

    now = round(clock.now() * MICRO)
    minute = now - now % (60 * MICRO)
    day = now - now % (21_600 * MICRO)
    many: dict[str, Any] = {"queue": "q", "state": "running", "rank": 1, "created_at": now - 900 * MICRO}
    ghost: dict[str, Any] = {
        "id": "w-gone", "state": "gone", "host": "h", "pid": 1, "version": "1", "queues": "[]", "tasks": "[]",
        "concurrency": 1, "running": 1, "processed": 0, "failed": 0, "started_at": 1, "seen_at": now - 60 * MICRO,
        "gone_at": now - 30 * MICRO,
    }  # fmt: skip

    async def fill() -> None:
        async with served.core.writing() as connection:
            await connection.execute(insert(workers).values(**ghost))
            for name, worker, since in (("j-slow", "w-x", 800), ("j-lost", "w-gone", 40), ("j-fine", "w-x", 20)):
                await connection.execute(insert(jobs).values(
                    id=name, task="slow.task", worker=worker, started_at=now - since * MICRO, **many))  # fmt: skip
            await connection.execute(insert(jobs).values(
                id="j-soon", task="slow.task", queue="q", state="scheduled", created_at=now,
                run_at=now + 600 * MICRO))  # fmt: skip
            await connection.execute(insert(durations).values(
                step=21_600, scope="task", name="slow.task", at=day, measure="run", bucket=100, count=50))  # fmt: skip
            for kind, subject, value in (("schedule_missed", "nightly", 400.0), ("storage", "broker", 0.97),
                                         ("queue_age", "old", 1000.0), ("queue_age", "young", 10.0)):  # fmt: skip
                await connection.execute(
                    insert(readings).values(kind=kind, subject=subject, at=minute - 60 * MICRO, value=value)
                )

    async def empty() -> None:
        async with served.core.writing() as connection:
            await connection.execute(update(jobs).where(jobs.c.task == "slow.task").values(state="succeeded"))

    asyncio.run_coroutine_threadsafe(fill(), served.loop).result(30)
    try:
        found = lines(client)
        assert {"slow_jobs:slow.task", "lost_jobs:w-gone", "missed_schedule:nightly", "storage:broker",
                "late_queue:old"} <= set(found)  # fmt: skip
        assert found["slow_jobs:slow.task"]["count"] == 1
        assert found["slow_jobs:slow.task"]["action"]["path"] == "/jobs?filter=id:j-slow"
        assert "late_queue:young" not in found
        assert client.get("/api/v1/overview").json()["due_1h"] == {"value": 1, "relation": "exact"}
        order = list(found)
        assert order.index("lost_jobs:w-gone") < order.index("slow_jobs:slow.task") < order.index("storage:broker")
    finally:
        asyncio.run_coroutine_threadsafe(empty(), served.loop).result(30)
