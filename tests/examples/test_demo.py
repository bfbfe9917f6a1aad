"""``make demo`` shows jobs that are real, tells the truth about them, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.dev.dev_tools import gone

DEMO = Path(__file__).parents[2] / "examples" / "demo"
TIMEOUT = 60  # seconds; it takes four


@contextmanager
def demo_in(folder: Path, **environment: str) -> Generator[subprocess.Popen[str]]:
    """The demo as a process, with its temporary files in `folder`."""
    with subprocess.Popen(
        [sys.executable, "-u", str(DEMO)],
        env={**os.environ, "TMPDIR": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as demo:
        try:
            yield demo
        finally:
            demo.kill()


def children_once_jobs_run(demo: subprocess.Popen[str]) -> list[psutil.Process]:
    """Its broker and its worker, as soon as the worker has a job."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if "running" in line:
            break
    children = psutil.Process(demo.pid).children(recursive=True)
    assert len(children) >= 2
    return children


def left_behind(folder: Path, processes: list[psutil.Process]) -> list[str]:
    """Processes of `processes` that still run, and files in `folder`; those that are ending get a moment."""
    _, alive = psutil.wait_procs(processes, timeout=5)
    return [*(str(process) for process in alive), *(str(path) for path in folder.iterdir())]


def test_every_job_goes_its_way_and_ends_as_expected(tmp_path: Path) -> None:
    with demo_in(tmp_path) as demo:
        children = children_once_jobs_run(demo)
        out = demo.communicate(timeout=TIMEOUT)[0]
    assert demo.returncode == 0, out
    for line in (
        "mail     succeeded  '10 letters sent to ada@example.com'",
        "invoice  succeeded  Invoice(order=1001, cents=4950, due=datetime.date(2030, 5, 31))",
        "charge   running    attempt 3 of 5",
        "charge   succeeded  '49.50 charged'",
        "ship     retrying   NoSuchAddress: nobody called Ada lives there",
        "ship     failed     NoSuchAddress: nobody called Ada lives there",
        "review   succeeded  'Ada was asked'",
    ):
        assert f" s  {line}" in out, out
    assert out.count("charge   retrying   BankAway: the bank does not answer") == 2, out
    assert out.count("  yes") == 5, out
    assert "\x1b" not in out  # piped: no colours
    assert left_behind(tmp_path, children) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_can_be_stopped_in_the_middle(tmp_path: Path, number: signal.Signals) -> None:
    with demo_in(tmp_path) as demo:
        children = children_once_jobs_run(demo)
        os.killpg(demo.pid, number)  # as a terminal does: to all that it started
        out = demo.communicate(timeout=TIMEOUT)[0]
    assert demo.returncode == 130, out
    assert "Traceback" not in out
    assert left_behind(tmp_path, children) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's; elsewhere nothing is promised")
def test_even_killed_it_leaves_no_process(tmp_path: Path) -> None:
    with demo_in(tmp_path) as demo:
        children = children_once_jobs_run(demo)
        demo.kill()
        gone(children)


def test_a_job_that_ends_otherwise_fails_the_demo(tmp_path: Path) -> None:
    with demo_in(tmp_path, NAQ_MAX_RESULT="20") as demo:  # too little for some of the results: these jobs fail
        out = demo.communicate(timeout=TIMEOUT)[0]
    assert demo.returncode == 1, out
    assert "no: ended as failed, expected succeeded" in " ".join(out.split()), out
    assert "the worker's last lines" in out
    assert left_behind(tmp_path, []) == []
