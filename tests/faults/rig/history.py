"""The ingest in a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.context import ForkServerContext, ForkServerProcess

from naq import faults
from naq.backends import from_url
from naq.config import Config
from naq.server.ingest import Reader
from naq.server.store import Store


def serve(broker: str, database: str, fault: str) -> None:
    """Read the log until killed."""
    faults.arm(fault)
    asyncio.run(_serve(broker, database))


async def _serve(broker: str, database: str) -> None:
    config = Config(broker_url=broker, namespace="history")
    backend = from_url(config)
    await backend.open()
    # Without the service around it: a leadership outlives its holder by ten seconds, twenty times.
    reader = Reader(backend, Store(database), config)
    while True:
        await reader.step(wait=1.0)


def context() -> ForkServerContext:
    """Starts processes in which everything is imported already: twenty of them in the time of one."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["rig.history", "naq.backends.nats", "aiosqlite", "psycopg", "naq.server.store.schema"])
    return made


def start(made: ForkServerContext, broker: str, database: str, fault: str) -> ForkServerProcess:
    """Start `serve`."""
    process = made.Process(target=serve, args=(broker, database, fault), daemon=True)
    process.start()
    return process
