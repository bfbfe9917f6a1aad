"""A job as its producer holds it: `job` is the handle, `outcome` says how one failed, `edit` changes one that waits."""

from naq.handle.job import Job, job_by_id
from naq.handle.known import item_reader
from naq.handle.outcome import failure, failure_of

__all__ = ["Job", "failure", "failure_of", "item_reader", "job_by_id"]
