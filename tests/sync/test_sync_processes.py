"""The bridge in whole programs: how they end, how they are interrupted, and what a fork makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from naq.testing.broker import bundled_server

DEADLINE = 60.0  # seconds; starting Python on a busy machine takes some

JOBS = """
import os, sys, threading, time
import naq
from naq import sync

def say(line):  # in one write, as two threads say something
    os.write(1, line.encode() + b"\\n")

def add(a: int, b: int) -> int:
    return a + b

async def forever(begun=None):
    import asyncio
    try:
        say("begun")
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("cancelled")
        raise

"""

FORK = """
client = naq.SyncClient()
client.open()
queue = naq.Queue()
before = queue.enqueue_sync(add, 1, 2)
held = threading.Thread(target=lambda: [queue.enqueue_sync(add, 0, 0) for _ in range(50)])
held.start()  # so that the bridge is at work, and may hold its lock, while we fork
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    said = []
    try:
        client.enqueue(add, 1, 1)
    except naq.ConfigurationError as error:
        said.append("fork" if "opened by process" in str(error) else str(error))
    client.close()
    said.append(before.status_sync().value)          # a handle of the parent
    job = queue.enqueue_sync(add, 3, 4)              # a queue of the parent
    said.append(job.status_sync().value)
    with naq.SyncClient() as own:
        said.append(own.job(job.job_id).status_sync().value)
    os.write(writer, " ".join(said).encode())
    os.close(writer)
    HOW
os.close(writer)
with os.fdopen(reader) as pipe:
    said = pipe.read()
_, status = os.waitpid(child, 0)
held.join()
print(said, os.waitstatus_to_exitcode(status))
print(client.enqueue(add, 5, 6).status_sync().value, before.status_sync().value)
client.close()
print(naq.purge_queue_sync())
"""


def run(text: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """``python program.py`` with `text` in it, to its end."""
    (folder / "program.py").write_text(JOBS + text)
    return subprocess.run(
        # Python 3.12 and later warn of every fork beside a thread: that is what this is about.
        [sys.executable, "-W", "default", "-W", "ignore::DeprecationWarning", "program.py"],
        cwd=folder,
        env={**os.environ, "NAQ_BROKER_URL": "memory:", **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.parametrize("how", ["os._exit(0)", "sys.exit(0)"])
def test_after_a_fork_parent_and_child_both_work(how: str, tmp_path: Path) -> None:
    with bundled_server() as server:
        done = run(FORK.replace("HOW", how), tmp_path, NAQ_BROKER_URL=server.url)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["fork queued queued queued 0", "queued queued", "53"]


def test_a_program_ends_at_once_and_silently_with_its_connection_open(tmp_path: Path) -> None:
    with bundled_server() as server:
        done = run("print(naq.enqueue_sync(add, 1, 2).status_sync())", tmp_path, NAQ_BROKER_URL=server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "queued\n", "")


def test_a_program_ends_though_its_broker_is_gone(tmp_path: Path) -> None:
    with bundled_server() as server:
        program = "naq.connect_sync(); os.kill(int(os.environ['PID']), 9)"
        # Whatever it waited for would take far longer than the time that `run` gives it.
        patience = {"NAQ_CONNECT_TIMEOUT": "600", "NAQ_PUBLISH_TIMEOUT": "600"}
        done = run(program, tmp_path, NAQ_BROKER_URL=server.url, PID=str(server.pid), **patience)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_daemon_thread_that_waits_does_not_keep_the_program(tmp_path: Path) -> None:
    program = """
begun = threading.Event()
async def wait_for_ever():
    begun.set()
    await forever()
def wait():
    try:
        sync.run("", wait_for_ever)
    except naq.NaqConnectionError as error:
        print(error, flush=True)
threading.Thread(target=wait, daemon=True).start()
begun.wait()
"""
    done = run(program, tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == ["begun", "cancelled"]
    assert "Traceback" not in done.stderr


def test_calls_while_the_program_ends_are_refused_and_do_not_hang(tmp_path: Path) -> None:
    program = """
import atexit
def late():
    try:
        naq.enqueue_sync(add, 1, 2)
    except naq.NaqConnectionError as error:
        print(error, flush=True)
atexit.register(late)  # registered before the bridge starts, so it is called after the bridge has ended
naq.enqueue_sync(add, 1, 2)
"""
    done = run(program, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the program is ending: no more sync calls can be made\n"


def test_ctrl_c_ends_the_wait_and_cancels_what_was_waited_for(tmp_path: Path) -> None:
    program = """
try:
    sync.run("", forever)
except KeyboardInterrupt:
    say("interrupted")
"""
    (tmp_path / "program.py").write_text(JOBS + program)
    with subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "NAQ_BROKER_URL": "memory:"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert sorted(rest.splitlines()) == ["cancelled", "interrupted"]
