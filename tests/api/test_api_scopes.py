"""Tokens that are for some queues: what every operation of the document shows and does to them, and what not."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import Served, events, eventually, next_event, serving, working
from test_api_access import OPERATIONS
from test_api_outage import ask

from naq import Naq
from naq.config import Config

MARK = "their-secret"
ASIDE = {"streamEvents", "getBulk", "getTrends", "getDurations", "getStats"}  # which have tests of their own
SCOPED = ("job", "queue", "letter")


class Ground:
    """A server, and a job of each kind in the queues ``mine`` and ``theirs``: ended, failed, waiting."""

    def __init__(self, served: Served, boss: httpx.Client) -> None:
        self.served, self.boss = served, boss
        self.ids = {
            queue: [self.put(queue, kind) for kind in ("works", "fails", "waits")] for queue in ("mine", "theirs")
        }

    def put(self, queue: str, kind: str) -> str:
        mark = MARK if queue == "theirs" else "own"
        later = {"delay_ms": 3_600_000} if kind == "waits" else {}
        body = {"task": f"{queue}.{'works' if kind == 'waits' else kind}", "args": [mark], "queue": queue, **later}
        answer = self.boss.post("/api/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def names(self, queue: str) -> dict[str, str]:
        """What stands in addresses."""
        ended, failed, _ = self.ids[queue]
        return {"job_id": ended, "letter_id": failed, "queue": queue, "task": f"{queue}.works"}

    def states(self) -> dict[str, str]:
        """Of their jobs."""
        return {one: self.boss.get(f"/api/v1/jobs/{one}").json()["state"] for one in self.ids["theirs"]}


@pytest.fixture(scope="module")
def ground(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Ground]:
    app = Naq("scopes", broker_url=broker, namespace="scopes")

    def works(mark: str) -> str:
        return mark

    def fails(mark: str) -> None:
        raise ValueError(mark)

    for queue in ("mine", "theirs"):
        app.task(name=f"{queue}.works", queue=queue)(works)
        app.task(name=f"{queue}.fails", queue=queue)(fails)
    folder: Path = tmp_path_factory.mktemp("scopes")
    with (
        serving(Config(broker_url=broker, namespace="scopes"), folder, auth="tokens") as served,
        working(app),
        served.client(served.token("admin", name="boss")) as boss,
    ):
        ground = Ground(served, boss)

        def is_known(job_id: str, state: str) -> bool:
            found = boss.get(f"/api/v1/jobs/{job_id}").json()
            return (found.get("source"), found.get("state")) == ("history", state)

        for ids in ground.ids.values():
            for job_id, state in zip(ids, ("succeeded", "failed", "scheduled"), strict=True):
                eventually(lambda job_id=job_id, state=state: is_known(job_id, state), "the history has it")
        yield ground


@pytest.fixture
def scoped(ground: Ground) -> Generator[httpx.Client]:
    with ground.served.client(ground.served.token("admin", name="scoped", queues=["mine"])) as client:
        yield client


def test_every_operation_says_how_it_heeds_queues() -> None:
    heeds = {operation["operationId"]: operation["x-naq-scope"] for _, _, _, operation in OPERATIONS}
    assert {name for name, how in heeds.items() if how == "nothing"} == {
        "getMe", "logIn", "logOut", "listAlertKinds", "previewSchedule", "livez", "readyz",
    }  # fmt: skip
    for _, path, _, operation in OPERATIONS:  # what names a job, a queue or a letter is never left to itself
        for name in SCOPED:
            if f"{{{name}_id}}" in path or f"{{{name}}}" in path:
                assert operation["x-naq-scope"] in {name, "cluster"}, path


def test_no_operation_shows_or_changes_what_is_of_another_queue(ground: Ground, scoped: httpx.Client) -> None:
    before, theirs = ground.states(), ground.ids["theirs"]
    for method, path, _, operation in OPERATIONS:
        name, how = operation["operationId"], operation["x-naq-scope"]
        if name in {"logOut", "streamEvents"}:
            continue
        answer = ask(scoped, method, path, operation, ground.names("theirs"))
        said = answer.text
        if how == "cluster":
            assert (answer.status_code, answer.json()["code"]) == (403, "out_of_scope"), (name, said)
            assert answer.json()["params"] == {"queues": ["mine"], "needs": "all queues"}, name
        elif how == "queue":
            assert (answer.status_code, answer.json()["params"]["needs"]) == (403, "queue theirs"), (name, said)
        elif how in SCOPED:
            assert answer.status_code == 404, (name, said)
        else:
            assert answer.status_code < 500, (name, said)
            assert not any(secret in said for secret in (MARK, "theirs", *theirs)), (name, said)
    assert ground.states() == before
    assert ground.boss.get("/api/v1/queues/theirs").json()["state"] == "active"


def test_the_same_operations_work_for_its_own_queues(ground: Ground, scoped: httpx.Client) -> None:
    names = ground.names("mine")
    for method, path, _, operation in OPERATIONS:
        name, how = operation["operationId"], operation["x-naq-scope"]
        if method == "GET" and how in {*SCOPED, "itself"} and name not in ASIDE:
            answer = ask(scoped, method, path, operation, names)
            assert '"code":"out_of_scope"' not in answer.text, name
            assert '"code":"job_not_found"' not in answer.text, name
    listed = scoped.get("/api/v1/jobs", params={"count": "capped"}).json()
    assert {one["queue"] for one in listed["items"]} == {"mine"}
    assert [one["name"] for one in scoped.get("/api/v1/queues").json()["items"]] == ["mine"]
    assert scoped.get("/api/v1/me").json()["queues"] == ["mine"]
    letters = scoped.get("/api/v1/dead-letters").json()["items"]
    assert {one["queue"] for one in letters} == {"mine"}
    chart = {"scope": "queue", "name": "mine"}
    assert scoped.get("/api/v1/trends", params=chart).status_code == 200
    for other in ({}, {"scope": "queue", "name": "theirs"}, {"scope": "task", "name": "theirs.works"}):
        assert scoped.get("/api/v1/trends", params=other).json()["code"] == "out_of_scope"
    assert scoped.get("/api/v1/search", params={"q": "works"}).json()["tasks"] == ["mine.works"]


@pytest.mark.parametrize("text", ["queue:theirs", "-queue:mine", f"args:{MARK}", '"theirs', "task:theirs.*", "is:root"])
def test_no_filter_gets_around_it(ground: Ground, scoped: httpx.Client, text: str) -> None:
    for path in ("jobs", "jobs/states", "jobs/facets", "jobs/histogram", "jobs/export"):
        answer = scoped.get(f"/api/v1/{path}", params={"filter": text})
        if answer.status_code == 200:
            assert not any(secret in answer.text for secret in (MARK, "theirs", *ground.ids["theirs"])), path


def test_enqueueing_and_waiting_are_within_its_queues(ground: Ground, scoped: httpx.Client) -> None:
    other = {"task": "theirs.works", "args": ["x"]}  # whose queue its worker says
    assert scoped.post("/api/v1/jobs", json=other).json()["code"] == "out_of_scope"
    assert scoped.post("/api/v1/jobs", json={"task": "mine.works", "args": ["x"], "queue": "theirs"}).status_code == 403
    batch = scoped.post("/api/v1/jobs/batch", json={"jobs": [other, {"task": "mine.works", "args": ["x"]}]}).json()
    assert [one["code"] for one in batch["results"]] == ["out_of_scope", None]
    waiting = {"task": "mine.works", "args": ["x"], "depends_on": [ground.ids["theirs"][0]]}
    refused = scoped.post("/api/v1/jobs", json=waiting)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/depends_on/0")


def test_a_bulk_action_is_of_its_queues_and_is_seen_by_those_of_the_same(ground: Ground, scoped: httpx.Client) -> None:
    theirs, served = ground.ids["theirs"], ground.served
    listed = scoped.post("/api/v1/bulk-actions", json={"action": "cancel", "ids": theirs})
    assert (listed.status_code, listed.json()["errors"][0]["pointer"]) == (422, "/ids")
    moved = scoped.post("/api/v1/bulk-actions", json={"action": "move", "filter": "state:scheduled", "queue": "theirs"})
    assert moved.status_code in {403, 422}
    made = scoped.post("/api/v1/bulk-actions", json={"action": "cancel", "filter": "state:scheduled"}).json()
    assert made["filter"] == "queue:mine state:scheduled"
    url = f"/api/v1/bulk-actions/{made['id']}"
    eventually(lambda: scoped.get(url).json()["state"] == "finished")
    assert scoped.get(url).json()["done"] == 1
    assert ground.states()[theirs[2]] == "scheduled"
    with served.client(served.token("admin", queues=["theirs"])) as other:
        assert other.get(url).status_code == 404
    with served.client(served.token("admin", queues=["mine", "theirs"])) as both:
        assert both.get(url).status_code == 404
        assert {one["queue"] for one in both.get("/api/v1/jobs").json()["items"]} == {"mine", "theirs"}


def test_a_stream_tells_nothing_of_other_queues(ground: Ground, scoped: httpx.Client) -> None:
    def refused(topics: str) -> Any:
        return scoped.get("/api/v1/events", params={"topics": topics}).json()["code"]

    assert (refused("jobs,workers"), refused("overview")) == ("out_of_scope", "out_of_scope")
    assert (refused(f"job:{ground.ids['theirs'][0]}"), refused(f"logs:{ground.ids['theirs'][0]}")) == (
        "job_not_found",
    ) * 2
    with scoped.stream("GET", "/api/v1/events", params={"topics": "jobs,queues"}) as response:
        stream, seen = events(response), list[Any]()
        assert next_event(stream, "hello")["topics"] == ["jobs", "queues"]
        ground.put("theirs", "works")
        ground.put("theirs", "waits")
        ground.put("mine", "works")
        ground.put("mine", "waits")
        matched = 0
        for event in stream:
            seen.append(dict(event))
            matched += event["count"] if event.name == "jobs.matching" else 0
            if matched and any(one.get("patch", {}).get("scheduled") for one in seen if one.get("id") == "mine"):
                break
        assert matched == 1, "the job of its queue alone"
        assert {one["id"] for one in seen if "id" in one} == {"mine"}


def test_viewers_see_no_arguments_where_the_settings_say_so(ground: Ground, tmp_path: Path) -> None:
    ended, failed, waiting = ground.ids["theirs"]
    config = ground.served.core.config
    settings: dict[str, Any] = {"auth": "tokens", "database": ground.served.core.settings.database}
    with (
        serving(config, tmp_path, viewer_arguments=False, **settings) as served,
        served.client(served.token("operator")) as operator,
        served.client(served.token("viewer")) as viewer,
    ):
        for job_id in (ended, failed, waiting):
            url = f"/api/v1/jobs/{job_id}"
            known = eventually(lambda url=url: (found := operator.get(url).json()).get("args") and found)
            assert known["args"] == [MARK]
            shown = viewer.get(url).json()
            assert (shown["args"], shown["state"]) == (["[hidden]"], known["state"])

        def listed() -> set[str]:
            return {one["id"] for one in viewer.get("/api/v1/jobs").json()["items"]}

        eventually(lambda: {ended, failed, waiting} <= listed(), "the history has them all")
        assert operator.get(f"/api/v1/jobs/{ended}/result").json()["result"] == MARK
        paths = [
            f"jobs/{ended}/result", f"jobs/{waiting}/waiting", "jobs?filter=-state:failed",
            "jobs?filter=-state:failed&include=args,result", "jobs/export?filter=-state:failed",
            f"jobs/{ended}/related", f"jobs/{ended}/tree", "jobs/suggest?q=args.",
        ]  # fmt: skip
        for path in paths:
            answer = viewer.get(f"/api/v1/{path}")
            assert answer.status_code == 200, (path, answer.text)
            assert MARK not in answer.text, path
        for text in ("args:secret", "args.0:their*", "result:secret", "-args.0:x", "args.0:>1"):
            refused = viewer.get("/api/v1/jobs", params={"filter": text})
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), text
            assert operator.get("/api/v1/jobs", params={"filter": text}).status_code == 200, text


def test_a_token_for_queues_is_made_and_shown(ground: Ground) -> None:
    made = ground.boss.post(
        "/api/v1/tokens", json={"name": "team", "role": "operator", "queues": ["mail", "mine"]}
    ).json()
    assert made["token"]["queues"] == ["mail", "mine"]
    with ground.served.client(made["text"]) as client:
        assert client.get("/api/v1/me").json()["queues"] == ["mail", "mine"]
    assert ground.boss.post("/api/v1/tokens", json={"name": "none", "queues": []}).status_code == 422
    assert ground.boss.get("/api/v1/me").json()["queues"] is None
