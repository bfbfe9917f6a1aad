"""What holds for every route: problems, ids, limits, keys, headers; the document; what is said when a part is away."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import FREE, Served, events, eventually, next_event, serving

from naq.config import Config
from naq.config.server import SERVER_KINDS, ServerConfig
from naq.server.api.app import make_app
from naq.server.api.document import text
from naq.server.api.live import TOPICS
from naq.server.api.routes import Deprecated, Routes
from naq.server.filters import read_filter
from naq.server.live.tidings import NAMES
from naq.server.problems import Problem
from naq.server.problems.catalogue import page
from naq.server.store.conditions import Among, Begins, Between, Contains, Tagged
from naq.testing.broker import bundled_server

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_document_is_that_of_the_code() -> None:
    app = make_app(Config(broker_url="memory:"), ServerConfig())
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == text(app), "run: naq openapi -o docs/openapi.json"


def test_the_page_of_problems_is_the_catalogue() -> None:
    assert (DOCS / "problems.md").read_text(encoding="utf-8") == page()


def test_every_setting_is_documented_with_its_default() -> None:
    written = (DOCS / "server.md").read_text(encoding="utf-8")
    config = ServerConfig()
    for name, (_, meaning) in SERVER_KINDS.items():
        value: Any = getattr(config, name)
        if name in {"proxies", "redact", "webhook_allow"}:
            shown = ", ".join(value) or "none"
        elif isinstance(value, bool):
            shown = str(value).lower()
        else:
            shown = f"{value:g}" if isinstance(value, float) else str(value) or "none"
        assert f"| `{name}` | `{shown}` | {meaning} |" in written, name


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "no_route"),
        ("GET", "/api/v1/nothing", 404, "no_route"),
        ("PUT", "/api/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/api/v1/jobs?limit=0", 422, "invalid"),
        ("GET", "/api/v1/jobs?limit=201", 422, "invalid"),
        ("GET", "/api/v1/jobs?stat=failed", 422, "invalid"),
        ("GET", "/api/v1/jobs?sort=colour", 422, "invalid"),
        ("GET", "/api/v1/jobs?filter=state:lost", 422, "invalid_filter"),
        ("GET", "/api/v1/jobs?cursor=AAAA", 422, "cursor_invalid"),
        ("GET", "/api/v1/jobs/..%2f..%2fetc", 404, "no_route"),
        ("GET", "/api/v1/jobs/a%20b", 422, "invalid"),
        ("GET", "/api/v1/jobs/none", 404, "job_not_found"),
        ("GET", "/api/v1/schedules/none", 404, "not_found"),
    ],
)
def test_everything_that_is_no_success_is_a_problem(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    said = answer.json()
    assert (answer.status_code, said["code"], said["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert said["request_id"] == answer.headers["X-Request-ID"]
    assert said["type"].endswith(code.replace("_", "-"))


def test_bodies_are_json_of_a_bounded_size(client: httpx.Client) -> None:
    url, kind = "/api/v1/jobs", {"Content-Type": "application/json"}
    assert client.post(url, content=b"{", headers=kind).json()["code"] == "invalid"
    assert client.post(url, content=b"a=b").json()["code"] == "wrong_content_type"
    large = b"[" + b"1," * 600_000
    assert client.post(url, content=large, headers=kind).json()["code"] == "body_too_large"
    assert client.post(url, content=iter([large]), headers=kind).json()["code"] == "body_too_large"  # chunked


def test_a_request_id_is_taken_if_it_is_safe_and_reaches_the_job(client: httpx.Client) -> None:
    answer = client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1]}, headers={"X-Request-ID": "mine-1"})
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert client.get(f"/api/v1/jobs/{answer.json()['id']}").json()["tags"]["request-id"] == "mine-1"
    assert client.get("/livez", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"].startswith("req_")


def test_a_key_makes_two_requests_one(client: httpx.Client) -> None:
    body, key = {"task": "shop.add", "args": [1]}, {"Idempotency-Key": "once"}
    first = client.post("/api/v1/jobs", json=body, headers=key)
    second = client.post("/api/v1/jobs", json=body, headers=key)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert client.post("/api/v1/jobs", json={**body, "args": [2]}, headers=key).json()["code"] == "key_reused"
    answers: list[httpx.Response] = []

    def send() -> None:
        answers.append(client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "at once"}))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


def test_an_answer_with_a_secret_is_not_kept(served: Served, client: httpx.Client) -> None:
    key = {"Idempotency-Key": "a token"}
    first, second = (client.post("/api/v1/tokens", json={"name": "kept"}, headers=key) for _ in range(2))
    assert first.json()["text"] != second.json()["text"]
    assert first.json()["text"].encode() not in Path(served.core.settings.database[len("sqlite:///") :]).read_bytes()


def test_every_answer_carries_what_keeps_a_browser_safe(client: httpx.Client) -> None:
    headers = client.get("/api/v1/jobs").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["RateLimit-Policy"].startswith('"default";q=')


def test_who_asks_too_often_is_told_when_to_come_back(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="rated")
    with serving(config, tmp_path, rate="3/60s") as served, served.client() as client:
        codes = [client.get("/api/v1/me").status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        refused = client.get("/api/v1/nothing")
        assert refused.json()["code"] == "too_many_requests"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get("/livez").status_code == 200


def test_a_broker_that_is_away_is_said_by_every_route_alike_and_comes_back(tmp_path: Path) -> None:
    with bundled_server() as nats:
        config = Config(broker_url=nats.url, namespace="away", publish_timeout=1.0)
        asked = {"request_timeout": 1.0, "breaker_open": 0.5, "breaker_failures": 1}
        with (
            serving(config, tmp_path, **asked) as served,
            served.client() as client,
            client.stream("GET", "/api/v1/events", params={"topics": "queues"}) as stream,
        ):
            told = events(stream)
            next_event(told, "hello")
            nats.kill()
            for path in ("queues", "workers", "schedules", "dead-letters", "overview"):
                answer = client.get(f"/api/v1/{path}")
                assert (answer.status_code, answer.json()["code"]) == (503, "broker_unavailable"), path
                assert int(answer.headers["Retry-After"]) >= 1
            assert client.get("/api/v1/jobs").json()["items"] == []  # the history is there
            assert client.get("/readyz").status_code == 503
            assert next_event(told, "server.status", part="broker", ok=False)["detail"]
            nats.start()
            eventually(lambda: client.get("/api/v1/queues").status_code == 200, "the broker is back")
            assert next_event(told, "server.status", ok=True, part="broker")


def test_a_database_that_is_away_is_503_and_never_an_empty_list(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="nodatabase")
    url = "postgresql://nobody@127.0.0.1:1/none"
    with serving(config, tmp_path, whole=False, database=url, **FREE) as served, served.client() as client:
        for path in ("jobs", "errors", "trends", "stats", "audit", "tokens", "bulk-actions"):
            answer = client.get(f"/api/v1/{path}")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable"), path
            assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/api/v1/queues").status_code == 200
        assert client.get("/readyz").json()["parts"]["database"]["ok"] is False
        # What cannot be noted in the audit log is not done.
        assert client.post("/api/v1/jobs", json={"task": "shop.add"}).json()["code"] == "database_unavailable"


def test_filters_are_read_into_conditions() -> None:
    found = read_filter(
        'state:failed,expired -queue:mail task:shop.* tag:a=b "two words" duration:>5s attempt:2..3', most=20
    )
    assert found.conditions == (
        Among("state", ("failed", "expired")),
        Among("queue", ("mail",), True),
        Begins("task", "shop."),
        Tagged("a", "b"),
        Contains("task", "two words"),
        Between("duration_us", 5_000_001),
        Between("attempt", 2, 4),
    )


@pytest.mark.parametrize(
    "wrong", ["state:", "colour:red", "duration:soon", "is:pretty", "tag:x", 'error:"open', "created:.."]
)
def test_a_filter_that_cannot_be_read_says_which_term(wrong: str) -> None:
    with pytest.raises(Problem) as caught:
        read_filter(f"queue:mail {wrong}", most=20)
    [error] = caught.value.errors
    assert error["pointer"] == "/query/filter"
    assert wrong.split(":", maxsplit=1)[0] in error["message"]


def test_a_served_page_does_not_depend_on_its_prefix(broker: str, tmp_path: Path, served: Served) -> None:
    config = Config(broker_url=broker, namespace="prefixed")
    with serving(config, tmp_path, path_prefix="/naq") as other:
        assert other.url.endswith("/naq")
        with httpx.Client(base_url=other.url.removesuffix("/naq"), trust_env=False) as client:
            made = client.post("/api/v1/jobs", json={"task": "x.y"})  # the proxy has taken the prefix away
            assert made.headers["Location"].startswith("/naq/api/v1/jobs/")


def test_a_route_that_is_not_to_be_used_any_more_says_until_when_it_is_there() -> None:
    routes = Routes("old")

    @routes.add("GET", "/old", "getOld", "Old", role=None, scope="nothing",
                deprecated=Deprecated(date(2026, 7, 1), date(2027, 1, 1)))  # fmt: skip
    async def get_old() -> dict[str, str]:
        return {"still": "here"}

    assert get_old
    app = make_app(Config(broker_url="memory:"), ServerConfig())
    app.include_router(routes.router)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://naq") as client:
            return await client.get("/api/v1/old")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()) == (200, {"still": "here"})
    assert answer.headers["Deprecation"] == "@1782864000"
    assert answer.headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert app.openapi()["paths"]["/api/v1/old"]["get"]["deprecated"] is True


def test_every_event_and_topic_is_in_the_docs() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert [name for name in (*NAMES, *TOPICS) if f"`{name}`" not in page] == []
