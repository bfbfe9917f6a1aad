"""What every part of the backend stands on: the link, the courier, the names and the API; opened and closed here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from naq.backends.base import LEASE_MARGIN, Health
from naq.backends.nats import topology
from naq.backends.nats.api import JetStream
from naq.backends.nats.broker.address import Held, resolve
from naq.backends.nats.broker.durability import get_mode
from naq.backends.nats.client.courier import Courier
from naq.backends.nats.client.link import UNHEARD, Link
from naq.backends.nats.client.puller import Puller
from naq.backends.nats.subjects import Subjects
from naq.config import Config
from naq.exceptions import NaqConnectionError
from naq.names import check_token

REPLICA_LAG: Final = 0.1  # seconds that a replica may be behind its leader; single milliseconds while all is well
_CLOSED: Final = "this backend was closed: make a new one"


class Session:
    """One connected backend; belongs to the event loop that opened it.

    Attributes:
        margin: seconds before the broker's deadline at which a claim's own lies.
        known: queues whose lanes are there.
        on_close: called when it is closed; whatever waits ends then.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.subjects = Subjects(config.namespace)
        # A short lease (tests) cannot spare two seconds.
        self.margin = min(LEASE_MARGIN, config.lease / 4)
        self.known: set[str] = set()
        self.on_close: list[Callable[[], None]] = []
        self.link: Link
        self.courier: Courier
        self.js: JetStream
        self.puller: Puller
        self._ready = False
        self._closed = False
        self._opening = asyncio.Lock()
        self._resolving: asyncio.Task[tuple[str, Held | None]] | None = None

    async def open(self, queues: Sequence[str] = (), *, wait: float | None = None) -> None:
        """Connect, and create what is missing for `queues`; idempotent.

        Raises:
            NaqConnectionError: not connected within `wait` seconds (default: the configured connect timeout).
            ConfigurationError: a stream exists that naq cannot work with.
        """
        for queue in queues:
            check_token("queue", queue)
        wait = self.config.connect_timeout if wait is None else wait
        try:
            # Whoever waits for another's opening spends its own time on it.
            async with asyncio.timeout(wait), self._opening:
                await self._open(queues, wait)
        except TimeoutError:
            raise self._late(wait) from None

    def _late(self, wait: float) -> NaqConnectionError:
        if not hasattr(self, "link"):
            return NaqConnectionError(f"the broker of {self.config.broker_url!r} did not start within {wait:g} s")
        if not self.link.is_up:
            return self.link.unreachable(wait)
        return NaqConnectionError(
            f"the broker at {self.link.shown} is connected, but its JetStream did not answer within {wait:g} s: "
            "a cluster without a majority, or a disk that is stuck?"
        )

    async def _open(self, queues: Sequence[str], wait: float) -> None:
        if self._closed:
            raise NaqConnectionError(_CLOSED)
        if not self._ready:
            await self._connect(wait)
        missing = [queue for queue in queues if queue not in self.known]
        if missing:
            await asyncio.gather(
                *(topology.ensure_queue(self.js, self.config, self.subjects, queue) for queue in missing)
            )
            self.known.update(missing)

    async def _connect(self, wait: float) -> None:
        if not hasattr(self, "link"):
            if self._resolving is None or (self._resolving.done() and self._resolving.exception() is not None):
                self._resolving = asyncio.create_task(asyncio.to_thread(resolve, self.config))
            # A server that is being started goes on starting when our time is up: the next call may find it.
            url, _ = await asyncio.shield(self._resolving)
            self.link = Link(self.config, url, name=f"naq {self.config.namespace}")
            self.courier = Courier(self.link)
            replicas = get_mode(self.config.durability).replicas
            self.js = JetStream(self.courier, timeout=self.config.connect_timeout, replicas=replicas)
            self.puller = Puller(self.config.lease, strict=self.config.priorities == "strict")
            await self.courier.open()
            self.on_linked()
        await self.link.open(wait)
        topology.check_server(self.config, self.link.server)
        await topology.ensure_streams(self.js, self.config, self.subjects)
        self._ready = True

    def on_linked(self) -> None:
        """Register listeners on the new link; parts of the backend add to it."""

    async def before_close(self) -> None:
        """Last words while there still is a connection; parts of the backend add to it."""

    async def after_close(self) -> None:
        """See what runs beside the callers to its end; parts of the backend add to it."""

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def must_be_open(self) -> None:
        """Raise what is wrong with a call before `open` or after `close`."""
        if self._closed:
            raise NaqConnectionError(_CLOSED)
        if not self._ready:
            raise NaqConnectionError("this backend is not open: await open() first")

    async def applied(self) -> None:
        """Until every replica has carried out what its leader confirmed.

        A consumer may be led elsewhere than its stream, and go on handing out what has just been deleted there.
        """
        if get_mode(self.config.durability).replicas > 1:
            await asyncio.sleep(REPLICA_LAG)

    async def know(self, queue: str, *, wait: float | None = None) -> None:
        """Make sure that the lanes of `queue` exist, within `wait` seconds."""
        if queue not in self.known:
            await self.open([queue], wait=wait)

    async def close(self) -> None:
        """Write out what was sent, then disconnect; idempotent."""
        if self._closed:
            return
        self._closed = True
        for tell in list(self.on_close):
            tell()
        if hasattr(self, "link"):
            await self.before_close()
            await self.link.close()
            self.courier.close()
            await self.after_close()
        if self._resolving is not None:
            [resolved] = await asyncio.gather(self._resolving, return_exceptions=True)
            held = None if isinstance(resolved, BaseException) else resolved[1]
            if held is not None:
                await asyncio.to_thread(held.close)

    def health(self) -> Health:
        """Whether the broker was heard of within 15 s; asks nobody."""
        if self._closed or not hasattr(self, "link"):
            return Health(ready=False, detail="not open")
        if not self.link.is_up:
            return Health(ready=False, detail=f"no connection to {self.link.shown}")
        ago = self.link.heard_ago
        if ago > UNHEARD:
            return Health(ready=False, detail=f"nothing heard from {self.link.shown} for {ago:.0f} s")
        return Health(ready=self._ready, detail=f"connected to {self.link.shown}")
