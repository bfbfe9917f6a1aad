"""Jobs through the API: enqueued, seen, acted on; against a real server, broker and worker."""

from __future__ import annotations

import json
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
    assert (job["args"], job["kwargs"]) == ([], {"a": 2, "b": 3})  # though it ran at once
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


def test_a_list_shows_more_or_less_of_its_jobs(client: httpx.Client) -> None:
    job_id = enqueue(client, kwargs={"a": 2, "b": 3, "password": "hunter2"})
    ended(client, job_id)

    def ask(path: str = "/api/v1/jobs", **given: str) -> Any:
        answer = client.get(path, params={"filter": f"id:{job_id}", **given} if path == "/api/v1/jobs" else given)
        return answer.json() if answer.status_code == 200 else answer.json()["errors"][0]

    [plain] = ask()["items"]
    assert "result" not in plain
    [wide] = ask(include="args,result")["items"]
    assert wide == {**plain, "args": wide["args"], "kwargs": wide["kwargs"], "result": {"sum": 5, "secret": "[hidden]"}}
    assert "hunter2" not in str(wide)
    assert ask(fields="state,task")["items"] == [{"id": job_id, "state": "succeeded", "task": "shop.add"}]
    [both] = ask(fields="task", include="waits_for")["items"]
    assert both == {"id": job_id, "task": "shop.add", "waits_for": []}
    one = f"/api/v1/jobs/{job_id}"
    assert ask(one, fields="result,state") == {"id": job_id, "state": "succeeded", "result": wide["result"]}
    assert set(ask(one, fields="state", include="attempts")) == {"id", "state", "attempts"}
    wrong = [ask(fields="sate"), ask(include="attempts"), ask(one, fields="args_text"), ask(one, include="logs")]
    assert [each["pointer"] for each in wrong] == ["/query/fields", "/query/include", "/query/fields", "/query/include"]
    assert "did you mean 'state'" in wrong[0]["hint"]


def test_a_job_is_seen_among_those_it_hangs_together_with(client: httpx.Client) -> None:
    def graph(job_id: str) -> Any:
        return client.get(f"/api/v1/jobs/{job_id}/graph").json()

    first = enqueue(client, args=[1], delay_ms=3_600_000)
    others = [enqueue(client, args=[n], depends_on=[first]) for n in range(51)]
    last = enqueue(client, args=[2], depends_on=others)
    few = enqueue(client, "shop.fail", args=["x"], depends_on=[last])
    found: Any = eventually(lambda: found if (found := graph(few))["stacks"] and len(found["nodes"]) == 3 else None)
    assert {node["id"] for node in found["nodes"]} == {first, last, few}
    [stack] = found["stacks"]  # those that a program enqueued have no parent: they wait for the same, and it for them
    assert (stack["task"], stack["parent_id"], stack["count"]) == ("shop.add", None, 51)
    assert stack["states"] == {"blocked": 51}
    assert found["edges"] == [
        {"before": before, "after": after, "kind": "waits"}
        for before, after in sorted([(first, stack["id"]), (stack["id"], last), (last, few)])
    ]
    assert found["whole"]
    assert client.get("/api/v1/jobs/nobody/graph").json()["code"] == "job_not_found"


def test_jobs_like_a_job_are_named(client: httpx.Client) -> None:
    trace = f"00-{'ef' * 16}-{'12' * 8}-01"
    with client.stream("POST", "/api/v1/jobs", json={"task": "shop.fail", "args": ["alike"]},
                       headers={"traceparent": trace}) as answer:  # fmt: skip
        first = json.loads(answer.read())["id"]
    again = enqueue(client, "shop.fail", args=["alike"], replay_of=first)
    ended(client, first, "failed")
    ended(client, again, "failed")
    related = client.get(f"/api/v1/jobs/{first}/related").json()
    assert {first, again} <= {one["id"] for one in related["task"]}
    assert again in [one["id"] for one in related["error"]]
    assert [one["id"] for one in related["replays"]] == [again]
    assert client.get(f"/api/v1/jobs/{again}/related").json()["replay_of"] == first
    assert client.get(f"/api/v1/jobs/{first}", params={"fields": "trace_id"}).json()["trace_id"] == "ef" * 16
    found = client.get("/api/v1/jobs", params={"filter": f"trace:{'ef' * 16}"}).json()["items"]
    assert first in [one["id"] for one in found]


def test_errors_are_split_and_ignored_until_they_came_so_often(client: httpx.Client) -> None:
    job_id = enqueue(client, "shop.fail", args=["split me"])
    name = ended(client, job_id, "failed")["fingerprint"]
    split = client.get(f"/api/v1/errors/{name}/split").json()
    assert split["counted"] >= split["jobs"] >= 1
    assert [share["value"] for share in split["queues"]] == ["default"]
    assert client.get("/api/v1/errors/none/split").json()["code"] == "not_found"
    before = client.get(f"/api/v1/errors/{name}").json()
    done = client.post(f"/api/v1/errors/{name}/ignore", json={"times": 1, "note": "known"})
    assert done.json()["outcome"] == "ignored"
    shown = client.get(f"/api/v1/errors/{name}").json()
    assert (shown["state"], shown["ignored_count"]) == ("ignored", before["count"] + 1)
    for _ in range(2):
        ended(client, enqueue(client, "shop.fail", args=["split me"]), "failed")
    assert eventually(lambda: client.get(f"/api/v1/errors/{name}").json()["state"] == "open")
    refused = client.post(f"/api/v1/errors/{name}/resolve", json={"times": 1})
    assert refused.status_code == 422
