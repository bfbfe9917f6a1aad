"""Who is there to run jobs."""

from __future__ import annotations

from naq import sync
from naq.backends.base import WorkerInfo
from naq.connections import Host, settings, shared


async def list_workers(nats_url: str | None = None) -> list[WorkerInfo]:
    """The workers that said within their `worker_ttl` that they live: id, queues, tasks, what they are doing.

    Raises:
        ConfigurationError: a setting is invalid.
        NaqConnectionError: the backend cannot be reached.
    """
    return await workers_of(shared(settings(nats_url)))


def list_workers_sync(nats_url: str | None = None) -> list[WorkerInfo]:
    """`list_workers` for code without an event loop; safe in threads."""
    return sync.run("await naq.list_workers()", workers_of, shared(settings(nats_url)))


async def workers_of(host: Host) -> list[WorkerInfo]:
    """`list_workers` where `host` keeps its jobs."""
    backend = await host.connect()
    return await backend.workers()
