"""Who may do what: roles by the document, tokens, the login, the proxy's word, and what is noted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from api_tools import Served, document, serving
from hypothesis import given, settings
from hypothesis import strategies as st

from naq.config import Config
from naq.config.server import ServerConfig
from naq.exceptions import ConfigurationError
from naq.server.access.redact import HIDDEN, Redactor


def operations() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Method, path, role and the operation itself, of every route in the document."""
    return [
        (method.upper(), path, operation["x-naq-role"], operation)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    ]


OPERATIONS = operations()
CHANGES = [one for one in OPERATIONS if one[0] != "GET" and one[2] not in {"nobody", "viewer"}]


def test_every_route_says_its_role_and_only_these_are_for_everybody() -> None:
    assert {op["operationId"] for _, _, role, op in OPERATIONS if role == "nobody"} == {
        "livez", "readyz", "getMe", "logIn", "logOut",
    }  # fmt: skip
    # A preview changes nothing; everything else that is no GET needs more than a viewer.
    assert {op["operationId"] for method, _, role, op in OPERATIONS if method != "GET" and role == "viewer"} == {
        "previewSchedule", "previewAlertRule",
    }  # fmt: skip
    assert len(CHANGES) > 25


@pytest.mark.parametrize(
    ("method", "path"), [one[:2] for one in CHANGES], ids=[one[3]["operationId"] for one in CHANGES]
)
def test_a_viewer_is_refused_every_change(guarded: Served, viewer: str, method: str, path: str) -> None:
    with guarded.client(viewer) as client:
        answer = client.request(method, re.sub(r"\{[a-z_]+\}", "x", path), json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert answer.json()["params"]["role"] == "viewer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_operator_is_refused_what_is_for_admins(guarded: Served) -> None:
    with guarded.client(guarded.token("operator")) as client:
        for method, path, role, _ in OPERATIONS:
            if role == "admin":
                answer = client.request(method, re.sub(r"\{[a-z_]+\}", "x", path), json={})
                assert answer.json()["code"] == "forbidden", (method, path)
        refused = client.post("/api/v1/bulk-actions", json={"action": "delete", "filter": "state:failed"})
        assert refused.json()["params"] == {"role": "operator", "needs": "admin"}


@pytest.fixture(scope="module")
def viewer(guarded: Served) -> str:
    return guarded.token("viewer")


def test_nobody_sees_nothing_and_is_told_how_to_log_in(guarded: Served) -> None:
    with guarded.client() as client:
        answer = client.get("/api/v1/jobs")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_logged_in")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert client.get("/api/v1/me").json()["role"] is None
        assert client.get("/livez").status_code == 200
    with guarded.client("naq_wrong") as client:
        assert client.get("/api/v1/jobs").json()["code"] == "not_logged_in"


def test_a_token_is_made_seen_without_its_text_used_and_revoked(guarded: Served) -> None:
    with guarded.client(guarded.token("admin")) as admin:
        made = admin.post("/api/v1/tokens", json={"name": "deploy", "role": "operator"}).json()
        text, token_id = made["text"], made["token"]["id"]
        with guarded.client(text) as client:
            assert client.get("/api/v1/me").json()["name"] == "deploy"
        listed = admin.get("/api/v1/tokens").text
        assert token_id in listed
        assert text not in listed
        assert admin.delete(f"/api/v1/tokens/{token_id}").json()["outcome"] == "revoked"
        with guarded.client(text) as client:
            assert client.get("/api/v1/jobs").json()["code"] == "token_expired"
        [entry] = admin.get("/api/v1/audit", params={"action": "revokeToken", "target": token_id}).json()["items"]
        assert (entry["who"], entry["status"]) == ("a-admin", 200)
        assert entry["before"] == {"name": "deploy", "role": "operator"}
        assert text not in admin.get("/api/v1/audit").text


def test_a_token_ends_by_itself(guarded: Served) -> None:
    with guarded.client(guarded.token("viewer", ttl=-1.0)) as client:
        assert client.get("/api/v1/jobs").json()["code"] == "token_expired"


def test_a_login_gives_a_session_whose_writes_need_the_csrf_token(guarded: Served) -> None:
    with guarded.client() as client:
        assert client.post("/api/v1/login", json={"password": "guess"}).json()["code"] == "wrong_password"
        login = client.post("/api/v1/login", json={"password": "a long password"})
        cookie = login.headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
        csrf = client.get("/api/v1/me").json()["csrf"]
        body = {"name": "of-the-page"}
        assert client.post("/api/v1/tokens", json=body).json()["code"] == "cross_site"
        other = {"X-CSRF-Token": csrf, "Origin": "https://elsewhere.example"}
        assert client.post("/api/v1/tokens", json=body, headers=other).json()["code"] == "cross_site"
        assert client.post("/api/v1/tokens", json=body, headers={"X-CSRF-Token": csrf}).status_code == 201
        assert client.post("/api/v1/logout", headers={"X-CSRF-Token": csrf}).json()["done"] is True
        assert client.get("/api/v1/jobs").status_code == 401


def test_a_proxy_is_believed_only_where_the_settings_say_so(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="proxied")
    said = {"X-Forwarded-User": "ann", "X-Forwarded-Role": "operator"}
    with serving(config, tmp_path, auth="proxy", proxies=("127.0.0.1",)) as served, served.client(**said) as client:
        assert client.get("/api/v1/me").json() | {"expires_at": None} == {
            "name": "ann", "role": "operator", "how": "proxy", "expires_at": None, "csrf": None, "environment": "",
            "queues": None,
        }  # fmt: skip
        assert client.get("/api/v1/me", headers={"X-Forwarded-Role": "emperor"}).json()["role"] == "viewer"
    with serving(config, tmp_path, auth="proxy", proxies=("10.0.0.0/8",)) as served, served.client(**said) as client:
        assert client.get("/api/v1/jobs").status_code == 401


def test_a_public_address_without_access_control_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="everybody would be admin"):
        ServerConfig(host="0.0.0.0").refuse_public()
    ServerConfig(host="0.0.0.0", auth="tokens").refuse_public()
    ServerConfig(host="0.0.0.0", insecure=True).refuse_public()


