"""What can be done to many jobs, and to those in which state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from naq import clock
from naq.backends.base import Backend, CancelResult
from naq.codec.headers import read_tags
from naq.config import Config
from naq.exceptions import ConfigurationError, NaqException, PayloadTooLarge
from naq.flow.moving import moved_job
from naq.handle.edit import changed_job, read_change
from naq.job import FINAL, JobSpec, JobState, Priority

if TYPE_CHECKING:
    from naq.handle.edit import Edits

Action = Literal["cancel", "retry", "run_now", "delete", "set_priority", "move", "add_tags"]
Outcome = NaqException | str | None
"""What came of it for one job: done (None), why it was skipped, or what failed."""


class Options(Struct, frozen=True, omit_defaults=True):
    """What an action needs to know: the `priority`, `queue` or `tags` that jobs are to have."""

    priority: Priority | None = None
    queue: str | None = None
    tags: Mapping[str, str] | None = None


class Doing(Struct, frozen=True):
    """With what it is done."""

    backend: Backend
    config: Config
    options: Options


class Verb(Struct, frozen=True):
    """What is done to jobs in which states; `needs` is the option that it cannot do without."""

    within: frozenset[str]
    act: Callable[[Doing, Sequence[str]], Awaitable[list[Outcome]]]
    needs: Literal["priority", "queue", "tags"] | None = None


def _each(
    within: frozenset[str], act: Callable[[Backend, str], Awaitable[bool]], otherwise: str
) -> Verb:  # fmt: skip
    """`act` on each by itself; `otherwise` is why one was skipped."""

    async def all_(doing: Doing, ids: Sequence[str]) -> list[Outcome]:
        done = await asyncio.gather(*(act(doing.backend, one) for one in ids), return_exceptions=True)
        return [_outcome(each, otherwise) for each in done]

    return Verb(within, all_)


def _outcome(done: bool | BaseException, otherwise: str) -> Outcome:
    if isinstance(done, NaqException):
        return done
    if isinstance(done, BaseException):
        raise done
    return None if done else otherwise


async def _cancel(backend: Backend, job_id: str) -> bool:
    return await backend.cancel(job_id) in {CancelResult.REMOVED, CancelResult.REQUESTED}


async def _retry(backend: Backend, job_id: str) -> bool:
    return await backend.requeue(job_id)


async def _run_now(backend: Backend, job_id: str) -> bool:
    return await backend.run_now(job_id)


async def _delete(backend: Backend, job_id: str) -> bool:
    return await backend.forget(job_id)


NOT_WAITING: Final = "it does not wait any more, or a worker has it"
Change = Callable[[Doing, JobSpec], JobSpec | str]
"""A job as it shall be, or why it stays as it is."""


def _changing(change: Change, *, moving: bool = False) -> Callable[[Doing, Sequence[str]], Awaitable[list[Outcome]]]:
    """Jobs that wait stored as others, all in one step of the backend."""

    async def all_(doing: Doing, ids: Sequence[str]) -> list[Outcome]:
        specs = await doing.backend.specs(ids)
        found: dict[str, Outcome] = dict.fromkeys(ids, NOT_WAITING)
        pairs: list[tuple[JobSpec, JobSpec]] = []
        for spec in specs.values():
            try:
                after = change(doing, spec)
            except NaqException as error:
                found[spec.id] = error
                continue
            if isinstance(after, str):
                found[spec.id] = after
            else:
                pairs.append((spec, after))
        store = doing.backend.move if moving else doing.backend.amend_many
        found |= await _stored(store, pairs, f"{NOT_WAITING}, or its key is taken there" if moving else NOT_WAITING)
        return [found[one] for one in ids]

    return all_


async def _stored(
    store: Callable[[Sequence[tuple[JobSpec, JobSpec]]], Awaitable[list[bool]]],
    pairs: Sequence[tuple[JobSpec, JobSpec]],
    otherwise: str,
) -> dict[str, Outcome]:
    try:
        done = await store(pairs)
    except (ConfigurationError, PayloadTooLarge) as error:  # one of them cannot be so, and nothing was done
        if len(pairs) == 1:
            return {pairs[0][0].id: error}
        return {
            job_id: outcome for pair in pairs for job_id, outcome in (await _stored(store, [pair], otherwise)).items()
        }
    return {seen.id: None if is_done else otherwise for (seen, _), is_done in zip(pairs, done, strict=True)}


def _set_priority(doing: Doing, seen: JobSpec) -> JobSpec | str:
    priority = doing.options.priority
    return "it has that priority" if seen.priority == priority else _edited(doing, seen, {"priority": priority})


def _move(doing: Doing, seen: JobSpec) -> JobSpec | str:
    queue = doing.options.queue or ""
    return "it is in that queue" if seen.queue == queue else moved_job(seen, queue, doing.config)


def _add_tags(doing: Doing, seen: JobSpec) -> JobSpec | str:
    before = read_tags(seen.headers)
    after = {**before, **(doing.options.tags or {})}
    return "it has these tags" if after == before else _edited(doing, seen, {"tags": after})


def _edited(doing: Doing, seen: JobSpec, options: Edits) -> JobSpec:
    return changed_job(seen, read_change(seen.id, None, None, options), doing.config, {}, clock.now())


_UNFINISHED: Final = frozenset(state.value for state in JobState if state not in FINAL)
_WAITING: Final = _UNFINISHED - {JobState.RUNNING.value}
VERBS: Final[dict[Action, Verb]] = {
    "cancel": _each(_UNFINISHED, _cancel, "it has ended"),
    "retry": _each(frozenset({"failed"}), _retry, "its dead letter is gone: it was run again, or discarded"),
    "run_now": _each(frozenset({"scheduled", "retrying"}), _run_now, "it does not wait for a time"),
    "delete": _each(
        frozenset(state.value for state in FINAL), _delete, "it has not ended, or nothing is kept of it any more"
    ),
    "set_priority": Verb(_WAITING, _changing(_set_priority), "priority"),
    "move": Verb(_WAITING, _changing(_move, moving=True), "queue"),
    "add_tags": Verb(_WAITING, _changing(_add_tags), "tags"),
}
