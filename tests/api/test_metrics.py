"""``/metrics`` of a server."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import httpx2 as httpx
import pytest
from api_tools import Served, eventually, serving, working
from prometheus_client.parser import text_string_to_metric_families

from naq import Naq
from naq.config import Config
from naq.measures import OTHER, TASKS
from naq.server.metrics.tally import ROUTES, Tally
from naq.testing.broker import bundled_server

DOCS = Path(__file__).parents[2] / "docs"


class Seen:
    """What a server said."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self._samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._samples.get((name, tuple(sorted(labels.items()))))


def seen(client: httpx.Client) -> Seen:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return Seen(answer.text)


def test_what_happened_is_counted(client: httpx.Client) -> None:
    before = seen(client)
    for args in ([1], [2], [3]):
        client.post("/api/v1/jobs", json={"task": "shop.add", "args": args})
    client.post("/api/v1/jobs", json={"task": "shop.fail", "args": ["x"]})
    client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1], "queue": "unserved"})

    def rose(name: str, **labels: str) -> float:
        return (seen(client)(name, **labels) or 0.0) - (before(name, **labels) or 0.0)

    eventually(lambda: rose("naq_task_events_total", task="shop.add", event="succeeded") >= 3)
    eventually(lambda: rose("naq_task_events_total", task="shop.fail", event="failed") >= 1)
    eventually(lambda: rose("naq_queue_events_total", queue="default", event="created") >= 4)
    assert rose("naq_task_errors_total", task="shop.fail", type="builtins.ValueError") >= 1
    assert rose("naq_task_run_seconds_count", task="shop.add") >= 3
    assert rose("naq_queue_wait_seconds_count", queue="default") >= 4
    eventually(lambda: seen(client)("naq_task_jobs_queued", task="shop.add") == 1)
    assert (seen(client)("naq_store_bytes", store="database") or 0) > 100_000
    assert (seen(client)("naq_store_bytes", store="broker") or 0) > 100
    now = seen(client)
    assert now("naq_queue_jobs", queue="unserved", state="queued") == 1
    assert now("naq_queue_workers", queue="unserved") == 0
    assert (now("naq_queue_oldest_seconds", queue="unserved") or 0) > 0
    assert (now("naq_task_oldest_seconds", task="shop.add") or 0) > 0
    assert now("naq_queue_slots", queue="default") == 20
    assert now("naq_workers", state="running") == 1
    assert now("naq_server_up", part="broker") == 1
    assert now("naq_history_leading") == 1
    assert (now("naq_server_requests_total", method="POST", route="/api/v1/jobs", status="201") or 0) >= 5
    client.get("/api/v1/nothing/here")
    assert (seen(client)("naq_server_requests_total", method="GET", route="none", status="404") or 0) >= 1
    client.post("/api/v1/queues/unserved/purge")


def test_every_metric_is_in_the_documentation_and_the_other_way_round(client: httpx.Client) -> None:
    client.post("/api/v1/queues/default/pause")
    client.patch("/api/v1/queues/default", json={"limit": 7})
    eventually(lambda: seen(client)("naq_alerts_leading") == 1)
    now = seen(client)
    client.patch("/api/v1/queues/default", json={"limit": None})
    client.post("/api/v1/queues/default/resume")
    assert now("naq_queue_limit", queue="default") == 7
    page = (DOCS / "observability.md").read_text(encoding="utf-8")
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `naq_")}
    said = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in now.families
        if family.name.startswith("naq_")
    }
    assert said == {name for name in listed if not name.startswith("naq_worker_")}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    with bundled_server() as nats:
        how = {"auth": "tokens", "metrics_open": True}
        with serving(Config(broker_url=nats.url, namespace="m"), tmp_path_factory.mktemp("m"), **how) as one:
            yield one


def test_who_is_here_may_be_let_in_and_who_comes_through_a_proxy_is_not(guarded: Served) -> None:
    with guarded.client() as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/api/v1/jobs").status_code == 401
        for header in ("X-Forwarded-For", "Forwarded", "Via"):
            assert client.get("/metrics", headers={header: "for=10.0.0.1"}).status_code == 401


def test_without_that_a_token_is_needed(tmp_path: Path) -> None:
    with (
        bundled_server() as nats,
        serving(Config(broker_url=nats.url, namespace="m"), tmp_path, auth="tokens") as served,
        served.client() as nobody,
        served.client(served.token("viewer")) as viewer,
    ):
        assert nobody.get("/metrics").json()["code"] == "not_logged_in"
        assert viewer.get("/metrics").status_code == 200


def test_who_is_away_says_nothing_and_the_rest_is_said(tmp_path: Path) -> None:
    with bundled_server() as nats:
        app = Naq("away", broker_url=nats.url, namespace="away")
        app.task(name="one")(lambda: None)
        config = Config(broker_url=nats.url, namespace="away")
        with serving(config, tmp_path, request_timeout=0.3, breaker_open=0.2) as served, served.client() as client:
            with working(app):
                eventually(lambda: seen(client)("naq_workers", state="running") == 1)
            nats.kill()
            eventually(lambda: seen(client)("naq_server_up", part="broker") == 0)
            now = seen(client)
            assert now("naq_workers", state="running") is None
            assert now("naq_server_up", part="database") == 1


def test_there_is_an_end_to_how_many_are_told_apart() -> None:
    tally = Tally()
    for number in range(ROUTES + 20):
        tally.request("GET", f"/{number}", 200, 0.1)
    assert tally.requests[OTHER, OTHER, OTHER] == 20
    assert len(tally.requests) == ROUTES + 1
    name = tally._name  # pyright: ignore[reportPrivateUsage]
    assert len({name("task", f"t{number}") for number in range(TASKS + 20)}) == TASKS + 1
