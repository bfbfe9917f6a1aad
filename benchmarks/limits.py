"""python -m benchmarks.limits [JOBS]: what limits cost, in jobs a second of no-op tasks that drain through workers.

Each round: a server of its own, a backlog, then the workers; measured from the first job that began to the last that
ended, as the records say.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from naq import Naq
from naq.testing.broker import bundled_server

PATIENCE = 300  # seconds for one round; only a failure takes so long
ROUNDS: Sequence[tuple[str, str, int]] = (
    ("no limit", "free", 1),
    ("a rate that is never reached", "rated", 1),
    ("a group that is never full", "grouped", 1),
    ("both", "both", 1),
    ("no limit", "free", 8),
    ("a rate that is never reached", "rated", 8),
    ("a group that is never full", "grouped", 8),
    ("a group of 16", "narrow", 8),
    ("a unique key each", "free", 1),
)

app = Naq("bench-limits")


@app.task
async def free() -> None:
    """No limit."""


@app.task(rate="1000000/s")
async def rated() -> None:
    """A rate that is never reached."""


@app.task(group="wide", group_max_concurrency=10_000)
async def grouped() -> None:
    """A group that is never full."""


@app.task(rate="1000000/s", group="both", group_max_concurrency=10_000)
async def both() -> None:
    """A rate and a group."""


@app.task(group="narrow", group_max_concurrency=16)
async def narrow() -> None:
    """A group that is full all the time: 8 workers run 20 jobs each."""


async def drain(url: str, name: str, workers: int, jobs: int, *, keyed: bool) -> tuple[float, float]:
    """Jobs a second, enqueued and drained."""
    loop = asyncio.get_running_loop()
    mine = Naq("bench-limits", broker_url=url)
    task = mine.task(name=f"benchmarks.limits.{name}")(_stand_in)
    async with mine:
        calls = [task.options(unique=n).call() if keyed else task.call() for n in range(jobs)]
        begin = loop.time()
        await task.enqueue_many(calls)
        stored = jobs / (loop.time() - begin)
        env = {**os.environ, "NAQ_BROKER_URL": url}
        command = [sys.executable, "-m", "naq", "worker", "benchmarks.limits:app"]
        processes = _start(command, env, workers)
        try:
            first, at = 0.0, jobs
            async with asyncio.timeout(PATIENCE):
                while True:
                    [stats] = await mine.backend.stats(["default"])
                    left = stats.queued + stats.running + stats.scheduled
                    if not first and left < jobs:
                        first, at = loop.time(), left
                    if first and not left:
                        break
                    await asyncio.sleep(0.01)
            return stored, at / (loop.time() - first)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait()


def _start(command: Sequence[str], env: dict[str, str], count: int) -> list[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    return [subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet) for _ in range(count)]


async def _stand_in() -> None: ...


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{'':32} workers  enqueued/s  drained/s")
    for number, (what, name, workers) in enumerate(ROUNDS):
        with bundled_server() as server:
            keyed = number == len(ROUNDS) - 1
            stored, drained = asyncio.run(drain(server.url, name, workers, jobs, keyed=keyed))
        print(f"{what:32} {workers:7}  {stored:10,.0f}  {drained:9,.0f}", flush=True)


if __name__ == "__main__":
    main()
