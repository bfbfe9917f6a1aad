"""Broker or database away: what every operation of the document says then, and that it is well again afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import Served, eventually, serving
from test_api_access import OPERATIONS

from naq.config import Config
from naq.testing.broker import bundled_server

#: What operations are sent whose bodies have to say something.
BODIES: Mapping[str, Any] = {
    "enqueueJob": {"task": "shop.add", "args": [1]},
    "enqueueJobs": {"jobs": [{"task": "shop.add", "args": [1]}]},
    "createBulk": {"action": "cancel", "filter": "state:queued"},
    "previewBulk": {"action": "cancel", "filter": "state:queued"},
    "createSchedule": {"name": "new", "task": "shop.add", "cron": "0 3 * * *"},
    "previewSchedule": {"cron": "0 3 * * *"},
    "editSchedule": {"cron": "0 4 * * *"},
    "backfillSchedule": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
    "limitQueue": {"limit": 3},
    "setWorkerSlots": {"slots": 3},
    "editJob": {"priority": "high"},
    "createToken": {"name": "made"},
    "createView": {"name": "mine"},
    "replaceDeadLetter": {"task": "shop.add", "args": [1]},
    "logIn": {"password": "wrong"},
}
QUERIES: Mapping[str, dict[str, str]] = {"streamEvents": {"topics": "queues"}, "search": {"q": "shop"}}
#: Reads that are of the broker alone, or of nobody: without a database they answer.
WITHOUT_DATABASE = {
    "listQueues", "getQueue", "listWorkers", "listDeadLetters", "getDeadLetter", "listSchedules",
    "getSchedule", "explainJob", "getResult", "getWaitingJob", "streamEvents", "listSettings", "listAlertKinds",
    "downloadArtifact", "downloadDeadLetter",
    "getMe",
}  # fmt: skip


def ask(client: httpx.Client, method: str, path: str, operation: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    """Send a request that the operation would take."""
    name, headers = operation["operationId"], {"If-Match": "*"}
    path = re.sub(r"\{([a-z_]+)\}", lambda found: names.get(found[1], "none"), path)
    if name == "uploadArtifact":
        return client.request(method, path, content=b"hello", headers=headers)
    if name == "streamEvents":
        with client.stream(method, path, params=QUERIES[name]) as answer:
            if answer.status_code != 200:
                answer.read()
            return answer
    body = BODIES.get(name, {}) if operation.get("requestBody", {}).get("required") else BODIES.get(name)
    return client.request(method, path, json=body, params=QUERIES.get(name), headers=headers)


def needs_broker(operation: Mapping[str, Any]) -> bool:
    """Whether the document says that it answers 503 where the broker is away."""
    return "broker_unavailable" in operation["responses"].get("503", {}).get("description", "")


def test_without_its_broker_every_operation_says_so_alike(tmp_path: Path) -> None:
    asked = {"request_timeout": 2.0, "breaker_open": 30.0, "breaker_failures": 1}
    with bundled_server() as nats:
        config = Config(broker_url=nats.url, namespace="outage", publish_timeout=1.0)
        with serving(config, tmp_path, **asked) as served, served.client() as client:
            job_id = client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1]}).json()["id"]
            schedule = {"name": "nightly", "task": "shop.add", "args": [1], "cron": "0 3 * * *"}
            assert client.post("/api/v1/schedules", json=schedule).status_code == 201

            def is_kept() -> bool:
                return job_id in {item["id"] for item in client.get("/api/v1/jobs").json()["items"]}

            eventually(is_kept, "the history has the job")
            names = {"job_id": job_id, "queue": "default", "name": "nightly", "task": "shop.add"}
            nats.kill()
            for method, path, _, operation in OPERATIONS:
                name = operation["operationId"]
                answer = ask(client, method, path, operation, names)
                if needs_broker(operation):
                    said = answer.json()
                    assert (answer.status_code, said["code"]) == (503, "broker_unavailable"), (name, answer.text)
                    assert 1 <= int(answer.headers["Retry-After"]) <= 30, name
                    assert said["params"]["part"] == "broker", name
                elif name != "readyz":
                    assert answer.status_code < 500, (name, answer.text)
            assert is_kept()  # the history is there
            parts = client.get("/readyz")
            assert (parts.status_code, parts.json()["parts"]["broker"]["ok"]) == (503, False)
            nats.start()
            eventually(lambda: client.get("/readyz").status_code == 200, "the broker is back")
            for method, path, _, operation in OPERATIONS:
                if method == "GET" and needs_broker(operation):
                    answer = ask(client, method, path, operation, names)
                    assert answer.status_code < 500, (operation["operationId"], answer.text)
            assert client.get("/api/v1/queues/default").json()["queued"] == 1


@pytest.fixture(scope="module")
def homeless(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """A server whose database was never there."""
    config, url = Config(broker_url=broker, namespace="homeless"), "postgresql://nobody@127.0.0.1:1/none"
    with serving(config, tmp_path_factory.mktemp("homeless"), whole=False, database=url) as served:
        yield served


def test_without_its_database_every_operation_says_so_alike(homeless: Served) -> None:
    with homeless.client() as client:
        for method, path, role, operation in OPERATIONS:
            name = operation["operationId"]
            if name in WITHOUT_DATABASE or path in {"/livez", "/readyz", "/metrics"}:
                continue
            begun = time.monotonic()
            answer = ask(client, method, path, operation, {"queue": "default"})
            said = answer.json()
            assert (answer.status_code, said["code"]) == (503, "database_unavailable"), (name, role, answer.text)
            assert int(answer.headers["Retry-After"]) >= 1, name
            assert time.monotonic() - begun < 3, name
        for method, path, _, operation in OPERATIONS:
            if operation["operationId"] in WITHOUT_DATABASE:
                answer = ask(client, method, path, operation, {"queue": "default"})
                assert answer.status_code in {200, 202, 404}, (operation["operationId"], answer.text)
