"""naq's task, as a user would write it; its worker is `naq worker benchmarks.tasks_naq:app`."""

from __future__ import annotations

from benchmarks.tally import mark
from naq import Naq

app = Naq("bench")


@app.task
async def job(index: int) -> int:
    mark(index)
    return index
