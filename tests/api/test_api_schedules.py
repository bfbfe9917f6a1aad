"""Schedules through the API: every field of one is changed by itself, and its jobs follow."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest
from api_tools import eventually

URL = "/api/v1/schedules/edited"
ANY = {"If-Match": "*"}


@pytest.fixture
def schedule(client: httpx.Client) -> Any:
    """A schedule that is a day ahead."""
    eventually(
        lambda: client.get("/api/v1/tasks/shop.ship").json().get("arguments"), "the worker has told of its tasks"
    )
    body = {"name": "edited", "task": "shop.add", "kwargs": {"a": 1}, "cron": "0 3 * * *", "tags": {"team": "a"}}
    made = client.post("/api/v1/schedules", json=body)
    assert made.status_code == 201, made.text
    yield made.json()
    client.delete(URL, headers=ANY)


@pytest.mark.parametrize(
    ("edit", "shown"),
    [
        ({"cron": "0 4 * * *"}, {}),
        ({"tz": "Europe/Berlin"}, {}),
        ({"start": "2030-01-01T00:00:00Z"}, {"start": "2030-01-01T00:00:00.000000Z"}),
        ({"end": "2031-01-01T00:00:00Z"}, {"end": "2031-01-01T00:00:00.000000Z"}),
        ({"repeat": 3}, {}),
        ({"jitter_s": 5}, {}),
        ({"missed": "skip"}, {}),
        ({"overlap": "skip"}, {}),
        ({"kwargs": {"a": 2, "b": 3}}, {}),
        ({"args": [7], "kwargs": {}}, {}),
        ({"queue": "nights"}, {}),
        ({"priority": "low"}, {}),
        ({"tags": {"team": "b"}}, {"tags": {"team": "b", "schedule": "edited"}}),
        ({"expires_in_s": 600}, {"expires_in_s": 600.0}),
        ({"task": "shop.fail", "kwargs": {"why": "x"}}, {}),
    ],
)
def test_each_field_is_changed_by_itself(
    client: httpx.Client, schedule: dict[str, Any], edit: dict[str, Any], shown: dict[str, Any]
) -> None:
    before = client.get(URL).json()
    answer = client.patch(URL, json=edit, headers={"If-Match": before["version"]})
    assert answer.status_code == 200, answer.text
    after = client.get(URL).json()
    wanted = {**edit, **shown}
    assert {name: after[name] for name in wanted} == wanted
    told = {"version", "changed_at", "changed_by", "next", "words", *wanted}
    assert {name: value for name, value in after.items() if name not in told} == {
        name: value for name, value in before.items() if name not in told
    }
    assert after["version"] != before["version"] == schedule["version"]
    [entry] = client.get("/api/v1/audit", params={"action": "editSchedule", "target": "edited"}).json()["items"][:1]
    assert entry["status"] == 200
    if "kwargs" not in edit:  # arguments may be secret, and are not in the audit log
        assert {name: entry["after"][name] for name in edit} == {name: after[name] for name in edit}


def test_an_edit_that_its_task_does_not_take_changes_nothing(client: httpx.Client, schedule: dict[str, Any]) -> None:
    for edit, pointer in (({"kwargs": {"a": "x"}}, "/kwargs/a"), ({"task": "shop.ship"}, "/kwargs")):
        answer = client.patch(URL, json=edit, headers=ANY)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert client.patch(URL, json={}, headers=ANY).json()["code"] == "invalid"
    assert client.patch(URL, json={"queue": "q"}).json()["code"] == "precondition_required"
    assert client.get(URL).json()["version"] == schedule["version"]


@pytest.mark.usefixtures("schedule")
def test_an_end_is_taken_back_and_a_run_is_of_what_it_is_now(client: httpx.Client) -> None:
    client.patch(URL, json={"end": "2031-01-01T00:00:00Z", "repeat": 5}, headers=ANY)
    back = client.patch(URL, json={"end": None, "repeat": None, "kwargs": {"a": 40, "b": 2}}, headers=ANY).json()
    assert (back["end"], back["repeat"]) == (None, None)
    assert [one["name"] for one in client.get("/api/v1/schedules?task=shop.add").json()["items"]] == ["edited"]
    assert client.get("/api/v1/schedules?task=shop.none").json()["items"] == []
    run = client.post(f"{URL}/run").json()["id"]
    result = client.get(f"/api/v1/jobs/{run}/result", params={"wait": "20s"}).json()
    assert result["result"]["sum"] == 42
    many = {"limit": 100}  # cancelled runs of the tests before were for later, and are listed first
    runs = eventually(
        lambda: [one for one in client.get(f"{URL}/runs", params=many).json()["items"] if one["id"] == run]
    )
    assert runs[0]["tags"]["schedule"] == "edited"
    assert all(one["state"] != "scheduled" for one in client.get(f"{URL}/runs", params={"limit": 5}).json()["items"])
    assert client.get("/api/v1/schedules/none/runs").status_code == 404
