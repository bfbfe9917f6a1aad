"""Bulk actions: each verb, a dry run, a frozen filter, and a server that is killed in the middle of one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import DEADLINE, eventually

from naq.server.bulk.runner import LOOK, TTL
from naq.testing.broker import bundled_server

JOBS, BULK = "/api/v1/jobs", "/api/v1/bulk-actions"
MANY = 600  # jobs of the action in the middle of which the server dies


def enqueue(client: httpx.Client, count: int, tag: str, **body: Any) -> list[str]:
    """`count` jobs that carry the tag, once the history knows them."""
    job = {"task": "shop.add", "args": [1], "tags": {"bulk": tag}, "delay_ms": 3_600_000, **body}
    answer = client.post(f"{JOBS}/batch", json={"jobs": [job] * count})
    assert answer.json()["stored"] == count, answer.text
    eventually(lambda: matching(client, f"tag:bulk={tag}") == count, "the history knows them")
    return [each["id"] for each in answer.json()["results"]]


def matching(client: httpx.Client, text: str) -> int:
    return client.get(JOBS, params={"filter": text, "count": "capped"}).json()["total"]["value"]


def done(client: httpx.Client, begun: httpx.Response) -> dict[str, Any]:
    """The action, once it has ended."""
    assert begun.status_code == 202, begun.text
    url = begun.headers["Location"]
    return eventually(lambda: (found := client.get(url).json())["state"] != "running" and found, "its end")


def test_a_dry_run_counts_and_changes_nothing(client: httpx.Client) -> None:
    enqueue(client, 7, "dry")
    body = {"action": "cancel", "filter": "tag:bulk=dry"}
    before = len(client.get(BULK).json()["items"])
    dry = client.post(BULK, json=body, params={"dry_run": "true"})
    assert (dry.status_code, dry.json()["total"]) == (202, {"value": 7, "relation": "exact"})
    preview = client.post(f"{BULK}/preview", json=body).json()
    assert preview["states"] == {"scheduled": {"value": 7, "relation": "exact"}}
    assert "scheduled" in preview["within"]
    assert len(client.get(BULK).json()["items"]) == before
    assert matching(client, "tag:bulk=dry state:scheduled") == 7


def test_what_fails_is_run_again_what_waits_runs_now_and_what_has_ended_is_deleted(client: httpx.Client) -> None:
    enqueue(client, 5, "verbs", task="shop.fail", args=["five"], delay_ms=None)
    eventually(lambda: matching(client, "tag:bulk=verbs state:failed") == 5, "they have failed")
    again = done(client, client.post(BULK, json={"action": "retry", "filter": "tag:bulk=verbs", "name": "once more"}))
    assert (again["done"], again["skipped"], again["failed"], again["name"]) == (5, 0, 0, "once more")
    eventually(lambda: matching(client, "tag:bulk=verbs state:failed run:2") == 5, "they have failed again")

    waiting = enqueue(client, 4, "now")
    now = done(client, client.post(BULK, json={"action": "run_now", "ids": [*waiting, "no-such-job"]}))
    assert (now["done"], now["skipped"] + now["failed"]) == (4, 1)
    eventually(lambda: matching(client, "tag:bulk=now state:succeeded") == 4, "they have run")

    gone = done(client, client.post(BULK, json={"action": "delete", "filter": "tag:bulk=now"}))
    assert gone["done"] == 4
    assert client.post(f"{JOBS}/{waiting[0]}/cancel").json()["code"] == "job_not_found"  # the broker has it no more
    assert client.get(f"{JOBS}/{waiting[0]}").json()["state"] == "succeeded"  # the history has
    [entry] = client.get("/api/v1/audit", params={"action": "createBulk"}).json()["items"][:1]
    assert (entry["after"]["action"], entry["after"]["total"], entry["target"]) == ("delete", 4, gone["id"])


def test_what_waits_gets_another_priority_queue_and_tags(client: httpx.Client) -> None:
    enqueue(client, 4, "change")
    enqueue(client, 2, "change-line", task="shop.ship", args=[{"id": 1, "to": {"city": "Bern"}}], queue="nobody",
            delay_ms=None)  # fmt: skip
    ran = enqueue(client, 1, "change-ran", delay_ms=None)
    eventually(lambda: matching(client, "tag:bulk=change-ran state:succeeded") == 1)

    def act(action: str, text: str, **options: Any) -> Any:
        return done(client, client.post(BULK, json={"action": action, "filter": text, **options}))

    urgent = act("set_priority", "tag:bulk=change", priority="high")
    assert (urgent["done"], urgent["options"]) == (4, {"priority": "high"})
    assert act("set_priority", "tag:bulk=change-line", priority="high")["done"] == 2
    ended = act("set_priority", "tag:bulk=change-ran", priority="high")
    assert (ended["skipped"], ended["skips"]) == (1, {"it is succeeded": 1})
    for tag, count in (("change", 4), ("change-line", 2)):
        eventually(lambda tag=tag, count=count: matching(client, f"tag:bulk={tag} priority:high") == count, tag)
    again = act("set_priority", "tag:bulk=change", priority="high")
    assert (again["done"], again["skips"]) == (0, {"it has that priority": 4})

    moved = act("move", "tag:bulk=change-line", queue="elsewhere")
    assert moved["done"] == 2
    eventually(lambda: matching(client, "queue:elsewhere tag:bulk=change-line state:queued") == 2, "they are there")
    tagged = act("add_tags", "tag:bulk=change", tags={"by": "ann"})
    assert tagged["done"] == 4
    eventually(lambda: matching(client, "tag:by=ann tag:bulk=change") == 4, "they carry it")
    both = done(client, client.post(BULK, json={"action": "move", "ids": [*ran, "none"], "queue": "elsewhere"}))
    assert both["skips"] == {"it does not wait any more, or a worker has it": 2}


def test_an_action_is_told_what_it_needs_and_nothing_else(client: httpx.Client) -> None:
    for body, pointer in (
        ({"action": "move"}, "/queue"), ({"action": "cancel", "queue": "x"}, "/queue"),
        ({"action": "set_priority", "tags": {"a": "b"}, "priority": "low"}, "/tags"),
        ({"action": "cancel", "rate": 1, "spread_s": 5}, "/spread_s"),
    ):  # fmt: skip
        answer = client.post(BULK, json={"filter": "tag:bulk=none", **body})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), body


def test_an_action_is_spread_over_a_time(client: httpx.Client) -> None:
    enqueue(client, 5, "spread")
    begun = client.post(BULK, json={"action": "cancel", "filter": "tag:bulk=spread", "spread_s": 1000})
    url = begun.headers["Location"]
    eventually(lambda: client.get(url).json()["done"] == 1, "the first one")
    assert client.post(f"{url}/abort").json()["outcome"] == "aborted"
    assert client.get(url).json()["done"] == 1
    assert matching(client, "tag:bulk=spread state:scheduled") == 4


def test_jobs_that_come_later_are_left_alone(client: httpx.Client) -> None:
    enqueue(client, 6, "frozen")
    begun = client.post(BULK, json={"action": "cancel", "filter": "tag:bulk=frozen state:scheduled", "rate": 4})
    later = enqueue_one(client, "frozen")
    assert done(client, begun)["done"] == 6
    assert client.get(f"{JOBS}/{later}").json()["state"] == "scheduled"


def enqueue_one(client: httpx.Client, tag: str) -> str:
    body = {"task": "shop.add", "args": [1], "tags": {"bulk": tag}, "delay_ms": 3_600_000}
    return client.post(JOBS, json=body).json()["id"]


@contextmanager
def process(broker: str, folder: Path) -> Generator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """``naq server`` in a process of its own."""
    environment = os.environ | {
        "NAQ_BROKER_URL": broker, "NAQ_SERVER_DATABASE": f"sqlite:///{folder}/s.db", "NAQ_SERVER_RATE": "100000/60s",
    }  # fmt: skip
    command = [sys.executable, "-m", "naq", "server", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE) as running:
        try:
            assert running.stderr is not None
            address = next(line for line in running.stderr if b"naq server on " in line).decode().split()[-1]
            with httpx.Client(base_url=address, timeout=DEADLINE, trust_env=False) as client:
                yield running, client
        finally:
            running.kill()
            running.wait(DEADLINE)


@pytest.mark.timeout(180)
def test_a_server_killed_in_the_middle_is_gone_on_for_by_the_next(tmp_path: Path) -> None:
    with bundled_server() as nats:
        with process(nats.url, tmp_path) as (running, client):
            ids = enqueue(client, MANY, "killed")
            begun = client.post(BULK, json={"action": "cancel", "filter": "tag:bulk=killed", "rate": 150})
            url = begun.headers["Location"]
            eventually(lambda: client.get(url).json()["done"] >= MANY // 4, "it is under way")
            running.kill()
        with process(nats.url, tmp_path) as (_, client):
            halfway = client.get(url).json()
            assert halfway["state"] == "running"
            assert halfway["done"] < MANY

            def ended() -> Any:
                found = client.get(url).json()
                return found if found["state"] == "finished" else None

            within = TTL + LOOK + DEADLINE
            eventually(lambda: client.get(url).json()["done"] > halfway["done"], "another goes on", within=within)
            found = eventually(ended, "its end")
            # What was done and not noted when it died is done already: it is skipped, and nothing is left out.
            assert found["done"] + found["skipped"] == MANY
            assert found["failed"] == 0
            states = {client.get(f"{JOBS}/{job_id}/result").json()["state"] for job_id in ids[::29]}
            assert states == {"cancelled"}
            eventually(lambda: matching(client, "tag:bulk=killed state:cancelled") == MANY, "the history agrees")
