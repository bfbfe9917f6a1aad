"""Queues, tasks, workers, schedules, artifacts, letters, errors, numbers, and the same done to many jobs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import Served, events, eventually, next_event, serving

from naq.backends import from_url
from naq.backends.base import Event
from naq.config import Config
from naq.job import JobSpec, new_id
from naq.server.bulk import rows
from naq.server.store import open_store


def enqueue(client: httpx.Client, task: str = "shop.add", **body: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"task": task, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_a_message_that_is_no_job_is_dealt_with_and_replaced_by_one(client: httpx.Client, broker: str) -> None:
    async def store() -> None:
        backend = from_url(Config(broker_url=broker, namespace="api"))
        await backend.open(["default"])
        try:
            await backend.enqueue([JobSpec(id=new_id(), payload=b"{no job")])
        finally:
            await backend.close()

    asyncio.run(store())
    malformed = {"kind": "malformed", "queue": "default"}
    [item] = eventually(lambda: client.get("/api/v1/dead-letters", params=malformed).json()["items"])
    letter_id = item["id"]
    url = f"/api/v1/dead-letters/{letter_id}"
    shown = client.get(url).json()
    assert (shown["kind"], shown["attempts"], shown["handled"], shown["size"]) == ("malformed", None, None, 7)
    assert shown["expires_at"] > shown["at"]
    raw = client.get(f"{url}/raw")
    assert (raw.content, raw.headers["content-type"]) == (b"{no job", "application/octet-stream")

    def listed(**given: Any) -> list[str]:
        return [one["id"] for one in client.get("/api/v1/dead-letters", params=given).json()["items"]]

    done = client.post(f"{url}/handle", json={"note": "told the sender"}).json()
    assert (done["done"], client.get(url).json()["handled"]["note"]) == (True, "told the sender")
    assert letter_id in listed(kind="malformed", handled=True)
    assert letter_id not in listed(kind="malformed", handled=False)
    assert client.post(f"{url}/reopen").json()["done"] is True
    assert letter_id in listed(kind="malformed", queue="default", handled=False)
    assert client.post(f"{url}/retry").json()["detail"].endswith("replace it by one")
    job = {"task": "shop.add", "args": [20], "kwargs": {"b": 22}}
    wrong = client.post(f"{url}/replace", json={**job, "args": ["twenty"]})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/args/0")
    assert client.post(f"{url}/replace", json=job, params={"dry_run": "true"}).json()["done"] is False
    assert client.post(f"{url}/replace", json=job).json()["id"] == letter_id
    result = client.get(f"/api/v1/jobs/{letter_id}/result", params={"wait": "30s"}).json()
    assert result["result"]["sum"] == 42
    assert client.get(url).json()["code"] == "not_found"


def test_views_are_saved_shared_and_changed_by_one_at_a_time(guarded: Served) -> None:
    url = "/api/v1/views"
    view = {"name": "Failing now", "filter": "state:failed created:<1h", "columns": ["state", "tags.team"]}
    ann, bob = guarded.token("operator", name="ann"), guarded.token("operator", name="bob")
    with guarded.client(ann) as client, guarded.client(bob) as other, guarded.client(guarded.token("viewer")) as viewer:
        made = client.post(url, json=view)
        assert made.status_code == 201, made.text
        one, first = made.headers["Location"], made.headers["ETag"]
        assert client.get(one).json() == made.json()
        assert other.get(one).json()["code"] == "not_found"
        assert other.get(url).json()["items"] == []
        assert client.post(url, json=view).json()["code"] == "already_exists"
        other.post(url, json={**view, "name": "Mine"})
        for body, pointer in (
            ({"filter": "sate:failed"}, "/filter"), ({"columns": ["sate"]}, "/columns"), ({"name": " "}, "/name"),
        ):  # fmt: skip
            wrong = client.post(url, json={**view, "name": "x", **body})
            assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, pointer), wrong.text
        shared = client.patch(one, json={"shared": True, "sort": "-duration"}, headers={"If-Match": first}).json()
        assert (shared["shared"], shared["sort"], shared["filter"]) == (True, "-duration", view["filter"])
        assert [each["name"] for each in viewer.get(url).json()["items"]] == ["Failing now"]
        assert [each["name"] for each in other.get(url).json()["items"]] == ["Failing now", "Mine"]
        late = other.patch(one, json={"name": "Mine"}, headers={"If-Match": first})
        assert (late.status_code, late.headers["ETag"]) == (412, shared["version"])
        assert client.delete(one).json()["code"] == "precondition_required"
        assert other.delete(one, headers={"If-Match": shared["version"]}).json()["outcome"] == "deleted"
        assert client.get(one).json()["code"] == "not_found"


def test_a_task_is_paused_and_resumed_while_others_of_its_queue_go_on(client: httpx.Client) -> None:
    def task() -> Any:
        return client.get("/api/v1/tasks/shop.guard").json()

    eventually(lambda: task().get("served"))
    done = client.post("/api/v1/tasks/shop.guard/pause", json={"note": "wrong passwords"})
    assert done.json()["done"] is True
    try:
        shown = task()
        assert (shown["paused"], shown["note"]) == (True, "wrong passwords")
        assert shown["paused_by"]
        assert shown["paused_at"]
        assert [one["name"] for one in client.get("/api/v1/tasks").json()["items"] if one["paused"]] == ["shop.guard"]
        held = enqueue(client, "shop.guard", args=[2, "abc"])
        other = enqueue(client, args=[1])
        assert client.get(f"/api/v1/jobs/{other}/result", params={"wait": "30s"}).json()["state"] == "succeeded"
        why = eventually(lambda: client.get(f"/api/v1/jobs/{held}/why").json())
        assert (why["cause"], why["command"]) == ("task paused", "naq tasks resume shop.guard")
        assert client.post("/api/v1/tasks/shop.guard/pause").json()["done"] is False
    finally:
        done = client.post("/api/v1/tasks/shop.guard/resume")
    assert done.json()["done"] is True
    assert task()["paused"] is False
    assert client.get(f"/api/v1/jobs/{held}/result", params={"wait": "30s"}).json()["state"] == "succeeded"
    unknown = client.post("/api/v1/tasks/shop.gaurd/pause")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


def test_a_task_says_what_it_is_called_with(client: httpx.Client) -> None:
    task = eventually(lambda: client.get("/api/v1/tasks/shop.add").json().get("arguments") and client.get(
        "/api/v1/tasks/shop.add").json())  # fmt: skip
    assert task["served"] is True
    assert task["arguments"]["properties"]["b"] == {"type": "integer", "default": 1}
    assert task["arguments"]["required"] == ["a"]
    assert task["arguments"]["x-positional"] == ["a", "b", "password"]
    assert "shop.fail" in [one["name"] for one in client.get("/api/v1/tasks").json()["items"]]
    assert client.get("/api/v1/tasks/shop.none").json()["code"] == "not_found"


def test_a_queue_is_paused_with_a_note_limited_and_purged(client: httpx.Client) -> None:
    enqueue(client, args=[1], queue="mail")
    paused = client.post("/api/v1/queues/mail/pause", json={"note": "smtp is down"})
    assert paused.json()["done"] is True
    queue = client.get("/api/v1/queues/mail").json()
    assert (queue["state"], queue["note"], queue["queued"]) == ("paused", "smtp is down", 1)
    assert client.patch("/api/v1/queues/mail", json={"limit": 3}).json()["limit"] == 3
    assert client.patch("/api/v1/queues/mail", json={"limit": 0}).json()["code"] == "invalid"
    dry = client.post("/api/v1/queues/mail/purge", params={"dry_run": "true"}).json()
    assert (dry["done"], dry["count"]) == (False, 1)
    assert client.post("/api/v1/queues/mail/purge").json()["count"] == 1
    assert client.post("/api/v1/queues/mail/resume").json()["done"] is True
    noted = client.get("/api/v1/audit", params={"action": "limitQueue", "target": "mail"}).json()["items"]
    assert [(one["status"], one["before"], one["after"]) for one in noted] == [
        (422, None, None),
        (200, {"limit": None}, {"limit": 3}),
    ]


def test_a_schedule_is_changed_only_by_who_has_seen_it(client: httpx.Client) -> None:
    body = {"name": "nightly", "task": "shop.add", "args": [1], "cron": "0 3 * * *", "tz": "Europe/Berlin"}
    dry = client.post("/api/v1/schedules", json=body, params={"dry_run": "true"})
    assert dry.status_code == 201
    made = client.post("/api/v1/schedules", json=body)
    assert made.status_code == 201, made.text
    assert client.post("/api/v1/schedules", json=body).json()["code"] == "already_exists"
    url, seen = "/api/v1/schedules/nightly", made.headers["ETag"]
    assert client.patch(url, json={"cron": "0 4 * * *"}).json()["code"] == "precondition_required"
    changed = client.patch(url, json={"cron": "0 4 * * *"}, headers={"If-Match": seen})
    assert changed.json()["cron"] == "0 4 * * *"
    late = client.patch(url, json={"cron": "0 5 * * *"}, headers={"If-Match": seen})
    assert (late.status_code, late.json()["params"]["version"]) == (412, changed.headers["ETag"])
    assert client.patch(url, json={"cron": "never"}, headers={"If-Match": "*"}).json()["code"] == "invalid"
    assert client.post(f"{url}/pause", json={"note": "moving"}).json()["state"] == "paused"
    assert client.post(f"{url}/resume").json()["state"] == "active"
    before = client.get(url).json()["next"]
    assert client.post(f"{url}/skip").json()["skipped"] == before[:1]
    assert client.post(f"{url}/run").json()["outcome"] == "queued"
    fill = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"}
    assert client.post(f"{url}/backfill", json=fill, params={"dry_run": "true"}).json()["count"] == 2
    assert client.delete(url).json()["code"] == "precondition_required"
    assert client.delete(url, headers={"If-Match": "*"}).json()["done"] is True
    assert client.get(url).status_code == 404
    preview = client.post("/api/v1/schedules/preview", json={"every_s": 60}, params={"count": 2}).json()
    assert len(preview["next"]) == 2


def test_a_file_goes_up_and_down_in_parts_and_never_as_a_page(client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1])
    data = bytes(range(256)) * 4000
    url = f"/api/v1/jobs/{job_id}/artifacts/r%C3%A9port.html"
    assert client.put(url, content=data).json()["size"] == len(data)
    whole = client.get(url)
    assert whole.content == data
    assert whole.headers["Content-Disposition"] == "attachment; filename*=UTF-8''r%C3%A9port.html"
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    for asked, first, last in (
        ("bytes=5-9", 5, 10),
        ("bytes=-4", len(data) - 4, len(data)),
        ("bytes=600000-", 600000, len(data)),
    ):
        part = client.get(url, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, data[first:last]), asked
        assert part.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(data)}"
    assert client.get(url, headers={"Range": f"bytes={len(data)}-"}).json()["code"] == "range_not_satisfiable"
    assert client.put(f"/api/v1/jobs/{job_id}/artifacts/a%5Cb", content=b"x").json()["code"] == "invalid"
    assert [one["name"] for one in client.get(f"/api/v1/jobs/{job_id}/artifacts").json()["items"]] == ["réport.html"]
    assert client.delete(url).json()["done"] is True


def test_errors_are_grouped_resolved_and_found_again(client: httpx.Client) -> None:
    job_id = enqueue(client, "shop.fail", args=["no such order 17"])

    def look() -> Any:
        return client.get(f"/api/v1/jobs/{job_id}").json().get("fingerprint")

    url = f"/api/v1/errors/{eventually(look)}"
    assert client.get(url).json()["detail"]["message"]
    assert client.post(f"{url}/resolve", json={"note": "mended"}).json()["outcome"] == "resolved"
    assert client.get(url).json()["state"] == "resolved"
    letters = client.get("/api/v1/dead-letters", params={"kind": "failed"}).json()["items"]
    assert job_id in [one["id"] for one in letters]
    assert "no such order" in client.get(f"/api/v1/dead-letters/{job_id}").text
    assert client.delete(f"/api/v1/dead-letters/{job_id}").json()["outcome"] == "discarded"
    assert client.get("/api/v1/search", params={"q": job_id[:12]}).json()["jobs"]
    [group] = [one for one in client.get("/api/v1/errors", params={"include": "hours"}).json()["items"]
               if url.endswith(one["fingerprint"])]  # fmt: skip
    assert (len(group["hours"]), sum(group["hours"])) == (24, group["count"])
    assert client.get("/api/v1/errors", params={"include": "days"}).status_code == 422
    flow = {one["name"]: one for one in client.get("/api/v1/flow", params={"scope": "task"}).json()["items"]}
    assert flow["shop.fail"]["failed_share"] == 1
    assert flow["shop.fail"]["run_p95_ms"] is not None
    assert sum(flow["shop.fail"]["points"]) >= 1
    default = next(one for one in client.get("/api/v1/flow").json()["items"] if one["name"] == "default")
    assert default["in_per_s"] > 0
    found = client.get("/api/v1/search", params={"q": "no such ORDER"}).json()
    assert [one["type"] for one in found["errors"]] == ["builtins.ValueError"]
    assert client.get("/api/v1/overview").json()["workers"] == 1
    assert client.get("/api/v1/trends", params={"window_s": 600}).json()["points"]


def test_what_a_job_measured_is_listed_page_by_page(broker: str, client: httpx.Client) -> None:
    job_id = enqueue(client, args=[1])

    async def log() -> None:
        backend = from_url(Config(broker_url=broker, namespace="api"))
        await backend.open()
        said = [{"run": 1, "attempt": 1, "name": f"m{n}", "value": n, "password": "hunter2"} for n in range(3)]
        await backend.append([
            Event(kind="metric" if n < 2 else "later", job_id=job_id, queue="default", at=1_790_000_000.0 + n,
                  data=json.dumps(said[n]).encode()) for n in range(3)
        ])  # fmt: skip
        await backend.close()

    asyncio.run(log())
    url = f"/api/v1/jobs/{job_id}/events"
    eventually(lambda: len(client.get(url).json()["items"]) >= 3, "they are listed")
    first = client.get(url, params={"limit": 2}).json()
    rest = client.get(url, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [(one["kind"], one["data"]["name"]) for one in [*first["items"], *rest["items"]]] == [
        ("metric", "m0"), ("metric", "m1"), ("later", "m2"),
    ]  # fmt: skip
    assert "hunter2" not in str(rest)
    assert client.get("/api/v1/jobs/none/events").json()["code"] == "job_not_found"


def test_what_the_history_keeps_and_what_another_age_would_remove(client: httpx.Client) -> None:
    ended = enqueue(client, args=[1])
    eventually(lambda: client.get(f"/api/v1/jobs/{ended}").json().get("finished_at"))
    url = "/api/v1/settings/retention"
    kept = {one["state"]: one for one in client.get(url).json()["items"]}
    assert set(kept) == {"succeeded", "failed", "cancelled", "expired"}
    assert (kept["failed"]["keep_s"], kept["failed"]["due"]) == (90 * 86_400, {"value": 0, "relation": "exact"})

    def past() -> int:
        items = client.get(url, params={"older_than_s": 1}).json()["items"]
        return next(one["due"]["value"] for one in items if one["state"] == "succeeded")

    assert eventually(past) >= 1
    assert client.get(f"/api/v1/jobs/{ended}").json()["state"] == "succeeded"  # nothing was removed


def test_events_that_are_none_are_listed_with_the_reason(broker: str, client: httpx.Client) -> None:
    async def log() -> None:
        backend = from_url(Config(broker_url=broker, namespace="api"))
        await backend.open()
        bad = [b'{"run":"one"}', b"{", b'{"run":0}']
        await backend.append([Event(kind="started", job_id=f"bad-{n}", queue="q", data=bad[n]) for n in range(3)])
        await backend.close()

    asyncio.run(log())
    url = "/api/v1/invalid-events"
    eventually(lambda: len(client.get(url).json()["items"]) >= 3, "they are listed")
    first = client.get(url, params={"limit": 2}).json()
    rest = client.get(url, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    found = {one["job_id"]: one for one in [*first["items"], *rest["items"]]}
    assert {"bad-0", "bad-1", "bad-2"} <= found.keys()
    assert "int" in found["bad-0"]["reason"]
    assert (found["bad-1"]["kind"], found["bad-1"]["size"]) == ("started", 1)
    assert "out of range" in found["bad-2"]["reason"]


def test_many_jobs_are_cancelled_by_a_filter_and_followed_live(served: Served, client: httpx.Client) -> None:
    for n in range(12):
        enqueue(client, args=[n], delay_ms=3_600_000, tags={"bulk": "cancel"})
    which = {"action": "cancel", "filter": "tag:bulk=cancel"}

    def seen() -> Any:
        return client.post("/api/v1/bulk-actions/preview", json=which).json()["total"]["value"] == 12

    eventually(seen, "the history knows them")
    with served.client() as other, other.stream("GET", "/api/v1/events", params={"topics": "bulk"}) as answer:
        stream = events(answer)
        next_event(stream, "hello")
        begun = client.post("/api/v1/bulk-actions", json=which)
        assert (begun.status_code, begun.json()["total"]) == (202, {"value": 12, "relation": "exact"})
        told = next_event(stream, "bulk.progress", id=begun.json()["id"])
        while told["patch"]["state"] == "running":
            told = next_event(stream, "bulk.progress", id=begun.json()["id"])
        assert told["patch"] == {"done": 12, "skipped": 0, "failed": 0, "state": "finished"}
    done = eventually(lambda: (found := client.get(begun.headers["Location"]).json())["state"] == "finished" and found)
    assert (done["done"], done["skipped"], done["failed"]) == (12, 0, 0)
    again = client.post(begun.headers["Location"] + "/abort")
    assert (again.status_code, again.json()["params"]) == (409, {"state": "finished"})
    assert client.post("/api/v1/bulk-actions", json={"action": "cancel"}).status_code == 422
    assert client.post("/api/v1/bulk-actions", json={"action": "cancel", "filter": " "}).status_code == 422


def test_a_slow_bulk_action_is_broken_off_and_another_goes_on_after_a_restart(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="bulk")
    with serving(config, tmp_path) as served, served.client() as client:
        ids = [enqueue(client, args=[n], delay_ms=3_600_000) for n in range(8)]
        url = client.post("/api/v1/bulk-actions", json={"action": "cancel", "ids": ids, "rate": 1}).headers["Location"]
        eventually(lambda: client.get(url).json()["done"] >= 1)
        assert client.post(url + "/abort").json()["outcome"] == "aborted"
        aborted = client.get(url).json()
        assert aborted["state"] == "aborted"
        assert aborted["done"] < 8
        other = client.post("/api/v1/bulk-actions", json={"action": "cancel", "ids": ids, "rate": 2}).headers[
            "Location"
        ]

    async def lapse() -> None:
        """As if the server had died half a minute ago."""
        store = await open_store(f"sqlite:///{tmp_path}/server.db")
        async with store.writing() as connection:
            await rows.save(connection, other.rpartition("/")[2], runs_until=0)
        await store.close()

    asyncio.run(lapse())
    with serving(config, tmp_path) as served, served.client() as client:
        done = eventually(lambda: (found := client.get(other).json())["state"] == "finished" and found)
        assert done["done"] + done["skipped"] == 8


def test_streams_are_limited_end_with_their_token_and_say_bye(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="streams")
    asked: dict[str, Any] = {"topics": "jobs"}
    short = {"sse_heartbeat": 0.1, "sse_clients_each": 1, "auth": "tokens"}
    with serving(config, tmp_path, **short) as served:
        token = served.token("viewer", name="watcher")
        with served.client(served.token("admin")) as admin, served.client(token) as client:
            with client.stream("GET", "/api/v1/events", params=asked) as answer:
                stream = events(answer)
                next_event(stream, "hello")
                assert client.get("/api/v1/events", params=asked).json()["code"] == "too_many_streams"
                assert client.get("/api/v1/events", params={"topics": "weather"}).json()["code"] == "invalid"
                watcher = next(one for one in admin.get("/api/v1/tokens").json()["items"] if one["name"] == "watcher")
                admin.delete(f"/api/v1/tokens/{watcher['id']}")
                assert next_event(stream, "bye")["reason"] == "auth"
            headers = {"Last-Event-ID": "0000000000-5"}
            with admin.stream("GET", "/api/v1/events", params=asked, headers=headers) as answer:
                assert next_event(events(answer), "reset")["reason"] == "generation"
            with admin.stream("GET", "/api/v1/events", params=asked) as answer:
                stream = events(answer)
                next_event(stream, "hello")
                served.loop.call_soon_threadsafe(served.serving.stop)
                assert next_event(stream, "bye")["reason"] == "stopping"


@pytest.mark.parametrize("kind", ["job.progress", "job.changed"])
def test_a_client_that_does_not_keep_up_loses_the_light_first_and_then_begins_anew(kind: Any) -> None:
    from naq.server.live.client import Client
    from naq.server.live.tidings import Tidings

    client = Client(frozenset({"jobs"}), None, 8)
    client.offer(Tidings(name="queue.changed", topics=(), entity="queue", data={"n": 1}))
    client.offer(Tidings(name="queue.changed", topics=(), entity="queue", data={"n": 2}))
    for n in range(9):
        client.offer(Tidings(name=kind, topics=(), entity=f"{n}", data={}))
    told = b"".join(client.take("x-1"))
    if kind == "job.progress":
        assert told.count(b"queue.changed") == 1
        assert told.count(b"job.progress") == 1
        assert b'{"n":2}' in told
    else:
        assert told.startswith(b"id: x-1\nevent: reset")
