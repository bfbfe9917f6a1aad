"""``naq bench``: what this broker and this machine can do."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from naq import clock
from naq.cli.common import DEFAULT, Common, read_config, refuse_memory, say
from naq.cli.errors import UsageError
from naq.cli.output import Column, print_rows
from naq.cli.parameter import Parameter
from naq.cli.progress import Progress
from naq.cli.views import Measure

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.config import Config
    from naq.task import Task
    from naq.worker import Worker

_CHUNK: Final = 1000  # jobs enqueued together, and a step of the bar
_SINGLY: Final = 500  # jobs of the measures that take them one by one, at most: enough for a 99th percentile
_LOOK: Final = 0.01  # seconds between two looks whether all are done

COLUMNS: Final[tuple[Column[Measure], ...]] = (
    Column("MEASURE", lambda row: row.name),
    Column("JOBS", lambda row: f"{row.jobs:,}"),
    Column("SECONDS", lambda row: f"{row.seconds:.2f}"),
    Column("JOBS/S", lambda row: f"{row.per_second:,.0f}"),
    Column("P50", lambda row: _ms(row.p50_ms)),
    Column("P95", lambda row: _ms(row.p95_ms)),
    Column("P99", lambda row: _ms(row.p99_ms)),
)


def bench(
    *,
    jobs: Annotated[int, Parameter(name=["--jobs", "-n"])] = 10_000,
    payload: int = 100,
    concurrency: Annotated[int, Parameter(name=["--concurrency", "-c"])] = 100,
    common: Common = DEFAULT,
) -> None:
    """Measure this broker and machine: enqueueing, working off, and the time from enqueue to result.

    In a namespace of its own, which is removed afterwards. Producer and one worker share this process and its core,
    so a fleet does more. The tasks do nothing: what is measured is naq and the broker.

    Example: naq bench --jobs 20000 --payload 1000

    Args:
        jobs: How many to enqueue and to work off.
        payload: Bytes of each job's argument.
        concurrency: Jobs that the worker runs at once.
    """
    if jobs < 1 or payload < 0 or concurrency < 1:
        raise UsageError("--jobs and --concurrency are 1 or more, --payload is 0 or more")
    config = read_config(common)
    refuse_memory(config)
    rows = asyncio.run(_bench(config, jobs, "x" * payload, concurrency))
    print_rows(rows, COLUMNS, common, name="per_second")


async def _bench(config: Config, jobs: int, text: str, concurrency: int) -> list[Measure]:
    from naq.app import Naq
    from naq.backends.nats.removal import remove_namespace
    from naq.cli.common import patience
    from naq.config.fields import KINDS
    from naq.worker import Worker

    namespace = f"bench-{secrets.token_hex(4)}"
    kept: Any = {name: getattr(config, name) for name in KINDS if name not in {"namespace", "imports"}}
    app = Naq(namespace, namespace=namespace, **kept)

    @app.task(name="nothing")
    async def nothing(text: str) -> None: ...

    say(f"in namespace {namespace}, which is removed afterwards")
    try:
        if not config.broker_url.startswith("embedded:"):
            await app.backend.open(["default"], wait=patience(config))
        async with app:
            worker = Worker(app, concurrency=concurrency)
            rows = [await _one_by_one(nothing, min(jobs, _SINGLY), text), await _together(app, nothing, jobs, text)]
            running = asyncio.create_task(worker.run())
            try:
                rows.append(await _drain(worker, running, jobs + min(jobs, _SINGLY)))
                rows.append(await _round_trips(nothing, min(jobs, _SINGLY), text))
            finally:
                worker.stop()
                await running
        return rows
    finally:
        await remove_namespace(app.config)


async def _one_by_one(task: Task[[str], None], count: int, text: str) -> Measure:
    """Each acknowledged before the next is sent."""
    times: list[float] = []
    with Progress("enqueue, one by one", total=count) as progress:
        for _ in range(count):
            begun = clock.monotonic()
            await task.enqueue(text)
            times.append(clock.monotonic() - begun)
            progress.add()
    return _timed("enqueue, one by one", times)


async def _together(app: Naq, task: Task[[str], None], count: int, text: str) -> Measure:
    """A thousand at a time."""
    begun = clock.monotonic()
    with Progress("enqueue, in batches", total=count) as progress:
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start)
            await app.enqueue_many([task.call(text) for _ in range(size)])
            progress.add(size)
    return _counted("enqueue, in batches", count, clock.monotonic() - begun)


async def _drain(worker: Worker, running: asyncio.Task[None], count: int) -> Measure:
    """All that wait, by one worker; counted from when it is ready."""
    await worker.wait_ready()
    begun, first, seen = clock.monotonic(), worker.processed, worker.processed
    with Progress("work off", total=count) as progress:
        while worker.processed < count:
            if running.done():
                await running
            await asyncio.sleep(_LOOK)
            progress.add(worker.processed - seen)
            seen = worker.processed
    return _counted("work off, one worker", count - first, clock.monotonic() - begun)


async def _round_trips(task: Task[[str], None], count: int, text: str) -> Measure:
    """From enqueue to result, one after the other."""
    times: list[float] = []
    with Progress("enqueue to result", total=count) as progress:
        for _ in range(count):
            begun = clock.monotonic()
            job = await task.enqueue(text)
            await job.result()
            times.append(clock.monotonic() - begun)
            progress.add()
    return _timed("enqueue to result", times)


def _counted(name: str, count: int, seconds: float) -> Measure:
    return Measure(name=name, jobs=count, seconds=seconds, per_second=count / max(seconds, 1e-9))


def _timed(name: str, times: Sequence[float]) -> Measure:
    ranked = sorted(times)
    p50, p95, p99 = (1000 * percentile(ranked, share) for share in (0.5, 0.95, 0.99))
    total = sum(times)
    per_second = len(times) / max(total, 1e-9)
    return Measure(name=name, jobs=len(times), seconds=total, per_second=per_second, p50_ms=p50, p95_ms=p95, p99_ms=p99)


def percentile(ranked: Sequence[float], share: float) -> float:
    """The value that `share` of the `ranked` values (ascending, not empty) do not exceed."""
    return ranked[min(max(math.ceil(len(ranked) * share) - 1, 0), len(ranked) - 1)]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ms"
