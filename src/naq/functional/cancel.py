"""Cancelling a job that waits for its time, or a schedule, by its id."""

from __future__ import annotations

from naq import sync
from naq.backends.base import CancelResult
from naq.connections import Host, settings, shared
from naq.functional.recurring import delete_one
from naq.job import JobState
from naq.names import check_token


async def cancel_scheduled_job(job_id: str, nats_url: str | None = None) -> bool:
    """Cancel the job `job_id` that waits for its time; True if it will never run. A schedule of this id is removed.

    False where it waits no longer (`Job.cancel` cancels those that run, too) or never existed.

    Raises:
        ConfigurationError: `job_id` cannot be one, or a setting is invalid.
        NaqConnectionError: the backend cannot be reached.
    """
    return await cancel_scheduled(shared(settings(nats_url)), job_id)


def cancel_scheduled_job_sync(job_id: str, nats_url: str | None = None) -> bool:
    """`cancel_scheduled_job` for code without an event loop; safe in threads."""
    host = shared(settings(nats_url))
    return sync.run("await naq.cancel_scheduled_job(...)", cancel_scheduled, host, job_id)


async def cancel_scheduled(host: Host, job_id: str) -> bool:
    """`cancel_scheduled_job` where `host` keeps its jobs."""
    check_token("job id", job_id)
    backend = await host.connect()
    record = await backend.get(job_id)
    if record is None and await delete_one(host, job_id):
        return True
    if record is None or record.state is not JobState.SCHEDULED:
        return False
    return await backend.cancel(job_id) is CancelResult.REMOVED
