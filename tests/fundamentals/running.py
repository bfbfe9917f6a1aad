"""What the chapters share: an app in memory, and a worker that runs beside the test."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from naq import Naq
from naq.worker import Worker

_numbers = itertools.count()


def new_app(**settings: Any) -> Naq:
    """An app whose jobs live in this process, apart from those of every other test."""
    return Naq("shop", broker_url=f"memory:fundamentals-{next(_numbers)}", **settings)


@asynccontextmanager
async def working(app: Naq, **options: Any) -> AsyncGenerator[Worker]:
    """A worker for `app` while the block runs; stopped gracefully at its end."""
    worker = Worker(app, **options)
    async with app:
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.wait_ready(), timeout=10)
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(running, timeout=10)
