"""A worker process in the eyes of the broker: claims jobs, registers with them, and goes on saying that it lives.

``python holder.py URL QUEUE COUNT LEASE``; says "ready" once it has registered.
"""

from __future__ import annotations

import asyncio
import os
import sys

from naq.backends.base import WorkerInfo
from naq.backends.nats.backend import NatsBackend
from naq.config import Config


async def hold(url: str, queue: str, count: int, lease: float) -> None:
    backend = NatsBackend(Config(broker_url=url, lease=lease))
    await backend.open([queue])
    claims: list[bytes] = []
    while len(claims) < count:
        claims += [
            claim.receipt for claim in await backend.fetch([queue], limit=count - len(claims), lease=lease, wait=5)
        ]
    me = WorkerInfo(id=f"holder-{os.getpid()}", queues=[queue], claims=claims)
    await backend.register(me, ttl=5)
    print("ready", flush=True)
    while True:
        await asyncio.sleep(0.3)
        await backend.register(me, ttl=5)


if __name__ == "__main__":
    asyncio.run(hold(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
