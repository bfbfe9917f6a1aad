"""naq without an app: functions by their import path, queues by their name, and a ``_sync`` twin of everything."""

from naq.functional.cancel import cancel_scheduled_job, cancel_scheduled_job_sync
from naq.functional.connect import connect, connect_sync, disconnect, disconnect_sync
from naq.functional.enqueue import (
    enqueue,
    enqueue_at,
    enqueue_at_sync,
    enqueue_in,
    enqueue_in_sync,
    enqueue_sync,
)
from naq.functional.purge import purge_queue, purge_queue_sync
from naq.functional.queue import Queue
from naq.functional.results import fetch_job_result, fetch_job_result_sync
from naq.functional.workers import list_workers, list_workers_sync

__all__ = [
    "Queue",
    "cancel_scheduled_job",
    "cancel_scheduled_job_sync",
    "connect",
    "connect_sync",
    "disconnect",
    "disconnect_sync",
    "enqueue",
    "enqueue_at",
    "enqueue_at_sync",
    "enqueue_in",
    "enqueue_in_sync",
    "enqueue_sync",
    "fetch_job_result",
    "fetch_job_result_sync",
    "list_workers",
    "list_workers_sync",
    "purge_queue",
    "purge_queue_sync",
]
