"""Threads for tasks that are plain functions.

Not `concurrent.futures`: its threads keep a process from ending as long as one of them is stuck, and a stuck one keeps
its place. Here a thread that does not come back costs a thread, neither a slot nor the end of the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from itertools import count
from queue import SimpleQueue
from typing import Any, Final

Outcome = tuple[Any, BaseException | None]  # what the function returned, or what it raised
_Work = tuple["asyncio.Future[Outcome]", Context, Callable[..., Any], Sequence[Any], Mapping[str, Any]]

_JOIN: Final = 0.5  # seconds `close` waits for a thread that is on its way out; it takes microseconds


class Threads:
    """Runs functions in threads of its own, as many as are asked for at once; idle ones are used again.

    The caller bounds how many run at once; at most `spare` idle threads are kept. `submit` belongs to one event loop.
    """

    def __init__(self, *, spare: int, name: str = "naq-task") -> None:
        self.spare = spare
        self._name = name
        self._numbers = count(1)
        self._idle: deque[_Thread] = deque()
        self._all: set[_Thread] = set()
        self._closed = False
        self._lock = threading.Lock()

    @property
    def alive(self) -> int:
        """How many threads there are, busy ones included."""
        return sum(thread.is_alive() for thread in list(self._all))

    @property
    def busy(self) -> int:
        """How many have something to do."""
        return sum(thread.busy for thread in list(self._all))

    def ident_of(self, future: asyncio.Future[Outcome]) -> int | None:
        """The identity of the thread that works on what `submit` gave; None where none does (any more)."""
        return next((thread.ident for thread in list(self._all) if thread.work is future), None)

    def submit(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> asyncio.Future[Outcome]:
        """Call `func` in a thread, in a copy of the current context. What it raises is data, not the future's error.

        Cancelling the future stops the waiting only: the function goes on.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        try:
            thread = self._idle.pop()
        except IndexError:
            thread = _Thread(self, loop, f"{self._name}-{next(self._numbers)}")
            self._all.add(thread)
            thread.start()
        thread.inbox.put((future, copy_context(), func, args, kwargs))
        return future

    def close(self) -> int:
        """Let idle threads end; how many are stuck in a function and stay behind."""
        leaving = [thread for thread in list(self._all) if not thread.busy]
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().inbox.put(None)
        for thread in leaving:
            thread.join(_JOIN)
        return self.alive

    def hand_back(self, thread: _Thread) -> bool:
        """Called by a thread that has finished its work: whether to wait for more."""
        with self._lock:
            if self._closed or len(self._idle) >= self.spare:
                return False
            self._idle.append(thread)
        return True

    def gone(self, thread: _Thread) -> None:
        """Called by a thread as the last thing it does."""
        self._all.discard(thread)


class _Thread(threading.Thread):
    def __init__(self, pool: Threads, loop: asyncio.AbstractEventLoop, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.inbox: SimpleQueue[_Work | None] = SimpleQueue()
        self.busy = False
        self.work: asyncio.Future[Outcome] | None = None  # what it works on
        self._pool = pool
        self._loop = loop

    def run(self) -> None:
        go_on = True
        while go_on and (work := self.inbox.get()) is not None:
            self.busy = True
            go_on = self._do(work)
            del work  # or an idle thread would keep the last job's arguments alive
        self._pool.gone(self)

    def _do(self, work: _Work) -> bool:
        self.work, context, func, args, kwargs = work
        future = work[0]
        outcome: Outcome
        try:
            outcome = (context.run(func, *args, **kwargs), None)
        except BaseException as error:  # noqa: BLE001  SystemExit and the like are outcomes of the job, not of the thread
            outcome = (None, error)
        self.busy, self.work = False, None
        # Idle before the outcome is told, so that the next job finds this thread instead of starting another.
        go_on = self._pool.hand_back(self)
        try:
            self._loop.call_soon_threadsafe(_tell, future, outcome)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return False
        finally:
            # An error's traceback holds this frame; what here leads to the error would make every failure a cycle.
            del outcome, future, work
        return go_on


#: What calls the functions: whoever looks at a thread's stack wants to see what is within.
CALLS: Final = _Thread._do.__code__  # pyright: ignore[reportPrivateUsage]


def _tell(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
