"""``make demo``: a NATS server, a worker process and five jobs, all real, and all gone at the end.

The processes are those of ``naq dev`` (`naq.dev`). Exits with 0 if every job ended as expected, with 1 if one did not,
and with 130 after Ctrl-C.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screen import Screen

from naq import Job, JobExecutionError, JobRecord, JobState, NaqException
from naq.dev.broker import PassingBroker
from naq.dev.tree import Stopped, Tree
from naq.dev.workers import Workers

if TYPE_CHECKING:
    from scenes import Scene

APP = "naq.dev.shop:app"
LOOK = 0.02  # seconds between two looks at a job; only for the states on the way: its result is pushed
PATIENCE = 60.0  # seconds until the demo gives up; it takes about 5
TAIL = 15  # lines of the worker's that are shown where something went wrong


async def watch(scene: "Scene", job: Job[Any], screen: Screen, workers: Workers) -> tuple[JobRecord, str]:
    """Show each state of `job` until it ends; its final record, and what is not as expected (or nothing)."""
    shown: JobState | None = None  # how it waits at first was shown when it was enqueued
    while not (record := await job.record()).is_final:
        if record.state is not shown:
            if shown is not None or record.state is JobState.RUNNING:
                screen.moved(scene.name, record, scene.tries)
            shown = record.state
        if workers.ended:
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


async def play(screen: Screen, tree: Tree, workers: Workers) -> bool:
    """Enqueue the jobs, start the worker, watch; whether all ended as expected."""
    from scenes import SCENES

    from naq.dev.shop import app

    async with app, asyncio.timeout(PATIENCE):
        jobs = [await scene.enqueue() for scene in SCENES]
        for scene, job in zip(SCENES, jobs, strict=True):
            screen.moved(scene.name, await job.record(), scene.tries, scene.about)
        screen.say("worker", f"`naq worker {APP}` starts as a process of its own")
        starting = asyncio.ensure_future(tree.start(workers))
        seen = await asyncio.gather(*(watch(*each, screen, workers) for each in zip(SCENES, jobs, strict=True)))
        await starting
    screen.table(
        [(scene.name, scene.about, record, wrong) for scene, (record, wrong) in zip(SCENES, seen, strict=True)]
    )
    return not any(wrong for _, wrong in seen)


def tail(log: Path) -> list[str]:
    """The end of what the worker printed."""
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]


async def run(screen: Screen, log: Path) -> bool:
    """Start everything, show it, end everything; whether all was as expected."""
    with log.open("wb") as output:
        workers = Workers(
            lambda _number: [sys.executable, "-m", "naq", "worker", APP, "--log-format", "text"], output=output.fileno()
        )

        async def body(tree: Tree) -> bool:
            broker = PassingBroker()
            await tree.start(broker)
            os.environ["NAQ_BROKER_URL"] = broker.url
            screen.say("broker", f"a NATS server of its own is ready at {broker.url}, in a temporary folder")
            try:
                return await play(screen, tree, workers)
            except (NaqException, TimeoutError) as error:
                screen.problem(f"the demo broke off: {error or f'it took more than {PATIENCE:g} s'}")
                return False

        good = await Tree().run(body)
    if not good:
        screen.plain("\n".join(["the worker's last lines:", *tail(log)]))
    return good


def main() -> int:
    """Run the demo; the exit code."""
    screen = Screen()
    screen.title("naq: five jobs on a broker and a worker process of their own")
    try:
        with tempfile.TemporaryDirectory(prefix="naq-demo-") as folder:
            good = asyncio.run(run(screen, Path(folder) / "worker.log"))
    except Stopped:
        screen.problem("interrupted: broker and worker are stopped")
        return 130
    except NaqException as error:
        screen.problem(f"the demo could not start: {error}")
        return 1
    if good:
        screen.title(f"All five ended as expected, after {screen.seconds:.1f} s. Broker and worker are stopped.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
