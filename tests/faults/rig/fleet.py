"""One test's world: a broker, worker and producer processes, an operation log of what was broken, and the check."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec

import psutil

from naq import Naq, clock
from naq.backends.base import Backend, DeadLetter
from naq.backends.nats.broker.process import ServerProcess
from naq.exceptions import NaqConnectionError
from naq.job import JobRecord, JobSpec
from naq.testing.chaos import (
    Enqueue,
    Execution,
    Expected,
    Fault,
    FinalState,
    Health,
    Line,
    Op,
    OpLog,
    Report,
    check,
    read_ops,
    read_state,
)
from naq.testing.chaos.ops import Excuse
from rig.foreign import foreign
from rig.jobs import make_app
from rig.processes import Process

P = ParamSpec("P")
LEASE: Final = 3.0  # seconds; short enough for quick tests, long enough for a machine that is busy with others
RESUMED: Final = 2.0  # seconds beyond the lease in which a dead worker's jobs must run again (the contract)
PATIENCE: Final = 30.0  # seconds to wait for anything; a machine under load is slow, not wrong
LONGEST: Final = 100.0  # seconds a test may take; below the time limit of pytest, which says less
LOOK: Final = 0.02  # seconds between two looks
_TOLD: Final = ("delivered", "ack_floor", "num_ack_pending", "num_redelivered", "num_waiting", "num_pending")
SETTINGS: Final = {
    "NAQ_LEASE": f"{LEASE:g}",
    "NAQ_HEARTBEAT_INTERVAL": "1",
    "NAQ_WORKER_TTL": "3",
    "NAQ_CONCURRENCY": "10",
}


def story(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(LONGEST):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run


async def until(holds: Callable[[], object], what: str, *, timeout: float = PATIENCE) -> None:
    """Wait until `holds`; fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        await asyncio.sleep(LOOK)


