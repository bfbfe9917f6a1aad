"""What a job reports and keeps, and events, at a shell: `jobs show|logs|artifacts|download`, `events`."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from naq.cli.exits import Exit
from tests.cli.cli_tools import NAQ, TASKS, Naqs, running_worker

INSIDE = (
    TASKS
    + """
import logging
from naq import current_context

@app.task(name="report", retries=0)
async def report(fail: bool = False) -> None:
    context = current_context()
    logging.getLogger("shop").info("first \\x1b[31mline")
    logging.getLogger("shop").warning("second\\nthird")
    context.progress(0.25, "a quarter")
    context.record_metric("rows", 7)
    context.record_metric("rows", 9)
    await context.artifact("out.csv", b"a,b\\n1,2\\n", media_type="text/csv")
    await context.artifact("b.bin", b"\\x00" * 1000)
    await context.step("count", int)
    if fail:
        raise ValueError("enough")

@app.on("order.*", name="on_order")
async def on_order(data: dict) -> int:
    return data["number"]
"""
)


@pytest.fixture
def inside(naq: Naqs) -> Iterator[Naqs]:
    (naq.folder / "tasks.py").write_text(INSIDE)
    with running_worker(naq):
        yield naq


def test_what_a_job_kept(inside: Naqs) -> None:
    job_id = inside("enqueue", "report", "--wait", "--json").json["id"]
    kept = inside("jobs", "show", job_id, "--json").json["inside"]
    assert (kept["progress"], kept["message"], kept["metrics"]) == (0.25, "a quarter", {"rows": 9.0})
    assert (sorted(kept["artifacts"]), kept["steps"], kept["log_lines"]) == (["b.bin", "out.csv"], ["count"], 2)
    text = inside("jobs", "show", job_id).out
    assert "25%  a quarter" in text
    assert "2 lines: naq jobs logs" in text
    assert inside("jobs", "list", "--json").json[0]["inside"] is None
    assert (
        inside("jobs", "show", inside("enqueue", "hello", "--wait", "--json").json["id"], "--json").json["inside"]
        is None
    )

    said = inside("jobs", "logs", job_id, "--iso")
    assert "first \ufffd[31mline" in said.lines[0], "nothing of a job steers a terminal"
    assert said.lines[2].startswith("    third")
    assert inside("jobs", "logs", job_id, "--level", "warning", "-q").lines == ["second", "    third"]
    assert [json.loads(line)["level"] for line in inside("jobs", "logs", job_id, "--json").lines] == ["INFO", "WARNING"]
    assert len(inside("jobs", "logs", job_id, "-n", "1", "-q").lines) == 2
    assert inside("jobs", "logs", job_id, "--follow", "-q").lines[0].startswith("first"), (
        "an ended job is not waited for"
    )
    assert "--level" in inside("jobs", "logs", job_id, "--level", "loud", code=Exit.USAGE).err
    inside("jobs", "logs", "nope", code=Exit.NOT_FOUND)

    assert sorted(inside("jobs", "artifacts", job_id, "-q").lines) == ["b.bin", "out.csv"]
    listed = {each["name"]: each for each in inside("jobs", "artifacts", job_id, "--json").json}
    assert (listed["out.csv"]["type"], listed["out.csv"]["size"], listed["b.bin"]["size"]) == ("text/csv", 8, 1000)
    assert inside("jobs", "download", job_id, "out.csv", "-o", "-").out == "a,b\n1,2\n"
    inside("jobs", "download", job_id, "b.bin")
    assert (inside.folder / "b.bin").read_bytes() == bytes(1000)
    again = inside("jobs", "download", job_id, "b.bin", code=Exit.USAGE)
    assert "b.bin" in again.err
    inside("jobs", "download", job_id, "nope", code=Exit.NOT_FOUND)
    inside("jobs", "artifacts", "nope", code=Exit.NOT_FOUND)


def test_events(inside: Naqs) -> None:
    inside.until("events", "handlers", holds="on_order")
    event_id = inside("events", "publish", "order.placed", '{"number": 7}', "--key", "7").out.strip()
    inside("events", "publish", "user.left", "1", "--id", "mine")
    assert inside("events", "publish", "user.left", "1", "--id", "mine", "--json").json["id"] == "mine"
    inside.until("jobs", "list", "--task", "on_order", "--state", "succeeded", holds="on_order")
    (seen,) = inside("events", "list", "order.*", "--json").json
    assert (seen["id"], seen["name"], seen["key"], seen["data"]) == (event_id, "order.placed", "7", {"number": 7})
    assert "order.placed" in inside("events", "list").lines[1]
    assert inside("events", "list", "nothing.*").err == "no events\n"
    (handler,) = inside("events", "handlers", "--json").json
    assert (handler["task"], handler["patterns"]) == ("on_order", ["order.*"])
    assert "JSON" in inside("events", "publish", "order.placed", "{", code=Exit.USAGE).err
    assert "not allowed" in inside("events", "publish", "no spaces", code=Exit.USAGE).err

    follow = subprocess.Popen(
        [*NAQ, "events", "list", "order.*", "--follow", "--json"],
        cwd=inside.folder, env=inside.env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert follow.stdout is not None
        assert json.loads(follow.stdout.readline())["id"] == event_id, "what was there comes first"
        inside("events", "publish", "order.shipped", '{"number": 8}')
        assert json.loads(follow.stdout.readline())["name"] == "order.shipped"
        follow.send_signal(signal.SIGINT)
        assert follow.wait(20) in {Exit.DONE, Exit.INTERRUPTED}
    finally:
        follow.kill()
        follow.wait()
        if follow.stdout is not None:
            follow.stdout.close()


def test_a_handler_is_forgotten(naq: Naqs) -> None:
    (naq.folder / "tasks.py").write_text(INSIDE)
    with running_worker(naq):
        naq.until("events", "handlers", holds="on_order")
    assert "--yes" in naq("events", "forget", "on_order", code=Exit.USAGE).err
    naq("events", "forget", "on_order", "--yes")
    assert naq("events", "handlers", "--json").json == []
