"""What remains of a job: its final record, which is state, result and history in one; and what is known before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from naq.job.spec import Priority
from naq.job.states import FINAL, JobState

if TYPE_CHECKING:
    MaybeRaw = Raw | None
else:
    MaybeRaw = Raw  # msgspec reads "Raw | None" as null alone; so it is told Raw, and only the default is None


class Frame(Struct, frozen=True, array_like=True, gc=False):
    """One line of a traceback: file, line number, function, source text."""

    file: str
    line: int
    function: str
    source: str = ""


class AttemptError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An exception kept as data: nothing of it is ever imported or unpickled again.

    Attributes:
        type: the qualified name of the exception's class, such as ``builtins.ValueError``.
        message: its text, at most 8 KiB.
        attempt: the attempt it ended, from 1 (0 where it is a cause).
        at: UNIX seconds.
        frames: the traceback, outermost first, at most 50 frames (the middle is left out).
        causes: the chain of ``__cause__`` / ``__context__``, nearest first, at most 8.
    """

    type: str
    message: str
    attempt: int = 0
    at: float = 0.0
    frames: list[Frame] = []
    causes: list[AttemptError] = []


class JobRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a job. With a final state it is the record that was stored, once, by compare-and-set.

    Attributes:
        id, queue, priority, task: as enqueued; `task` is empty where the message could not be read.
        state: one of `JobState`.
        run: which run of the job this is, from 1.
        attempt: the attempt that ended it, or that is or will be next; from 1.
        delivered: how often the message had been handed out when it was settled.
        result: the encoded return value, or None.
        arguments: what it was called with, encoded: an object of `args` and `kwargs`; where they are longer than
            ``record_arguments``, an object that says so. None: they are not JSON, or none are kept.
        errors: what failed, oldest first; at most the last 10 attempts.
        worker: who settled it.
        enqueued_at, started_at, finished_at, run_at: UNIX seconds; 0 where unknown.
        reason: why it waits, in words, where the state does not say it all.
        tags: what the producer tagged it with.
        key: the unique key that it has, where it has one and waits or runs.
        limits: the rate limits and groups that it falls under, by the names of their entries; as `key`.
        expires_at: UNIX seconds from which on no attempt of it begins any more; 0: never.
        parent, root: the job that enqueued it, and the first of that line; empty where a program did.
        after: the first hundred of the jobs that it waits for, or waited for.
        trace: the W3C trace context (``traceparent``) of the attempt that ended it, else of its enqueue.
        sealed: where it is encrypted: `result`, `errors`, `reason` and `arguments`, which say less or nothing then.
        sig: where it is signed: the key's id and the signature (`naq.codec.seal`).
    """

    id: str
    state: JobState
    queue: str = "default"
    priority: Priority = "normal"
    task: str = ""
    run: int = 1
    attempt: int = 1
    delivered: int = 1
    result: MaybeRaw = None
    arguments: MaybeRaw = None
    errors: list[AttemptError] = []
    worker: str = ""
    enqueued_at: float = 0.0
    run_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    reason: str = ""
    tags: dict[str, str] = {}
    key: str = ""
    limits: list[str] = []
    parent: str = ""
    root: str = ""
    after: list[str] = []
    trace: str = ""
    sealed: str = ""
    sig: str = ""
    expires_at: float = 0.0

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINAL

    @property
    def error(self) -> AttemptError | None:
        """The last error, if any."""
        return self.errors[-1] if self.errors else None
