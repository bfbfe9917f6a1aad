"""Scripts: functions of ``__main__`` go by the script's module name, and `naq worker -m script` finds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEADLINE = 30.0  # seconds; starting Python twice on a busy machine takes some

SCRIPT = """
import naq

def hello(name: str) -> str:
    return f"Hello, {name}!"

if __name__ == "__main__":
    job = naq.enqueue_sync(hello, "world")
    print(job.record_sync().task)
    print(job.result_sync(timeout=20))
"""

ALL_IN_ONE = """
import asyncio
import naq

def hello(name: str) -> str:
    return f"Hello, {name}!"

async def main() -> None:
    worker = naq.Worker(["default"], worker_name="own")
    running = asyncio.create_task(worker.run())
    job = await naq.enqueue(hello, "me")
    print(await job.result(timeout=20))
    worker.stop()
    await running
    await naq.disconnect()

if __name__ == "__main__":
    asyncio.run(main())
"""


def python(*args: str, folder: Path, url: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *args],
        cwd=folder,
        env={**os.environ, "NAQ_BROKER_URL": url, "NAQ_NAMESPACE": "scripts"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@contextmanager
def naq_worker(module: str, *, folder: Path, url: str) -> Generator[None]:
    """``naq worker -m MODULE``, stopped in order at the end."""
    log = folder / "worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "naq", "worker", "-m", module],
            cwd=folder,
            env={**os.environ, "NAQ_BROKER_URL": url, "NAQ_NAMESPACE": "scripts"},
            stdout=out,
            stderr=out,
        )
    try:
        yield
        process.terminate()
        assert process.wait(DEADLINE) == 0, log.read_text()
        (starting,) = [line for line in log.read_text().splitlines() if '"starting"' in line]
        assert json.loads(starting)["naq.queues"] == ["default"]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("how", "module"), [(["script.py"], "script"), (["-m", "jobs.script"], "jobs.script")])
def test_a_worker_finds_the_functions_of_a_script_by_its_module_name(
    how: list[str], module: str, server: str, tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    for folder in (tmp_path, tmp_path / "jobs"):
        (folder / "script.py").write_text(SCRIPT)
    with naq_worker(module, folder=tmp_path, url=server):
        done = python(*how, folder=tmp_path, url=server)
    assert (done.stdout, done.stderr) == (f"{module}.hello\nHello, world!\n", "")


def test_a_script_may_be_its_own_worker(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(ALL_IN_ONE)
    done = python("script.py", folder=tmp_path, url="memory:")
    assert (done.stdout, done.stderr) == ("Hello, me!\n", "")


def test_functions_that_come_through_a_pipe_are_refused_and_told_why(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import naq
        def hello() -> None: ...
        print(naq.Worker("default").tasks.names())
        try:
            naq.enqueue_sync(hello)
        except naq.ConfigurationError as error:
            print(error)
    """)
    done = python("-", folder=tmp_path, url="memory:", stdin=program)
    assert done.stderr == ""
    assert done.stdout.startswith("[]\na function of an interactive session cannot be imported by a worker")


def test_logging_for_scripts_shows_naqs_lines_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import logging, sys, naq
        for form in ("json", "text"):
            naq.setup_logging("info", form)
        logging.getLogger("naq.worker").info("once")
        logging.getLogger("naq.task.mine").debug("not shown")
        logging.getLogger("other").info("not ours")
        logging.getLogger("other").warning("by Python's own rule")
        print(logging.getLogger().handlers)
        naq.setup_logging("warning", "json")
        logging.getLogger("naq.worker").info("not any more")
        logging.getLogger("naq.worker").warning("as JSON", extra={"job_id": "a"})
        try:
            naq.setup_logging("loud")
        except naq.ConfigurationError as error:
            print(error)
    """)
    done = python("-", folder=tmp_path, url="memory:", stdin=program)
    assert done.stdout == "[]\nlevel is 'loud'; use one of debug, info, warning, error\n"
    first, second, third = done.stderr.splitlines()
    assert first.endswith("  once")
    assert second == "by Python's own rule"
    assert (json.loads(third)["message"], json.loads(third)["naq.job_id"]) == ("as JSON", "a")
