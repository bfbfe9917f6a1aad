"""``naq worker --processes``: kept running, stopped together, never orphaned. The jobs are each process's own."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from test_cli import DEADLINE, Process, command

ORPHANS = 5.0  # seconds in which the children of a dead supervisor must be gone (fault 20)


def workers(process: Process) -> list[psutil.Process]:
    return psutil.Process(process.process.pid).children()


def all_gone(processes: list[psutil.Process], within: float = DEADLINE) -> bool:
    _, left = psutil.wait_procs(processes, timeout=within)
    for process in left:
        process.kill()
    return not left


def supervised(folder: Path, *args: str, count: int = 2, calls: str = "") -> Process:
    return Process(folder, "--log-format", "text", "--processes", str(count), *args, calls=calls)


def test_the_dead_are_replaced_and_all_stop_together(tmp_path: Path) -> None:
    with supervised(tmp_path) as process:
        process.until("2 worker processes of tasks:app")
        process.until("ready", times=2)
        members = workers(process)
        assert len(members) == 2
        members[0].send_signal(signal.SIGKILL)
        process.until("died: it was killed by SIGKILL")
        process.until("another follows in 0.5 s")
        process.until("ready", times=3)
        members = {*members, *workers(process)}
        assert len(members) == 3
        process.send(signal.SIGTERM)
        assert process.end() == 0
    assert all_gone([*members])
    assert "Traceback" not in process.said


def test_twice_stops_now(tmp_path: Path) -> None:
    with supervised(tmp_path, calls="slow") as process:
        process.until("▶ slow", times=2)
        members = workers(process)
        began = time.monotonic()
        process.send(signal.SIGINT)
        process.until("SIGTERM: stopping (1 jobs run)", times=2)
        process.send(signal.SIGINT)
        assert process.end() == 130
        assert time.monotonic() - began < 10, "shutdown_timeout is 30 s"
    assert process.said.count("↩ slow") == 2
    assert all_gone(members)


def test_a_third_time_kills(tmp_path: Path) -> None:
    with supervised(tmp_path, calls="slow deaf") as process:
        process.until("▶", times=4)
        members = workers(process)
        for said in ("stopping (2 jobs run)", "again: stopping now"):
            process.send(signal.SIGTERM)
            process.until(said, times=2)
        process.send(signal.SIGTERM)
        assert process.end() == 130
    assert all_gone(members)


def test_workers_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    """Fault 20: they put back what they have, and go."""
    with supervised(tmp_path, calls="slow deaf") as process:
        process.until("▶", times=4)
        members = workers(process)
        process.process.kill()
        assert all_gone(members, within=ORPHANS)
        process.end()
    assert process.said.count("the supervisor has gone: stopping now") == 2
    assert process.said.count("↩ slow") == 2


def test_wrong_usage_is_said_once_and_nothing_is_started_again(tmp_path: Path) -> None:
    done = command(tmp_path, "worker", "tasks:ap", "--processes", "3")
    assert done.returncode == 2
    assert done.stderr.count("did you mean 'app'") == 1
    assert "another follows" not in done.stderr


def test_jobs_in_one_processs_memory_are_no_jobs_of_several(tmp_path: Path) -> None:
    done = command(tmp_path, "worker", "tasks:app", "--processes", "2", NAQ_BROKER_URL="memory:")
    assert done.returncode == 2
    assert "use a broker" in done.stderr


def test_those_that_retire_are_relieved(tmp_path: Path) -> None:
    with supervised(tmp_path, "--max-jobs", "2", count=1, calls="ok ok") as process:
        process.until("retiring after 2 jobs done")
        process.until("retires after")
        process.until("ready", times=2)
        process.send(signal.SIGTERM)
        assert process.end() == 0


def test_a_worker_alone_retires_with_exit_code_0(tmp_path: Path) -> None:
    with Process(tmp_path, "--log-format", "text", "--max-jobs", "2", calls="ok bad") as process:
        assert process.end() == 0
    assert "retiring after 2 jobs done" in process.said


def test_one_port_tells_of_all_and_nobody_is_busy(tmp_path: Path) -> None:
    with supervised(tmp_path, "--health-port", "127.0.0.1:0", "--name", "me") as process:
        process.until("health on port ")
        process.until("\n")
        port = int(process.said.partition("health on port ")[2].partition("\n")[0])
        process.until("ready", times=2)
        said = _ready(port, workers=2)
        assert {worker["worker"].rpartition("-")[0] for worker in said["workers"]} == {"me-1", "me-2"}
        assert {worker["pid"] for worker in said["workers"]} == {member.pid for member in workers(process)}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as response:
            text = response.read().decode()
        for number in (1, 2):
            assert f'naq_worker_slots{{process="{number}"}}' in text
        family = [psutil.Process(process.process.pid), *workers(process)]
        before, began = _cpu(family), time.monotonic()
        wait_for_silence(process, 1.5)
        used = (_cpu(family) - before) / (time.monotonic() - began)
        assert used < 0.15, f"{used:.1%} of a CPU for three idle processes"
        process.send(signal.SIGTERM)
        assert process.end() == 0


def _ready(port: int, *, workers: int) -> dict[str, list[dict[str, str]]]:
    end = time.monotonic() + DEADLINE
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=DEADLINE) as response:
                said = json.load(response)
            if said["detail"] == f"{workers} of {workers} workers are ready":
                return said
        except urllib.error.HTTPError as error:
            error.close()
        assert time.monotonic() < end
        time.sleep(0.02)


def wait_for_silence(process: Process, seconds: float) -> None:
    assert process.process.stderr is not None
    said = select.select([process.process.stderr], [], [], seconds)[0]
    assert not said, "idle workers have nothing to say"


def _cpu(family: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in family)


def test_the_variable_of_the_supervisor_is_not_passed_on() -> None:
    from naq.worker.supervisor.membership import join

    assert join() is None
    assert "_NAQ_SUPERVISOR" not in os.environ
