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
