"""Jobs ready to be stored, whose ids are known before, so that the call itself can be logged."""

from __future__ import annotations

from typing import Any

from naq import Naq, clock
from naq.job import JobSpec


def job(app: Naq, task: str, *args: object, **options: Any) -> JobSpec:
    """One job of `task`; with an id of its own unless the options say one."""
    declared = app.get_task(task)
    call = declared.options(**options).call(*args) if options else declared.call(*args)
    return call.plan.build(call.args, call.kwargs, clock.now())


def jobs(app: Naq, task: str, count: int) -> list[JobSpec]:
    """Jobs with the arguments 0, 1, 2 ..."""
    return [job(app, task, number) for number in range(count)]
