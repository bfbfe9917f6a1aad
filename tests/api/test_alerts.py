"""From a task that fails to a message that somebody gets, on a real server, broker and receivers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from alert_tools import QUICK, Hook, incident, incidents, mailbox, make_hook, make_rule
from api_tools import Served, events, eventually, next_event, serving, working

from naq import Naq
from naq.config import Config
from naq.testing.broker import bundled_server
from naq.testing.clock import FakeClock


@pytest.fixture(scope="module")
def broker() -> Generator[str]:
    with bundled_server() as server:
        yield server.url


@pytest.fixture(scope="module")
def app(broker: str) -> Generator[Naq]:
    app = Naq("alerts", broker_url=broker, namespace="alerts")

    def fail(why: str = "") -> None:
        raise ValueError(why)

    def fine() -> None:
        pass

    for task in (fail, fine):
        app.task(name=task.__name__)(task)
    with working(app):
        yield app


@pytest.fixture(scope="module")
def served(broker: str, app: Naq, tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    folder: Path = tmp_path_factory.mktemp("alerts")
    how = {"environment": "test", "public_url": "https://naq.example.org", **QUICK}
    with serving(Config(broker_url=broker, namespace="alerts"), folder, **how) as one:
        yield one


@pytest.fixture
def client(served: Served) -> Generator[httpx.Client]:
    with served.client() as one:
        yield one


@pytest.fixture
def hook() -> Generator[Hook]:
    with Hook() as one:
        yield one


def enqueue(client: httpx.Client, task: str, **body: Any) -> str:
    answer = client.post("/api/v1/jobs", json={"task": task, **body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver would check it, by the text of the standard."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return headers["webhook-signature"] == f"v1,{wanted}"


def test_a_task_that_fails_is_told_and_its_end_too(client: httpx.Client, hook: Hook) -> None:
    secret = make_hook(client, hook)
    with FakeClock(None, ticking=True) as time:
        make_rule(client, "failing", "failure_rate", 0.5, target="fail", least=2, window_s=60, channels=["ops"])
        for _ in range(3):
            enqueue(client, "fail")
        one = incident(client, "failing", "open")
        assert (one["subject"], one["value"], one["unit"]) == ("fail", 1.0, "share")
        eventually(lambda: hook.got)
        [(headers, body)] = hook.got
        assert is_signed(secret, headers, body)
        assert not is_signed(secret, headers, body.replace(b"fail", b"fine"))
        said = json.loads(body)
        assert said["type"] == "incident.opened"
        assert said["title"] == "failing: task fail"
        assert said["url"] == "https://naq.example.org/jobs?filter=task:fail%20state:failed"
        assert said["incident"]["id"] == one["id"]
        assert "is 100.0 % (more than 50.0 % is bad)" in said["text"]
        time.advance(180)
        incident(client, "failing", "resolved")
        eventually(lambda: hook.said("incident.resolved"))
    shown = client.get(f"/api/v1/alerts/incidents/{one['id']}").json()
    assert [(each["what"], each["state"], each["tries"]) for each in shown["deliveries"]] == [
        ("resolved", "sent", 1),
        ("opened", "sent", 1),
    ]
    assert shown["deliveries"][1]["answer"] == "200 noted"


def test_what_is_not_taken_is_sent_again_later_and_given_up_in_the_end(client: httpx.Client, hook: Hook) -> None:
    make_hook(client, hook, "flaky")
    hook.answers = [(503, {}), (429, {})]
    with FakeClock(None, ticking=True) as time:
        make_rule(client, "again", "queue_depth", 0, target="nobody", channels=["flaky"])
        enqueue(client, "fine", queue="nobody")
        one = incident(client, "again", "open")
        path = f"/api/v1/alerts/incidents/{one['id']}"

        def delivery() -> dict[str, Any]:
            return dict(client.get(path).json()["deliveries"][-1])

        eventually(lambda: delivery()["tries"] == 1)
        assert delivery()["answer"] == "503 noted"
        time.advance(11)
        eventually(lambda: delivery()["tries"] == 2)
        assert delivery()["state"] == "waiting"
        time.advance(31)
        eventually(lambda: delivery()["state"] == "sent")
        ids = {headers["webhook-id"] for headers, _ in hook.got[:3]}
        assert len(ids) == 1, "a receiver knows one that it has had already"
        client.post("/api/v1/queues/nobody/purge")
        eventually(lambda: hook.said("incident.resolved"))


def test_who_does_not_want_it_is_not_asked_again(client: httpx.Client, hook: Hook) -> None:
    make_hook(client, hook, "gone")
    hook.answers = [(410, {}), (302, {"Location": hook.url})]
    for answer in ("410 noted", "302: redirects are not followed; give the URL where it goes"):
        done = client.post("/api/v1/alerts/channels/gone/test").json()
        assert (done["what"], done["state"], done["answer"]) == ("test", "failed", answer)
    assert len(hook.got) == 2
    assert client.post("/api/v1/alerts/channels/gone/test").json()["state"] == "sent"


def test_who_does_not_answer_is_left(client: httpx.Client, hook: Hook) -> None:
    make_hook(client, hook, "slow")
    hook.held.set()
    done = client.post("/api/v1/alerts/channels/slow/test").json()
    assert (done["state"], done["answer"]) == ("failed", "no answer within 2 s")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:8520/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://0.0.0.0:1/",
        "http://[fe80::1]/",
        "http://224.0.0.1/",
        "http://2852039166/",
    ],
)
def test_a_webhook_goes_nowhere_near_the_machine_or_its_cloud(client: httpx.Client, url: str) -> None:
    name = f"at-{abs(hash(url))}"
    made = client.post("/api/v1/alerts/channels", json={"name": name, "kind": "webhook", "url": url})
    assert made.status_code == 201, made.text
    done = client.post(f"/api/v1/alerts/channels/{name}/test").json()
    assert done["state"] == "failed"
    assert "where messages may not go" in done["answer"]


def test_mail_goes_out(broker: str, tmp_path: Path) -> None:
    with mailbox() as (box, port):
        how = QUICK | {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_tls": "off", "smtp_from": "naq@example.org"}
        with serving(Config(broker_url=broker, namespace="mail"), tmp_path, **how) as served, served.client() as client:
            body = {"name": "people", "kind": "email", "addresses": ["ann@example.org", "bob@example.org"]}
            assert client.post("/api/v1/alerts/channels", json=body).json()["secret"] is None
            box.refuse = "451 later"
            assert client.post("/api/v1/alerts/channels/people/test").json()["answer"] == "451 later"
            box.refuse = ""
            make_rule(client, "deep", "queue_depth", 0, target="q", channels=["people"])
            enqueue(client, "fine", queue="q")
            one = incident(client, "deep", "open")
            eventually(lambda: box.got)
            [(to, letter)] = box.got
            assert to == ["ann@example.org", "bob@example.org"]
            assert letter["Subject"] == "[naq] opened: deep: queue q"
            assert letter["References"] == f"<{one['id']}@example.org>"
            assert "Queue q: the number of queued jobs is 1" in letter.get_content()


def test_people_say_what_they_know(client: httpx.Client) -> None:
    make_rule(client, "known", "queue_depth", 0, target="held")
    enqueue(client, "fine", queue="held")
    one = incident(client, "known", "open")
    path = f"/api/v1/alerts/incidents/{one['id']}"
    told = client.post(f"{path}/acknowledge", json={"note": "on it"}).json()
    assert (told["state"], told["note"]) == ("acknowledged", "on it")
    assert client.post(f"{path}/acknowledge").json()["code"] == "wrong_state"
    client.post("/api/v1/queues/held/purge")
    eventually(lambda: client.get(path).json()["state"] == "resolved")
    assert client.post(f"{path}/resolve").json()["code"] == "wrong_state"
    [noted] = client.get("/api/v1/audit", params={"action": "acknowledgeIncident"}).json()["items"][-1:]
    assert noted["before"] == {"state": "open"}
    assert client.get("/api/v1/alerts/incidents/none").json()["code"] == "not_found"


def test_a_rule_is_changed_by_who_has_seen_it_and_what_it_opened_ends_with_it(client: httpx.Client) -> None:
    rule = make_rule(client, "edited", "queue_depth", 0, target="edit")
    path = "/api/v1/alerts/rules/edited"
    assert rule["sentence"] == "When the number of queued jobs of queue edit is more than 0, tell nobody"
    assert client.patch(path, json={"threshold": 5}).json()["code"] == "precondition_required"
    stale = {"If-Match": client.get(path).headers["ETag"]}
    changed = client.patch(path, json={"for_s": 0, "muted_until": None}, headers=stale)
    assert changed.status_code == 200, changed.text
    assert client.patch(path, json={"threshold": 5}, headers=stale).json()["code"] == "version_conflict"
    for bad in ({}, {"threshold": None}, {"threshold": -1}, {"channels": ["none"]}, {"window_s": 1}):
        answer = client.patch(path, json=bad, headers={"If-Match": "*"})
        assert answer.json()["code"] == "invalid", bad
    enqueue(client, "fine", queue="edit")
    one = incident(client, "edited", "open")
    assert client.delete(path, headers={"If-Match": "*"}).json()["done"] is True
    eventually(lambda: client.get(f"/api/v1/alerts/incidents/{one['id']}").json()["state"] == "resolved")
    assert incidents(client, "edited")[0]["resolved_by"] == "its rule ended"
    body = {"name": "half", "kind": "failure_rate", "threshold": 20}
    assert client.post("/api/v1/alerts/rules", json=body).json()["errors"][0]["pointer"] == "/threshold"


def test_a_channel_keeps_its_secrets(client: httpx.Client, hook: Hook) -> None:
    secret = make_hook(client, hook, "quiet")
    path = "/api/v1/alerts/channels/quiet"
    shown = client.get(path)
    assert "/hook" not in shown.text
    assert secret not in shown.text
    assert shown.json()["host"] == hook.url.split("/")[2]
    other = client.post(f"{path}/rotate", headers={"If-Match": shown.headers["ETag"]}).json()["secret"]
    assert other != secret
    client.post(f"{path}/test")
    headers, body = hook.got[-1]
    assert is_signed(other, headers, body)
    make_rule(client, "user", "queue_depth", 1e9, channels=["quiet"])
    assert client.delete(path, headers={"If-Match": "*"}).json()["params"] == {"rules": ["user"]}
    client.delete("/api/v1/alerts/rules/user", headers={"If-Match": "*"})
    assert client.delete(path, headers={"If-Match": "*"}).json()["done"] is True
    for text in ("whsec_", "/hook"):
        assert text not in client.get("/api/v1/audit", params={"limit": 200}).text
    for body in (
        {"kind": "webhook", "url": "ftp://x/"},
        {"kind": "webhook", "url": "http://user:word@host/"},
        {"kind": "webhook", "addresses": ["a@b.c"]},
        {"kind": "email", "addresses": ["nobody"]},
        {"kind": "email", "url": "http://host/"},
        {"kind": "webhook", "url": "http://host/", "form": "pagerduty"},
    ):
        assert client.post("/api/v1/alerts/channels", json={"name": "bad", **body}).json()["code"] == "invalid", body


@pytest.mark.parametrize("form", ["slack", "discord", "teams", "pagerduty"])
def test_chats_get_what_they_take(client: httpx.Client, hook: Hook, form: str) -> None:
    make_hook(client, hook, form, form=form, **({"key": "R0UTINGKEY"} if form == "pagerduty" else {}))
    assert client.post(f"/api/v1/alerts/channels/{form}/test").json()["state"] == "sent"
    [(headers, body)] = hook.got
    assert "webhook-signature" not in headers
    said = json.loads(body)
    assert said[{"slack": "text", "discord": "content", "teams": "attachments", "pagerduty": "routing_key"}[form]]


def test_a_preview_shows_what_would_have_been(client: httpx.Client) -> None:
    for _ in range(3):
        enqueue(client, "fail")
    body = {"kind": "failures", "target": "fail", "threshold": 0, "window_s": 60}

    def seen() -> Any:
        found = client.post("/api/v1/alerts/preview", json=body).json()
        return found if found["count"] else None

    found = eventually(seen)
    assert found["basis"] == "counted"
    assert found["incidents"][-1]["subject"] == "fail"
    assert client.post("/api/v1/alerts/preview", json=body | {"threshold": 1e6}).json()["count"] == 0
    late = client.post("/api/v1/alerts/preview", json={"kind": "queue_age", "threshold": 86400}).json()
    assert (late["basis"], late["count"]) == ("noted", 0)
    none = client.post("/api/v1/alerts/preview", json={"kind": "database_lost", "threshold": 1}).json()
    assert (none["basis"], none["count"]) == ("none", 0)


def test_who_watches_is_told(client: httpx.Client) -> None:
    with client.stream("GET", "/api/v1/events", params={"topics": "alerts"}) as response:
        stream = events(response)
        next_event(stream, "hello")
        make_rule(client, "seen", "queue_depth", 0, target="seen")
        enqueue(client, "fine", queue="seen")
        told = eventually(lambda: next_event(stream, "alert.changed")["patch"])
        while told["rule"] != "seen":
            told = next_event(stream, "alert.changed")["patch"]
        assert told["state"] in {"pending", "open"}
        client.post("/api/v1/queues/seen/purge")
        gone = next_event(stream, "alert.changed", id=told["id"], patch=None)
        assert gone["id"] == told["id"]


def test_rules_are_there_from_the_start(client: httpx.Client) -> None:
    names = {one["name"]: one for one in client.get("/api/v1/alerts/rules").json()["items"]}
    assert {"invalid-events", "no-workers", "broker-lost", "database-lost", "missed-schedules"} <= set(names)
    assert all(not one["channels"] for one in names.values() if one["changed_by"] == "naq")
    kinds = {one["kind"] for one in client.get("/api/v1/alerts/kinds").json()["items"]}
    assert {one["kind"] for one in names.values()} <= kinds


def test_memory_of_workers_and_the_disk_are_watched(client: httpx.Client) -> None:
    make_rule(client, "heavy", "worker_memory", 1_000_000)
    make_rule(client, "full", "storage", 0, target="disk")
    heavy, full = incident(client, "heavy", "open"), incident(client, "full", "open")
    assert (heavy["unit"], heavy["page"]) == ("bytes", f"/workers/{heavy['subject']}")
    assert " MiB (more than 976.6 KiB is bad)" in heavy["text"]
    assert (full["subject"], full["page"], 0 < full["value"] < 1) == ("disk", "/settings", True)
    for rule in ("heavy", "full"):
        client.delete(f"/api/v1/alerts/rules/{rule}", headers={"If-Match": "*"})


def test_a_deploy_is_marked_and_incidents_stand_beside_it(client: httpx.Client) -> None:
    deploy = {"version": "1.4.2", "title": "prices  in cents", "url": "https://git.example.org/shop/1.4.2"}
    made = client.post("/api/v1/marks", json=deploy, headers={"Idempotency-Key": "deploy-1.4.2"})
    assert made.status_code == 201, made.text
    mark = made.json()
    again = client.post("/api/v1/marks", json=deploy, headers={"Idempotency-Key": "deploy-1.4.2"})
    assert again.json()["id"] == mark["id"], "a pipeline may try again"
    assert (mark["kind"], mark["title"], mark["until"]) == ("deploy", "prices in cents", None)
    assert client.get(made.headers["Location"]).json() == mark
    make_rule(client, "marked", "queue_depth", 0, target="mark")
    enqueue(client, "fine", queue="mark")
    one = incident(client, "marked", "open")
    both = client.get("/api/v1/marks", params={"window_s": 3600}).json()["items"]
    assert [each["id"] for each in both if each["id"] in {mark["id"], one["id"]}] == [one["id"], mark["id"]]
    assert next(each for each in both if each["id"] == one["id"])["until"] is None
    client.post("/api/v1/queues/mark/purge")
    incident(client, "marked", "resolved")
    [over] = [each for each in client.get("/api/v1/marks?kind=incident").json()["items"] if each["id"] == one["id"]]
    assert over["until"] >= over["at"]
    assert mark["id"] in {each["id"] for each in client.get("/api/v1/marks?kind=deploy&limit=500").json()["items"]}
    assert client.delete(f"/api/v1/marks/{mark['id']}").json()["done"] is True
    assert client.delete(f"/api/v1/marks/{mark['id']}").json()["code"] == "not_found"
    [noted] = client.get("/api/v1/audit", params={"action": "deleteMark", "limit": 1}).json()["items"]
    assert noted["target"] == mark["id"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "x", "kind": "incident"},
        {"title": "x", "kind": "A b"},
        {"title": "x", "url": "javascript:alert(1)"},
        {"title": "x", "at": "2199-01-01T00:00:00Z"},
        {"title": "x", "at": "1999-01-01T00:00:00Z"},
        {"title": "x", "version": "1\n2"},
        {"title": "a\0b"},
        {"title": "a\ud800b"},
        {"title": "x", "url": "https://[half"},
        {"title": "x", "url": "https://h/\0"},
        {"title": "x", "when": "now"},
    ],
)
def test_what_is_no_mark_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    before = client.get("/api/v1/marks").json()
    content = json.dumps(body).encode()
    answer = client.post("/api/v1/marks", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert client.get("/api/v1/marks").json() == before