class Rig:
    """Everything of one test. `url` is where processes connect: the server, or a proxy before it."""

    def __init__(self, folder: Path, server: ServerProcess) -> None:
        self.folder = folder
        self.server = server
        self.url = server.url
        self.log = OpLog(folder / "test.jsonl")
        self.processes: list[Process] = []
        self._broker: Backend | None = None

    @property
    def broker(self) -> Backend:
        """The test's own connection; see `connected`."""
        assert self._broker is not None
        return self._broker

    @asynccontextmanager
    async def connected(self, *, lease: float = LEASE) -> AsyncGenerator[Naq]:
        """A connection of the test's own, past any proxy."""
        app = make_app(broker_url=self.server.url, lease=lease)
        async with app:
            self._broker = await app.connect()
            yield app
        self._broker = None

    def worker(self, *queues: str, fault: str = "", url: str = "", **env: str) -> Process:
        """Start a worker. `fault`: a point to die at, once."""
        if fault:
            env["NAQ_FAULT"] = f"{fault}:mark={{mark}}"
        return self._start("rig.worker", queues, {**SETTINGS, "NAQ_BROKER_URL": url or self.url, **env})

    def command(self, **env: str) -> Process:
        """Start a worker by the command that users start it with."""
        args = ("worker", "rig.serving:app")
        return self._start("naq", args, {**SETTINGS, "NAQ_BROKER_URL": self.url, **env})

    async def registered(self, worker: Process, state: str = "running") -> None:
        """Wait until `worker` says that it is in `state`."""
        deadline = time.monotonic() + PATIENCE
        while not any(info.pid == worker.pid and info.state == state for info in await self.broker.workers()):
            assert time.monotonic() < deadline, f"{worker.name} is not registered as {state} after {PATIENCE:g} s"
            assert worker.code is None, f"{worker.name} ended with {worker.code}: {worker.printed()}"

    def history(self, database: str) -> Process:
        """Start a server that keeps the history in `database`."""
        args = ("server", "--port", "0", "--db", database, "--log-level", "warning")
        return self._start("naq", args, {"NAQ_BROKER_URL": self.url, "NAQ_NAMESPACE": "rig"})

    def producer(
        self, task: str, first: int, count: int, *, batch: int = 1, mode: str = "chosen", fault: str = "", **env: str
    ) -> Process:
        """Start a producer of `count` jobs with arguments that begin at `first`; see `rig.producer`."""
        if fault:
            env["NAQ_FAULT"] = f"{fault}:mark={{mark}}"
        args = (mode, task, str(first), str(count), str(batch))
        return self._start("rig.producer", args, {**SETTINGS, "NAQ_BROKER_URL": self.url, **env})

    def mover(self, queue: str, to: str, *, fault: str = "") -> Process:
        """Start the command that moves what waits in `queue`. `fault`: a point to die at, once."""
        env = {"NAQ_FAULT": f"{fault}:mark={{mark}}"} if fault else {}
        settings = {**SETTINGS, "NAQ_BROKER_URL": self.url, "NAQ_NAMESPACE": "rig"}
        return self._start("naq", ("queues", "move", queue, to, "--yes"), {**settings, **env})

    def _start(self, module: str, args: tuple[str, ...], env: dict[str, str]) -> Process:
        name = f"{len(self.processes)}-{module.rpartition('.')[2]}"
        process = Process(module, args, self.folder, name, env)
        self.processes.append(process)
        return process

    async def ready(self, *workers: Process) -> None:
        """Wait until these workers claim jobs."""

        def all_ready() -> bool:
            for worker in workers:
                assert worker.code is None, f"{worker.name} ended with {worker.code}: {worker.printed()}"
            return {worker.pid for worker in workers} <= self._saying(ready=True)

        await until(all_ready, "workers are ready")

    async def ended(self, process: Process, code: int, *, timeout: float = PATIENCE) -> None:
        """Wait until `process` ended, and insist on how."""
        await until(lambda: process.code is not None, f"{process.name} ends", timeout=timeout)
        assert process.code == code, f"{process.name} ended with {process.code}: {process.printed()}"

    async def enqueue(self, *jobs: JobSpec, timeout: float = 15.0) -> list[str]:
        """Enqueue in one call, through the test's connection, logged; the ids."""
        with self.log.enqueuing([job.id for job in jobs], deadline=timeout) as duplicates:
            results = await self.broker.enqueue(jobs, timeout=timeout)
            duplicates.update(result.job_id for result in results if result.duplicate)
        return [job.id for job in jobs]

    def gate(self, name: str = "gate") -> Path:
        """A file that gated tasks wait for; does not exist yet."""
        return self.folder / name

    def ops(self) -> list[Op]:
        """All operations so far."""
        return read_ops(self.folder)

    def executions(self, stage: str = "start", *, pid: int = 0) -> list[Execution]:
        """Steps of executions so far, oldest first; of one process if `pid`."""
        return [op for op in self.ops() if isinstance(op, Execution) and op.stage == stage and pid in {0, op.pid}]

    def lines(self) -> list[Line]:
        """What processes of naq logged so far, from warnings up."""
        return [op for op in self.ops() if isinstance(op, Line)]

    async def running(self, count: int, *, pid: int = 0) -> None:
        """Wait until `count` executions have started."""
        await until(lambda: len(self.executions(pid=pid)) >= count, f"{count} executions started")

    def note(self, name: str, excuses: Excuse, *, since: float, pid: int = 0, outage: bool = False) -> Fault:
        """Log a fault that began at `since` and is over now."""
        fault = Fault(name=name, excuses=excuses, at=since, until=clock.now(), pid=pid, outage=outage)
        self.log.write(fault)
        return fault

    async def struck(self, victim: Process) -> Fault:
        """Wait until `victim` died of its armed fault, and log it."""
        await self.ended(victim, -signal.SIGKILL)
        assert victim.mark.exists(), f"{victim.name} died of something else: {victim.printed()}"
        return self.note(f"kill -9 {victim.name}", "death", since=victim.mark.stat().st_mtime, pid=victim.pid)

    def kill(self, victim: Process) -> Fault:
        """kill -9 from outside."""
        since = clock.now()
        victim.end()
        return self.note(f"kill -9 {victim.name}", "death", since=since, pid=victim.pid)

    @contextmanager
    def breaking(self, name: str, excuses: Excuse, *, pid: int = 0, outage: bool = False) -> Generator[None]:
        """Log the block as a fault."""
        since = clock.now()
        try:
            yield
        finally:
            self.note(name, excuses, since=since, pid=pid, outage=outage)

    async def unready(self, *workers: Process) -> None:
        """Wait until each of these workers says that it is not ready."""
        await until(lambda: {worker.pid for worker in workers} <= self._saying(ready=False), "workers notice")

    def _saying(self, *, ready: bool) -> set[int]:
        last = {op.pid: op.ready for op in self.ops() if isinstance(op, Health)}
        return {pid for pid, said in last.items() if said is ready}

    def resumed_in_time(self, fault: Fault, rescuer: Process, *, within: float = LEASE + RESUMED) -> None:
        """Insist that all that `rescuer` took over started within the lease and 2 s of the death before."""
        starts = [op.at for op in self.executions(pid=rescuer.pid)]
        assert starts, f"{rescuer.name} took nothing over"
        assert max(starts) - fault.at <= within, f"resumed after {max(starts) - fault.at:.2f} s"

    async def settle(self, *, timeout: float = PATIENCE) -> FinalState:
        """Wait until every accepted job has its record and the broker holds nothing more; what it holds then."""
        deadline = time.monotonic() + timeout
        while True:
            is_last = time.monotonic() > deadline
            try:
                waiting = sum(each.queued + each.running + each.scheduled for each in await self.broker.stats())
                if not waiting or is_last:
                    calls = [op for op in self.ops() if isinstance(op, Enqueue)]
                    state = await read_state(self.broker, {op.job for op in calls})
                    accepted = {op.job for op in calls if op.stage == "ok"}
                    if is_last or (not state.unsettled and accepted <= set(state.records)):
                        return state
            except NaqConnectionError:
                if is_last:
                    raise
            await asyncio.sleep(LOOK)

    async def verdict(self, *sometimes: str, expected: Expected | None = None, timeout: float = PATIENCE) -> Report:
        """Wait for the end, check everything, and insist that `sometimes` was seen."""
        return self.judge(await self.settle(timeout=timeout), *sometimes, expected=expected)

    def judge(self, state: FinalState, *sometimes: str, expected: Expected | None = None) -> Report:
        """Check everything against `state`, and insist that `sometimes` was seen."""
        report = check(self.ops(), state, expected)
        try:
            report.verify(*sometimes)
        except AssertionError as error:
            error.add_note(self._evidence())
            raise
        return report

    def _evidence(self) -> str:
        """What the broker and the processes look like when a check has failed: it is gone a moment later."""
        lines = [f"{each.name}: pid {each.pid}, code {each.code}, {each.printed()[-2000:]}" for each in self.processes]
        with foreign(self.server.url) as stranger:
            lines.append(f"JOBS: {stranger.ask('$JS.API.STREAM.INFO.NAQ_rig_JOBS').get('state')}")
            info = stranger.ask("$JS.API.CONSUMER.INFO.NAQ_rig_JOBS.default_n")
            lines.append(f"lane: { {name: info.get(name) for name in _TOLD} }")
        return "\n".join([*lines, *(str(line) for line in self.lines()[-50:])])

    async def malformed(self, count: int, *, timeout: float = PATIENCE) -> list[DeadLetter]:
        """Wait for `count` dead letters that are no jobs."""
        deadline, letters = time.monotonic() + timeout, list[DeadLetter]()
        while len(letters) < count:
            assert time.monotonic() < deadline, f"{len(letters)} of {count} dead letters after {timeout:g} s"
            letters = [each for each in await self.broker.dead(limit=2 * count) if each.kind == "malformed"]
        return letters

    async def ended_jobs(self, job_ids: Iterable[str]) -> list[JobRecord]:
        """The final records of those of these jobs that have one; all of them must be known."""
        known = {job_id: await self.broker.get(job_id) for job_id in job_ids}
        assert None not in known.values(), f"unknown jobs among {known}"
        return [record for record in known.values() if record is not None and record.is_final]

    async def stop(self, *workers: Process) -> None:
        """End workers in order, and insist that they end well."""
        for worker in workers:
            worker.send(signal.SIGTERM)
        for worker in workers:
            await self.ended(worker, 0)

    def close(self) -> None:
        """End everything; insist that nothing is left and that nobody printed a traceback."""
        families = [p for process in self.processes for p in _family(process)]
        for process in self.processes:
            process.end()
        self.log.close()
        left = [process for process in families if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        assert not left, f"left behind: {left}"
        for process in self.processes:
            assert "Traceback" not in process.printed(), f"{process.name}: {process.printed()}"


def _family(process: Process) -> Sequence[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return ()
