"""Jobs through the API: enqueued, seen, acted on; against a real server, broker and worker."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
from api_tools import Served, events, eventually, next_event


def enqueue(client: httpx.Client, task: str = "shop.add", **body: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"task": task, **body})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json()['id']}"
    return answer.json()["id"]


def ended(client: httpx.Client, job_id: str, state: str = "succeeded") -> dict[str, Any]:
    def look() -> Any:
        job = client.get(f"/api/v1/jobs/{job_id}").json()
        return job if job["state"] == state and job["source"] == "history" else None

    return eventually(look, f"{job_id} {state}")


def test_a_job_is_enqueued_run_and_found_in_the_history(client: httpx.Client) -> None:
    job_id = enqueue(client, kwargs={"a": 2, "b": 3}, tags={"team": "shop"})
    job = ended(client, job_id)
    assert job["task"] == "shop.add"
    assert job["result"] == {"sum": 5, "secret": "[hidden]"}
    assert job["tags"]["team"] == "shop"
    listed = client.get("/api/v1/jobs", params={"filter": f"id:{job_id}"}).json()
    assert [one["id"] for one in listed["items"]] == [job_id]


def test_a_failed_job_shows_its_error_and_runs_again_with_other_arguments(client: httpx.Client) -> None:
    job_id = enqueue(client, "shop.fail", args=["broken"])
    job = ended(client, job_id, "failed")
    assert job["error"] == "broken"
    [attempt] = client.get(f"/api/v1/jobs/{job_id}/attempts").json()["items"]
    assert attempt["error_type"] == "builtins.ValueError"
    dry = client.post(f"/api/v1/jobs/{job_id}/retry", params={"dry_run": "true"}, json={"args": ["dry"]})
    assert dry.json()["done"] is False
    again = client.post(f"/api/v1/jobs/{job_id}/retry", json={"args": ["once more"]})
    assert again.json()["done"] is True
    eventually(lambda: client.get(f"/api/v1/jobs/{job_id}").json()["error"] == "once more")


def test_a_waiting_job_is_explained_and_cancelled_once(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1], delay_ms=3_600_000)
    why = client.get(f"/api/v1/jobs/{job_id}/why").json()
    assert why["cause"] == "not due"
    assert client.post(f"/api/v1/jobs/{job_id}/cancel").json()["outcome"] == "cancelled"
    second = client.post(f"/api/v1/jobs/{job_id}/cancel")
    assert (second.status_code, second.json()["code"]) == (409, "wrong_state")
    assert second.json()["params"] == {"state": "cancelled"}


def test_run_now_puts_a_scheduled_job_in_line(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1], delay_ms=3_600_000)
    assert client.post(f"/api/v1/jobs/{job_id}/run-now").json()["outcome"] == "queued"
    ended(client, job_id)


def test_pages_go_forth_and_back_by_signed_cursors(client: httpx.Client) -> None:
    made = [enqueue(client, args=[n], tags={"run": "pages"}) for n in range(5)]
    for job_id in made:
        ended(client, job_id)
    asked: dict[str, Any] = {"filter": "tag:run=pages", "limit": 2, "count": "capped"}
    first = client.get("/api/v1/jobs", params=asked)
    assert first.json()["total"] == {"value": 5, "relation": "exact"}
    second = client.get(first.headers["Link"].partition("<")[2].partition(">")[0]).json()
    seen = [one["id"] for one in first.json()["items"] + second["items"]]
    assert seen == sorted(made, reverse=True)[:4]
    back = client.get("/api/v1/jobs", params={**asked, "cursor": second["prev_cursor"]}).json()
    assert back["items"] == first.json()["items"]
    cursor = first.json()["next_cursor"]
    other = client.get("/api/v1/jobs", params={"filter": "tag:run=others", "cursor": cursor})
    assert other.json()["code"] == "cursor_mismatch"
    forged = client.get("/api/v1/jobs", params={**asked, "cursor": cursor[:-2] + "AA"})
    assert forged.json()["code"] == "cursor_invalid"


def test_a_stream_says_hello_and_then_how_a_job_changes(served: Served, client: httpx.Client) -> None:
    job_id = enqueue(client, args=[4], delay_ms=3_600_000)
    with (
        served.client() as other,
        other.stream("GET", "/api/v1/events", params={"topics": f"job:{job_id},jobs"}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = events(answer)
        hello = next(stream)
        assert (hello.name, hello["parts"]) == ("hello", {"broker": True, "database": True})
        client.post(f"/api/v1/jobs/{job_id}/run-now")
        changed = next_event(stream, "job.changed", id=job_id)
        assert changed["patch"]["state"] == "succeeded"
        assert changed.id.startswith(hello["generation"])
        last = hello.id
    with (
        served.client() as other,
        other.stream(
            "GET", "/api/v1/events", params={"topics": f"job:{job_id}"}, headers={"Last-Event-ID": last}
        ) as answer,
    ):
        assert next_event(events(answer), "job.changed", id=job_id)["patch"]["state"] == "succeeded"
