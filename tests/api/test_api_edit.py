"""A job that waits, changed through the API; against a real server, broker and worker."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
from api_tools import eventually

FAR = 3_600_000  # milliseconds; a time that no test sees come


def enqueue(client: httpx.Client, **body: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"task": "shop.add", "delay_ms": FAR, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def edit(client: httpx.Client, job_id: str, match: str | None = "*", **edits: Any) -> httpx.Response:
    headers = {} if match is None else {"If-Match": match}
    return client.patch(f"/api/v1/jobs/{job_id}", json=edits, headers=headers)


def test_a_job_that_waits_is_seen_changed_and_runs_so(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1], tags={"team": "shop"})
    eventually(lambda: client.get(f"/api/v1/jobs/{job_id}").json()["source"] == "history", "history")
    seen = client.get(f"/api/v1/jobs/{job_id}/waiting")
    assert (seen.json()["state"], seen.json()["args"]) == ("scheduled", [1])
    changed = edit(
        client, job_id, seen.headers["ETag"], kwargs={"a": 5, "b": 6}, priority="high", tags={"who": "ada"},
        timeout_ms=9000, max_attempts=3, expires_in_ms=2 * FAR,
    )  # fmt: skip
    assert changed.status_code == 200, changed.text
    now = changed.json()
    assert (now["args"], now["kwargs"], now["tags"]) == ([], {"a": 5, "b": 6}, {"who": "ada"})
    assert (now["priority"], now["timeout_ms"], now["max_attempts"]) == ("high", 9000, 3)
    assert client.get(f"/api/v1/jobs/{job_id}/waiting").headers["ETag"] == changed.headers["ETag"]
    eventually(lambda: client.get(f"/api/v1/jobs/{job_id}").json()["kwargs"] == {"a": 5, "b": 6}, "history")
    found = client.get("/api/v1/jobs", params={"filter": f"id:{job_id} tag:who=ada"}).json()["items"]
    assert [one["id"] for one in found] == [job_id]
    assert edit(client, job_id, delay_ms=0).status_code == 200
    done = client.get(f"/api/v1/jobs/{job_id}/result", params={"wait": "30s"}).json()
    assert done["result"]["sum"] == 11


def test_a_job_in_line_of_a_paused_queue_is_changed(client: httpx.Client) -> None:
    first = enqueue(client, args=[1], queue="still", delay_ms=None)  # makes the queue
    client.post("/api/v1/queues/still/pause")
    job_id = enqueue(client, args=[1], queue="still", delay_ms=None)
    changed = edit(client, job_id, args=[20])
    assert (changed.status_code, changed.json()["state"]) == (200, "queued"), changed.text
    assert client.get("/api/v1/queues/still").json()["state"] == "paused"
    later = edit(client, first, delay_ms=FAR)
    assert (later.status_code, later.json()["state"]) == (200, "scheduled")


def test_a_change_of_what_nobody_has_seen_is_refused(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1])
    seen = client.get(f"/api/v1/jobs/{job_id}/waiting").headers["ETag"]
    missing = edit(client, job_id, None, priority="high")
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    assert edit(client, job_id, seen, priority="high").status_code == 200
    stale = edit(client, job_id, seen, priority="low")
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")
    assert stale.headers["ETag"] == client.get(f"/api/v1/jobs/{job_id}/waiting").headers["ETag"]
    assert edit(client, job_id, stale.headers["ETag"], priority="low").json()["priority"] == "low"


def test_a_dry_run_changes_nothing(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1])
    before = client.get(f"/api/v1/jobs/{job_id}/waiting").json()
    dry = client.patch(
        f"/api/v1/jobs/{job_id}", params={"dry_run": "true"}, json={"args": [2]}, headers={"If-Match": "*"}
    )
    assert dry.json()["args"] == [2]
    assert client.get(f"/api/v1/jobs/{job_id}/waiting").json() == before


def test_what_is_hidden_stays_what_it_was(client: httpx.Client) -> None:
    """Whoever edits the rest sends back what was shown; nobody's password becomes ``[hidden]``."""
    job_id = enqueue(client, kwargs={"a": 1, "password": "swordfish"})
    shown = client.get(f"/api/v1/jobs/{job_id}/waiting").json()["kwargs"]
    assert shown == {"a": 1, "password": "[hidden]"}
    before = client.get(f"/api/v1/jobs/{job_id}/waiting").headers["ETag"]
    assert edit(client, job_id, kwargs=shown).headers["ETag"] == before, "nothing was changed"
    assert edit(client, job_id, kwargs={**shown, "a": 2}).json()["kwargs"] == {"a": 2, "password": "[hidden]"}
    assert edit(client, job_id, kwargs={"a": 1}).json()["kwargs"] == {"a": 1}
    wrong = edit(client, job_id, kwargs={"a": 1, "password": "[hidden]"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/kwargs/password")


def test_what_is_hidden_stays_what_it_was_in_another_run(client: httpx.Client) -> None:
    """A failed job is run again with what was shown of its arguments, one of them changed."""
    answer = client.post("/api/v1/jobs", json={"task": "shop.guard", "kwargs": {"password": "swordfish", "n": 1}})
    job_id = answer.json()["id"]
    client.get(f"/api/v1/jobs/{job_id}/result", params={"wait": "30s"})
    edits = {"kwargs": {"password": "[hidden]", "n": 2}}
    again = client.post(f"/api/v1/jobs/{job_id}/retry", json=edits)
    assert again.json()["done"] is True, again.text
    done = client.get(f"/api/v1/jobs/{job_id}/result", params={"wait": "30s"}).json()
    assert (done["state"], done["result"]) == ("succeeded", "swordfish"[::-1])


def test_what_cannot_be_is_said_with_its_place(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1])
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, ""),
        ({"args": ["x"]}, "/args/0"),
        ({"queue": "other"}, "/queue"),
        ({"priority": "urgent"}, "/priority"),
        ({"delay_ms": 1, "run_at": "2030-01-01T00:00:00Z"}, "/run_at"),
        ({"expires_in_ms": 1}, ""),
    ]
    for edits, pointer in wrong:
        answer = edit(client, job_id, **edits)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert edit(client, "nobody", priority="high").json()["code"] == "job_not_found"
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    gone = edit(client, job_id, priority="high")
    assert (gone.status_code, gone.json()["params"]) == (409, {"state": "cancelled"})
    assert client.get(f"/api/v1/jobs/{job_id}/waiting").status_code == 409


def test_a_change_is_in_the_audit_log(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1])
    edit(client, job_id, args=[2])
    [entry] = [
        one
        for one in client.get("/api/v1/audit").json()["items"]
        if one["target"] == job_id and one["action"] == "editJob"
    ]
    assert (entry["before"]["args"], entry["after"]["args"]) == ([1], [2])
