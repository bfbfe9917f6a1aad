"""Jobs by filter, followed and exported; workers told to go."""

from __future__ import annotations

import json
import signal
import subprocess

import msgspec
import pytest

from naq.cli.stacks import StacksView, StackView
from tests.cli.cli_tools import DEADLINE, NAQ, Naqs


def _later(naq: Naqs, *args: str) -> str:
    return naq("enqueue", *args, "--in", "1h").lines[0]


def test_a_filter_says_which(naq: Naqs) -> None:
    mail = _later(naq, "send_mail", "--queue", "mail", "--tag", "team=shop")
    page = _later(naq, "send_page", "--queue", "web")
    other = _later(naq, "report", "--queue", "web")
    for args, ids in (
        (["--queue", "web"], [other, page]),
        (["--task", "send_*"], [page, mail]),
        (["--filter", "queue:web task:send_*"], [page]),
        (["--filter", "tag:team=shop"], [mail]),
        (["--filter", "tag:team"], [mail]),
        (["--filter", f"id:{page}"], [page]),
        (["--filter", "TEAM=sho"], [mail]),
        (["--filter", "older:1h"], []),
        (["--filter", "newer:1h state:scheduled"], [other, page, mail]),
    ):
        assert naq("jobs", "list", "-q", *args).lines == ids, args
    assert "did you mean 'web'?" in naq("jobs", "list", "--queue", "wep").err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--filter", "stat:failed"], "did you mean 'state'?"),
        (["--filter", "error:"], "write a value behind it"),
        (["--filter", "older:soon"], "write it as 30s"),
        (["--filter", "state:failed", "--state", "queued"], "states that no job has at once"),
        (["--filter", "queue:a", "--queue", "b"], "say one of them"),
        (["--state", "faild"], "did you mean 'failed'?"),
        ([], "say which jobs"),
        (["someid", "--queue", "b"], "not by both"),
    ],
)
def test_a_filter_that_makes_no_sense(naq: Naqs, args: list[str], said: str) -> None:
    assert said in naq("jobs", "cancel", *args, code=2).err


def test_cancel_and_delete_by_filter_count_and_ask_first(naq: Naqs) -> None:
    ids = [_later(naq, "t", "--queue", "mail") for _ in range(3)]
    assert [line.split("  ") for line in naq("jobs", "cancel", "--queue", "mail", "--dry-run").lines] == [
        [job_id, "would be cancelled"] for job_id in reversed(ids)
    ]
    assert "Cancel 3 jobs? Nobody is here to ask: add --yes" in naq("jobs", "cancel", "--queue", "mail", code=2).err
    code, said = naq.on_terminal("jobs", "cancel", "--queue", "mail", typed="n\n")
    assert code == 1
    assert "nothing was done" in said
    assert naq("jobs", "cancel", "--queue", "mail", "--yes", "-q").lines == ids[::-1]
    assert naq("jobs", "cancel", "--queue", "mail", "--yes") == (0, "", "no jobs match\n")
    assert "they are cancelled" in naq("jobs", "retry", "--state", "cancelled", code=4).err
    assert len(naq("jobs", "delete", "--filter", "state:cancelled", "-y", "--json").json) == 3
    assert naq("jobs", "list", "-q").lines == []


def test_retry_by_error(worker: Naqs) -> None:
    job_id = worker("enqueue", "bad", "--wait", "--json", code=1).json["id"]
    assert worker("jobs", "retry", "--filter", "error:KeyError", "-y").err == "no jobs match\n"
    assert worker("jobs", "retry", "--filter", "error:ValueError", "-y", "-q").lines == [job_id]
    assert worker("jobs", "wait", job_id, "--json", code=1).json["run"] == 2


