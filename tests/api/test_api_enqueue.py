"""Jobs enqueued through the API: checked by what workers say of their tasks, one by one and in batches, and awaited."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest
from api_tools import eventually

JOBS = "/api/v1/jobs"


@pytest.fixture(autouse=True)
def described(client: httpx.Client) -> None:
    """The worker has said what its tasks take."""
    for task in ("shop.add", "shop.ship"):
        eventually(lambda task=task: client.get(f"/api/v1/tasks/{task}").json().get("arguments"), f"{task} is known")


@pytest.mark.parametrize(
    ("call", "pointer", "code"),
    [
        ({"args": ["one"]}, "/args/0", "type"),
        ({"args": [1], "kwargs": {"b": "two"}}, "/kwargs/b", "type"),
        ({}, "/kwargs", "required"),
        ({"args": [1], "kwargs": {"c": 1}}, "/kwargs", "additionalProperties"),
        ({"args": [1], "kwargs": {"a": 1}}, "/kwargs/a", "given_twice"),
        ({"args": [1, 2, "x", 4]}, "/args/3", "too_many"),
        ({"task": "shop.ship", "args": [{"id": 1, "to": {"city": 5}}]}, "/args/0/to/city", "type"),
        ({"task": "shop.ship", "kwargs": {"order": {"id": 1, "to": {}}}}, "/kwargs/order/to", "required"),
        ({"args": [1], "delay_ms": 1, "run_at": "2030-01-01T00:00:00Z"}, "/run_at", "invalid"),
    ],
)
def test_what_a_task_does_not_take_is_refused_with_its_place(
    client: httpx.Client, call: dict[str, Any], pointer: str, code: str
) -> None:
    answer = client.post(JOBS, json={"task": "shop.add", **call})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


def test_what_fits_is_taken_checked_first_if_asked(client: httpx.Client) -> None:
    call = {"task": "shop.ship", "args": [{"id": 7, "to": {"city": "Bern"}}], "unique": "seven", "delay_ms": 3_600_000}
    dry = client.post(JOBS, json=call, params={"dry_run": "true"})
    assert (dry.status_code, dry.json()) == (200, {"id": None, "duplicate": False})
    made = client.post(JOBS, json=call)
    assert made.status_code == 201
    again = client.post(JOBS, json=call)
    assert (again.status_code, again.json()) == (200, {"id": made.json()["id"], "duplicate": True})
    assert client.get(f"{JOBS}/{made.json()['id']}").json()["queue"] == "ships"  # as the task declares it
    assert client.post(f"{JOBS}/{made.json()['id']}/cancel").json()["done"] is True


def test_a_job_waits_for_jobs_that_are_there(client: httpx.Client) -> None:
    ended = client.post(JOBS, json={"task": "shop.add", "args": [1]}).json()["id"]
    assert client.get(f"{JOBS}/{ended}/result", params={"wait": "20s"}).status_code == 200
    waiting = client.post(JOBS, json={"task": "shop.add", "args": [1], "delay_ms": 3_600_000}).json()["id"]
    child = client.post(JOBS, json={"task": "shop.add", "args": [2], "depends_on": [ended, waiting]})
    assert client.get(f"{JOBS}/{child.json()['id']}").json()["state"] == "blocked"
    answer = client.post(JOBS, json={"task": "shop.add", "args": [2], "depends_on": [waiting, "none"]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/depends_on/1")
    call = {"task": "shop.add", "args": [2], "depends_on": ["none"]}
    batch = client.post(f"{JOBS}/batch", json={"jobs": [call, {"task": "shop.add", "args": [3]}]}).json()
    assert batch["results"][0]["errors"][0]["pointer"] == "/jobs/0/depends_on/0"
    assert batch["stored"] == 1


def test_of_a_task_that_no_worker_knows_nothing_is_checked(client: httpx.Client) -> None:
    assert client.post(JOBS, json={"task": "shop.later", "args": ["any"], "queue": "later"}).status_code == 201


def test_a_batch_stores_what_is_right_and_says_what_is_not(client: httpx.Client) -> None:
    right = {"task": "shop.add", "args": [1], "tags": {"of": "batch"}, "delay_ms": 3_600_000}
    wrong = {"task": "shop.add", "args": ["one"]}
    dry = client.post(f"{JOBS}/batch", json={"jobs": [right, wrong]}, params={"dry_run": "true"}).json()
    assert (dry["stored"], dry["failed"]) == (0, 1)
    answer = client.post(f"{JOBS}/batch", json={"jobs": [right, wrong, right]})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["stored"], said["failed"]) == (2, 1)
    assert [each["code"] for each in said["results"]] == [None, "invalid", None]
    assert said["results"][1]["errors"][0]["pointer"] == "/jobs/1/args/0"
    for each in (said["results"][0], said["results"][2]):
        assert client.get(f"{JOBS}/{each['id']}").json()["state"] == "scheduled"
    none = client.post(f"{JOBS}/batch", json={"jobs": [wrong, wrong]})
    assert (none.status_code, [error["pointer"] for error in none.json()["errors"]]) == (
        422,
        ["/jobs/0/args/0", "/jobs/1/args/0"],
    )
    assert client.post(f"{JOBS}/batch", json={"jobs": [right] * 1001}).status_code == 422


def test_a_failed_job_is_not_run_again_with_what_its_task_does_not_take(client: httpx.Client) -> None:
    job_id = client.post(JOBS, json={"task": "shop.fail", "args": ["once"]}).json()["id"]
    eventually(lambda: client.get(f"{JOBS}/{job_id}").json()["state"] == "failed")
    for url in (f"{JOBS}/{job_id}/retry", f"/api/v1/dead-letters/{job_id}/retry"):
        answer = client.post(url, json={"args": [5]})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/args/0")
    replay = {"task": "shop.add", "args": [2], "replay_of": job_id}
    made = client.post(JOBS, json=replay).json()["id"]
    assert client.get(f"{JOBS}/{made}").json()["tags"]["replay-of"] == job_id


def test_a_result_is_waited_for(client: httpx.Client) -> None:
    job_id = client.post(JOBS, json={"task": "shop.add", "args": [20], "kwargs": {"b": 22}}).json()["id"]
    answer = client.get(f"{JOBS}/{job_id}/result", params={"wait": "20s"})
    assert (answer.status_code, answer.json()["result"]["sum"]) == (200, 42)
    assert answer.json()["result"]["secret"] == "[hidden]"
    failed = client.post(JOBS, json={"task": "shop.fail", "args": ["gone"]}).json()["id"]
    said = client.get(f"{JOBS}/{failed}/result", params={"wait": "20s"}).json()
    assert (said["state"], said["error"], said["result"]) == ("failed", "gone", None)
    waiting = client.post(JOBS, json={"task": "shop.add", "args": [1], "delay_ms": 3_600_000}).json()["id"]
    still = client.get(f"{JOBS}/{waiting}/result", params={"wait": "100ms"})
    assert (still.status_code, still.json()["state"]) == (202, "scheduled")
    assert int(still.headers["Retry-After"]) >= 1
    assert client.get(f"{JOBS}/{waiting}/result").status_code == 202
    assert client.get(f"{JOBS}/none/result").json()["code"] == "job_not_found"
    for wrong in ("soon", "5m", "-1"):
        assert client.get(f"{JOBS}/{waiting}/result", params={"wait": wrong}).json()["code"] == "invalid"
