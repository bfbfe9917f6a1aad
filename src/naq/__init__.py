"""naq: background jobs for Python that need nothing to start and that nobody outgrows.

::

    from naq import Naq

    app = Naq("shop")

    @app.task(queue="mail", retries=3)
    async def send(to: str) -> int: ...

    job = await send.enqueue("a@b")
    receipt = await job.result(timeout=10)

Names are loaded when first asked for, so that ``import naq`` costs next to nothing.
"""

from __future__ import annotations

from naq._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the 9 ms that importing `typing` takes
if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import CancelResult, WorkerInfo
    from naq.client import SyncClient
    from naq.codec.streamed import Streamed
    from naq.config import Config, load_config
    from naq.context import Context, current_context
    from naq.exceptions import (
        BackendError,
        BrokerTooOld,
        CancelJob,
        ConfigurationError,
        DiscardJob,
        JobCancelled,
        JobExecutionError,
        JobExpired,
        JobNotFoundError,
        LeaseLost,
        NaqBackpressureError,
        NaqConnectionError,
        NaqException,
        ParentFailed,
        PayloadTooLarge,
        ProcessDied,
        RateLimited,
        ResultTimeout,
        RetryJob,
        ScheduleNotFoundError,
        SerializationError,
        SnoozeJob,
        StreamRestarted,
        TaskOutcome,
        TaskTimeoutError,
        UnknownTask,
        WorkerLost,
    )
    from naq.flow.compose import Group, chain, chain_sync, first_completed, gather, group, group_sync, map, map_sync
    from naq.functional.cancel import cancel_scheduled_job, cancel_scheduled_job_sync
    from naq.functional.connect import connect, connect_sync, disconnect, disconnect_sync
    from naq.functional.enqueue import enqueue, enqueue_at, enqueue_at_sync, enqueue_in, enqueue_in_sync, enqueue_sync
    from naq.functional.purge import purge_queue, purge_queue_sync
    from naq.functional.queue import Queue
    from naq.functional.results import fetch_job_result, fetch_job_result_sync
    from naq.functional.schedule import (
        modify_scheduled_job,
        modify_scheduled_job_sync,
        pause_scheduled_job,
        pause_scheduled_job_sync,
        resume_scheduled_job,
        resume_scheduled_job_sync,
        schedule,
        schedule_sync,
    )
    from naq.functional.scheduler import Scheduler
    from naq.functional.worker import Worker
    from naq.functional.workers import list_workers, list_workers_sync
    from naq.handle import Job
    from naq.job import AttemptError, JobRecord, JobState
    from naq.logs import setup_logging
    from naq.retry import Retry
    from naq.scheduler.handle import Schedule
    from naq.task import Call, Task
    from naq.task.parents import PREVIOUS, RESULTS, first_of, result_of, results_of

__all__ = [
    "PREVIOUS",
    "RESULTS",
    "AttemptError",
    "BackendError",
    "BrokerTooOld",
    "Call",
    "CancelJob",
    "CancelResult",
    "Config",
    "ConfigurationError",
    "Context",
    "DiscardJob",
    "Group",
    "Job",
    "JobCancelled",
    "JobExecutionError",
    "JobExpired",
    "JobNotFoundError",
    "JobRecord",
    "JobState",
    "LeaseLost",
    "Naq",
    "NaqBackpressureError",
    "NaqConnectionError",
    "NaqException",
    "ParentFailed",
    "PayloadTooLarge",
    "ProcessDied",
    "Queue",
    "RateLimited",
    "ResultTimeout",
    "Retry",
    "RetryJob",
    "Schedule",
    "ScheduleNotFoundError",
    "Scheduler",
    "SerializationError",
    "SnoozeJob",
    "StreamRestarted",
    "Streamed",
    "SyncClient",
    "Task",
    "TaskOutcome",
    "TaskTimeoutError",
    "UnknownTask",
    "Worker",
    "WorkerInfo",
    "WorkerLost",
    "__version__",
    "cancel_scheduled_job",
    "cancel_scheduled_job_sync",
    "chain",
    "chain_sync",
    "connect",
    "connect_sync",
    "current_context",
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
    "first_completed",
    "first_of",
    "gather",
    "group",
    "group_sync",
    "list_workers",
    "list_workers_sync",
    "load_config",
    "map",
    "map_sync",
    "modify_scheduled_job",
    "modify_scheduled_job_sync",
    "pause_scheduled_job",
    "pause_scheduled_job_sync",
    "purge_queue",
    "purge_queue_sync",
    "result_of",
    "results_of",
    "resume_scheduled_job",
    "resume_scheduled_job_sync",
    "schedule",
    "schedule_sync",
    "setup_logging",
]

# Where each name lives; whatever is not here is an exception.
_HOMES = {
    "map": "naq.flow.compose",
    "map_sync": "naq.flow.compose",
    "group": "naq.flow.compose",
    "group_sync": "naq.flow.compose",
    "gather": "naq.flow.compose",
    "first_completed": "naq.flow.compose",
    "chain": "naq.flow.compose",
    "chain_sync": "naq.flow.compose",
    "Group": "naq.flow.compose",
    "AttemptError": "naq.job",
    "Call": "naq.task",
    "CancelResult": "naq.backends.base",
    "Config": "naq.config",
    "Context": "naq.context",
    "Job": "naq.handle",
    "JobRecord": "naq.job",
    "JobState": "naq.job",
    "Naq": "naq.app",
    "PREVIOUS": "naq.task.parents",
    "Queue": "naq.functional.queue",
    "RESULTS": "naq.task.parents",
    "Retry": "naq.retry",
    "Streamed": "naq.codec.streamed",
    "SyncClient": "naq.client",
    "Task": "naq.task",
    "Worker": "naq.functional.worker",
    "WorkerInfo": "naq.backends.base",
    "cancel_scheduled_job": "naq.functional.cancel",
    "cancel_scheduled_job_sync": "naq.functional.cancel",
    "connect": "naq.functional.connect",
    "connect_sync": "naq.functional.connect",
    "current_context": "naq.context",
    "disconnect": "naq.functional.connect",
    "disconnect_sync": "naq.functional.connect",
    "enqueue": "naq.functional.enqueue",
    "enqueue_at": "naq.functional.enqueue",
    "enqueue_at_sync": "naq.functional.enqueue",
    "enqueue_in": "naq.functional.enqueue",
    "enqueue_in_sync": "naq.functional.enqueue",
    "enqueue_sync": "naq.functional.enqueue",
    "fetch_job_result": "naq.functional.results",
    "fetch_job_result_sync": "naq.functional.results",
    "first_of": "naq.task.parents",
    "list_workers": "naq.functional.workers",
    "list_workers_sync": "naq.functional.workers",
    "load_config": "naq.config",
    "purge_queue": "naq.functional.purge",
    "purge_queue_sync": "naq.functional.purge",
    "result_of": "naq.task.parents",
    "results_of": "naq.task.parents",
    "modify_scheduled_job": "naq.functional.schedule",
    "modify_scheduled_job_sync": "naq.functional.schedule",
    "pause_scheduled_job": "naq.functional.schedule",
    "pause_scheduled_job_sync": "naq.functional.schedule",
    "resume_scheduled_job": "naq.functional.schedule",
    "resume_scheduled_job_sync": "naq.functional.schedule",
    "schedule": "naq.functional.schedule",
    "schedule_sync": "naq.functional.schedule",
    "Schedule": "naq.scheduler.handle",
    "Scheduler": "naq.functional.scheduler",
    "setup_logging": "naq.logs",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'naq' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES.get(name, "naq.exceptions")), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
