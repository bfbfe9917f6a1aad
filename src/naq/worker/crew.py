"""Everything one run of a worker consists of, put together in one place."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from naq import clock
from naq._version import __version__
from naq.backends.base import Backend, WorkerInfo
from naq.codec.reader import Reader
from naq.codec.sealing import seal_for
from naq.config import Config
from naq.connections import Hosted
from naq.exceptions import NaqException
from naq.inside.ground import set_ground
from naq.limits.limiter import Limiter
from naq.scheduler.gate import Gate
from naq.worker.admission import Renewer
from naq.worker.buffer.writer import EventWriter
from naq.worker.connecting import FAREWELL
from naq.worker.describing import Describing
from naq.worker.dispatching import Dispatching, handling
from naq.worker.drain import drain
from naq.worker.executor import Executor
from naq.worker.facts import Facts
from naq.worker.fetcher import Fetcher
from naq.worker.flights import Flights
from naq.worker.gather import Gathering
from naq.worker.holding import Holding
from naq.worker.hooks import Hooks
from naq.worker.journal import Journal
from naq.worker.judge import Judge
from naq.worker.keeper import Keeper
from naq.worker.layers import layered
from naq.worker.leading import LEADER, SCHEDULER, Leading
from naq.worker.lifeline import Lifeline
from naq.worker.listener import Listener, OrderListener
from naq.worker.noting import Noting
from naq.worker.orders import Order, Orders
from naq.worker.prepare import Preparation, Rules
from naq.worker.presence import Presence
from naq.worker.processes.pool import Processes
from naq.worker.processes.source import Source
from naq.worker.releasing import Releasing
from naq.worker.report import Report
from naq.worker.runner import Runner
from naq.worker.service import Service
from naq.worker.settler import Settler
from naq.worker.stacks.looking import Looking
from naq.worker.tasks import Tasks
from naq.worker.threads import Threads
from naq.worker.timekeeper import Timekeeper, declaring
from naq.worker.upkeep import Upkeep
from naq.worker.vitals import Vitals
from naq.worker.watchdog import Watchdog

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.worker.supervisor.ledger import Ledger

log = logging.getLogger("naq.worker")


class Crew:
    """The services of one run, on `backend` (which is open, or will be before `start`) and on the lifeline's own.

    Attributes:
        flights: the claims in flight.
        lifeline: the thread that keeps leases.
        left_behind: threads and coroutines that did not end with the run.
    """

    def __init__(
        self,
        backend: Backend,
        make_backend: Callable[[], Backend],
        config: Config,
        tasks: Tasks,
        *,
        app: Naq,
        worker: str,
        queues: Sequence[str],
        torn_down: Callable[[], bool],
        obey: Callable[[Order], None],
        source: Source,
        vitals: Vitals,
        ledger: Ledger | None = None,
        first: Sequence[Service] = (),
    ) -> None:
        seal = seal_for(config)
        rules = Rules(
            worker=worker,
            crash_limit=config.crash_limit,
            max_payload=config.max_payload,
            max_result=config.max_result,
            # Where encryption is being turned on or off, an encrypted job may end in a record that is none.
            record_arguments=config.record_arguments if seal is None or seal.keeps_secrets else 0,
        )
        veil, judged = None, rules
        if seal is not None:
            from naq.worker.veil import Veil

            # What the judge makes up for another attempt is sealed afterwards, and must still fit then.
            veil, judged = Veil(seal, config.max_payload), replace(rules, max_payload=seal.room(config.max_payload))
        self.flights: Final = Flights(ledger, slots=config.concurrency)
        self._ledger = ledger
        self._vitals = vitals
        vitals.watch(backend.health, self.flights)
        self._thread = threading.get_ident()
        self.left_behind = 0
        self._backend = backend
        self._config = config
        self._tasks = tasks
        self._worker = worker
        self._queues = queues
        self._main = asyncio.get_running_loop()
        self._threads = Threads(spare=config.concurrency)
        self._processes = Processes(source, config)
        self._events = EventWriter(backend, config, worker)
        vitals.watch_events(self._events)
        self._journal = Journal(
            self._events, self.flights, worker, hide=seal.hide if seal is not None and seal.encrypts else None
        )
        self._noting = Noting(backend, config, self._events)
        runner = Runner(self._threads, self._processes)
        self._hooks = Hooks(app, self._threads, at_once=config.concurrency)
        self._limiter = Limiter(backend, worker, lease=config.lease)
        self._holding = Holding(backend, interval=config.heartbeat_interval)
        self._executor = Executor(
            backend,
            self.flights,
            Preparation(tasks, rules, Reader(config), self._holding),
            Gathering(backend, self.flights, config, worker, links=app.wants_links),
            runner,
            Judge(judged),
            Settler(backend, self.flights, veil, self._noting.finish),
            Report(self.flights, self._journal),
            self._hooks,
            self._limiter,
            call=layered(app.around_run, runner.run),
            torn_down=torn_down,
            gate=Gate(backend, config, advance=config.scheduler),
        )
        self._fetcher = Fetcher(
            backend,
            self.flights,
            self._executor.start,
            queues=queues,
            lease=config.lease,
            room=self._events.room,
        )
        duties: dict[str, list[Service]] = {
            LEADER: [Upkeep(backend), Releasing(backend, Reader(config)), Dispatching(backend, config)]
        }
        if config.scheduler:
            duties[SCHEDULER] = [Timekeeper(backend, config)]
        self._leading = Leading(backend, worker, duties)
        self._handling = handling(backend, config, app)
        self._obey = obey
        self._services: list[Hosted] = [
            self._events,  # the first to start and the last to end: the others have something for it to the last
            self._fetcher,
            self._journal,
            self._noting,
            self._holding,
            Listener(backend, self.flights, self._executor.interrupt, self._holding),
            self._leading,
            self._handling,
            *([declaring(backend, config, app)] if config.scheduler else ()),
            Describing(backend, config, app),
            *(each for extension in app.extensions if (each := extension.hosted(backend)) is not None),
        ]
        self.lifeline: Final = Lifeline(make_backend, self._keep_alive, queues, url=config.broker_url, first=first)

    def _keep_alive(self, backend: Backend) -> tuple[Presence, list[Service]]:
        """What runs on the lifeline, for its own `backend`."""
        config, flights, main = self._config, self.flights, self._main
        watchdog = Watchdog(flights, main, thread=self._thread)
        facts = Facts(
            flights, self._threads, watchdog, children=lambda: self._processes.pids, leads=self._leading.led
        )  # fmt: skip
        presence = Presence(
            backend, self._info(), facts, interval=config.heartbeat_interval, ttl=config.worker_ttl
        )  # fmt: skip
        looking = Looking(
            backend, flights, self._threads, watchdog, worker=self._worker, main=main, thread=self._thread
        )  # fmt: skip
        orders = Orders(
            backend, self._worker, obey=self._obey, resize=self._resize, look=looking.answer, main=main,
            interval=config.heartbeat_interval,
        )  # fmt: skip
        keeper = Keeper(backend, flights, self._executor.interrupt, main=main, lease=config.lease)
        renewer = Renewer(backend, self._limiter, self._worker, lease=config.lease)
        self._vitals.watch_lifeline(keeper, watchdog)
        hears = OrderListener(backend, self._worker, orders)
        return presence, [keeper, renewer, presence, watchdog, hears, orders]

    def _info(self) -> WorkerInfo:
        """What this worker says of itself that does not change."""
        config = self._config
        return WorkerInfo(
            id=self._worker,
            queues=list(self._queues),
            tasks=self._tasks.names(),
            slots=config.concurrency,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            code=config.code_version,
            python=platform.python_version(),
            started_at=clock.now(),
            facts={
                "lease": config.lease,
                "heartbeat": config.heartbeat_interval,
                "shutdown_timeout": config.shutdown_timeout,
                "scheduler": config.scheduler,
                "priorities": config.priorities,
                "durability": config.durability,
                "codec": config.codec,
                "event_overflow": config.event_overflow,
                "system": platform.system(),
                "machine": platform.machine(),
                "cores": os.cpu_count() or 0,
                "loop": type(self._main).__module__.partition(".")[0],
            },
        )

    def _resize(self, slots: int | None) -> None:
        """Run so many jobs at once from now on; None: as many as at the start."""
        now = self._config.concurrency if slots is None else slots
        log.info("told to run %d jobs at once, after %d", now, self.flights.slots)
        self._threads.spare = max(now, self._config.concurrency)
        self._fetcher.resize(now)
        self.lifeline.hurry()

    async def run_due(self, queues: Sequence[str], limit: int) -> list[str]:
        """Run at most `limit` jobs of `queues` that are due, to the end, callbacks too; their ids. Instead of `start`.

        For tests. The claims are not kept by anybody: they need a lease that lasts.
        """
        context = copy_context()  # the caller's goes on without the ground that jobs stand on
        context.run(set_ground, self._noting)
        self._noting.start()
        await self._holding.run_once()
        claims = await self._backend.fetch(queues, limit=limit, lease=self._config.lease, wait=0.0)
        for claim in claims:
            context.run(self._executor.start, claim)
        await self.flights.drained()
        await self._events.flush()
        return [claim.job.id for claim in claims]

    async def take_over(self) -> None:
        """Hand back at once what this worker's predecessor held, which is dead, and what it led."""
        ledger = self._ledger
        if ledger is None:
            return
        if (left := ledger.left) is not None:
            try:
                count = await self._backend.died(left.worker, left.held())
                for name in (LEADER, SCHEDULER):
                    await self._backend.resign(name, left.worker)
                log.info("worker %s is dead; %d of its jobs were handed back", left.worker, count)
            except NaqException as error:
                log.warning("what worker %s held waits for the end of its leases: %s", left.worker, error)
        ledger.begin(self._worker)

    async def make_known(self) -> None:
        """Let the fleet know what this worker is there for, and learn what it is not to run, before it runs a job."""
        try:
            await self._handling.run_once()
        except NaqException as error:
            log.warning("the event handlers could not be made known: %s; trying again", error)
        try:
            await self._holding.run_once()
        except NaqException as error:
            log.warning("which tasks are paused is not known yet: %s; trying again", error)

    def start(self) -> None:
        """Begin to claim and run jobs. The lifeline must be ready."""
        set_ground(self._noting)  # before the fetcher starts: whatever runs a job's code comes from there
        for service in self._services:
            service.start()
        self._vitals.state = "running"
        self.lifeline.say("running")

    async def stop(self, now: asyncio.Event, *, timeout: float | None) -> None:
        """The graceful end (RELIABILITY.md 5.5): claim nothing more, let jobs end, put back what does not.

        Jobs get `timeout` seconds (None: as long as they take); `now`, when set, cuts every wait short.
        """
        await self._fetcher.stop()
        self._vitals.state = "stopping"
        self.lifeline.say("stopping")
        await self._leading.stop()
        strays = await drain(self.flights, self._executor, now, timeout=timeout)
        strays += await self._hooks.close()
        await self._processes.close()
        await self._limiter.close()
        for service in reversed(self._services):
            await service.stop()
        await self._events.last_words(FAREWELL)
        self.left_behind = strays + self._threads.close()
