"""The worker: claims jobs and runs them. Start at `worker` (the parts' life) or `executor` (one job's)."""

from naq.worker.worker import Worker

__all__ = ["Worker"]
