"""``naq schedules``, ``naq scheduler`` and ``naq jobs run-now``, as a person at a shell uses them."""

from __future__ import annotations

import signal
import subprocess

from naq.cli.exits import Exit
from tests.cli.cli_tools import NAQ, Naqs


def test_a_schedule_from_its_making_to_its_end(naq: Naqs) -> None:
    app = ("-A", "tasks:app")
    made = naq("schedules", "create", "nightly", "hello", "name=bob", "--cron", "30 2 * * *", "--tz", "Europe/Berlin",
               "--missed", "catch_up(3)", "--tag", "team=ops", *app)  # fmt: skip
    assert "02:30" in made.out
    view = naq("schedules", "show", "nightly", "--json").json
    assert (view["task"], view["queue"], view["kwargs"]) == ("hello", "mail", {"name": "bob"})
    assert (view["state"], view["missed"], view["source"]) == ("active", "catch_up(3)", "run time")
    assert view["tags"] == {"team": "ops", "schedule": "nightly"}
    assert len(view["next"]) == 5
    promised = naq("schedules", "preview", "nightly", "-n", "2", "--json").json
    assert [slot["utc"] for slot in promised] == view["next"][:2]
    waiting = naq("jobs", "list", "--state", "scheduled", "--json").json
    assert sorted(job["run_at"] for job in waiting) == view["next"][:2]

    assert "already" in naq("schedules", "create", "nightly", "hello", "--every", "1h", *app, code=Exit.USAGE).err
    assert "paused" in naq("schedules", "pause", "nightly", "--note", "moving").out
    listed = naq("schedules", "list").lines[1].split()
    assert listed[:3] == ["nightly", "paused", "hello"]
    assert "moving" in naq("schedules", "show", "nightly").out
    naq("schedules", "resume", "nightly")
    assert naq("schedules", "edit", "nightly", "--every", "1h", "--json").json["interval"] == 3600
    assert "left out" in naq("schedules", "skip", "nightly").out

    job_id = naq("schedules", "run", "nightly").out.strip()
    assert naq("jobs", "show", job_id, "--json").json["state"] == "queued"
    fill = ("schedules", "backfill", "nightly", "--from", "2026-01-01T00:00", "--until", "2026-01-01T03:00")
    naq("schedules", "edit", "nightly", "--cron", "0 * * * *", "--tz", "UTC")
    assert "3 jobs" in naq(*fill, "--dry-run").err
    assert "--yes" in naq(*fill, code=Exit.USAGE).err
    assert len(naq(*fill, "--yes").lines) == 3

    assert naq("schedules", "delete", "nightly", "nope", "--yes", code=Exit.PARTLY).lines == [
        "nightly  deleted",
        "nope  not found",
    ]
    assert "no schedules" in naq("schedules", "list").err
    assert naq("schedules", "show", "nightly", code=None).code == Exit.NOT_FOUND


def test_trying_out_a_timetable_asks_no_broker(naq: Naqs) -> None:
    said = naq(
        "schedules",
        "preview",
        "--cron",
        "0 12 * * *",
        "--tz",
        "Europe/Berlin",
        "-n",
        "400",
        NAQ_BROKER_URL="nats://127.0.0.1:1",
    )
    assert "clocks went forward" in said.out
    assert "clocks went back" in said.out
    wrong = naq("schedules", "preview", "--cron", "61 * * * *", code=Exit.USAGE)
    assert "cron" in wrong.err
    naq("schedules", "preview", code=Exit.USAGE)


def test_a_job_that_waits_is_let_go(naq: Naqs) -> None:
    job_id = naq("enqueue", "hello", "--in", "1h").out.strip()
    assert naq("jobs", "run-now", job_id).lines == [f"{job_id}  queued"]
    again = naq("jobs", "run-now", job_id, code=Exit.CONFLICT)
    assert again.lines == [f"{job_id}  is queued"]


def test_a_scheduler_by_itself(naq: Naqs) -> None:
    """It declares what the app's code says, keeps it going, and ends well."""
    with (naq.folder / "tasks.py").open("a") as file:
        file.write("\napp.every(1, name='often')(hello)\n")
    assert "no command can see" in naq("scheduler", NAQ_BROKER_URL="memory:x", code=Exit.USAGE).err
    process = subprocess.Popen([*NAQ, "scheduler", "tasks:app"], cwd=naq.folder, env=naq.env, stderr=subprocess.DEVNULL)
    try:
        naq.until("schedules", "list", holds="often")
        naq.until("jobs", "list", "--state", "queued", holds="cron-often")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_what_is_due_next(naq: Naqs) -> None:
    """By queue and by time, whatever the order in which they came."""
    ids = {hours: naq("enqueue", "hello", "--in", f"{hours}h", "--queue", "q").out.strip() for hours in (3, 1, 2)}
    naq("enqueue", "hello", "--in", "30m", "--queue", "other")
    naq("enqueue", "hello", "--queue", "q")
    assert naq("jobs", "list", "--queue", "q", "--due", "-q").lines == [ids[1], ids[2], ids[3]]
    assert naq("jobs", "list", "--queue", "q", "--due", "-q", "-n", "1").lines == [ids[1]]


def test_everything_of_a_schedule_can_be_changed(naq: Naqs) -> None:
    app = ("-A", "tasks:app")
    naq("schedules", "create", "s", "hello", "name=bob", "--every", "1h", "--tag", "team=ops", *app)

    def edit(*args: str) -> dict[str, object]:
        return naq("schedules", "edit", "s", *args, "--json").json

    view = edit("n=3", "--queue", "slow", "--priority", "low", "--tag", "team=dev", "--expires-in", "10m", *app)
    view = naq("schedules", "show", "s", "--json").json
    assert (view["kwargs"], view["queue"], view["priority"]) == ({"n": 3}, "slow", "low")
    assert view["tags"] == {"team": "dev", "schedule": "s"}
    assert view["interval"] == 3600, "what was not given stays"
    jobs = naq("jobs", "list", "--state", "scheduled", "--json").json
    assert [(job["queue"], job["priority"], job["tags"]["team"]) for job in jobs] == [("slow", "low", "dev")] * 2
    assert all(job["expires_at"] for job in jobs)

    view = edit("--jitter", "5m", "--missed", "skip", "--overlap", "skip", "--repeat", "9", "--until", "2099-01-01")
    assert (view["missed"], view["overlap"], view["repeat"]) == ("skip", "skip", 9)
    assert view["end"] is not None
    assert (view["jitter"], naq("schedules", "show", "s", "--json").json["kwargs"]) == (300, {"n": 3})
    view = edit("--until", "never", "--repeat", "0", "--from", "2030-01-01T00:00")
    assert (view["end"], view["repeat"]) == (None, None)
    assert str(view["start"]).startswith(("2029-12-31", "2030-01-01"))

    edit("--task", "day", "when=2026-01-01", *app)
    assert naq("schedules", "show", "s", "--json").json["task"] == "day"
    assert "does not fit" in naq("schedules", "edit", "s", "when=never", *app, code=Exit.USAGE).err
    assert "--no-arguments" in naq("schedules", "edit", "s", "--task", "hello", *app, code=Exit.USAGE).err
    assert "nothing to change" in naq("schedules", "edit", "s", code=Exit.USAGE).err
    job_id = naq("schedules", "run", "s").out.strip()
    assert naq("jobs", "show", job_id, "--json").json["queue"] == "slow"
