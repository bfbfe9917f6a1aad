"""Services that start one after another and end in the opposite order, also at a Ctrl-C in between."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from naq.exceptions import NaqException

log = logging.getLogger("naq.dev")

T = TypeVar("T")

#: What ends the tree in order; the second of them means now, the third kills.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


class Stopped(NaqException):
    """Somebody ended the tree before its work was done.

    Attributes:
        asked: how often.
    """

    def __init__(self, asked: int) -> None:
        super().__init__("stopped")
        self.asked = asked


class Service(Protocol):
    """A part of the tree: a broker, workers. A server or a scheduler is one more."""

    async def start(self) -> None:
        """Start, and return when others can use it. May be cancelled at any point; `stop` follows in any case."""
        ...

    async def stop(self) -> None:
        """End, and return when nothing of it is left."""
        ...

    def hurry(self, asked: int) -> None:
        """Somebody asked again, `asked` times by now: 2 means without waiting for anything, more means by force."""
        ...


class Tree:
    """The services of one program. `run` is its life.

    Args:
        on_ask: called when somebody asks it to end, with how often that was by now.
    """

    def __init__(self, on_ask: Callable[[int], None] | None = None) -> None:
        self.asked = 0
        self._ask = asyncio.Event()
        self._on_ask = on_ask
        self._services: list[Service] = []

    async def start(self, service: Service) -> None:
        """Start `service`; it ends with the tree."""
        self._services.append(service)
        await service.start()

    def stop(self) -> None:
        """End everything: in order at first, at once the second time, by force from the third on."""
        self.asked += 1
        self._ask.set()
        if self.asked > 1:
            for service in self._services:
                service.hurry(self.asked)
        if self._on_ask is not None:
            with suppress(OSError):  # the terminal may be gone, which is why it is to end: nobody is left to be told
                self._on_ask(self.asked)

    async def run(self, body: Callable[[Tree], Coroutine[Any, Any, T]]) -> T:
        """What `body` returns, which starts services and does what it likes with them; then they have all ended.

        Raises:
            Stopped: `stop` was called, or a signal came, before `body` was done; nothing is left running either.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.stop)
        work = asyncio.ensure_future(body(self))
        ask = asyncio.ensure_future(self._ask.wait())
        try:
            await asyncio.wait([work, ask], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ask.cancel()
            work.cancel()
            await asyncio.wait([work])
            try:
                await self._stop_all()
            finally:
                for number in SIGNALS:
                    loop.remove_signal_handler(number)
        if self.asked:
            if not work.cancelled():
                work.exception()  # what went wrong while everything was being ended is nobody's concern any more
            raise Stopped(self.asked)
        return work.result()

    async def _stop_all(self) -> None:
        """The last that was started goes first; one that fails to end keeps none of the others from it."""
        failed: BaseException | None = None
        while self._services:
            service = self._services[-1]
            try:
                await service.stop()
            except BaseException as error:
                if failed is not None:
                    log.exception("%s did not end in order either", type(service).__name__)
                failed = failed or error
            self._services.pop()
        if failed is not None:
            raise failed


async def first(*waiting: Coroutine[Any, Any, Any] | asyncio.Future[Any], timeout: float | None = None) -> None:
    """Return when one of `waiting` is done, or `timeout` seconds are over. Coroutines are cancelled then."""
    futures = [asyncio.ensure_future(each) for each in waiting]
    try:
        await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for given, future in zip(waiting, futures, strict=True):
            if given is not future:
                future.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
