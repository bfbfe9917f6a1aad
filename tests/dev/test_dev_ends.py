"""However and whenever ``naq dev`` is ended, no process of it is left, and its exit code says how."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.dev.dev_tools import DEADLINE, TASKS, Dev, gone, naq, running_dev, until


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def of_folder(folder: Path) -> list[psutil.Process]:
    """Every process that works in `folder`, or names it."""
    found: list[psutil.Process] = []
    for each in psutil.process_iter():
        try:
            if each.cwd() == str(folder) or any(f"{folder}/" in word for word in each.cmdline()):
                found.append(each)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("after", [0.2, 0.5, 0.8, 1.2])
def test_a_ctrl_c_at_any_moment_of_the_start(project: Path, after: float) -> None:
    with running_dev(project) as dev:
        time.sleep(after)  # the moment is the matter here, whatever happens in it
        dev.process.send_signal(signal.SIGINT)
        dev.code()  # which may be Python's own, if it had not come to us yet
    gone(of_folder(project))


def test_interrupted_before_it_is_up_it_says_so(tmp_path: Path) -> None:
    with running_dev(tmp_path, "--new") as dev:
        dev.see("wrote tasks.py")
        code = dev.end()
        assert code == (0 if "naq dev  " in dev.text else 130), dev.text
        assert "Traceback" not in dev.text
    gone(of_folder(tmp_path))  # its children may die a moment after it: nobody waited for them yet


def test_a_ctrl_c_while_it_reloads(project: Path) -> None:
    with running_dev(project) as dev:
        dev.see("watching for changes")
        (project / "tasks.py").write_text(TASKS + "\n# changed\n")
        dev.see("changed: tasks.py")
        assert dev.end() == 0
    gone(of_folder(project), timeout=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_ends_though_nobody_hears_what_it_says(project: Path, number: signal.Signals) -> None:
    """Its terminal was closed, or it wrote to a pipe whose reader is gone."""
    with running_dev(project) as dev:
        dev.see("watching for changes")
        tree = dev.tree()
        dev.deafen()
        dev.process.send_signal(number)
        assert dev.process.wait(DEADLINE) == 0
    gone(tree)


def begin_a_job(dev: Dev, project: Path) -> str:
    dev.see("watching for changes")
    job = naq(project, "enqueue", "slow", "600", "-q").split()[0]
    until((project / "running").exists)
    return job


def test_a_ctrl_c_during_a_job_keeps_the_job_for_the_next_time(project: Path) -> None:
    with running_dev(project) as dev:
        job = begin_a_job(dev, project)
        assert dev.end() == 0
    gone(of_folder(project), timeout=0)
    (project / "tasks.py").write_text(TASKS.replace("sleep(seconds)", "sleep(0)"))
    with running_dev(project) as dev:
        dev.see("watching for changes")
        assert "slept" in naq(project, "jobs", "result", job)
        assert dev.end() == 0


def test_twice_means_now(project: Path) -> None:
    with running_dev(project) as dev:
        begin_a_job(dev, project)
        dev.process.send_signal(signal.SIGINT)
        dev.see("stopping")
        dev.process.send_signal(signal.SIGINT)
        assert dev.code() in {0, 130}  # 0: it was quicker than we
    gone(of_folder(project), timeout=0)


def test_killed_it_takes_its_processes_along(project: Path) -> None:
    with running_dev(project) as dev:
        begin_a_job(dev, project)
        tree = dev.tree()
        assert len(tree) >= 3
        dev.process.kill()
        gone(tree, timeout=5)
    gone(of_folder(project), timeout=0)


def test_after_a_kill_the_folder_is_free(project: Path) -> None:
    with running_dev(project) as dev:
        dev.see("watching for changes")
        dev.process.kill()
    with running_dev(project) as dev:
        dev.see("watching for changes")
        assert "hello you" in naq(project, "enqueue", "hello", "--wait")
        assert dev.end() == 0
