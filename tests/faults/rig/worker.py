"""A worker process of the fault tests: ``python -m rig.worker [queue ...]``, configured by NAQ_* and RIG_LOG."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading

from naq import clock
from naq.backends.base import Backend
from naq.testing.chaos import Health
from naq.worker import Worker
from rig.jobs import log, make_app

LOOK = 0.05  # seconds between two looks at readiness


def watch(backend: Backend) -> None:
    """Log every change of readiness, from a thread, for as long as the process lives."""
    said: bool | None = None
    while True:
        health = backend.health()
        if health.ready is not said:
            said = health.ready
            log().write(Health(ready=health.ready, at=clock.now(), pid=os.getpid(), detail=health.detail))
        threading.Event().wait(LOOK)


async def main() -> None:
    app = make_app()
    worker = Worker(app, name=f"w{os.getpid()}", queues=sys.argv[1:] or None, backend=app.backend)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    running = asyncio.create_task(worker.run())
    ready = asyncio.create_task(worker.wait_ready())
    await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        threading.Thread(target=watch, args=(app.backend,), daemon=True).start()
        log().write(Health(ready=True, at=clock.now(), pid=os.getpid(), detail="claims jobs"))
    ready.cancel()
    await running
    await app.close()


if __name__ == "__main__":
    logging.getLogger("naq").setLevel(logging.WARNING)
    logging.getLogger("naq").addHandler(log().handler())
    asyncio.run(main())
