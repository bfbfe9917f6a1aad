"""Everything one run of a worker consists of, put together in one place."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from naq.backends.base import Backend
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
from naq.worker.fetcher import Fetcher
from naq.worker.flights import Flights
from naq.worker.gather import Gathering
from naq.worker.hooks import Hooks
from naq.worker.journal import Journal
from naq.worker.judge import Judge
from naq.worker.keeper import Keeper
from naq.worker.layers import layered
from naq.worker.leading import LEADER, SCHEDULER, Leading
from naq.worker.lifeline import Lifeline
from naq.worker.listener import Listener
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
        rules = Rules(
            worker=worker, crash_limit=config.crash_limit, max_payload=config.max_payload, max_result=config.max_result
        )
        seal = seal_for(config)
        veil, judged = None, rules
        if seal is not None:
            from naq.worker.veil import Veil

            # What the judge makes up for another attempt is sealed afterwards, and must still fit then.
            veil, judged = Veil(seal, config.max_payload), replace(rules, max_payload=seal.room(config.max_payload))
        self.flights: Final = Flights(ledger)
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
        self._executor = Executor(
            backend,
            self.flights,
            Preparation(tasks, rules, Reader(config)),
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
            concurrency=config.concurrency,
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
        orders = Orders(backend, worker, obey, interval=config.heartbeat_interval)
        self._services: list[Hosted] = [
            self._events,  # the first to start and the last to end: the others have something for it to the last
            self._fetcher,
            self._journal,
            self._noting,
            Listener(backend, self.flights, self._executor.interrupt, worker=worker, orders=orders),
            orders,
            self._leading,
            self._handling,
            *([declaring(backend, config, app)] if config.scheduler else ()),
            Describing(backend, config, app),
            *(each for extension in app.extensions if (each := extension.hosted(backend)) is not None),
        ]
        self.lifeline: Final = Lifeline(make_backend, self._keep_alive, queues, url=config.broker_url, first=first)

    def _keep_alive(self, backend: Backend) -> tuple[Presence, list[Service]]:
        """What runs on the lifeline, for its own `backend`."""
        config, flights = self._config, self.flights
        presence = Presence(
            backend,
            flights,
            worker=self._worker,
            queues=self._queues,
            tasks=self._tasks.names(),
            concurrency=config.concurrency,
            interval=config.heartbeat_interval,
            ttl=config.worker_ttl,
        )
        keeper = Keeper(backend, flights, self._executor.interrupt, main=self._main, lease=config.lease)
        renewer = Renewer(backend, self._limiter, self._worker, lease=config.lease)
        watchdog = Watchdog(flights, self._main, thread=self._thread)
        self._vitals.watch_lifeline(keeper, watchdog)
        return presence, [keeper, renewer, presence, watchdog]

    async def run_due(self, queues: Sequence[str], limit: int) -> list[str]:
        """Run at most `limit` jobs of `queues` that are due, to the end, callbacks too; their ids. Instead of `start`.

        For tests. The claims are not kept by anybody: they need a lease that lasts.
        """
        context = copy_context()  # the caller's goes on without the ground that jobs stand on
        context.run(set_ground, self._noting)
        self._noting.start()
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
        """Let the fleet know what this worker is there for, before anybody relies on it."""
        try:
            await self._handling.run_once()
        except NaqException as error:
            log.warning("the event handlers could not be made known: %s; trying again", error)

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
