"""The thread that keeps a worker alive in the eyes of others: leases and heartbeats, on a connection of their own.

A task that blocks the main loop for minutes stops everything there. Here nothing stops: its lease is renewed, the
worker is not taken for dead, and somebody is told which task it is.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

from naq.backends.base import Backend
from naq.exceptions import NaqException
from naq.worker.connecting import farewell, open_for_ever
from naq.worker.presence import Presence, State
from naq.worker.service import Service
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

Crew = Callable[[Backend], tuple[Presence, Sequence[Service]]]


class Lifeline:
    """A thread with its own event loop and its own backend, running the services that `crew` makes for that backend.

    Those in `first` need none, and run from the beginning to the end.

    Made and used on the main loop.
    """

    def __init__(
        self,
        make_backend: Callable[[], Backend],
        crew: Crew,
        queues: Sequence[str],
        *,
        url: str,
        first: Sequence[Service] = (),
    ) -> None:
        self._make_backend = make_backend
        self._crew = crew
        self._queues = queues
        self._url = url
        self._first = first
        self._main = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._main.create_future()
        self.gone: asyncio.Future[None] = self._main.create_future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopping = threading.Event()
        self._presence: Presence | None = None
        self._thread = threading.Thread(target=self._run, name="naq-lifeline", daemon=True)

    def start(self) -> None:
        """Begin; does nothing the second time."""
        if self._thread.ident is None:
            self._thread.start()

    async def ready(self) -> None:
        """Wait until its backend is open and leases are kept.

        Raises:
            BrokerTooOld, ConfigurationError: it never will be.
        """
        await asyncio.shield(self._ready)

    def say(self, state: State) -> None:
        """Tell everybody at once that the worker is in `state`."""
        if self._presence is not None:
            self._presence.state = state
            self.hurry()

    def hurry(self) -> None:
        """Tell everybody at once how the worker is now."""
        if self._presence is not None:
            self._on_loop(self._presence.nudge)

    async def stop(self) -> None:
        """Stop the services, say goodbye, end the thread; does nothing if it never started or has ended."""
        if self._thread.ident is None:
            return
        self._stopping.set()  # seen by a thread that has no event yet; the event wakes one that has
        if self._stop is not None:
            self._on_loop(self._stop.set)
        await asyncio.wait([self.gone])
        self._thread.join()
        if self._ready.done():
            self._ready.exception()  # looked at, so that nobody complains that it was not
        else:
            self._ready.cancel()

    def _on_loop(self, call: Callable[[], object]) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # it has ended meanwhile
            return

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except NaqException as error:
            self._tell(self._ready, error)
        except Exception as error:  # the worker ends with it, see `gone`; a thread has nobody to raise to
            log.exception("the lifeline broke")
            self._tell(self._ready, error)
        finally:
            self._tell(self.gone, None)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        if self._stopping.is_set():
            self._stop.set()
        stopped = asyncio.ensure_future(self._stop.wait())
        for service in self._first:
            service.start()
        backend = self._make_backend()
        opening = asyncio.ensure_future(open_for_ever(backend, self._queues, Throttle(), url=self._url))
        services: Sequence[Service] = ()
        try:
            await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
                self._presence, services = self._crew(backend)
                for service in services:
                    service.start()
                self._tell(self._ready, None)
                await stopped
        finally:
            for task in (opening, stopped):
                task.cancel()
            await asyncio.wait([opening, stopped])
            for service in reversed(services):
                await service.stop()
            if self._presence is not None:
                await farewell("unregister", self._presence.leave())  # its registration runs out by itself
            await farewell("close the lifeline's connection", backend.close())
            for service in self._first:
                await service.stop()

    def _tell(self, future: asyncio.Future[None], error: Exception | None) -> None:
        def tell() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        try:
            self._main.call_soon_threadsafe(tell)
        except RuntimeError:  # the main loop was closed under us
            return
