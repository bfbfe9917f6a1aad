"""The worker: claims jobs and runs them. Start at `worker` (the parts' life) or `executor` (one job's)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from naq.worker.worker import Worker

__all__ = ["Worker"]


def __getattr__(name: str) -> object:
    # Child processes live in this package and need little of it; they start often.
    if name != "Worker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from naq.worker.worker import Worker

    globals()[name] = Worker
    return Worker
