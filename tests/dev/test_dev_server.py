"""``naq dev`` keeps the history of its jobs and serves it, on this machine alone, as long as it runs."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.dev.dev_tools import TASKS, Dev, gone, naq, running_dev, until


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def address(dev: Dev) -> str:
    """Where the server of `dev` answers, once it does."""
    dev.see("naq server on http")
    found = re.search(r"Server   (http://127\.0\.0\.1:\d+)", dev.text)
    assert found is not None, dev.text
    return found[1]


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def is_ready(url: str) -> bool:
    """Whether the server has reached broker and database."""
    try:
        return bool(get(f"{url}/readyz")["ready"])
    except urllib.error.HTTPError:
        return False


def knows(url: str, job: str, state: str) -> bool:
    """Whether the history says that `job` is in `state`."""
    try:
        return get(f"{url}/api/v1/jobs/{job}")["state"] == state
    except (urllib.error.HTTPError, urllib.error.URLError):
        return False


def test_what_became_of_a_job_is_served_and_kept_for_the_next_time(project: Path) -> None:
    with running_dev(project, "--port", "0", NAQ_SERVER_AUTH="tokens", NAQ_SERVER_DATABASE="sqlite:///real.db") as dev:
        url = address(dev)
        job = naq(project, "enqueue", "hello", "-q").split()[0]
        until(lambda: knows(url, job, "succeeded"), "the job in the history")
        tree = dev.tree()
        assert dev.end() == 0
    gone(tree, timeout=0)
    assert not (project / "real.db").exists()  # what the project sets is for its real server
    with running_dev(project, "--port", "0") as dev:
        assert knows(address(dev), job, "succeeded")
        assert dev.end() == 0


def test_a_server_that_dies_is_followed_by_another_and_one_beside_it_takes_the_next_port(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_dev(project, "--port", str(port)) as dev:
            url = address(dev)
            assert not url.endswith(f":{port}")
            (server,) = [each for each in dev.tree() if each.cmdline()[3:4] == ["server"]]
            server.kill()
            dev.see(f"the server (process {server.pid}) died")
            dev.see("naq server on http")
            job = naq(project, "enqueue", "hello", "-q").split()[0]
            until(lambda: knows(url, job, "succeeded"), "the job in the history of the next one")
            with running_dev(project) as second:
                second.see(f"Server   {url}")
                assert second.end() == 0
            assert dev.end() == 0


def test_a_broker_that_forgets_has_a_history_that_forgets(project: Path) -> None:
    with running_dev(project, "--memory", "--port", "0") as dev:
        url = address(dev)
        until(lambda: is_ready(url), "broker and database")
        assert dev.end() == 0
    assert not list(project.rglob("*.db"))


def test_without_one_the_rest_runs(project: Path) -> None:
    with running_dev(project, "--no-server") as dev:
        dev.see("App      tasks:app")
        assert "Server" not in dev.text
        assert "hello you" in naq(project, "enqueue", "hello", "--wait")
        assert all("server" not in each.cmdline()[3:4] for each in dev.tree() if each.status() != psutil.STATUS_ZOMBIE)
        assert dev.end() == 0
    assert "--port is 70000" in naq(project, "dev", "--port", "70000", code=2)
