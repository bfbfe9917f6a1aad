"""``make demo``: a NATS server, a worker process and five jobs, all real, and all gone at the end.

Exits with 0 if every job ended as expected, with 1 if one did not, and with 130 after Ctrl-C.
"""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from screen import Screen
from worker import WorkerProcess

from naq import Job, JobExecutionError, JobRecord, JobState, NaqException
from naq.backends.nats.broker.process import ServerProcess
from naq.testing.broker import bundled_server

if TYPE_CHECKING:
    from scenes import Scene

LOOK = 0.02  # seconds between two looks at a job; only for the states on the way: its result is pushed
PATIENCE = 60.0  # seconds until the demo gives up; it takes about 5


async def watch(scene: "Scene", job: Job[Any], screen: Screen, worker: WorkerProcess) -> tuple[JobRecord, str]:
    """Show each state of `job` until it ends; its final record, and what is not as expected (or nothing)."""
    shown: JobState | None = None  # how it waits at first was shown when it was enqueued
    while not (record := await job.record()).is_final:
        if record.state is not shown:
            if shown is not None or record.state is JobState.RUNNING:
                screen.moved(scene.name, record, scene.tries)
            shown = record.state
        if worker.has_ended:
            raise NaqException("the worker ended before its jobs")
        await asyncio.sleep(LOOK)
    result: object = None
    try:
        result = await job.result(timeout=5)
    except JobExecutionError:
        screen.moved(scene.name, record, scene.tries)
    else:
        screen.moved(scene.name, record, scene.tries, repr(result))
    return record, scene.wrong(record, result)


async def play(screen: Screen, worker: WorkerProcess) -> bool:
    """Enqueue the jobs, start the worker, watch; whether all ended as expected."""
    from scenes import SCENES
    from shop import app

    async with app, asyncio.timeout(PATIENCE):
        jobs = [await scene.enqueue() for scene in SCENES]
        for scene, job in zip(SCENES, jobs, strict=True):
            screen.moved(scene.name, await job.record(), scene.tries, scene.about)
        pid = worker.start()
        screen.say("worker", f"`naq worker shop:app` starts as process {pid}")
        seen = await asyncio.gather(*(watch(*each, screen, worker) for each in zip(SCENES, jobs, strict=True)))
    screen.table(
        [(scene.name, scene.about, record, wrong) for scene, (record, wrong) in zip(SCENES, seen, strict=True)]
    )
    return not any(wrong for _, wrong in seen)


def start_broker(server: ServerProcess, screen: Screen) -> None:
    """Say where the jobs live, and let the app know."""
    os.environ["NAQ_BROKER_URL"] = server.url
    screen.say("broker", f"a NATS server of its own is ready at {server.url}, in a temporary folder")


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Take any signal to end for Ctrl-C, so that there is one way out."""
    signal.raise_signal(signal.SIGINT)


def main() -> int:
    """Run the demo; the exit code."""
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):
        signal.signal(getattr(signal, name), interrupt)
    screen = Screen()
    screen.title("naq: five jobs on a broker and a worker process of their own")
    try:
        with tempfile.TemporaryDirectory(prefix="naq-demo-") as name:
            folder = Path(name)
            with bundled_server(folder / "nats") as server, WorkerProcess(folder / "worker.log") as worker:
                start_broker(server, screen)
                try:
                    good = asyncio.run(play(screen, worker))
                except (NaqException, TimeoutError) as error:
                    screen.problem(f"the demo broke off: {error or f'it took more than {PATIENCE:g} s'}")
                    good = False
                if not good:
                    screen.plain(f"the worker's last lines:\n{worker.tail()}")
    except NaqException as error:
        screen.problem(f"the demo could not start: {error}")
        return 1
    except KeyboardInterrupt:
        screen.problem("interrupted: broker and worker are stopped")
        return 130
    if good:
        screen.title(f"All five ended as expected, after {screen.seconds:.1f} s. Broker and worker are stopped.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
