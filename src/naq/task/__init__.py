"""Tasks: registered functions that can be called here, or enqueued to run elsewhere."""

from naq.task.call import Call
from naq.task.options import JobSettings, TaskOptions, TaskSettings
from naq.task.task import AsyncTask, Configured, SyncTask, Task, TaskDecorator

__all__ = [
    "AsyncTask",
    "Call",
    "Configured",
    "JobSettings",
    "SyncTask",
    "Task",
    "TaskDecorator",
    "TaskOptions",
    "TaskSettings",
]
