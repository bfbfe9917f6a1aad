"""`naq check`: exit codes, JSON, and that a broker is left as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.cli.cli_tools import TASKS, Naqs

NOW = (
    TASKS.replace('@app.task(name="day")', '@app.task(name="day", version=2)')
    .replace("def day(when: date)", "def day(when: date, zone: str)")
    .replace('@app.task(name="slow")', '@app.task(name="slower")')
)


def test_an_app_alone(naq: Naqs) -> None:
    said = naq("check", "tasks:app")
    assert said.lines == ["✓ app default: 4 tasks, nothing is wrong with them"]
    assert naq("check", "tasks:app", "--json").json["broker"] is None
    assert naq("check", "tasks:app", "-q").out == ""
    assert "no module 'nowhere'" in naq("check", "nowhere:app", code=2).err
    (naq.folder / "tasks.py").write_text(TASKS + "\napp.every(60, end=1.0)(slow)\n")
    assert "schedule slow never fires again" in naq("check", "tasks:app").out
    naq("check", "tasks:app", "--strict", code=1)


def test_what_waits_against_the_code_at_hand(naq: Naqs) -> None:
    url = naq.env["NAQ_BROKER_URL"]
    empty = naq("check", "tasks:app", "--against", url)
    assert "nothing waits there" in empty.err
    assert naq("check", "tasks:app", "--against", url, "--json").json["broker"]["jobs"] == {}, "it made no streams"

    naq("enqueue", "hello", "--app", "tasks:app")
    old = [
        naq("enqueue", "day", "when=2026-01-01", "--in", wait, "--app", "tasks:app").lines[0] for wait in ("1h", "2h")
    ]
    gone = naq("enqueue", "slow", "--app", "tasks:app").lines[0]
    said = naq("check", "tasks:app", "--against", url)
    assert said.lines[-1] == "✓ 4 jobs (2 queued, 2 scheduled) and 0 schedules; this code takes them all"

    (naq.folder / "tasks.py").write_text(NOW)
    said = naq("check", "tasks:app", "--against", url, "--json", code=1)
    assert not said.json["ok"]
    first, second = said.json["broker"]["refused"]
    assert (first["kind"], first["task"], first["count"], first["states"]) == (
        "no upcaster",
        "day",
        2,
        {"scheduled": 2},
    )
    assert first["example"] in old
    assert (second["kind"], second["task"], second["example"]) == ("unknown task", "slow", gone)
    text = naq("check", "tasks:app", "--against", url, "-q", code=1).lines
    assert text[0] == "✗ 2 x day: no upcaster (2 scheduled)"
    assert "add @task.upcast(1)" in text[1]
    assert text[3:] == ["✗ 1 x slow: unknown task (1 queued)", *text[4:]]

    upcast = '\n@day.upcast(1)\ndef _(when: date) -> dict[str, object]:\n    return {"when": when, "zone": "UTC"}\n'
    (naq.folder / "tasks.py").write_text(NOW + upcast)
    naq("check", "tasks:app", "--against", url, code=1)
    assert "! 1 x slow" in naq("check", "tasks:app", "--against", url, "--allow-waiting").out
    assert [job["state"] for job in naq("jobs", "list", "--json").json].count("scheduled") == 2, "nothing was touched"
    naq("check", "tasks:app", "--against", "nats://127.0.0.1:1", code=5)


def test_the_pipeline_of_the_page_stops_where_the_code_does_not_take_what_waits(naq: Naqs) -> None:
    text = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    pipeline = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    (step,) = (step for step in pipeline["jobs"]["deploy"]["steps"] if "naq check" in step.get("run", ""))
    assert step["shell"] == "bash"

    def run() -> int:
        command = step["run"].replace("naq ", f"{sys.executable} -m naq ", 1)
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]  # what `shell: bash` stands for
        return subprocess.run(script, cwd=naq.folder, env=naq.env, capture_output=True, check=False).returncode

    naq("enqueue", "slow", "--app", "tasks:app")
    assert run() == 0
    assert json.loads((naq.folder / "check.json").read_text())["ok"] is True
    (naq.folder / "tasks.py").write_text(NOW)
    assert run() == 1
    assert json.loads((naq.folder / "check.json").read_text())["broker"]["refused"][0]["kind"] == "unknown task"
