"""A worker that has a supervisor is killed: what it ran is handed back by the process that follows, and only that."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import pytest

from naq import Naq
from naq.testing.broker import bundled_server
from tests.dev.dev_tools import Dev, naq, running_dev, until

pytestmark = pytest.mark.faults

LEASE = 120.0  # seconds; whatever runs again before that was handed back
NAQ_LEASE: Final = f"{LEASE:g}"  # for every process of a test: one that had another would change it for all
TASKS = """
import asyncio
import os
from pathlib import Path
from naq import Naq, current_context

app = Naq()

@app.task(name="die")
def die() -> int:
    if not Path("died").exists():
        Path("died").touch()
        os._exit(3)
    return current_context().attempt

@app.task(name="slow")
async def slow(number: int) -> int:
    Path(f"runs-{number}-{os.getpid()}").touch()
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    return number

@app.task(name="quick")
async def quick() -> None: ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def enqueue(command: Callable[..., str], *args: str) -> str:
    """The id of a job; `command` runs one of naq's."""
    return command("enqueue", *args, "-q").split()[0]


def record(url: str, job: str) -> tuple[str, int, int]:
    """How a job ended, in which attempt, and how often it was delivered for that."""

    async def main() -> tuple[str, int, int]:
        async with Naq(broker_url=url, lease=LEASE) as app:
            known = await (await app.connect()).get(job)
            assert known is not None
            return known.state.value, known.attempt, known.delivered

    return asyncio.run(main())


def url_of(dev: Dev) -> str:
    return dev.see("(").split()[-2]


def worker_of(dev: Dev) -> psutil.Process:
    return next(each for each in dev.tree() if {"naq", "worker"} <= set(each.cmdline()))


def runs(project: Path, pid: int) -> int:
    return len(list(project.glob(f"runs-*-{pid}")))


def test_naq_dev_runs_a_job_that_killed_its_worker_again_at_once(project: Path) -> None:
    with running_dev(project, NAQ_LEASE=NAQ_LEASE) as dev:
        dev.see("Broker ")
        url = url_of(dev)
        dev.see("watching for changes")
        run = partial(naq, project, NAQ_LEASE=NAQ_LEASE)
        began = time.monotonic()
        job = enqueue(run, "die")
        assert run("jobs", "result", job).strip().endswith("1")
        assert time.monotonic() - began < LEASE / 2
        assert record(url, job) == ("succeeded", 1, 2)
        assert dev.end() == 0


def test_all_that_a_killed_worker_ran_runs_in_its_successor(project: Path) -> None:
    with running_dev(project, NAQ_LEASE=NAQ_LEASE) as dev:
        dev.see("Broker ")
        url = url_of(dev)
        dev.see("watching for changes")
        run = partial(naq, project, NAQ_LEASE=NAQ_LEASE)
        jobs = [enqueue(run, "slow", str(number)) for number in range(3)]
        victim = worker_of(dev)
        until(lambda: runs(project, victim.pid) == 3)
        began = time.monotonic()
        victim.send_signal(signal.SIGKILL)
        dev.see("died")
        dev.see("3 of its jobs were handed back")
        following = worker_of(dev)
        until(lambda: runs(project, following.pid) == 3)
        took = time.monotonic() - began
        assert took < LEASE / 2
        (project / "go").touch()
        for job in jobs:
            run("jobs", "wait", job)
            assert record(url, job) == ("succeeded", 1, 2)
        assert dev.end() == 0


def supervised(project: Path, url: str, *options: str) -> AbstractContextManager[Dev]:
    """``naq worker`` with processes of its own, on the broker at `url`."""
    return running_dev(project, "tasks:app", *options, command="worker", NAQ_LEASE=NAQ_LEASE, NAQ_BROKER_URL=url)


def test_one_of_several_is_killed_and_what_the_other_runs_stays_with_it(project: Path) -> None:
    with bundled_server() as server:
        run = partial(naq, project, NAQ_LEASE=NAQ_LEASE, NAQ_BROKER_URL=server.url)
        with supervised(project, server.url, "--processes", "2", "-c", "2") as dev:
            jobs = [enqueue(run, "slow", str(number)) for number in range(4)]
            until(lambda: len(list(project.glob("runs-*"))) == 4)
            pids = sorted({int(each.name.rpartition("-")[2]) for each in project.glob("runs-*")})
            assert len(pids) == 2
            psutil.Process(pids[0]).send_signal(signal.SIGKILL)
            until(lambda: len(list(project.glob("runs-*"))) == 6)
            assert runs(project, pids[1]) == 2
            (project / "go").touch()
            for job in jobs:
                run("jobs", "wait", job)
            assert sorted(record(server.url, job)[2] for job in jobs) == [1, 1, 2, 2]
            assert dev.end() == 0


def test_one_that_retires_keeps_what_it_runs(project: Path) -> None:
    """Its successor is there before it has ended."""
    with bundled_server() as server:
        run = partial(naq, project, NAQ_LEASE=NAQ_LEASE, NAQ_BROKER_URL=server.url)
        with supervised(project, server.url, "--processes", "1", "--max-jobs", "2") as dev:
            slow = enqueue(run, "slow", "1")
            until(lambda: len(list(project.glob("runs-*"))) == 1)
            for _ in range(2):
                run("enqueue", "quick", "--wait")
            dev.see("retires after")
            run("enqueue", "quick", "--wait")  # by the successor
            (project / "go").touch()
            run("jobs", "wait", slow)
            assert record(server.url, slow) == ("succeeded", 1, 1)
            assert len(list(project.glob("runs-*"))) == 1, "it ran there and nowhere else"
            assert dev.end() == 0
