"""What stands around every route, tried on all of them: the audit log, headers, rates; and what is never stored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import Served, eventually, serving, working
from test_api_access import OPERATIONS
from test_api_outage import ask

from naq import Naq
from naq.config import Config
from naq.server.api.middleware import SECURITY

CHANGES = [one for one in OPERATIONS if one[0] != "GET"]


def test_every_change_that_is_asked_for_is_in_the_audit_log(guarded: Served) -> None:
    with guarded.client(guarded.token("admin", name="auditor")) as client:
        for method, path, _, operation in CHANGES:
            name = operation["operationId"]
            if name == "logOut":  # of a session
                continue
            client.headers["X-Request-ID"] = f"audit-{name}"
            answer = ask(client, method, path, operation, {})
            assert answer.status_code < 500, (name, answer.text)
            assert answer.headers["X-Request-ID"] == f"audit-{name}"
            found = client.get("/api/v1/audit", params={"action": name, "limit": 5}).json()["items"]
            entry = next((one for one in found if one["request_id"] == f"audit-{name}"), None)
            assert entry is not None, name
            assert (entry["who"], entry["role"], entry["address"]) == ("auditor", "admin", "127.0.0.1"), name
            assert entry["status"] == answer.status_code, name
            if answer.status_code < 300:
                assert answer.headers["Naq-Audit"] == entry["id"], name


def test_every_answer_carries_the_same_headers(guarded: Served) -> None:
    with guarded.client() as nobody, guarded.client(guarded.token("viewer")) as viewer:
        for client in (nobody, viewer):
            for method, path, _, operation in OPERATIONS:
                answer = ask(client, method, path, operation, {})
                missing = [name for name in (*SECURITY, "X-Request-ID", "Naq-Version") if name not in answer.headers]
                assert missing == [], (operation["operationId"], answer.status_code)
                if answer.status_code >= 400 and path not in {"/readyz", "/metrics"}:
                    assert answer.headers["content-type"] == "application/problem+json"
        for path in ("/nowhere", "/docs", "/api/v1/openapi.json"):
            assert SECURITY.keys() <= {name.title() for name in nobody.get(path).headers} | {"Content-Security-Policy"}


def test_a_bug_is_said_and_logged_under_the_requests_id(
    guarded: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("the password is hunter2")

    monkeypatch.setattr("naq.server.store.queries.trends.totals", broken)
    with guarded.client(guarded.token("viewer"), **{"X-Request-ID": "bug-1"}) as client:
        answer = client.get("/api/v1/stats")
    assert (answer.status_code, answer.json()["code"], answer.json()["request_id"]) == (500, "internal", "bug-1")
    assert "hunter2" not in answer.text
    [record] = [one for one in caplog.records if "bug-1" in one.getMessage()]
    assert record.exc_info


def test_another_method_is_told_which_there_are(guarded: Served) -> None:
    with guarded.client() as client:
        answer = client.put("/api/v1/jobs", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST"


def test_each_token_and_each_address_has_a_rate_of_its_own(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="rates")
    rates = {"rate": "5/60s", "rate_login": "2/60s", "rate_enqueue": "2/60s", "rate_bulk": "1/60s"}
    guard = {"auth": "tokens", "admin_password": "right", "proxies": ("127.0.0.1",)}
    with serving(config, tmp_path, **{**rates, **guard}) as served:
        one, two = (served.token("operator", name=name) for name in ("one", "two"))

        def left(client: httpx.Client, url: str = "/api/v1/me") -> str:
            return re.findall(r"r=([0-9]+)", client.get(url).headers.get("RateLimit", "r=none"))[0]

        with served.client(one) as first, served.client(two) as second:
            assert [left(first) for _ in range(5)] == ["4", "3", "2", "1", "0"]
            refused = first.get("/api/v1/me")
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
            assert left(second) == "4"
            body = {"task": "shop.add", "args": [1]}
            codes = [second.post("/api/v1/jobs", json=body).status_code for _ in range(3)]
            assert codes == [201, 201, 429]
        # Who guesses is counted by the address that a believed proxy has seen.
        with served.client("naq_guess", **{"X-Forwarded-For": "192.0.2.1"}) as guesser:
            assert [guesser.get("/api/v1/me").status_code for _ in range(6)] == [401] * 5 + [429]
        with served.client(**{"X-Forwarded-For": "192.0.2.2"}) as other:
            assert other.get("/api/v1/me").status_code == 200
            codes = [other.post("/api/v1/login", json={"password": "wrong"}).status_code for _ in range(3)]
            assert codes == [401, 401, 429]
        with served.client(**{"X-Forwarded-For": "192.0.2.3"}) as owner:
            assert owner.post("/api/v1/login", json={"password": "right"}).status_code == 200


def test_what_is_hidden_is_never_stored_nor_is_a_tokens_text(broker: str, tmp_path: Path) -> None:
    app = Naq("hidden", broker_url=broker, namespace="hidden")

    @app.task(name="shop.pay")
    async def pay(card: str, order: dict[str, Any]) -> dict[str, Any]:
        return {"receipt": f"for {card[-4:]}", "api_key": "key-48151623"}

    config = Config(broker_url=broker, namespace="hidden")
    rules = {"redact": ("api_key", "kwargs.card", "kwargs.order.*.pin")}
    with serving(config, tmp_path, auth="tokens", **rules) as served:
        token = served.token("admin")
        with served.client(token) as client:
            call = {
                "task": "shop.pay",
                "kwargs": {"card": "4929-1234-5678", "order": {"a": {"pin": "pin-9999", "n": 1}}},
            }
            waiting = client.post("/api/v1/jobs", json={**call, "queue": "later", "delay_ms": 3_600_000}).json()["id"]
            eventually(lambda: client.get("/api/v1/jobs").json()["items"], "the history has seen it wait")
            with working(app):
                ran = client.post("/api/v1/jobs", json=call).json()["id"]
                eventually(lambda: client.get(f"/api/v1/jobs/{ran}").json()["source"] == "history" and client.get(
                    f"/api/v1/jobs/{ran}").json()["state"] == "succeeded", "it has run")  # fmt: skip
            shown = client.get(f"/api/v1/jobs/{waiting}").json()
            assert shown["kwargs"] == {"card": "[hidden]", "order": {"a": {"pin": "[hidden]", "n": 1}}}
            made = client.post("/api/v1/tokens", json={"name": "text"}).json()["text"]
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"shop.pay" in stored
    for secret in ("4929-1234-5678", "pin-9999", "key-48151623", token, made):
        assert secret.encode() not in stored, secret


def test_cursors_end_and_are_of_their_servers_alone_and_counts_are_capped(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="cursors")
    settings = {"cursor_ttl": 4.0, "count_cap": 3, "page_size": 2, "secret": "s" * 32}
    with serving(config, tmp_path, **settings) as served, served.client() as client:
        call = {"task": "shop.add", "args": [1], "delay_ms": 3_600_000}
        assert client.post("/api/v1/jobs/batch", json={"jobs": [call] * 5}).json()["stored"] == 5

        def page(**asked: Any) -> Any:
            return client.get("/api/v1/jobs", params=asked)

        first = eventually(lambda: (found := page(count="capped")).json()["total"]["value"] == 3 and found)
        assert first.json()["total"] == {"value": 3, "relation": "at_least"}
        cursor = page().json()["next_cursor"]
        assert len(page(cursor=cursor).json()["items"]) == 2
        eventually(lambda: page(cursor=cursor).status_code == 422, "the cursor ends")
        assert page(cursor=cursor).json()["code"] == "cursor_invalid"
        fresh = page().json()["next_cursor"]
    other = {**settings, "cursor_ttl": 3600.0}
    with serving(config, tmp_path, **{**other, "secret": "t" * 32}) as served, served.client() as client:
        assert client.get("/api/v1/jobs", params={"cursor": fresh}).json()["code"] == "cursor_invalid"
    with serving(config, tmp_path, **other) as served, served.client() as client:  # another server with the same secret
        assert client.get("/api/v1/jobs", params={"cursor": fresh}).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_role_sees_what_it_may_not_do_refused_before_anything_else(guarded: Served, role: Any) -> None:
    """Whatever the body is: what is refused for its role says nothing about it."""
    with guarded.client(guarded.token(role)) as client:
        for method, path, needs, operation in CHANGES:
            allowed = needs in {"nobody", "viewer", role}
            if not allowed:
                path = re.sub(r"\{[a-z_]+\}", "none", path)  # noqa: PLW2901
                answer = client.request(method, path, content=b"{", headers={"Content-Type": "application/json"})
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), operation["operationId"]
