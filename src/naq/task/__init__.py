"""Tasks: registered functions that can be called here, or enqueued to run elsewhere."""

from naq.task.call import Call
from naq.task.options import JobSettings, TaskOptions, TaskSettings
from naq.task.task import AsyncStreamTask, AsyncTask, Configured, StreamTask, SyncTask, Task, TaskDecorator

__all__ = [
    "AsyncStreamTask",
    "AsyncTask",
    "Call",
    "Configured",
    "JobSettings",
    "StreamTask",
    "SyncTask",
    "Task",
    "TaskDecorator",
    "TaskOptions",
    "TaskSettings",
]
