"""``naq dev``: the first job is green, files are watched, programs beside it find its broker, keys do what they say."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest

from naq.testing.broker import bundled_server
from tests.dev.dev_tools import TASKS, gone, naq, running_dev, until


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def test_new_writes_a_file_and_runs_its_first_job(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with running_dev(tmp_path, "--new") as dev:
        dev.see("wrote tasks.py")
        dev.see("added .naq/ to .gitignore")
        dev.see("naq dev  ")
        dev.see('"Hello, world!"')
        tree = dev.tree()
        assert len(tree) >= 3  # worker, broker and its supervisor; and soon the server
        assert dev.end() == 0
    assert "\x1b" not in dev.text
    assert (tmp_path / ".gitignore").read_text() == ".naq/\n"
    gone(tree, timeout=0)  # it has waited for them


def test_programs_beside_it_find_its_broker_and_another_one_is_told_who_runs(project: Path) -> None:
    with running_dev(project) as dev:
        dev.see("watching for changes")
        assert "hello Ada" in naq(project, "enqueue", "hello", "name=Ada", "--wait")
        shown = json.loads(naq(project, "config", "show", "--sources", "--json"))
        assert {each["name"]: each["source"] for each in shown}["broker_url"] == "naq dev"
        second = naq(project, "dev", "another:app", code=4)
        assert f"process {dev.process.pid}" in second
        assert dev.end(signal.SIGTERM) == 0
    shown = json.loads(naq(project, "config", "show", "--sources", "--json"))
    assert {each["name"]: each["source"] for each in shown}["broker_url"] == "default"


def test_a_change_is_loaded_and_a_broken_file_mended_by_the_next_save(project: Path) -> None:
    file = project / "tasks.py"
    with running_dev(project) as dev:
        dev.see("watching for changes")
        server = {each.pid for each in dev.tree() if "nats-server" in each.name()}
        file.write_text(TASKS.replace("hello {name}", "servus {name}"))
        dev.see("changed: tasks.py")
        dev.see("reloaded in ")
        assert "servus you" in naq(project, "enqueue", "hello", "--wait")
        file.write_text(TASKS + "\ndef broken(:\n")
        dev.see("SyntaxError")
        dev.see("no worker runs: mend that and save the file")
        file.write_text(TASKS)
        dev.see("reloaded in ")
        assert "hello you" in naq(project, "enqueue", "hello", "--wait")
        assert {each.pid for each in dev.tree() if "nats-server" in each.name()} == server
        assert dev.end() == 0


def test_a_reload_puts_back_what_runs_and_it_runs_in_the_next_worker(project: Path) -> None:
    with running_dev(project) as dev:
        dev.see("watching for changes")
        job = naq(project, "enqueue", "slow", "600", "-q").split()[0]
        until((project / "running").exists)
        (project / "running").unlink()
        (project / "tasks.py").write_text(TASKS.replace("sleep(seconds)", "sleep(0)"))
        dev.see("reloaded in ")
        assert "slept" in naq(project, "jobs", "result", job)
        record = json.loads(naq(project, "jobs", "show", job, "--json"))
        assert record["attempt"] == 1
        assert dev.end() == 0


def test_a_worker_that_dies_is_followed_by_another(project: Path) -> None:
    with running_dev(project, "--no-reload") as dev:
        dev.see("no reload")
        job = naq(project, "enqueue", "die", "-q").split()[0]
        dev.see("another follows in ")
        naq(project, "jobs", "wait", job)
        assert dev.end() == 0


def test_keys(project: Path) -> None:
    with running_dev(project, "--memory", terminal=True) as dev:
        dev.see("q quit")
        dev.type("w")
        dev.see("worker 1  process ")
        dev.type("e")
        dev.see("enqueue (such as ")
        dev.type("hello name=Eve\n")
        dev.see('"hello Eve"')
        dev.type("l")
        dev.see("log level warning")
        dev.see("started anew in ")
        tree = dev.tree()
        dev.type("q")
        assert dev.code() == 0
    gone(tree, timeout=0)
    assert not (project / ".naq" / "nats").exists()


def test_it_uses_a_broker_that_runs_already_and_leaves_it_running(project: Path) -> None:
    with bundled_server() as server, running_dev(project, "--workers", "2", NAQ_BROKER_URL=server.url) as dev:
        dev.see(f"Broker   {server.url}  (yours)")
        dev.see("2 workers")
        assert "hello you" in naq(project, "enqueue", "hello", "--wait")
        assert len(psutil.Process(dev.process.pid).children()) == 3  # workers, and the server of their history
        assert dev.end() == 0
        assert server.is_running


def test_the_demo_needs_no_app(tmp_path: Path) -> None:
    with running_dev(tmp_path, "--demo", TMPDIR=str(tmp_path)) as dev:
        dev.see("naq.dev.shop:app")
        for task in ("send_mail", "make_invoice", "ask_for_review"):
            until(lambda task=task: f"✓ naq.dev.shop.{task}" in dev.text or not dev.see(task), task)
        assert dev.end() == 0
    assert [path.name for path in tmp_path.iterdir()] == [".naq"]


def test_worker_reload_starts_anew_and_ends(project: Path) -> None:
    with (
        bundled_server() as server,
        running_dev(project, "tasks:app", "--reload", command="worker", NAQ_BROKER_URL=server.url) as dev,
    ):
        dev.see("watching for changes")
        (project / "tasks.py").write_text(TASKS + "\n# changed\n")
        dev.see("reloaded in ")
        tree = dev.tree()
        assert len(tree) == 1
        assert dev.end() == 0
    gone(tree, timeout=0)
