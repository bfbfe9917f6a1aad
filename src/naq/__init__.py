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
    from naq.backends.base import CancelResult
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
        PayloadTooLarge,
        ProcessDied,
        RateLimited,
        ResultTimeout,
        RetryJob,
        SerializationError,
        SnoozeJob,
        TaskOutcome,
        TaskTimeoutError,
        UnknownTask,
        WorkerLost,
    )
    from naq.handle import Job
    from naq.job import AttemptError, JobRecord, JobState
    from naq.retry import Retry
    from naq.task import Call, Task

__all__ = [
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
    "PayloadTooLarge",
    "ProcessDied",
    "RateLimited",
    "ResultTimeout",
    "Retry",
    "RetryJob",
    "SerializationError",
    "SnoozeJob",
    "Task",
    "TaskOutcome",
    "TaskTimeoutError",
    "UnknownTask",
    "WorkerLost",
    "__version__",
    "current_context",
    "load_config",
]

# Where each name lives; whatever is not here is an exception.
_HOMES = {
    "AttemptError": "naq.job",
    "Call": "naq.task",
    "CancelResult": "naq.backends.base",
    "Config": "naq.config",
    "Context": "naq.context",
    "Job": "naq.handle",
    "JobRecord": "naq.job",
    "JobState": "naq.job",
    "Naq": "naq.app",
    "Retry": "naq.retry",
    "Task": "naq.task",
    "current_context": "naq.context",
    "load_config": "naq.config",
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
