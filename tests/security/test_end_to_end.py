"""A producer here, ``naq worker`` as a process, the bundled server between them: everything switched on."""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from security_tools import Trap, key

from naq.codec.envelope import Envelope, encode_envelope
from naq.exceptions import JobExecutionError
from naq.job import JobSpec, new_id
from naq.testing.broker import bundled_server

pytestmark = pytest.mark.filterwarnings("ignore::naq.codec.caution.PickleWarning")
DEADLINE = 30.0  # seconds; two processes and a server start, on a busy machine
SECRET = "the-password-of-ada"
TASKS = """
from naq import Naq

app = Naq("vault")

@app.task(name="count", retry=[0.0])
async def count(things, secret: str) -> dict[str, int]:
    if secret == "fail":
        raise ValueError("about the-password-of-ada")
    return {secret: len(things)}
"""


@contextmanager
def worker(folder: Path, variables: dict[str, str]) -> Generator[Path]:
    """``naq worker`` in `folder`; the file that has what it says."""
    (folder / "tasks.py").write_text(TASKS)
    log = folder / "worker.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "naq", "worker", "tasks:app"],
            cwd=folder,
            env={**os.environ, **variables},
            stderr=out,
        )
    try:
        yield log
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE)
        finally:
            process.kill()


def test_pickled_signed_and_encrypted_between_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = Trap(tmp_path)
    with bundled_server() as server:
        variables = {
            "NAQ_BROKER_URL": server.url,
            "NAQ_CODEC": "pickle",
            "NAQ_SIGNING_KEYS": f"{key('new')},{key('old')}",
            "NAQ_ENCRYPTION_KEYS": f"{key('new')},{key('old')}",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        # The producer still writes with the old keys.
        monkeypatch.setenv("NAQ_SIGNING_KEYS", f"{key('old')},{key('new')}")
        monkeypatch.setenv("NAQ_ENCRYPTION_KEYS", f"{key('old')},{key('new')}")
        scope: dict[str, Any] = {}
        exec(TASKS, scope)
        app, count = scope["app"], scope["count"]

        async def produce() -> None:
            async with app:
                job = await count.enqueue({1, 2, 3j}, SECRET)
                assert await job.result(timeout=DEADLINE) == {SECRET: 3}
                failing = await count.enqueue(frozenset(), "fail")
                with pytest.raises(JobExecutionError, match=f"ValueError: about {SECRET}"):
                    await failing.result(timeout=DEADLINE)
                forged = [
                    JobSpec(id=new_id(), payload=payload)
                    for payload in (
                        pickled_by_a_stranger(trap),
                        b'{"v":1,"task":"count","args":[[],"plain"]}',
                    )
                ]
                await app.backend.enqueue(forged)
                end = time.monotonic() + DEADLINE
                while len(dead := await app.backend.dead()) < 3:
                    assert time.monotonic() < end, f"only {dead}"
                    await asyncio.sleep(0.05)
                assert sorted(letter.kind for letter in dead) == ["failed", "malformed", "malformed"]
                reasons = [letter.reason for letter in dead if letter.kind == "malformed"]
                assert all("it is not signed, and only signed jobs are taken here" in reason for reason in reasons)

        with worker(tmp_path, variables) as log:
            asyncio.run(produce())
        said = log.read_text()
        stored = b"".join(path.read_bytes() for path in server.directory.rglob("*.blk"))
    assert not trap.sprung
    assert said.count("this worker unpickles arguments") >= 1
    assert b"naq.vault.r.default." in stored
    assert SECRET.encode() not in stored


def pickled_by_a_stranger(trap: Trap) -> bytes:
    """A job that is as ours in everything but the keys."""
    text = base64.b64encode(pickle.dumps(((trap, "x"), {}))).decode()
    return encode_envelope(Envelope(v=1, task="count", codec="pickle", args=Raw(f'["{text}"]'.encode())))
