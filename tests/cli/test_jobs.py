"""`naq jobs` and `naq dead`."""

from __future__ import annotations

import pytest

from tests.cli.cli_tools import Naqs, running_worker


def test_list_by_queue_and_state(worker: Naqs) -> None:
    done = worker("enqueue", "hello", "--wait", "--json").json["id"]
    failed = worker("enqueue", "bad", "--wait", "--json", code=1).json["id"]
    later = worker("enqueue", "hello", "--queue", "other", "--in", "1h").lines[0]
    assert worker("jobs", "list", "-q").lines == [later, failed, done]
    assert worker("jobs", "list", "-q", "--queue", "other").lines == [later]
    assert worker("jobs", "list", "-q", "--queue", "mail").lines == [done], "the queue of its task"
    assert worker("jobs", "list", "-q", "--state", "failed,succeeded").lines == [failed, done]
    assert worker("jobs", "list", "-q", "-n", "1").lines == [later]
    table = worker("jobs", "list")
    assert table.lines[0].split() == ["ID", "STATE", "TASK", "QUEUE", "ATTEMPT", "WHEN"]
    assert [line.split()[1] for line in table.lines[1:]] == ["scheduled", "failed", "succeeded"]
    assert "in 60 min" in table.lines[1]
    assert worker("jobs", "list", "--iso").lines[2].endswith("Z")


def test_nothing_to_list(naq: Naqs) -> None:
    assert naq("jobs", "list") == (0, "", "no jobs\n")
    assert naq("jobs", "list", "--state", "failed").err == "no jobs match\n"
    assert naq("jobs", "list", "--json").json == []


def test_show_tells_the_error_with_its_place(worker: Naqs) -> None:
    job_id = worker("enqueue", "bad", "--wait", "--json", code=1).json["id"]
    said = worker("jobs", "show", job_id)
    assert "ValueError: no" in said.out
    assert "tasks.py:" in said.out
    assert worker("dead", "show", job_id).out.startswith("letter")


def test_wait_and_result(worker: Naqs) -> None:
    done = worker("enqueue", "hello").lines[0]
    assert worker("jobs", "wait", done, "--json").json["state"] == "succeeded"
    assert worker("jobs", "result", done).json == "hello you 1"
    failed = worker("enqueue", "bad").lines[0]
    assert worker("jobs", "wait", failed, "--timeout", "20s", code=1).lines[1].startswith("state")
    assert worker("jobs", "result", failed, code=1).out == ""
    running = worker("enqueue", "slow").lines[0]
    worker("jobs", "wait", running, "--timeout", "200ms", code=7)


def test_cancel(worker: Naqs) -> None:
    waiting, running = worker("enqueue", "hello", "--in", "1h").lines[0], worker("enqueue", "slow").lines[0]
    worker.until("jobs", "show", running, holds="running")
    said = worker("jobs", "cancel", waiting, running, "nobody", code=8)
    assert [line.split("  ")[1] for line in said.lines] == ["cancelled", "told to stop", "not found"]
    assert worker("jobs", "wait", running, "--json", code=1).json["state"] == "cancelled"
    worker("jobs", "cancel", waiting, code=4)
    worker("jobs", "cancel", "nobody", code=3)


def test_retry_of_a_failed_job(worker: Naqs) -> None:
    job_id = worker("enqueue", "bad", "--wait", "--json", code=1).json["id"]
    assert worker("jobs", "retry", job_id, "--json").json == [
        {"id": job_id, "done": True, "outcome": "queued", "count": 1}
    ]
    assert worker("jobs", "wait", job_id, "--json", code=1).json["run"] == 2
    done = worker("enqueue", "hello", "--wait", "--json").json["id"]
    assert "is succeeded" in worker("jobs", "retry", done, code=4).out


def test_delete(worker: Naqs) -> None:
    job_id = worker("enqueue", "bad", "--wait", "--json", code=1).json["id"]
    assert "add --yes" in worker("jobs", "delete", job_id, code=2).err
    assert "would be deleted" in worker("jobs", "delete", job_id, "--dry-run").out
    assert worker("dead", "list", "-q").lines == [job_id]
    assert worker("jobs", "delete", job_id, "--yes", "-q").lines == [job_id]
    assert worker("dead", "list", "-q").lines == []
    worker("jobs", "show", job_id, code=3)
    waiting = worker("enqueue", "hello", "--in", "1h").lines[0]
    assert "cancel it first" in worker("jobs", "delete", waiting, "-y", code=4).out


