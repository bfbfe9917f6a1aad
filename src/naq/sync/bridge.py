"""The bridge from plain code to coroutines: one thread with one event loop, started by the first call.

Why one for all: a connection belongs to the loop that opened it. A loop for every call, as ``asyncio.run`` makes it,
would mean a connection for every call.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from naq.exceptions import ConfigurationError, NaqConnectionError

P = ParamSpec("P")
T = TypeVar("T")
Farewell = Callable[[], Coroutine[Any, Any, object]]

log = logging.getLogger("naq.sync")

FAREWELL: Final = 2.0  # seconds that closing connections may take at the end: a broker that is gone must not hold it up
LAST: Final = FAREWELL + 1.0  # seconds until a thread that does not end by then is left behind (it is a daemon)


class Bridge:
    """A thread with an event loop that runs coroutines for all other threads. One a process; see `run` below."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = False
        self._watched = False
        self._farewells: Final[list[Farewell]] = []
        self._abandoned: Final[list[object]] = []

    def run(self, instead: str, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """As the module's `run`."""
        refuse_on_loop(instead)
        future = self._submit(function, args, kwargs)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise NaqConnectionError("the program ended its sync calls while this one waited") from None
        except BaseException:  # Ctrl-C while we wait: nobody is left to want the answer
            future.cancel()
            raise

    def _submit(
        self, function: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> concurrent.futures.Future[T]:
        with self._lock:  # so that the loop cannot stop between the look and the call
            if self._ended:
                raise NaqConnectionError("the program is ending: no more sync calls can be made")
            loop = self._loop or self._start()
            return asyncio.run_coroutine_threadsafe(function(*args, **kwargs), loop)

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, args=(loop,), name="naq-sync", daemon=True)
        self._thread.start()
        if not self._watched:
            self._watched = True
            atexit.register(self._end)
        return loop

    @staticmethod
    def _live(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while True:
            try:
                loop.run_forever()
            except BaseException:  # SystemExit out of a callback: without this thread, every later call would hang
                log.exception("a callback broke out of the loop that serves sync calls; it goes on")
            else:
                return

    def at_stop(self, farewell: Farewell) -> None:
        """As the module's `at_stop`."""
        if farewell not in self._farewells:
            self._farewells.append(farewell)

    def stop(self) -> None:
        """As the module's `stop`."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            if loop is None or thread is None:
                return
            asyncio.run_coroutine_threadsafe(self._wind_up(loop), loop)
        thread.join(LAST)
        if thread.is_alive():
            self._abandoned.append(loop)  # something blocks it; closing it under its feet would be worse
            log.warning("the thread that serves sync calls did not end within %g s; leaving it behind", LAST)
        else:
            loop.close()

    async def _wind_up(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                for farewell in self._farewells:
                    await farewell()
        except TimeoutError:
            log.debug("closing the connections of sync calls took too long")
        except Exception:  # the rest of the end must come, whatever a backend makes of its own
            log.debug("closing the connections of sync calls failed", exc_info=True)
        finally:
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=LAST - FAREWELL)
            await loop.shutdown_asyncgens()
            loop.stop()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
        self.stop()

    def forget(self) -> None:
        """In the child of a fork: begin again. The parent's loop shares its file descriptors with ours: not touched.

        It is kept, because an event loop that is collected closes itself.
        """
        self._abandoned.append((self._loop, self._thread))
        self._lock = threading.Lock()  # another thread may have held it in the parent
        self._loop = self._thread = None
        self._ended = False


_bridge: Final = Bridge()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_bridge.forget)


def run(instead: str, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the coroutine ``function(*args, **kwargs)`` returns, run on the process's background event loop.

    Safe from any thread and after a fork. Context variables are the caller's. The first call starts the loop.

    `instead` is what to write where an event loop runs already, such as ``await queue.purge()``: for the error.

    Raises:
        ConfigurationError: an event loop runs in this thread, which this would block.
        NaqConnectionError: the program is ending.
        BaseException: what the coroutine raises.
    """
    return _bridge.run(instead, function, *args, **kwargs)


def refuse_on_loop(instead: str) -> None:
    """Do nothing, except where an event loop runs in this thread, which a sync call would block.

    Raises:
        ConfigurationError: one runs; says to write `instead`.
    """
    if asyncio._get_running_loop() is not None:  # public in all but name; the other way raises
        raise ConfigurationError(
            f"this call would block the event loop that runs in this thread: write '{instead}', "
            "or make the call in a thread of its own: await asyncio.to_thread(...)"
        )


def at_stop(farewell: Farewell) -> None:
    """Await ``farewell()`` on the background loop before it ends (at most 2 s for all of them)."""
    _bridge.at_stop(farewell)


def stop() -> None:
    """End the background loop in order: connections closed, waiting calls given up. The next call starts another.

    Happens by itself at the end of the program.
    """
    _bridge.stop()
