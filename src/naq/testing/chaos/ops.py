"""What may stand in an operation log: one line each, told apart by ``op``. Times are UNIX seconds of one machine."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

Stage = Literal["invoke", "ok", "fail", "unknown"]
Step = Literal["start", "returned", "raised", "interrupted"]
Excuse = Literal["death", "cut_off", "amnesia", "shutdown", "nothing"]


class Enqueue(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="enqueue"):
    """A step of storing one job, as its producer sees it.

    Attributes:
        stage: ``invoke`` before the call; then ``ok`` (acknowledged), ``fail`` (refused, so nothing was stored) or
            ``unknown`` (not known to be stored). A producer that died leaves an ``invoke`` alone.
        job: the job's id.
        duplicate: ``ok``, and the id was taken.
        error: the type of what the call raised.
        deadline: seconds the call may take; 0 where none was said.
        number: which call of that process this is; tells two for the same job apart.
    """

    stage: Stage
    job: str
    at: float
    pid: int
    duplicate: bool = False
    error: str = ""
    deadline: float = 0.0
    number: int = 0


class Execution(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="execution"):
    """A step of running one attempt, as the task sees it.

    Attributes:
        stage: ``start``; then ``returned``, ``raised`` or ``interrupted`` (cancelled from outside). A worker that
            died leaves a ``start`` alone.
        job, run, attempt: what the task's context says.
        pid: the worker's process.
        number: which execution of that process this is; tells two of the same attempt apart.
    """

    stage: Step
    job: str
    at: float
    pid: int
    run: int = 1
    attempt: int = 1
    number: int = 0


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="fault"):
    """Something was broken on purpose.

    Attributes:
        name: what was done, for people.
        excuses: what it may cost. ``death`` of `pid`: one more execution of each attempt that ran there. ``cut_off``,
            it was out of reach past its lease between `at` and `until`: the same. ``amnesia``, the broker died at `at`
            and may have forgotten what it handed out in its last 0.1 s: one more of each attempt that began between a
            second before that and a second after it was back. ``shutdown``: one more of each attempt that it
            interrupted. ``nothing``: nothing at all.
        at, until: when it began and when it was healed; the same for what has no duration.
        pid: whom it struck; 0 for everybody.
        outage: the broker could not be reached between `at` and `until`.
    """

    name: str
    excuses: Excuse
    at: float
    until: float
    pid: int = 0
    outage: bool = False


class Health(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="health"):
    """A process's readiness changed to `ready`; `detail` says why."""

    ready: bool
    at: float
    pid: int
    detail: str = ""


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="line"):
    """A line that naq wrote to a process's log. `failure` is the type of the exception whose traceback it carries."""

    level: str
    logger: str
    text: str
    at: float
    pid: int
    failure: str = ""


Op = Enqueue | Execution | Fault | Health | Line

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Op).decode