@pytest.mark.parametrize("args", [["show", "x y"], ["list", "--state", "faild"], ["list", "--queue", "a b"], ["lst"]])
def test_wrong_usage(naq: Naqs, args: list[str]) -> None:
    said = naq("jobs", *args, code=2)
    assert said.out == ""
    assert said.err.startswith("naq: ")


def test_dead_letters(worker: Naqs) -> None:
    first, second = [worker("enqueue", "bad", "--wait", "--json", code=1).json["id"] for _ in range(2)]
    assert worker("dead", "list", "-q").lines == [second, first]
    assert worker("dead", "list", "--queue", "mail", "--json").json == []
    exported = worker("dead", "export", "-o", "dead.jsonl")
    assert exported.out == ""
    assert (worker.folder / "dead.jsonl").read_text() == worker("dead", "export").out
    assert worker("dead", "handle", first, "--reason", "seen").lines == [f"{first}  handled"]
    assert worker("dead", "reopen", first).lines == [f"{first}  open"]
    assert worker("dead", "reopen", first, code=4).lines == [f"{first}  is open"]
    assert worker("dead", "discard", first, "-y").code == 0
    assert worker("jobs", "show", first, "--json").json["state"] == "failed"
    worker("dead", "show", first, code=3)
    worker("dead", "retry", code=2)
    assert worker("dead", "retry", "--all", "--dry-run").lines == [f"{second}  would be queued"]
    worker("dead", "retry", second)
    assert worker("jobs", "wait", second, "--json", code=1).json["run"] == 2
    assert worker("dead", "purge", "--queue", "default", "--yes", "-q").lines == [second]
    assert worker("dead", "purge", "--yes").err == "no dead letters\n"


def test_edit(naq: Naqs) -> None:
    job_id = naq("enqueue", "hello", "name=ada", "--in", "1h", "--json").json["id"]
    app = ("-A", "tasks:app", "--namespace", naq.env["NAQ_NAMESPACE"])
    assert "no $EDITOR" in naq("jobs", "edit", job_id, code=2).err
    assert "no JSON" in naq("jobs", "edit", job_id, "--args", "{", code=2).err
    assert "hello" in naq("jobs", "edit", job_id, "--args", '{"n": "x"}', *app, code=2).err
    assert naq("jobs", "edit", job_id, "--priority", "high", "--dry-run").out.split()[1:] == ["would", "be", "changed"]
    assert naq("jobs", "show", job_id, "--json").json["priority"] == "normal"
    said = naq("jobs", "edit", job_id, "--args", '{"name": "bob", "n": 2}', "--priority", "high", "--json", *app)
    assert [(change["id"], change["done"], change["outcome"]) for change in said.json] == [(job_id, True, "changed")]
    code, said_there = naq.on_terminal("jobs", "edit", job_id, "--yes", EDITOR="sed -i s/bob/eve/")
    assert code == 0, said_there
    with running_worker(naq):
        naq("jobs", "run-now", job_id)
        ended = naq("jobs", "wait", job_id, "--json").json
    assert (ended["result"], ended["priority"]) == ("hello eve 2", "high")
    assert "is succeeded" in naq("jobs", "edit", job_id, "--in", "1h", code=4).out
    assert "not found" in naq("jobs", "edit", "nobody", "--in", "1h", code=3).out


def test_a_job_that_expired_where_it_waits(naq: Naqs) -> None:
    """No worker took it in time, so its state is as it was; whoever looks is told."""
    job_id = naq("enqueue", "hello", "--in", "1h", "--json").json["id"]
    naq("jobs", "edit", job_id, "--in", "0.01", "--expires-in", "0.2")

    naq.until("jobs", "list", holds="queued (expired)")
    assert naq("jobs", "show", job_id, "--json").json["overdue"] is True
    assert "queued (expired)" in naq("jobs", "show", job_id).out
    with running_worker(naq):
        assert naq("jobs", "wait", job_id, "--json", code=1).json["state"] == "expired"
    assert "(expired)" not in naq("jobs", "list").out
