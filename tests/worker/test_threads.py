"""The threads of plain functions."""

from __future__ import annotations

import asyncio
import threading
import time

from naq.worker.threads import Threads
from tests.tools import until


def test_idle_threads_are_used_again_and_named() -> None:
    threads = Threads(spare=2, name="mine")

    async def test() -> None:
        names = [(await threads.submit(lambda: threading.current_thread().name, (), {}))[0] for _ in range(5)]
        assert set(names) == {"mine-1"}
        gate = threading.Barrier(4)
        await asyncio.gather(*(threads.submit(gate.wait, (), {}) for _ in range(4)))
        await until(lambda: threads.alive == 2)
        assert threads.close() == 0

    asyncio.run(test())


def test_outcomes_are_data() -> None:
    threads = Threads(spare=1)

    def fail(error: BaseException) -> None:
        raise error

    async def test() -> None:
        assert await threads.submit(sorted, ([1, 2],), {"reverse": True}) == ([2, 1], None)
        for error in (SystemExit(1), StopIteration(), asyncio.CancelledError()):
            assert await threads.submit(fail, (error,), {}) == (None, error)
        threads.close()

    asyncio.run(test())


def test_a_stuck_thread_keeps_neither_the_others_nor_the_end() -> None:
    threads = Threads(spare=1)
    release = threading.Event()

    async def test() -> None:
        stuck = threads.submit(release.wait, (10,), {})
        stuck.cancel()
        assert await threads.submit(max, (1, 2), {}) == (2, None)
        began = time.monotonic()
        assert threads.close() == 1
        assert time.monotonic() - began < 1

    asyncio.run(test())
    release.set()  # it ends by itself, with nobody to tell: the loop is closed
    deadline = time.monotonic() + 5
    while threads.alive:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_idle_thread_holds_nothing_of_its_last_job() -> None:
    import gc
    import weakref

    threads = Threads(spare=1)

    class Big:
        pass

    async def test() -> None:
        big = Big()
        gone = weakref.ref(big)
        gc.disable()
        try:
            await threads.submit(id, (big,), {})
            del big
            await until(lambda: gone() is None)
        finally:
            gc.enable()
        threads.close()

    asyncio.run(test())
