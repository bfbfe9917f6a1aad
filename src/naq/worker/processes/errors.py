"""What the end of a task in a child process looks like to the worker."""

from __future__ import annotations

from naq.exceptions import JobExecutionError, NaqException
from naq.worker.ruling import Ruling

#: Seconds a job waits, put back, for which no child process could be had: another worker may have one.
NO_CHILD = 5.0


class RaisedElsewhere(JobExecutionError):
    """The task raised in its child process, where it was decided what follows: `ruling`."""

    def __init__(self, ruling: Ruling, *, job_id: str) -> None:
        super().__init__(f"{ruling.error.type}: {ruling.error.message}", job_id=job_id, error=ruling.error)
        self.ruling = ruling


class NoChild(NaqException):
    """No child process could be started, so nothing of the job has run."""
