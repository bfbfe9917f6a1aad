"""`naq jobs tree`, and dead letters by what they say, edited and at a pace."""

from __future__ import annotations

import asyncio

from naq import Naq
from tests.cli.cli_tools import Naqs


def _enqueue(naqs: Naqs) -> tuple[str, str, str]:
    """A job, one that waits for it, and one that waits for that and for its time."""
    app = Naq("cli", broker_url=naqs.env["NAQ_BROKER_URL"], namespace=naqs.env["NAQ_NAMESPACE"])

    @app.task(name="hello", queue="mail")
    async def hello(name: str = "you") -> str:
        return name

    async def body() -> tuple[str, str, str]:
        async with app:
            top = await hello.enqueue("top")
            middle = await hello.options(depends_on=top).enqueue("middle")
            last = await hello.options(depends_on=[middle], delay=3600).enqueue("last")
            return top.id, middle.id, last.id

    return asyncio.run(body())


def test_a_tree(worker: Naqs) -> None:
    top, middle, last = _enqueue(worker)
    worker.until("jobs", "show", last, holds="scheduled")
    lines = worker("jobs", "tree", middle).lines
    assert lines == [
        f"✓ hello  {top}  succeeded",
        f"└── ✓ hello  {middle}  succeeded  ←",
        f"    └── ◷ hello  {last}  scheduled",
    ]
    document = worker("jobs", "tree", last, "--json").json
    assert (document["id"], document["more"]) == (last, False)
    assert {job["id"]: job["after"] for job in document["jobs"]} == {top: [], middle: [top], last: [middle]}
    assert sorted(worker("jobs", "tree", top, "-q").lines) == sorted([top, middle, last])
    assert "there is no job" in worker("jobs", "tree", "nobody", code=3).err


def test_a_tree_is_cancelled(naq: Naqs) -> None:
    """Without a worker: children before their parents, none of which fails because of one."""
    ids = _enqueue(naq)
    dry = naq("jobs", "cancel", ids[0], "--tree", "--dry-run").lines
    assert dry == [f"{job_id}  would be cancelled" for job_id in reversed(ids)]
    assert naq("jobs", "cancel", ids[1], "--tree").lines == [f"{job_id}  cancelled" for job_id in (ids[2], ids[1])]
    assert "queued" in naq("jobs", "show", ids[0]).out
    assert "named by their ids" in naq("jobs", "cancel", "--queue", "mail", "--tree", code=2).err
    assert naq("jobs", "cancel", "nobody", "--tree", code=3).lines == ["nobody  not found"]


def test_dead_letters_by_what_they_say(worker: Naqs) -> None:
    first = worker("enqueue", "bad", "--wait", "--json", code=1).json["id"]
    second = worker("enqueue", "day", "when=soon", "--wait", "--json", code=1).json["id"]
    assert worker("dead", "list", "-q").lines == [second, first]
    assert worker("dead", "list", "-q", "--task", "d*").lines == [second]
    assert worker("dead", "list", "-q", "--reason", "VALUEERROR").lines == [first]
    assert worker("dead", "list", "-q", "--newer", "1h").lines == [second, first]
    assert worker("dead", "list", "-q", "--older", "1h").lines == []
    assert worker("dead", "list", "-q", "--kind", "malformed").lines == []
    assert worker("dead", "retry", second, "--set", "when=2026-02-01").lines[0].split() == [second, "queued"]
    assert worker("jobs", "result", second).json == "032"
    worker("dead", "retry", first, "--args", "{}", code=2)
    worker("dead", "retry", first, "--rate", "fast", code=2)
    assert worker("dead", "retry", "--task", "bad", "--rate", "50/s", "--yes").lines[0].split() == [first, "queued"]
    worker.until("dead", "list", "-q", holds=first)


def test_enqueue_after(worker: Naqs) -> None:
    first = worker("enqueue", "hello", "first").lines[0]
    second = worker("enqueue", "hello", "second", "--after", first).lines[0]
    assert worker("enqueue", "hello", "third", "--after", first, "--after", second, "--wait").json == "hello third 1"
    assert worker("jobs", "show", second, "--json").json["state"] == "succeeded"
    assert "nobody" in worker("enqueue", "hello", "--after", "nobody", code=3).err
