"""`naq config`, `naq tasks`, `naq completion`, `naq broker`, `naq doctor`."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.cli.cli_tools import NAQ, Naqs


def test_config_says_where_each_setting_comes_from(naq: Naqs) -> None:
    (naq.folder / "pyproject.toml").write_text("[tool.naq]\nlease = '1m'\nconcurrency = 7\n")
    said = naq("config", "show", "--json", "--namespace", "mine", NAQ_CONCURRENCY="8", NAQ_TOKEN="hush")
    found = {setting["name"]: (setting["value"], setting["source"]) for setting in said.json}
    assert found["namespace"] == ("'mine'", "argument")
    assert found["concurrency"] == ("8", "environment")
    assert found["lease"][0] == "60.0"
    assert found["lease"][1].endswith("pyproject.toml [tool.naq]")
    assert found["crash_limit"] == ("5", "default")
    assert found["token"] == ("'***'", "environment")
    assert "hush" not in said.out
    assert "SOURCE" not in naq("config", "show").out
    assert "SOURCE" in naq("config", "show", "--sources").out


def test_a_profile(naq: Naqs) -> None:
    (naq.folder / "pyproject.toml").write_text("[tool.naq.profiles.prod]\nlease = '1m'\n")
    for args in (["--profile", "prod", "config", "show"], ["config", "show", "--profile", "prod"]):
        [lease] = [each for each in naq(*args, "--json").json if each["name"] == "lease"]
        assert lease["value"] == "60.0"
        assert lease["source"].endswith("[tool.naq.profiles.prod]")
    assert "did you mean 'prod'?" in naq("--profile=prd", "config", "validate", code=2).err
    assert len(naq("config", "validate", code=2, NAQ_LEASE="x", NAQ_CONCURRENCY="0").err.splitlines()) == 2


def test_config_of_an_app(naq: Naqs) -> None:
    (naq.folder / "other.py").write_text("from naq import Naq\napp = Naq('shop', lease=5)\n")
    said = naq("config", "show", "--json", "-A", "other:app").json
    assert {"name": "lease", "value": "5.0", "source": "app other:app"} in said


def test_validate(naq: Naqs) -> None:
    assert naq("config", "validate").err == "the settings are good\n"
    said = naq("config", "validate", code=2, NAQ_LEASE="never")
    assert "NAQ_LEASE" in said.err
    assert "did you mean 'NAQ_LEASE'?" in naq("config", "validate", code=2, NAQ_LEESE="1").err


def test_tasks(naq: Naqs) -> None:
    assert naq("tasks", "list", "tasks:app", "-q").lines == ["bad", "day", "hello", "slow"]
    hello = naq("tasks", "show", "hello", "-A", "tasks:app", "--json").json
    assert (hello["queue"], hello["timeout"], hello["max_attempts"], hello["help"]) == (
        "mail",
        30.0,
        3,
        "Greet somebody.",
    )
    assert "did you mean 'hello'?" in naq("tasks", "show", "tasks:app", "helo", code=3).err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(naq: Naqs, shell: str) -> None:
    said = naq("completion", shell)
    assert "queues" in said.out
    assert "dry-run" in said.out


def test_plan_then_setup_then_nothing_to_do(naq: Naqs) -> None:
    said = naq("broker", "plan", "-A", "tasks:app")
    assert said.out.count("is not there") == 5
    assert "queue mail has no consumers yet" in said.out
    assert naq("broker", "plan", "--json").json != []
    naq("broker", "setup", "-A", "tasks:app")
    assert "nothing to do" in naq("broker", "plan", "-A", "tasks:app").out


def test_check_finds_what_does_not_fit(naq: Naqs) -> None:
    assert "✓ NATS" in naq("broker", "check").out
    said = naq("broker", "check", code=1, NAQ_DURABILITY="replicated")
    assert "✗ durability 'replicated' keeps 3 copies" in said.out
    naq("broker", "check", code=5, NAQ_BROKER_URL="nats://127.0.0.1:9", NAQ_CONNECT_TIMEOUT="300ms")


def test_doctor(naq: Naqs) -> None:
    naq("broker", "setup", "-A", "tasks:app")
    naq("enqueue", "hello", "--queue", "mail")
    said = naq("doctor", "tasks:app")
    assert "tasks:app imports and has 4 tasks" in said.out
    assert "! queue mail, on which no worker works, has waiting jobs: 1\n  → naq worker APP -q mail" in said.out
    said = naq("doctor", code=1, NAQ_BROKER_URL="nats://127.0.0.1:9", NAQ_CONNECT_TIMEOUT="300ms")
    assert "✗ " in said.out


def test_broker_run_is_a_broker_until_ctrl_c(naq: Naqs) -> None:
    process = subprocess.Popen(
        [*NAQ, "broker", "run", "here", "--port", "-1"],
        cwd=naq.folder, env=naq.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as stdout:
        url = stdout.readline().strip()
        assert len(naq("enqueue", "hello", "--broker-url", url).lines) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    naq("queues", "list", "--broker-url", url, code=5, NAQ_CONNECT_TIMEOUT="300ms")


def test_broker_config_is_what_a_server_reads(naq: Naqs) -> None:
    said = naq("broker", "config", "--store", "/d/js", "--durability", "strict")
    assert 'store_dir: "/d/js"' in said.out
    assert 'sync_interval: "always"' in said.out
    assert said.err == ""


def test_tasks_as_workers_describe_them(worker: Naqs) -> None:
    listed = {task["name"]: task for task in worker("tasks", "list", "--json").json}
    assert listed == {task["name"]: task for task in worker("tasks", "list", "tasks:app", "--json").json}
    shown = worker("tasks", "show", "hello").out
    assert "(name: str = 'you', n: int = 1) -> str" in shown
    assert "Greet somebody." in shown
    assert "did you mean 'hello'?" in worker("tasks", "show", "helo", code=3).err


def test_nothing_is_said_to_be_nothing(naq: Naqs) -> None:
    assert "no worker has described a task" in naq("tasks", "list").err
    assert "no dead letters" in naq("dead", "purge", "--dry-run").err
    assert naq("dead", "purge", "--dry-run", "--json").json == []
    [job_id] = naq("enqueue", "hello", "-q").lines
    assert "it has no log lines" in naq("jobs", "logs", job_id).err
    assert "from level error on" in naq("jobs", "logs", job_id, "--level", "error").err
