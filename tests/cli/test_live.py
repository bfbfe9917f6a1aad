"""`naq top`, `naq bench`, `naq job-control`, `naq dead edit`, `naq tasks run`, and what they stand on."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from naq.cli.bench import percentile
from naq.cli.board import gauge, sparkline
from naq.cli.picker import Picker
from naq.cli.progress import Progress
from tests.cli.cli_tools import Naqs


def test_sparkline_and_gauge() -> None:
    assert sparkline(deque([0, 1, 4, 8]), 6) == "   ▁▄█"
    assert sparkline(deque([0, 0]), 3) == "   "
    assert sparkline(None, 2) == "  "
    assert [gauge(part, 10, 5) for part in (0, 1, 5, 10, 20)] == ["·····", "▇····", "▇▇▇··", "▇▇▇▇▇", "▇▇▇▇▇"]
    assert gauge(0, 0, 3) == "···"


def test_percentile() -> None:
    ranked = [float(value) for value in range(1, 101)]
    assert [percentile(ranked, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([7.0], 0.5) == 7.0


def test_a_bar_fits_its_line() -> None:
    bar = Progress("retrying", total=4000)
    bar.add(1000, failed=3)
    now = bar._begun + 10  # pyright: ignore[reportPrivateUsage]
    assert (
        bar.line(now, 100) == "retrying  ━━━━━━━━━━──────────────────────────────  1,000/4,000  100/s  3 not  30 s left"
    )
    assert bar.line(now, 40) == "retrying  1,000/4,000  100/s  3 not  30 s left"
    assert Progress("reading").line(now, 80).startswith("reading  0  0/s")


def test_picking() -> None:
    picker = Picker("Which?", ["send mail", "send page", "report"], str)
    for key in "send":
        assert picker.press(key, 10) is None
    assert picker.fitting == ["send mail", "send page"]
    picker.press("down", 10)
    picker.press("down", 10)
    assert picker.lines(1) == [("send page", True)]
    assert picker.press("enter", 10) == "send page"
    picker.press("backspace", 10)
    assert (picker.typed, picker.chosen) == ("sen", 0)
    for key in ("clear", "x", "y"):
        picker.press(key, 10)
    assert picker.fitting == []
    assert picker.press("enter", 10) is None


def test_top_once(worker: Naqs) -> None:
    running = worker("enqueue", "slow").lines[0]
    failed = worker("enqueue", "bad", "--wait", "--json", code=1).json["id"]
    worker.until("jobs", "show", running, holds="running")
    said = worker("top", "--once")
    assert "1/20 running   1 worker" in said.lines[0]
    assert running in said.out
    assert failed in said.out
    seen = worker("top", "--json").json
    assert [job["id"] for job in seen["running"]] == [running]
    assert [letter["id"] for letter in seen["failed"]] == [failed]
    assert len(worker("top", "-q").lines) == 1
    assert "add --once" in worker("top", code=2).err


def test_top_on_a_terminal(naq: Naqs) -> None:
    waits = naq("enqueue", "hello", "--queue", "mail", "--in", "1h").lines[0]
    code, said = naq.on_terminal("top", typed="q")
    assert code == 0
    assert "\x1b[?1049h" in said, "the alternate screen"
    assert "\x1b[?1049l" in said, "and back"
    assert "mail" in said
    assert naq("jobs", "show", waits, "-q").lines == [waits]


def test_job_control(naq: Naqs) -> None:
    waits = naq("enqueue", "hello", "--in", "1h").lines[0]
    naq("enqueue", "other", "--in", "1h")
    assert "ID show|cancel|run-now" in naq("job-control", code=2).err
    code, said = naq.on_terminal("job-control", typed="hello\rcancel\r")
    assert code == 0
    assert f"{waits}  cancelled" in said
    assert naq("jobs", "list", "-q", "--state", "cancelled").lines == [waits]
    code, said = naq.on_terminal("job-control", typed="\x1b")
    assert code == 1
    assert "nothing was done" in said
    assert "add --yes" in naq("job-control", waits, "delete", code=2).err
    assert naq("job-control", waits, "delete", "--yes").lines == [f"{waits}  deleted"]
    naq("job-control", waits, "show", code=3)
    assert len(naq("list-scheduled", "-q").lines) == 1


def test_dead_edit(worker: Naqs) -> None:
    job_id = worker("enqueue", "day", "when=soon", "--wait", "--json", code=1).json["id"]
    assert "no $EDITOR" in worker("dead", "edit", job_id, code=2).err
    assert "no JSON" in worker("dead", "edit", job_id, "--args", "{", code=2).err
    assert "is a int" in worker("dead", "edit", job_id, "--args", "7", code=2).err
    assert (
        "day"
        in worker(
            "dead",
            "edit",
            job_id,
            "--args",
            '["x"]',
            "-A",
            "tasks:app",
            "--namespace",
            worker.env["NAQ_NAMESPACE"],
            code=2,
        ).err
    )
    said = worker("dead", "edit", job_id, "--args", '["2026-02-01"]', "--dry-run")
    assert json.loads(said.out) == {"args": ["2026-02-01"], "kwargs": {}}
    code, said_there = worker.on_terminal("dead", "edit", job_id, EDITOR="true")
    assert code == 1
    assert "nothing was changed" in said_there
    code, said_there = worker.on_terminal("dead", "edit", job_id, EDITOR="sed -i s/soon/2026-02-01/")
    assert code == 0, said_there
    ended = worker("jobs", "wait", job_id, "--json").json
    assert (ended["state"], ended["run"], ended["result"]) == ("succeeded", 2, "032")
    worker("dead", "edit", job_id, "--args", "[]", code=3)


def test_tasks_run_needs_no_broker(naq: Naqs) -> None:
    away: Any = {"NAQ_BROKER_URL": "nats://127.0.0.1:9"}
    assert naq("tasks", "run", "tasks:app", "hello", "name=ada", **away).json == "hello ada 1"
    assert naq("tasks", "run", "day", "when=2026-02-01", "-A", "tasks:app", **away).json == "032"
    failed = naq("tasks", "run", "tasks:app", "bad", code=1, **away)
    assert failed.out == ""
    assert "ValueError: no" in failed.err
    assert "tasks.py:" in failed.err
    assert naq("tasks", "run", "tasks:app", "hello", "--json", **away).json["state"] == "succeeded"
    assert "did you mean 'hello'?" in naq("tasks", "run", "tasks:app", "helo", code=2, **away).err


@pytest.mark.parametrize("args", [["--jobs", "0"], ["--payload", "-1"]])
def test_bench_of_nothing(naq: Naqs, args: list[str]) -> None:
    assert "1 or more" in naq("bench", *args, code=2).err


def test_bench_leaves_nothing_behind(naq: Naqs) -> None:
    rows = naq("bench", "--jobs", "50", "--json")
    assert [row["jobs"] for row in rows.json] == [50, 50, 100, 50]
    assert all(row["per_second"] > 0 for row in rows.json)
    namespace = rows.err.split()[2].rstrip(",")
    assert naq("broker", "plan", "--namespace", namespace).out.count("is not there") == 5
