"""A queue that is held still: whoever would let jobs out of it waits until it is let go."""

from __future__ import annotations

import asyncio

from jetstream_tools import opened

from naq.backends.base import Backend
from naq.backends.nats.backend import NatsBackend
from naq.job import JobSpec
from tests.tools import run

QUEUE = "still"


async def paused(backend: Backend) -> bool:
    [stats] = await backend.stats([QUEUE])
    return stats.paused


def test_a_pause_is_not_ended_under_the_hands_of_who_holds_the_queue(url: str) -> None:
    async def main() -> None:
        async with opened(url, QUEUE, namespace="hold") as backend, opened(url, QUEUE, namespace="hold") as other:
            for before in (False, True):
                if before:
                    await backend.pause(QUEUE)
                async with backend.held(QUEUE):
                    doing = [asyncio.ensure_future(act) for act in (other.resume(QUEUE), other.limit(QUEUE, 3))]
                    await other.enqueue([JobSpec(id=f"j{before}", queue=QUEUE, payload=b"{}")])
                    assert await other.fetch([QUEUE], limit=1, lease=30, wait=0.3) == []
                    assert await paused(other)
                    assert not [act for act in doing if act.done()]
                await asyncio.wait_for(asyncio.gather(*doing), 30)
                assert not await paused(other)
                [claim] = await other.fetch([QUEUE], limit=1, lease=30, wait=30)
                await other.drop(claim)

    run(main())


def test_two_do_not_hold_it_at_once(url: str) -> None:
    async def main() -> None:
        holding = 0

        async def hold(backend: NatsBackend) -> None:
            nonlocal holding
            async with backend.held(QUEUE):
                assert holding == 0
                holding += 1
                for _ in range(20):
                    await backend.stats([QUEUE])
                holding -= 1

        async with opened(url, QUEUE, namespace="holds") as backend, opened(url, QUEUE, namespace="holds") as other:
            await asyncio.gather(hold(backend), hold(other), hold(backend))
            assert not await paused(backend)

    run(main())
