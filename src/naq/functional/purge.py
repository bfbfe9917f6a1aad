"""Emptying a queue by its name."""

from __future__ import annotations

from naq import sync
from naq.functional.queue import Queue


async def purge_queue(queue_name: str = "default", nats_url: str | None = None) -> int:
    """Remove every job that waits in `queue_name` (queued, scheduled, retrying); how many. Running ones go on.

    Raises:
        ConfigurationError: the name or a setting is not allowed.
        NaqConnectionError: the backend cannot be reached.
    """
    return await Queue(queue_name, nats_url).purge()


def purge_queue_sync(queue_name: str = "default", nats_url: str | None = None) -> int:
    """`purge_queue` for code without an event loop; safe in threads."""
    sync.refuse_on_loop("await naq.purge_queue(...)")
    return Queue(queue_name, nats_url).purge_sync()
