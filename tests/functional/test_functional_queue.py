"""A queue that is paused, resumed and limited without an app; with and without an event loop."""

from __future__ import annotations

import asyncio

import pytest
from given_jobs import add

from naq import ConfigurationError, Queue
from naq.limits.pauses import note_of


def test_paused_resumed_and_limited(place: str) -> None:
    del place
    queue = Queue("mail")

    async def story() -> None:
        host = queue._place()[0]  # pyright: ignore[reportPrivateUsage]
        backend = await host.connect()
        await queue.enqueue(add, 1, 2)
        await queue.pause("the provider is down")
        note = await note_of(backend, "mail")
        assert note is not None
        assert (note.why, "@" in note.by) == ("the provider is down", True)
        await queue.limit(3)
        (stats,) = await backend.stats(["mail"])
        assert (stats.paused, stats.limit, stats.queued) == (True, 3, 1)
        await queue.limit(None)
        await queue.resume()
        await queue.resume()
        (stats,) = await backend.stats(["mail"])
        assert (stats.paused, stats.limit) == (False, None)
        assert await note_of(backend, "mail") is None
        with pytest.raises(ConfigurationError):
            await queue.limit(0)
        with pytest.raises(ConfigurationError, match=r"await queue.pause\(\)"):
            queue.pause_sync()

    asyncio.run(story())


def test_the_same_without_a_loop(place: str) -> None:
    del place
    queue = Queue("mail")
    job = queue.enqueue_sync(add, 1, 2)
    queue.pause_sync()
    queue.limit_sync(1)
    assert job.why_sync().cause == "paused"
    queue.limit_sync(None)
    queue.resume_sync()
    assert job.why_sync().cause != "paused"
