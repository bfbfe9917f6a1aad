"""What one server holds: broker, database, and what it does beside answering. Made by the lifespan, never a global."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from naq import clock
from naq.backends import from_url
from naq.backends.base import Backend
from naq.config import Config
from naq.config.server import ServerConfig
from naq.exceptions import NaqConnectionError, NaqException
from naq.job import new_id
from naq.server.access import idempotency, tokens
from naq.server.access.identify import Identifier
from naq.server.access.rates import Rates
from naq.server.access.redact import Curtain, Redactor, curtained
from naq.server.alerts.watch import Watch
from naq.server.breaker import Breaker
from naq.server.bulk.runner import Runner
from naq.server.calling import Caller
from naq.server.ingest.pruning import keep
from naq.server.ingest.service import Ingest
from naq.server.live.hub import Hub
from naq.server.metrics.tally import Tally
from naq.server.problems import Problem
from naq.server.signing import Signer
from naq.server.store import Store, open_store
from naq.server.store.retention import retention_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

log = logging.getLogger("naq.server")

PRUNE: Final = 3600.0  # seconds between two removals of what is not needed any more
PATIENCE: Final = 2.0  # seconds that starting waits for broker and database; then it serves what there is, and says so
LOOK: Final = 2.0  # seconds that a probe waits
_AGAIN: Final = 1.0  # seconds between two attempts to reach what was away at the start
Told = Callable[[Breaker], None]


class Core:
    """Everything that requests share.

    Attributes:
        config, settings: of the broker, and of the server.
        id: of this process, new at every start.
        broker, database: their breakers.
    """

    def __init__(self, config: Config, settings: ServerConfig) -> None:
        self.config: Final = config
        self.settings: Final = settings
        self.id: Final = new_id()
        self.started_at: Final = clock.now()
        self.told: list[Told] = []
        how: dict[str, Any] = {
            "failures": settings.breaker_failures,
            "wait": settings.breaker_open,
            "timeout": settings.request_timeout,
            "tell": self._tell,
        }
        self.broker: Final = Breaker("broker", **how)
        self.database: Final = Breaker("database", **how)
        self._redact: Final = Redactor(settings.redact)
        self._curtain: Final = Curtain(settings.redact)
        self.rates: Final = Rates(settings)
        self.tally: Final = Tally()
        self.identifier: Final = Identifier(self)
        self.caller: Final = Caller(config)
        self.hub: Final = Hub(self)
        self.bulk: Final = Runner(self)
        self.alerts: Final = Watch(self)
        self.ingest: Ingest | None = None
        self.stopping = False
        self._signer: Signer | None = None
        self._backend: Backend | None = None
        self._store: Store | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _tell(self, breaker: Breaker) -> None:
        for tell in self.told:
            tell(breaker)

    @property
    def redact(self) -> Redactor:
        """What hides that which who asks now must not see."""
        return self._curtain if curtained.get() else self._redact

    @property
    def signer(self) -> Signer:
        """Signs cursors; there as soon as the database has been.

        Raises:
            Problem: ``database_unavailable``.
        """
        if self._signer is None:
            raise self.database.problem()
        return self._signer

    @property
    def around_enqueue(self) -> None:
        """Nothing: the server has no middleware of an app (`naq.connections.Host`)."""
        return

    async def connect(self) -> Backend:
        """The backend, open (`naq.connections.Host`).

        Raises:
            Problem: ``broker_unavailable``.
        """
        if self._backend is None:
            raise self.broker.problem()
        return self._backend

    @asynccontextmanager
    async def asking(self, *, timeout: float | None = None) -> AsyncGenerator[Backend]:
        """The broker, for what is in the block.

        Raises:
            Problem: ``broker_unavailable``.
        """
        backend = await self.connect()  # outside: that it was never reached is no answer of its own
        async with self.broker.guard(timeout=timeout):
            yield backend

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """A connection to the history to ask with.

        Raises:
            Problem: ``database_unavailable``.
        """
        store = self._opened()
        async with self.database.guard(), store.reading() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction on the database, kept when the block ends. Raises as `reading`."""
        store = self._opened()
        async with self.database.guard(), store.writing() as connection:
            yield connection

    def _opened(self) -> Store:
        if self._store is None:
            raise self.database.problem()
        return self._store

    async def look(self) -> None:
        """Ask broker and database whether they are there."""
        from sqlalchemy import text

        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except Problem:
            log.debug("the database is away")
        try:
            async with self.asking(timeout=LOOK) as backend:
                health = backend.health()
                if not health.ready:
                    raise NaqConnectionError(health.detail or "it is not connected")
        except Problem:
            log.debug("the broker is away")

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` until it ends or the server does; it is nothing of the request that it may come from."""
        task = asyncio.create_task(work, name=f"naq-server-{name}", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def start(self) -> None:
        """Reach broker and database; what is away is tried again and again, while the rest is served."""
        both = [
            self.spawn(self._reach(self._open_store), "database"),
            self.spawn(self._reach(self._open_backend), "broker"),
        ]
        await asyncio.wait(both, timeout=PATIENCE)
        for breaker, there in ((self.database, self._store), (self.broker, self._backend)):
            if there is None:
                breaker.mark_away("it has not been reached since the start")

    def retire(self) -> None:
        """Take no more requests, and let those who watch go: open streams would keep the server from ending."""
        self.stopping = True
        self.hub.end_all("stopping")

    async def stop(self) -> None:
        """End all tasks, then close what is open."""
        self.retire()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        backend, self._backend = self._backend, None
        store, self._store = self._store, None
        if backend is not None:
            await backend.close()
        if store is not None:
            await store.close()

    async def _reach(self, attempt: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await attempt()
            except NaqException as error:
                log.warning("not reached yet: %s", error)
                await asyncio.sleep(_AGAIN)
            else:
                return

    async def _open_store(self) -> None:
        store = await open_store(self.settings.database)
        try:
            async with store.writing() as connection:
                secret = self.settings.secret or await tokens.shared_secret(connection)
        except BaseException:
            await store.close()
            raise
        self._signer = Signer(secret, ttl=self.settings.cursor_ttl)
        self._store = store
        self.database.mark_back()
        self.spawn(self.alerts.run(), "alerts")
        self._begin()

    async def _open_backend(self) -> None:
        backend = from_url(self.config)
        try:
            await backend.open()
        except BaseException:
            await backend.close()
            raise
        self._backend = backend
        self.broker.mark_back()
        self._begin()

    def _begin(self) -> None:
        """Both are there: read the event log into the history."""
        if self._store is not None and self._backend is not None and self.ingest is None:
            self.ingest = Ingest(self._backend, self._store, self.config, hide=self._hide)
            self.ingest.on_batch.append(self.tally.batch)
            self.spawn(self.ingest.run(), "ingest")
            self.spawn(self.bulk.watch(), "bulk")
            self.spawn(self._prune(), "prune")
            kept = retention_of(self.settings)
            self.spawn(keep(self.ingest, self._store, self._backend, kept), "retention")

    async def _prune(self) -> None:
        """Forget answers that nobody will ask for again, once an hour."""
        while True:
            with contextlib.suppress(Problem):
                async with self.writing() as connection:
                    await idempotency.prune(connection, ttl=self.settings.idempotency_ttl)
            await asyncio.sleep(PRUNE)

    def _hide(self, _task: str, what: str, text: str) -> str:
        """What may be stored of arguments (their object) and of a result."""
        path = () if what == "args" else (what,)
        return self._redact.hide(text, *path)