def test_follow_until_the_end(worker: Naqs) -> None:
    waits = _later(worker, "hello", "-A", "tasks:app")
    process = subprocess.Popen(
        [*NAQ, "jobs", "follow", waits, "--json"],
        cwd=worker.folder, env=worker.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as lines:
        assert json.loads(lines.readline())["state"] == "scheduled"
        worker("jobs", "run-now", waits)
        rest = [json.loads(line) for line in lines]
    assert process.wait(DEADLINE) == 0
    assert rest[-1]["state"] == "succeeded"
    assert "hello you 1" in rest[-1]["text"]
    said = worker("enqueue", "bad", "--follow", code=1)
    assert said.out == ""
    assert "ValueError: no" in said.err
    running = worker("enqueue", "slow").lines[0]
    assert worker("jobs", "follow", running, "--timeout", "500ms", code=7).out
    worker("jobs", "follow", "nobody", code=3)


def test_export(worker: Naqs) -> None:
    done = [worker("enqueue", "hello", "--wait", "--json").json["id"] for _ in range(2)]
    said = worker("jobs", "export", "-o", "jobs.jsonl", "--task", "hello")
    assert said.out == ""
    assert said.err == "2 jobs written to jobs.jsonl\n"
    text = (worker.folder / "jobs.jsonl").read_text()
    assert [json.loads(line)["id"] for line in text.splitlines()] == done[::-1]
    assert worker("jobs", "export").out == text
    assert "cannot be written" in worker("jobs", "export", "-o", "no/such/folder", code=2).err


def test_workers_are_told_to_go(worker: Naqs) -> None:
    [worker_id] = worker("workers", "list", "-q").lines
    running = worker("enqueue", "slow").lines[0]
    worker.until("jobs", "show", running, holds="running")
    stack = worker("jobs", "stack", running, "--json")
    assert (stack.json["job"], stack.json["frames"][0]["function"]) == (running, "slow")
    assert msgspec.convert(stack.json, StackView).phase == "running"
    shown = worker("workers", "stack", worker_id)
    assert f"slow  {running}  running (" in shown.out
    assert "in slow" in shown.out
    assert msgspec.convert(worker("workers", "stack", worker_id, "--json").json, StacksView).worker == worker_id
    assert "no worker runs job" in worker("jobs", "stack", "nobody", code=3).err
    assert worker("workers", "slots", "7", worker_id).lines == [f"{worker_id}  told to run 7 at once"]
    worker.until("workers", "list", holds="1/7")
    assert worker("workers", "pause", "--all", "--yes").lines == [f"{worker_id}  told to pause"]
    worker.until("workers", "list", holds="paused")
    assert worker("workers", "resume", worker_id, "--dry-run").lines == [f"{worker_id}  would be told to resume"]
    assert worker("workers", "resume", worker_id).lines == [f"{worker_id}  told to resume"]
    worker.until("workers", "list", holds="1/20")
    assert "give 0 to 100,000" in worker("workers", "slots", "-1", worker_id, code=2).err
    assert "not none" in worker("workers", "stop", code=2).err
    assert "add --wait" in worker("workers", "drain", "--all", "--timeout", "1s", code=2).err
    assert "did you mean" in worker("workers", "drain", worker_id + "x", code=3).err
    assert worker("workers", "drain", "--all", "--dry-run").lines == [f"{worker_id}  would be told to drain"]
    assert "Drain 1 worker, which runs " in worker("workers", "drain", "--all", code=2).err
    assert worker("workers", "drain", worker_id).lines == [f"{worker_id}  told to drain"]
    worker.until("workers", "list", holds="stopping")
    assert "had not gone" in worker("workers", "drain", worker_id, "--wait", "--timeout", "300ms", code=7).err
    assert worker("workers", "stop", worker_id, "--now", "--yes", "--wait").lines == [f"{worker_id}  gone"]
    assert worker("jobs", "show", running, "--json").json["state"] in {"queued", "running"}, "it was put back"
    assert worker("workers", "stop", "--all", "--yes").err == "no worker runs\n"


def test_a_supervisor_replaces_nobody_who_was_told_to_go(naq: Naqs) -> None:
    process = subprocess.Popen(
        [*NAQ, "worker", "tasks:app", "--processes", "2"], cwd=naq.folder, env=naq.env, stderr=subprocess.DEVNULL
    )
    try:
        while len(naq("workers", "list", "-q").lines) < 2:
            assert process.poll() is None
        first, _ = naq("workers", "list", "-q").lines
        naq("workers", "stop", first, "--wait")
        assert naq("workers", "stop", "--all", "--yes", "--wait").code == 0
        assert process.wait(DEADLINE) == 0
        assert naq("workers", "list", "-q").lines == []
    finally:
        process.send_signal(signal.SIGKILL) if process.poll() is None else None
        process.wait()
