"""What can be done to many jobs, and to those in which state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal

from msgspec import Struct

from naq.backends.base import Backend, CancelResult
from naq.job import FINAL, JobState

Action = Literal["cancel", "retry", "run_now", "delete"]


class Verb(Struct, frozen=True):
    """What is done, to which jobs; True: it was done, False: this one was skipped."""

    within: frozenset[str]
    act: Callable[[Backend, str], Awaitable[bool]]


async def _cancel(backend: Backend, job_id: str) -> bool:
    return await backend.cancel(job_id) in {CancelResult.REMOVED, CancelResult.REQUESTED}


async def _retry(backend: Backend, job_id: str) -> bool:
    return await backend.requeue(job_id)


async def _run_now(backend: Backend, job_id: str) -> bool:
    return await backend.run_now(job_id)


async def _delete(backend: Backend, job_id: str) -> bool:
    return await backend.forget(job_id)


_UNFINISHED: Final = frozenset(state.value for state in JobState if state not in FINAL)
VERBS: Final[dict[Action, Verb]] = {
    "cancel": Verb(_UNFINISHED, _cancel),
    "retry": Verb(frozenset({"failed"}), _retry),
    "run_now": Verb(frozenset({"scheduled", "retrying"}), _run_now),
    "delete": Verb(frozenset(state.value for state in FINAL), _delete),
}
