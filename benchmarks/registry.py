"""What is measured: one entry a system, with how it is run and tuned. Its adapter is in `systems/`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from benchmarks.process import OWN, PEERS
from benchmarks.settings import CONCURRENCY


class Adapter(Protocol):
    """The producer's side of a system, as the driver process calls it. Jobs are numbers; running one returns it."""

    async def clean(self) -> None:
        """Connect, and leave nothing of an earlier run in the store."""
        ...

    async def one_by_one(self, jobs: range) -> None:
        """Enqueue with one awaited (or blocking) call a job, each after the last has returned."""
        ...

    async def in_bulk(self, jobs: range) -> None:
        """Enqueue as fast as the system's own means allow; stored when it returns."""
        ...

    async def call(self, job: int) -> None:
        """Enqueue one job and return once its result (or what the system has instead) is here."""
        ...

    async def pending(self, jobs: int) -> int:
        """Of `jobs` enqueued: how many are queued or unacknowledged, or (where there are no acks) lack a result."""
        ...

    async def results(self) -> int | None:
        """How many results the store keeps; None where the system keeps none or cannot count them."""
        ...

    async def close(self) -> None:
        """Disconnect and remove what was stored."""
        ...


class System(Struct, frozen=True, kw_only=True):
    """How to run one system.

    Attributes:
        name: on the command line and in the tables.
        module: the file with its `Adapter`.
        worker: command line of a worker; `{processes}` and `{concurrency}` are filled in.
        concurrency: jobs at once in a process, or what the system has instead; the best of those tried.
        forks: one command starts all processes; otherwise the command is started once a process.
        own: runs in the environment of the harness (naq, the raw loops) and not in that of the peers.
        store: the broker it needs.
        scale: jobs, as a multiple of --jobs, so that a fast system's run is not over at once.
        results: whether results are kept.
        setting: how it is tuned, for the table.
    """

    name: str
    module: str
    worker: tuple[str, ...]
    concurrency: int
    store: Literal["nats", "redis", "postgres"]
    forks: bool = True
    own: bool = False
    scale: int = 1
    results: bool = True
    setting: str = ""

    @property
    def python(self) -> Path:
        return (OWN if self.own else PEERS) / "python"

    @property
    def at_once(self) -> str:
        """`concurrency`, or what the environment says instead, for finding the best."""
        return os.environ.get(CONCURRENCY, str(self.concurrency))

    def commands(self, processes: int) -> list[list[str]]:
        """What to start for `processes` worker processes."""
        facts = {"processes": processes, "concurrency": self.at_once}
        program, *arguments = (part.format(**facts) for part in self.worker)
        command = [str((OWN if self.own else PEERS) / program), *arguments]
        return [command] if self.forks else [command] * processes


SYSTEMS = {
    system.name: system
    for system in (
        System(
            name="naq",
            module="benchmarks.systems.naq",
            worker=("naq", "worker", "benchmarks.tasks_naq:app", "-c", "{concurrency}"),
            concurrency=256,
            store="nats",
            forks=False,
            own=True,
            scale=5,
            setting="`-c 256`; bulk: `enqueue_many` of 10,000",
        ),
        System(
            name="raw",
            module="benchmarks.systems.raw",
            worker=("python", "-m", "benchmarks.raw.worker", "pipelined"),
            concurrency=500,
            store="nats",
            forks=False,
            own=True,
            scale=5,
            setting="nats-py: fetches of 500 overlapped with publishing, PubAcks counted; bulk the same way",
        ),
        System(
            name="raw-awaited",
            module="benchmarks.systems.raw",
            worker=("python", "-m", "benchmarks.raw.worker", "awaited"),
            concurrency=500,
            store="nats",
            forks=False,
            own=True,
            setting="nats-py: fetch of 500, then `await js.publish`, `await msg.ack` a message; bulk as raw",
        ),
        System(
            name="saq",
            module="benchmarks.systems.saq",
            worker=("saq", "benchmarks.systems.saq.settings", "--workers", "{processes}", "--quiet"),
            concurrency=20,
            store="redis",
            setting="concurrency 20, results for 600 s (default); no bulk call, windows of 20 gathered",
        ),
        System(
            name="taskiq-nats",
            module="benchmarks.systems.taskiq_nats",
            worker=(
                *("taskiq", "worker", "benchmarks.systems.taskiq_nats:broker", "--workers", "{processes}"),
                *("--max-async-tasks", "{concurrency}", "--max-prefetch", "100", "--log-level", "WARNING"),
            ),
            concurrency=100,
            store="nats",
            setting="pull consumer, batches of 100, results in its own object store; windows of 20 gathered",
        ),
        System(
            name="taskiq-redis",
            module="benchmarks.systems.taskiq_redis",
            worker=(
                *("taskiq", "worker", "benchmarks.systems.taskiq_redis:broker", "--workers", "{processes}"),
                *("--max-async-tasks", "{concurrency}", "--max-prefetch", "100", "--log-level", "WARNING"),
            ),
            concurrency=100,
            store="redis",
            setting="stream broker (it acknowledges), reads of 100, Redis results; windows of 20 gathered",
        ),
        System(
            name="huey",
            module="benchmarks.systems.huey",
            worker=("huey_consumer", "benchmarks.systems.huey.app", "-k", "thread", "-w", "{concurrency}", "-n", "-q"),
            concurrency=2,
            store="redis",
            forks=False,
            setting="blocking Redis list, `-k thread`; no acknowledgements; no bulk call",
        ),
        System(
            name="dramatiq",
            module="benchmarks.systems.dramatiq",
            worker=(
                *("dramatiq", "benchmarks.systems.dramatiq", "--processes", "{processes}"),
                *("--threads", "{concurrency}", "--skip-logging"),
            ),
            concurrency=16,
            store="redis",
            setting="16 threads, Redis results; no bulk call",
        ),
        System(
            name="pgqueuer",
            module="benchmarks.systems.pgqueuer",
            worker=("python", "-m", "benchmarks.systems.pgqueuer", "{concurrency}"),
            concurrency=1000,
            store="postgres",
            forks=False,
            scale=2,
            results=False,
            setting="durable tables (default), batches of 1,000; bulk: list insert of 1,000; keeps no results",
        ),
    )
}


def chosen(names: Sequence[str]) -> list[System]:
    """The systems called `names`, or all of them.

    Raises:
        SystemExit: a name that there is not.
    """
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown:
        raise SystemExit(f"no such system: {', '.join(unknown)}; there are: {', '.join(SYSTEMS)}")
    return [SYSTEMS[name] for name in names] if names else list(SYSTEMS.values())
