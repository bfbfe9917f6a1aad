"""The worker: a process's loop that claims jobs of an app and runs them."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from naq.backends import from_url
from naq.codec.caution import caution
from naq.config.fields import hide_credentials
from naq.exceptions import ConfigurationError, NaqException
from naq.names import MAX_TOKEN, check_token
from naq.worker.connecting import farewell, open_for_ever
from naq.worker.crew import Crew
from naq.worker.drain import within
from naq.worker.health import HealthServer, listen
from naq.worker.loader import import_named
from naq.worker.orders import Order
from naq.worker.processes.source import Source, check_reachable
from naq.worker.recycle import Recycle
from naq.worker.service import Service
from naq.worker.tasks import Tasks
from naq.worker.throttle import Throttle
from naq.worker.vitals import Vitals

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import Backend
    from naq.worker.supervisor.ledger import Ledger

log = logging.getLogger("naq.worker")

_SUFFIX: Final = 6  # hex digits that make a worker's id its own, whatever its name


class Worker:
    """Claims jobs from queues and runs them, until it is stopped. One worker, one `run`.

    Coroutine functions run on the event loop, plain functions in threads. A broker that is away is waited for.

    Args:
        app: whose tasks may be run.
        queues: which queues to claim from. Default: those of the app's tasks.
        concurrency: jobs at once, from 1. Default: the app's setting (20).
        name: the first part of the worker's id. Default: host and process id.
        shutdown_timeout: seconds that `stop` lets running jobs go on. Default: the app's setting (30).
        scheduler: whether it keeps schedules going while it leads. Default: the app's setting (yes).
        lease: seconds after which a silent worker's jobs go to another. Default: the app's setting (30).
        imports: modules whose functions may be run too, beside those of the app's settings; imported here and now.
        source: where the app is (``module:attribute``), for child processes. Default: they find each task's function
            by its module and name.
        health: where ``/live``, ``/ready`` and ``/metrics`` are served: a port on every interface, or ``HOST:PORT``.
            Default: nowhere.
        max_jobs: jobs after which it retires; 0: never.
        max_memory: MiB of memory held over which it retires; 0: never.
        backend: what to claim from, instead of a connection of its own; it is opened, never closed.

    Attributes:
        id: who this worker is, in records and in the list of workers.
        queues: what it claims from.
        config: the settings in force.
        vitals: how it is.
        health_port: where it serves health checks while it runs; 0: nowhere.
        ledger: where its claims outlive it, if it has a supervisor; to be set before `run`.
        left_behind: after `run`: threads and coroutines that did not end, whatever was done.

    Raises:
        ConfigurationError: a value that cannot be, or a module that cannot be imported.
    """

    def __init__(
        self,
        app: Naq,
        *,
        queues: Sequence[str] | None = None,
        concurrency: int | None = None,
        name: str | None = None,
        shutdown_timeout: float | None = None,
        scheduler: bool | None = None,
        lease: float | None = None,
        imports: Sequence[str] = (),
        source: str | None = None,
        health: int | str | None = None,
        max_jobs: int = 0,
        max_memory: int = 0,
        backend: Backend | None = None,
    ) -> None:
        given: dict[str, Any] = {"concurrency": concurrency, "shutdown_timeout": shutdown_timeout, "lease": lease}
        given["scheduler"] = scheduler
        self.app: Final = app
        self.config: Final = replace(app.config, **{key: value for key, value in given.items() if value is not None})
        modules = tuple(dict.fromkeys((*self.config.imports, *imports)))
        for module in modules:
            import_named(module)
        self.tasks: Final = self.find_tasks(modules)
        self._source = Source(source, modules)
        check_reachable(app.tasks.values(), self._source)
        if isinstance(queues, str):
            raise ConfigurationError(f"queues is {queues!r}; give a list of names: queues=[{queues!r}]")
        chosen = self.tasks.queues() or ["default"] if queues is None else list(queues)
        self.queues: Final = [check_token("queue", queue) for queue in dict.fromkeys(chosen)]
        if not self.queues:
            raise ConfigurationError("a worker without queues would never do anything; name one, or leave queues out")
        self.name: Final = _default_name() if name is None else check_token("worker name", name)
        self.id: Final = f"{self.name[: MAX_TOKEN - _SUFFIX - 1]}-{secrets.token_hex(_SUFFIX // 2)}"
        self.vitals: Final = Vitals(self.id, concurrency=self.config.concurrency, lease=self.config.lease)
        self.health_port = 0
        self.left_behind = 0
        self.ledger: Ledger | None = None
        self._health = health
        self._recycling = (max_jobs, max_memory)
        self._asked = False
        self._backend = backend
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._started = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._crew: Crew | None = None

    def find_tasks(self, modules: Sequence[str]) -> Tasks:
        """What it may run, with the functions of `modules`."""
        return Tasks(self.app, modules)

    @property
    def running(self) -> int:
        """Jobs that run right now."""
        return 0 if self._crew is None else self._crew.flights.running

    @property
    def processed(self) -> int:
        """Claims settled so far, whatever they ended in."""
        return 0 if self._crew is None else self._crew.flights.processed

    def stop(self) -> None:
        """Claim nothing more, let running jobs end within `shutdown_timeout`, put the rest back, and return from `run`.

        The second call means now: running jobs are interrupted and put back at once. Only on the worker's event loop.
        """
        if not self._stop.is_set():
            self._stop.set()
        elif not self._asked and self.vitals.retiring:  # it has ended its own way so far, without a limit
            asyncio.get_running_loop().call_later(self.config.shutdown_timeout, self._now.set)
        else:
            self._now.set()
        self._asked = True

    def retire(self, reason: str) -> None:
        """Claim nothing more, let running jobs end however long they take, and return from `run`.

        A `stop` meanwhile sets them a limit. Only on the worker's event loop.
        """
        if not self._stop.is_set():
            log.info("retiring after %s: %d jobs run", reason, self.running)
            self.vitals.retiring = reason
            self._stop.set()

    def _obey(self, order: Order) -> None:
        """Do what somebody has told this worker from outside (`naq workers drain|stop`)."""
        log.info("told to %s: %d jobs run", "stop now" if order is Order.NOW else order.value, self.running)
        self.vitals.dismiss()
        if order is Order.DRAIN:
            self.retire("an order to drain")
            return
        self.stop()
        if order is Order.NOW:
            self._now.set()

    async def wait_ready(self) -> None:
        """Wait until it claims jobs. Use a timeout: while the broker is away, it does not."""
        await self._started.wait()

    async def run(self) -> None:
        """Claim and run jobs until `stop`. Cancelling it is a `stop` that cannot wait.

        Raises:
            BrokerTooOld: the broker lacks what naq needs.
            ConfigurationError: the backend refuses the settings, or the health port is taken.
            NaqException: this worker has run already.
        """
        if self._main is not None:
            raise NaqException("this worker has run already; make another")
        self._main = asyncio.current_task()
        caution(self.config, "worker")
        health = (
            None
            if self._health is None
            else HealthServer(listen(str(self._health)), self.vitals.report, lambda: {"": self.vitals.numbers()})
        )
        self.health_port = 0 if health is None else health.port
        own = self._backend is None
        backend = from_url(self.config) if self._backend is None else self._backend
        crew = self._crew = self.assemble(backend, first=() if health is None else (health,))
        try:
            if await self._connect(backend, crew):
                await self._work(crew)
        finally:
            await crew.lifeline.stop()
            if self.ledger is not None:
                self.ledger.end()
            if own:
                await farewell("close the connection", backend.close())

    def assemble(self, backend: Backend, *, first: Sequence[Service] = ()) -> Crew:
        """The services of a run on `backend`, not started; for `run`, and for tests (`Crew.run_due`)."""
        return Crew(
            backend,
            lambda: from_url(self.config),
            self.config,
            self.tasks,
            app=self.app,
            worker=self.id,
            queues=self.queues,
            torn_down=self._torn_down,
            obey=self._obey,
            source=self._source,
            vitals=self.vitals,
            ledger=self.ledger,
            first=first,
        )

    async def _connect(self, backend: Backend, crew: Crew) -> bool:
        """Both connections, open; False if the worker was stopped first."""
        url = hide_credentials(self.config.broker_url)
        crew.lifeline.start()

        async def both() -> None:  # at the same time: the lifeline opens its own in its thread
            await open_for_ever(backend, self.queues, Throttle(), url=url)
            await crew.take_over()
            await crew.lifeline.ready()
            await crew.make_known()

        opening = asyncio.ensure_future(both())
        await within(opening, self._stop, timeout=None)
        if opening.cancelled():
            return False
        opening.result()
        return True

    async def _work(self, crew: Crew) -> None:
        jobs, memory = self._recycling
        recycle = Recycle(crew.flights, self.retire, jobs=jobs, memory=memory)
        try:
            crew.start()
            if jobs or memory:
                recycle.start()
            self._started.set()
            gone = crew.lifeline.gone
            await within(asyncio.shield(gone), self._stop, timeout=None)
            if gone.done() and not self._stop.is_set():
                self._now.set()
                raise NaqException("the thread that keeps leases has ended, so this worker stopped; the log says why")
        except asyncio.CancelledError:
            self._now.set()
            raise
        finally:
            await recycle.stop()
            await crew.stop(self._now, timeout=None if self.vitals.retiring else self.config.shutdown_timeout)
            self.left_behind = crew.left_behind

    def _torn_down(self) -> bool:
        """Whether somebody cancels the whole program, this worker's jobs among it."""
        return self._main is not None and self._main.cancelling() > 0


def _default_name() -> str:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname().partition(".")[0])
    return f"{host[: MAX_TOKEN // 2] or 'worker'}-{os.getpid()}"