def test_another_sites_page_cannot_write_where_access_is_off(served: Served) -> None:
    with served.client(Origin="https://elsewhere.example") as client:
        assert client.post("/api/v1/jobs", json={"task": "shop.add"}).json()["code"] == "cross_site"
    with served.client(**{"Sec-Fetch-Site": "cross-site"}) as client:
        assert client.post("/api/v1/jobs", json={"task": "shop.add"}).json()["code"] == "cross_site"


def test_names_and_paths_are_hidden_at_any_depth() -> None:
    redact = Redactor(["password", "args.0.card", "kwargs.user.*"])
    value = {"args": [{"card": 1, "n": 2, "Password": 3}], "kwargs": {"user": {"a": 1}, "x": [{"password": 1}]}}
    assert redact(value) == {
        "args": [{"card": HIDDEN, "n": 2, "Password": HIDDEN}],
        "kwargs": {"user": {"a": HIDDEN}, "x": [{"password": HIDDEN}]},
    }


@settings(max_examples=300, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.integers(0, 9) | st.text('aAßSs"\\/0é', max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('aAßSs"\\/0é', max_size=2), inner),
        max_leaves=8,
    ),
    rules=st.lists(
        st.sampled_from(["a", "SS", "0", "é", 'a"', "result", "result.a", "result.*.0", "*.a.S", "result.0.é", "x/"]),
        max_size=3,
    ),
    path=st.sampled_from([(), ("result",)]),
    escaped=st.booleans(),
)
def test_what_is_not_read_has_nothing_to_hide(
    value: Any, rules: list[str], path: tuple[str, ...], *, escaped: bool
) -> None:
    """Text in which no rule can fit is stored as it came: that must be the same as reading it."""
    redact = Redactor(rules)
    text = json.dumps(value, ensure_ascii=escaped)
    assert json.loads(redact.hide(text, *path)) == redact(value, *path)
