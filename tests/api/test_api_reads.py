"""Reads that are asked for again, the settings, the reference page, and what is told live out of the database."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2 as httpx
from api_tools import Served, events, eventually, next_event, serving, working

from naq import Naq
from naq.config import Config


def test_what_is_known_already_is_not_sent_again(client: httpx.Client) -> None:
    for path in ("/api/v1/tasks/shop.add", "/api/v1/openapi.json", "/api/v1/settings", "/docs"):
        eventually(lambda path=path: client.get(path).status_code == 200, path)
        first = client.get(path)
        again = client.get(path, headers={"If-None-Match": f'"other", {first.headers["ETag"]}'})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"]), path
        assert again.headers["X-Request-ID"]
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_schedule_that_fires_is_shown_as_it_is_now(client: httpx.Client) -> None:
    body = {"name": "etag", "task": "shop.add", "args": [1], "every_s": 3600}
    assert client.post("/api/v1/schedules", json=body).status_code == 201
    seen = client.get("/api/v1/schedules/etag").headers["ETag"]
    assert client.get("/api/v1/schedules/etag", headers={"If-None-Match": seen}).status_code == 200
    client.delete("/api/v1/schedules/etag", headers={"If-Match": "*"})


def test_a_file_that_is_there_already_is_not_sent_again(client: httpx.Client) -> None:
    job_id = client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1]}).json()["id"]
    url = f"/api/v1/jobs/{job_id}/artifacts/a.txt"
    assert client.put(url, content=b"hello").status_code == 201
    etag = client.get(url).headers["ETag"]
    again = client.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_settings_are_shown_with_their_sources_and_no_secrets(guarded: Served) -> None:
    with guarded.client(guarded.token("admin")) as client:
        found = {one["name"]: one for one in client.get("/api/v1/settings").json()["items"]}
        assert found["server_auth"]["value"] == "'tokens'"
        assert found["server_auth"]["source"] == "program"
        assert found["server_page_size"] == {"name": "server_page_size", "value": "50", "source": "default"}
        assert "a long password" not in client.get("/api/v1/settings").text
    with guarded.client(guarded.token("viewer")) as client:
        assert client.get("/api/v1/settings").json()["code"] == "forbidden"


class Page(HTMLParser):
    """What a page loads, and what it links to and from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids.add(given.get("id") or "")
        assert not {"src", "style", "onclick"} & given.keys(), (tag, attrs)
        if tag == "a":
            self.links.append(given["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"]:
            self.style += data


def test_the_reference_is_a_page_that_loads_nothing(guarded: Served) -> None:
    with guarded.client() as client:  # whoever may not read jobs may still read how
        answer = client.get("/docs")
        document = client.get("/api/v1/openapi.json").json()
    page = Page()
    page.feed(answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    [digest] = re.findall(r"'sha256-([^']+)'", policy)
    assert digest == base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert {link for link in page.links if not link.startswith("#")} == {"/api/v1/openapi.json"}
    operations = {op["operationId"] for item in document["paths"].values() for op in item.values()}
    assert operations <= page.ids
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= page.ids


def test_readiness_tells_how_far_the_history_is_behind(client: httpx.Client) -> None:
    def history() -> dict[str, Any]:
        return client.get("/readyz").json()["parts"].get("history", {})

    part = eventually(lambda: (found := history()).get("lag_s") is not None and found, "this server reads the log")
    assert part["ok"] is True
    assert part["hard"] is False
    assert part["lag_s"] < 60


def test_errors_and_bulk_actions_are_told_by_any_server(broker: str, tmp_path: Path) -> None:
    app = Naq("shared", broker_url=broker, namespace="shared")

    @app.task(name="shop.fail")
    def fail(why: str) -> None:
        raise ValueError(why)

    config, database = Config(broker_url=broker, namespace="shared"), f"sqlite:///{tmp_path}/shared.db"
    with (
        working(app),
        serving(config, tmp_path, database=database) as one,
        serving(config, tmp_path, database=database) as two,
        one.client() as client,
        two.client() as other,
        other.stream("GET", "/api/v1/events", params={"topics": "errors,bulk"}) as answer,
    ):
        stream = events(answer)
        next_event(stream, "hello")
        job_id = client.post("/api/v1/jobs", json={"task": "shop.fail", "args": ["told by any"]}).json()["id"]
        changed = next_event(stream, "error.changed")
        assert (changed["patch"]["type"], changed["patch"]["last_job_id"]) == ("builtins.ValueError", job_id)
        assert client.post(f"/api/v1/errors/{changed['id']}/resolve").status_code == 200
        assert next_event(stream, "error.changed", id=changed["id"])["patch"]["state"] == "resolved"
        begun = client.post("/api/v1/bulk-actions", json={"action": "retry", "ids": [job_id]})
        told = next_event(stream, "bulk.progress", id=begun.json()["id"])
        while told["patch"]["state"] != "finished":
            told = next_event(stream, "bulk.progress", id=begun.json()["id"])
        assert told["patch"]["done"] == 1


def test_answers_are_compressed_and_files_are_not(client: httpx.Client) -> None:
    """What is compressed is no part of the file, and not as long as it says."""
    job_id = client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1]}).json()["id"]
    table, takes = f"/api/v1/jobs/{job_id}/artifacts/table.json", {"Accept-Encoding": "gzip, br, zstd"}
    assert client.put(table, content=b"a,b\n" * 10_000).status_code == 201
    for asked, content in ({}, b"a,b\n" * 10_000), ({"Range": "bytes=4-7"}, b"a,b\n"):
        told = client.get(table, headers={**takes, **asked})
        assert "Content-Encoding" not in told.headers
        assert told.headers["Repr-Digest"].startswith("sha-256=:")
        assert (int(told.headers["Content-Length"]), told.content) == (len(content), content)
    document = client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert document.headers["Content-Encoding"] == "gzip"
