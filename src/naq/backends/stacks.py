"""Where the jobs of a worker are in their code right now: what it says of that, and asking it."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend
from naq.backends.orders import tell
from naq.exceptions import ResultTimeout
from naq.job import FINAL

#: What sort of small value an answer is; its key is the worker's id.
KIND: Final = "stacks"
#: Seconds that an answer is kept: it is asked for by somebody who waits.
KEPT: Final = 60.0
#: Seconds that a worker is waited for: past its heartbeat, should the signal be lost.
PATIENCE: Final = 15.0
LOOK: Final = 0.05  # seconds between two looks for the answer


PhaseName = Literal["preparing", "running", "ended"]
Where = Literal["loop", "thread", "process"]


class Frame(Struct, frozen=True):
    """A call that has not returned. `code` is the text of its line; `own`: it is of no library. Never any values."""

    file: str
    line: int
    function: str
    code: str = ""
    own: bool = False


class Stack(Struct, frozen=True, kw_only=True):
    """Where one job is.

    Attributes:
        job, task: which.
        phase: `preparing`: nothing of its code has run; `running`; `ended`: what is left is to store how.
        where: `loop`, `thread` or `process`.
        at: when its code began (UNIX seconds); 0: it has not.
        frames: the outermost first.
        detail: why there are none, or not all.
    """

    job: str
    task: str
    phase: PhaseName
    where: Where
    at: float = 0.0
    frames: list[Frame] = []
    detail: str = ""


class Stacks(Struct, frozen=True, kw_only=True):
    """The answer of a worker.

    Attributes:
        answers: the version of what it was told when it looked.
        at: when it looked (UNIX seconds).
        loop_lag: seconds that its event loop had been blocked then.
        jobs: the oldest first.
        left_out: how many did not fit.
    """

    answers: int
    at: float
    loop_lag: float = 0.0
    jobs: list[Stack] = []
    left_out: int = 0


encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Stacks).decode


def read(value: bytes) -> Stacks | None:
    """An answer as it was kept; None where it is none that this naq understands."""
    try:
        return _decode(value)
    except msgspec.DecodeError:
        return None


async def ask(backend: Backend, worker_id: str, *, timeout: float = PATIENCE) -> Stacks:
    """Where the jobs of a worker are; of two who ask at once, both get an answer.

    Raises:
        ResultTimeout: it did not say within `timeout` seconds.
        NaqConnectionError: it could not be asked.
    """
    version = await tell(backend, worker_id, lambda told: replace(told, look=True))
    until = clock.monotonic() + timeout
    while True:
        there = await backend.entry(KIND, worker_id)
        if there is not None and (said := read(there.value)) is not None and said.answers >= version:
            return said
        if clock.monotonic() >= until:
            raise ResultTimeout(
                f"worker {worker_id} did not say within {timeout:g} s where its jobs are: it has gone, is cut off from "
                "the broker, or runs an older naq"
            )
        await asyncio.sleep(LOOK)


async def find(backend: Backend, job_id: str, *, timeout: float = PATIENCE) -> Stack | None:
    """Where a job is, as the worker says that names it in its heartbeat, or one of all that serve its queue.

    None: none of them runs it, or it is not there. Raises as `ask`.
    """
    record = await backend.get(job_id)
    if record is None or record.state in FINAL:
        return None
    workers = await backend.workers()
    asked = [one.id for one in workers if any(job.id == job_id for job in one.jobs)]
    asked = asked or [one.id for one in workers if record.queue in one.queues]
    silent: ResultTimeout | None = None
    asking = [asyncio.ensure_future(ask(backend, worker_id, timeout=timeout)) for worker_id in asked]
    try:
        for answer in asyncio.as_completed(asking):
            try:
                said = await answer
            except ResultTimeout as error:
                silent = error
                continue
            for stack in said.jobs:
                if stack.job == job_id:
                    return stack
    finally:
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    if silent is not None:
        raise silent
    return None
