"""Finding jobs: what they have in common, in bars, and what a filter may go on with."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import eventually

from naq.server.api.export import _cell  # pyright: ignore[reportPrivateUsage]

MINE = "tag:of=finding"


@pytest.fixture(scope="module")
def jobs(served: Any) -> list[str]:
    """Twelve jobs in the history: nine that wait, three that failed."""
    with served.client() as client:

        def enqueue(**body: Any) -> str:
            body = {"tags": {"of": "finding"}, **body}
            answer = client.post("/api/v1/jobs", json=body)
            assert answer.status_code == 201, answer.text
            return answer.json()["id"]

        made = [enqueue(task="shop.add", kwargs={"a": n, "b": 7}, delay_ms=3_600_000) for n in range(6)]
        made += [
            enqueue(task="shop.ship", args=[{"id": n, "to": {"city": "Bern"}}], delay_ms=3_600_000) for n in range(3)
        ]
        made += [enqueue(task="shop.fail", args=["found"]) for _ in range(3)]

        def there() -> bool:
            states = client.get("/api/v1/jobs/states", params={"filter": MINE}).json()["states"]
            return (states["scheduled"]["value"], states["failed"]["value"]) == (9, 3)

        eventually(there, "the history has them all")
    return made


@pytest.mark.usefixtures("jobs")
def test_facets_say_how_many_have_which_value(client: httpx.Client) -> None:
    said = client.get("/api/v1/jobs/facets", params={"filter": MINE}).json()
    assert said["counted"] == {"value": 12, "relation": "exact"}
    facets = {key: {one["value"]: one["count"] for one in values} for key, values in said["facets"].items()}
    assert facets["state"] == {"scheduled": 9, "failed": 3}
    assert facets["task"] == {"shop.add": 6, "shop.ship": 3, "shop.fail": 3}
    assert facets["queue"] == {"default": 9, "ships": 3}
    assert facets["type"] == {"builtins.ValueError": 3}
    assert facets["tag"]["of=finding"] == 12
    some = client.get("/api/v1/jobs/facets", params={"filter": f"{MINE} args.b:7 state:scheduled"}).json()
    assert some["counted"]["value"] == 6
    assert client.get("/api/v1/jobs/facets", params={"filter": "state:lost"}).json()["code"] == "invalid_filter"


@pytest.mark.usefixtures("jobs")
def test_bars_are_of_time_or_of_length(client: httpx.Client) -> None:
    url = "/api/v1/jobs/histogram"
    created = client.get(url, params={"filter": MINE}).json()
    assert sum(bar["count"] for bar in created["bars"]) == created["counted"]["value"] == 12
    assert created["step_s"] == 60
    assert sum(bar["states"].get("failed", 0) for bar in created["bars"]) == 3
    ended = client.get(url, params={"filter": MINE, "by": "finished"}).json()
    assert sum(bar["count"] for bar in ended["bars"]) == 3
    length = client.get(url, params={"filter": f"{MINE} state:failed", "by": "duration"}).json()
    assert sum(bar["count"] for bar in length["bars"]) == 3
    assert 0 <= length["p50_ms"] <= length["p95_ms"]
    assert client.get(url, params={"filter": "tag:of=nothing"}).json()["bars"] == []


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("written", "at", "suggested"),
    [
        ("", 0, "state:"),
        ("que", 0, "queue:"),
        ("state:failed que", 13, "queue:"),
        ("state:fa", 0, "state:failed"),
        ("state:failed,exp", 0, "state:failed,expired"),
        ("-priority:", 0, "-priority:high"),
        ("is:st", 0, "is:stuck"),
        ("queue:shi", 0, "queue:ships"),
        ("task:ship", 0, "task:shop.ship"),
        ("shop.sh", 0, "task:shop.ship"),
        ("tag:o", 0, "tag:of="),
        ("tag:of=fin", 0, "tag:of=finding"),
        ("meta.o", 0, "meta.of:"),
        ("meta.of:fin", 0, "meta.of:finding"),
        ("args.", 0, "args.0.to.city:"),
        ("args.0.to.city:B", 0, "args.0.to.city:Bern"),
        ("type:Value", 0, "type:builtins.ValueError"),
        ("created:", 0, "created:<1h"),
    ],
)
def test_a_filter_is_completed_as_it_is_written(client: httpx.Client, written: str, at: int, suggested: str) -> None:
    said = client.get("/api/v1/jobs/suggest", params={"q": written}).json()
    assert said["at"] == at
    texts = [item["text"] for item in said["items"]]
    assert suggested in texts, texts
    assert len(texts) <= 20
    taken = written[:at] + suggested
    if not suggested.endswith((":", "=")):  # what is suggested is a filter
        assert client.get("/api/v1/jobs", params={"filter": taken}).status_code == 200


def test_nothing_is_suggested_where_nothing_fits(client: httpx.Client) -> None:
    for written in ("state:lost", "queue:no-such", "colour:red", 'error:"half'):
        assert client.get("/api/v1/jobs/suggest", params={"q": written}).json()["items"] == []


def test_a_job_is_shown_with_what_is_asked_for(client: httpx.Client, jobs: list[str]) -> None:
    url = f"/api/v1/jobs/{jobs[-1]}"
    plain = client.get(url).json()
    assert not {"attempts", "children"} & plain.keys()
    whole = client.get(url, params={"include": "attempts,children"}).json()
    assert whole["attempts"] == client.get(f"{url}/attempts").json()["items"]
    assert whole["children"] == []
    assert {name: value for name, value in whole.items() if name in plain} == plain
    wrong = client.get(url, params={"include": "attempt"})
    assert "did you mean 'attempts'" in wrong.json()["errors"][0]["hint"]


def test_jobs_are_exported_as_lines_or_as_a_table(
    client: httpx.Client, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naq.server.api.export.PAGE", 5)  # several pages
    url = "/api/v1/jobs/export"
    answer = client.get(url, params={"filter": MINE})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="jobs.jsonl"'
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["id"] for row in rows] == sorted(jobs, reverse=True)
    listed = client.get("/api/v1/jobs", params={"filter": MINE}).json()["items"]
    assert rows == listed
    table = list(csv.DictReader(io.StringIO(client.get(url, params={"filter": MINE, "format": "csv"}).text)))
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    assert json.loads(table[0]["tags"])["of"] == "finding"
    assert client.get(url, params={"filter": "state:lost"}).json()["code"] == "invalid_filter"
    empty = client.get(url, params={"filter": "tag:of=nobody", "format": "csv"}).text
    assert empty.startswith("id,state,task")
    assert empty.count("\n") == 1


@pytest.mark.parametrize(("value", "cell"), [("=1", "'=1"), ("-x", "'-x"), ("a", "a"), (5, "5"), (None, "")])
def test_a_cell_is_never_a_formula(value: Any, cell: str) -> None:
    assert _cell(value) == cell
