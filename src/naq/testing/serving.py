"""A worker for a test, in a thread of its own, so that it serves tests with an event loop and tests without."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from naq.connections import close_all
from naq.exceptions import NaqConnectionError
from naq.worker import Worker

START: Final = 30.0  # seconds until a worker claims jobs; it takes milliseconds, unless the broker is away
_STOP: Final = 10.0  # seconds that it may take beyond its own time to stop


@contextmanager
def serving(worker: Worker) -> Generator[Worker]:
    """Run `worker` until the block ends, then stop it in order.

    Raises:
        NaqConnectionError: it did not come to claim jobs.
        NaqException: as `Worker.run`.
    """
    served = _Served(worker)
    served.thread.start()
    try:
        if not served.settled.wait(START):
            raise NaqConnectionError(f"the worker did not claim jobs within {START:g} s: is the broker down?")
        served.check()
        yield worker
    finally:
        served.stop()
    served.check()


class _Served:
    def __init__(self, worker: Worker) -> None:
        self.settled = threading.Event()  # it claims jobs, or has ended
        self.thread = threading.Thread(target=self._live, name="naq-test-worker", daemon=True)
        self._worker = worker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._worker.stop)
        except RuntimeError:  # it has ended by itself
            pass
        self.thread.join(self._worker.config.shutdown_timeout + _STOP)

    def _live(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  raised where the block is: a thread has nobody to raise to
            self._error = error
        finally:
            self.settled.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        up = asyncio.ensure_future(self._worker.wait_ready())
        up.add_done_callback(lambda _: self.settled.set())
        try:
            await self._worker.run()
        finally:
            up.cancel()
            await close_all()  # what its tasks enqueued through
