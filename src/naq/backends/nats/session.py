"""What every part of the backend stands on: the link, the courier, the names and the API; opened and closed here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from naq.backends.base import LEASE_MARGIN, Health
from naq.backends.nats import topology
from naq.backends.nats.api import JetStream
from naq.backends.nats.broker.address import resolve
from naq.backends.nats.client.courier import Courier
from naq.backends.nats.client.link import UNHEARD, Link
from naq.backends.nats.client.puller import Puller
from naq.backends.nats.subjects import Subjects
from naq.config import Config
from naq.exceptions import NaqConnectionError


class Session:
    """One connected backend; belongs to the event loop that opened it.

    Attributes:
        margin: seconds before the broker's deadline at which a claim's own lies.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.subjects = Subjects(config.namespace)
        # A short lease (tests) cannot spare two seconds.
        self.margin = min(LEASE_MARGIN, config.lease / 4)
        self.link: Link
        self.courier: Courier
        self.js: JetStream
        self.puller: Puller
        self._ready = False
        self._closed = False
        self._opening = asyncio.Lock()
        self._known: set[str] = set()
        self._broker: object | None = None

    async def open(self, queues: Sequence[str] = (), *, wait: float | None = None) -> None:
        """Connect, and create what is missing for `queues`; idempotent.

        Raises:
            NaqConnectionError: not connected within `wait` seconds (default: the configured connect timeout).
            ConfigurationError: a stream exists that naq cannot work with.
        """
        wait = self.config.connect_timeout if wait is None else wait
        async with self._opening:
            if self._closed:
                raise NaqConnectionError("this backend was closed: make a new one")
            if not self._ready:
                await self._connect(wait)
            missing = [queue for queue in queues if queue not in self._known]
            if missing:
                await asyncio.gather(
                    *(topology.ensure_queue(self.js, self.config, self.subjects, queue) for queue in missing)
                )
                self._known.update(missing)

    async def _connect(self, wait: float) -> None:
        if not hasattr(self, "link"):
            url, self._broker = await asyncio.to_thread(resolve, self.config)
            self.link = Link(self.config, url, name=f"naq {self.config.namespace}")
            self.courier = Courier(self.link)
            self.js = JetStream(self.courier, timeout=self.config.connect_timeout)
            self.puller = Puller(self.config.lease)
            await self.courier.open()
            self.on_linked()
        await self.link.open(wait)
        await topology.ensure_streams(self.js, self.config, self.subjects)
        self._ready = True

    def on_linked(self) -> None:
        """Register listeners on the new link; parts of the backend add to it."""

    async def before_close(self) -> None:
        """Last words while there still is a connection; parts of the backend add to it."""

    def must_be_open(self) -> None:
        """Raise what is wrong with a call before `open` or after `close`."""
        if self._closed:
            raise NaqConnectionError("this backend was closed: make a new one")
        if not self._ready:
            raise NaqConnectionError("this backend is not open: await open() first")

    async def know(self, queue: str) -> None:
        """Make sure that the lanes of `queue` exist."""
        if queue not in self._known:
            await self.open([queue])

    async def close(self) -> None:
        """Write out what was sent, then disconnect; idempotent."""
        if self._closed:
            return
        self._closed = True
        if hasattr(self, "link"):
            await self.before_close()
            await self.link.close()
            self.courier.close()
        close_broker = getattr(self._broker, "close", None)
        if close_broker is not None:
            await asyncio.to_thread(close_broker)

    def health(self) -> Health:
        """Whether the broker was heard of within 15 s; asks nobody."""
        if self._closed or not hasattr(self, "link"):
            return Health(ready=False, detail="not open")
        if not self.link.is_up:
            return Health(ready=False, detail=f"no connection to {self.link.url}")
        ago = self.link.heard_ago
        if ago > UNHEARD:
            return Health(ready=False, detail=f"nothing heard from {self.link.url} for {ago:.0f} s")
        return Health(ready=self._ready, detail=f"connected to {self.link.url}")
