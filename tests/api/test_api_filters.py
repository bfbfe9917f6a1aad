"""The words that say which jobs: read into conditions, and asked of the history through the API."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest
from api_tools import eventually

from naq import clock
from naq.server.filters import read_filter
from naq.server.problems import Problem
from naq.server.store.conditions import Absent, Among, At, Between, Contains, Every, Tagged, Than


def conditions(text: str) -> tuple[Any, ...]:
    return read_filter(text, most=20).conditions


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("args.to:bob", At("args", ("kwargs", "to"), ('"bob"',))),
        ("args.0:5", At("args", ("args", "0"), ('"5"', "5"))),
        ('args.0:"5"', At("args", ("args", "0"), ('"5"',))),
        ("-args.order.id:1,2", At("args", ("kwargs", "order", "id"), ('"1"', '"2"', "1", "2"), negated=True)),
        ("args.to:bo*", At("args", ("kwargs", "to"), ('"bo',), begins=True)),
        ('args.to:"a b\\"c"', At("args", ("kwargs", "to"), ('"a b\\"c"',))),
        ("result.rows.0.ok:true", At("result", ("rows", "0", "ok"), ('"true"', "true"))),
        ("args.n:>5", Than("args", ("kwargs", "n"), ((">", "5"),))),
        ("-args.0:<=-0.5", Than("args", ("args", "0"), (("<=", "-0.5"),), negated=True)),
        ("result.rows.0:1..5", Than("result", ("rows", "0"), ((">=", "1"), ("<=", "5")))),
        ("args.n:..5", Than("args", ("kwargs", "n"), (("<=", "5"),))),
        ('args.n:">5"', At("args", ("kwargs", "n"), ('">5"',))),
        ("trace:" + "ab" * 16, Among("trace", ("ab" * 16,))),
        ("meta.team:shop", Tagged("team", "shop")),
        ("is:root", Absent("parent_id")),
        ("-is:root", Absent("parent_id", negated=True)),
    ],
)
def test_a_term_is_read(text: str, wanted: Any) -> None:
    assert conditions(text) == (wanted,)


def test_late_and_stuck_are_counted_from_now() -> None:
    with clock.use(now=lambda: 1_000_000.0):
        states, due = conditions("is:late")
        assert set(states.values) == {"queued", "scheduled", "retrying"}
        assert due == Between("due_at", None, 999_940_000_000)
        running, started = conditions("is:stuck")
        assert (running.values, started) == (("running",), Between("started_at", None, 996_400_000_000))
        [negated] = conditions("-is:stuck")
        assert negated == Every((running, started), negated=True)


@pytest.mark.parametrize(
    "text", ["args.a..b:1", "args.n:>x", "args.n:..", "args.n:1..b", "args.n:>", "args.n:", "is:lost"]
)
def test_a_term_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        conditions(text)
    assert caught.value.kind.code == "invalid_filter"


def test_a_dotted_word_is_still_part_of_a_tasks_name() -> None:
    assert conditions("args.parse shop.tasks:send") == (
        Contains("task", "args.parse"),
        Contains("task", "shop.tasks:send"),
    )


def test_jobs_are_found_by_what_lies_in_their_arguments(client: httpx.Client) -> None:
    def enqueue(**body: Any) -> str:
        body = {"task": "shop.ship", "delay_ms": 3_600_000, "tags": {"of": "paths"}, **body}
        answer = client.post("/api/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def found(text: str) -> set[str]:
        items = client.get("/api/v1/jobs", params={"filter": f"tag:of=paths {text}"}).json()["items"]
        return {one["id"] for one in items}

    bern = enqueue(args=[{"id": 1, "to": {"city": "Bern"}}])
    basel = enqueue(kwargs={"order": {"id": 2, "to": {"city": "Basel"}}})
    secret = enqueue(task="shop.add", args=[1], kwargs={"password": "hunter2"})
    eventually(lambda: found("") == {bern, basel, secret}, "the history knows them")
    assert found("args.0.to.city:Bern") == {bern}
    assert found("args.order.id:2") == {basel}
    assert found("-args.order.to.city:Ba*") == {bern, secret}
    assert found("args.0:>0") == found("args.0:1..2") == {secret}
    assert found("args.order.id:>=2") == found("args.order.id:>1.5") == {basel}
    assert found("args.password:hunter2") == set()  # what is hidden is not found either
    assert found("is:root is:unfinished") == {bern, basel, secret}
    assert found("is:late") == found("is:stuck") == set()
