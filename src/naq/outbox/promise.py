"""The handle on a job that is a row: there is no such job before a commit, and a relay that has sent it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from naq import clock
from naq.exceptions import JobNotFoundError, ResultTimeout
from naq.handle import Job

if TYPE_CHECKING:
    from naq.connections import Host
    from naq.job import JobRecord
    from naq.task.call import Call

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
#: Seconds between two looks whether the job has been sent, at first and at most. Once it has, its result is pushed.
FIRST, MOST = 0.02, 0.5


class Promised(Job[R_co]):
    """A handle whose `result` also waits for the job to be sent. All else of it asks the broker, as any handle does."""

    __slots__ = ()

    async def _final(self, host: Host, timeout: float | None) -> JobRecord:
        until = None if timeout is None else clock.monotonic() + timeout
        pause = FIRST
        while True:
            try:
                left = None if until is None else until - clock.monotonic()
                return await super()._final(host, left)
            except JobNotFoundError:
                if until is not None and clock.monotonic() + pause >= until:
                    raise ResultTimeout(
                        f"job {self.id} has not been sent yet: its transaction is open or was rolled back, or no relay "
                        "came to it (naq outbox list). It goes on; ask again"
                    ) from None
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, MOST)


def promise(job_id: str, host: Host, call: Call[R], now: float) -> Job[R]:
    """A handle on the job `job_id` that `call` will be."""
    job = Promised[Any].of(job_id, host, call.plan.decode, False, call, now)
    job.stored = False  # whoever waits for it must look whether it is there
    return job


__all__: Final = ["Promised", "promise"]
