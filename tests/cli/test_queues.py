"""`naq queues`, `naq workers`, and naq's own names for them."""

from __future__ import annotations

from tests.cli.cli_tools import Naqs


def _one(naq: Naqs) -> dict[str, object]:
    return naq("queues", "show", "mail", "--json").json


def test_list_and_show(naq: Naqs) -> None:
    assert naq("queues", "list").err.startswith("no queues yet")
    naq("enqueue", "hello", "--queue", "mail")
    naq("enqueue", "hello", "--queue", "mail", "--in", "1h")
    said = naq("queues", "list")
    assert [line.split() for line in said.lines if line.startswith("mail")] == [
        ["mail", "no", "workers", "1", "0", "1", "0"]
    ]
    assert "start a worker with naq worker APP -q mail" in said.err
    assert _one(naq) == {
        "queue": "mail", "state": "no workers", "queued": 1, "running": 0, "scheduled": 1, "limit": None, "workers": 0,
    }  # fmt: skip
    assert "did you mean 'mail'?" in naq("queues", "show", "mial", code=3).err


def test_pause_resume_limit(naq: Naqs) -> None:
    naq("enqueue", "hello", "--queue", "mail")
    assert naq("queues", "pause", "mail").lines == ["mail  paused"]
    assert _one(naq)["state"] == "paused"
    naq("queues", "resume", "mail")
    assert _one(naq)["state"] == "no workers"
    naq("queues", "limit", "mail", "5")
    assert _one(naq)["limit"] == 5
    naq("queues", "limit", "mail", "none")
    assert _one(naq)["limit"] is None
    assert "write a number from 1" in naq("queues", "limit", "mail", "0", code=2).err
    for verb in (["pause"], ["resume"], ["purge", "-y"]):
        naq("queues", *verb, "mial", code=3)


def test_a_task_is_paused_and_resumed(naq: Naqs) -> None:
    job = naq("enqueue", "hello", "-A", "tasks:app", "-q").lines[0]
    assert naq("tasks", "pause", "hello", "-A", "tasks:app", "--reason", "not now").lines == ["hello  paused"]
    assert naq("tasks", "pause", "hello", code=4).lines == ["hello  is paused already"]
    assert "no running worker" in naq("jobs", "why", job).out  # the first thing that keeps it
    assert "did you mean 'hello'?" in naq("tasks", "pause", "helo", code=3).err
    assert naq("tasks", "resume", "hello", "--json").json == [
        {"id": "hello", "done": True, "outcome": "resumed", "count": 1}
    ]


def test_purge_asks_first(naq: Naqs) -> None:
    for _ in range(3):
        naq("enqueue", "hello", "--queue", "mail")
    assert naq("queues", "purge", "mail", "--dry-run").lines == ["mail  3 waiting jobs would be removed"]
    assert "add --yes" in naq("queues", "purge", "mail", code=2).err
    code, said = naq.on_terminal("queues", "purge", "mail", typed="n\n")
    assert code == 1
    assert "Remove 3 waiting jobs of mail for good? [y/N]" in said
    assert _one(naq)["queued"] == 3
    code, said = naq.on_terminal("queues", "purge", "mail", typed="y\n")
    assert code == 0
    assert "3 jobs removed" in said
    assert _one(naq)["queued"] == 0
    naq("enqueue", "hello", "--queue", "mail")
    assert naq("purge", "mail", "--force", "--json").json == [
        {"id": "mail", "done": True, "outcome": "1 jobs removed", "count": 1}
    ]


def test_move(naq: Naqs) -> None:
    for task in ("hello", "hello", "day"):
        naq("enqueue", task, "--queue", "mail")
    naq("enqueue", "hello", "--queue", "mail", "--in", "1h")
    said = naq("queues", "move", "mail", "slow", "--dry-run")
    assert said.lines == ["mail  4 waiting jobs would be moved to slow"]
    assert "queue slow is new: start a worker with naq worker APP -q slow" in said.err
    code, said = naq.on_terminal("queues", "move", "mail", "slow", typed="n\n")
    assert (code, "Move 4 waiting jobs of mail to slow? [y/N]" in said) == (1, True)
    assert naq("queues", "move", "mail", "slow", "--task", "hel*", "--limit", "1", "--yes", "--json").json == [
        {"id": "mail", "done": True, "outcome": "1 jobs moved to slow", "count": 1}
    ]
    assert naq("queues", "move", "mail", "slow", "--task", "hello", "--yes").lines == ["mail  2 jobs moved to slow"]
    counts = {each["queue"]: (each["queued"], each["scheduled"]) for each in naq("queues", "list", "--json").json}
    assert (counts["mail"], counts["slow"]) == ((1, 0), (2, 1))
    assert "add --yes" in naq("queues", "move", "mail", "slow", code=2).err
    assert "did you mean 'mail'?" in naq("queues", "move", "mial", "slow", "-y", code=3).err
    for wrong in (["mail"], ["slow", "--limit", "0"], ["no name"]):
        naq("queues", "move", "mail", *wrong, "--yes", code=2)


def test_workers(worker: Naqs) -> None:
    [info] = worker("workers", "list", "--json").json
    assert info["queues"] == ["default", "mail"]
    assert worker("list-workers", "-q").lines == [info["id"]]
    assert "hello" in worker("workers", "show", info["id"]).out
    assert "did you mean" in worker("workers", "show", info["id"] + "x", code=3).err


def test_no_workers(naq: Naqs) -> None:
    assert naq("workers", "list").err.startswith("no worker runs: start one")
    assert naq("workers", "list", "--json").json == []


def test_a_terminal_gets_colour_unless_it_says_no(naq: Naqs) -> None:
    naq("enqueue", "hello", "--queue", "mail")
    assert "\x1b[1m" in naq.on_terminal("queues", "list")[1]
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, said = naq.on_terminal("queues", "list", **variables)
        assert code == 0
        assert "\x1b" not in said
