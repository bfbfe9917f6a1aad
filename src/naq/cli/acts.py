"""``naq jobs cancel|retry|delete``: jobs by id, or all that fit."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common and naq.cli.filters

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Annotated, Final

from naq.backends.values import CancelResult
from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, read_config, say, talk
from naq.cli.errors import UsageError
from naq.cli.exits import Exit
from naq.cli.filters import NONE, UNFINISHED, Filter, find, read, say_nothing_fits
from naq.cli.many import each
from naq.cli.parameter import Parameter
from naq.cli.text import counted
from naq.cli.views import Change
from naq.job import FINAL, JobRecord, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

Ids = Annotated[list[str] | None, Parameter(negative_iterable="")]
Act = Callable[["Backend", str], Awaitable[Change]]

_CANCELLED: Final = {
    CancelResult.REMOVED: "cancelled",
    CancelResult.REQUESTED: "told to stop",
    CancelResult.FINISHED: "ended already",
    CancelResult.UNKNOWN: "not found",
}


def cancel(
    job_ids: Ids = None,
    /,
    *,
    tree: Annotated[bool, Parameter(negative="")] = False,
    which: Filter = NONE,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Cancel jobs: those that wait never run, those that run are told to stop.

    By id at once; with a filter it counts, and asks first.

    Example: naq jobs cancel 01JC4N9W2V
    Example: naq jobs cancel 01JC4N9W2V --tree
    Example: naq jobs cancel --queue mail --task 'send_*' --dry-run

    Args:
        job_ids: The jobs, or say which with a filter.
        tree: Also all that waits for them, that they enqueued, and so on.
    """
    verb = Verb("cancel", "cancelling", UNFINISHED, "would be cancelled", cancel_one, asks=False)
    if tree:
        return _cancel_trees(verb, job_ids, which, consent, common)
    return _run(verb, job_ids, which, consent, common)


def retry(job_ids: Ids = None, /, *, which: Filter = NONE, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Run failed jobs again, from their first attempt.

    By id at once; with a filter it counts, and asks first.

    Example: naq jobs retry 01JC4N9W2V
    Example: naq jobs retry --filter 'queue:mail error:Timeout newer:1h'

    Args:
        job_ids: The jobs, or say which with a filter.
    """
    verb = Verb("retry", "retrying", frozenset({JobState.FAILED}), "would be queued", retry_one, asks=False)
    return _run(verb, job_ids, which, consent, common)


def run_now(job_ids: Ids = None, /, *, which: Filter = NONE, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Put jobs that wait for a time, or for their next attempt, in line at once.

    By id at once; with a filter it counts, and asks first.

    Example: naq jobs run-now 01JC4N9W2V
    Example: naq jobs run-now --queue mail --state scheduled

    Args:
        job_ids: The jobs, or say which with a filter.
    """
    waits = frozenset({JobState.SCHEDULED, JobState.RETRYING})
    verb = Verb("run now", "putting in line", waits, "would be queued", run_now_one, asks=False)
    return _run(verb, job_ids, which, consent, common)


def delete(job_ids: Ids = None, /, *, which: Filter = NONE, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove what is kept of jobs that have ended: record, result and dead letter.

    Example: naq jobs delete 01JC4N9W2V --yes
    Example: naq jobs delete --filter 'state:succeeded older:1d' --dry-run

    Args:
        job_ids: The jobs, or say which with a filter.
    """
    return _run(
        Verb("delete", "deleting", FINAL, "would be deleted", delete_one, asks=True), job_ids, which, consent, common
    )


class Verb:
    """What is done to jobs.

    Attributes:
        name, doing: of it, in words.
        within: the states of the jobs that it can be done to.
        would: what a dry run says of each.
        act: does it to one.
        asks: whether it asks first even where jobs are named by id.
    """

    def __init__(
        self, name: str, doing: str, within: Collection[JobState], would: str, act: Act, *, asks: bool
    ) -> None:
        self.name, self.doing, self.within, self.would, self.act, self.asks = name, doing, within, would, act, asks


async def cancel_one(backend: Backend, job_id: str) -> Change:
    """Cancel one job."""
    return _cancelled(job_id, await backend.cancel(job_id))


def _cancelled(job_id: str, done: CancelResult) -> Change:
    return Change(id=job_id, done=done in {CancelResult.REMOVED, CancelResult.REQUESTED}, outcome=_CANCELLED[done])


async def retry_one(backend: Backend, job_id: str) -> Change:
    """Run one failed job again."""
    if await backend.requeue(job_id):
        return Change(id=job_id, done=True, outcome="queued")
    record = await backend.get(job_id)
    return Change(id=job_id, done=False, outcome="not found" if record is None else f"is {record.state}")


async def run_now_one(backend: Backend, job_id: str) -> Change:
    """Let one go that waits for its time."""
    if await backend.run_now(job_id):
        return Change(id=job_id, done=True, outcome="queued")
    record = await backend.get(job_id)
    return Change(id=job_id, done=False, outcome="not found" if record is None else f"is {record.state}")


async def delete_one(backend: Backend, job_id: str) -> Change:
    """Remove what is kept of one."""
    if await backend.forget(job_id):
        return Change(id=job_id, done=True, outcome="deleted")
    record = await backend.get(job_id)
    outcome = "not found" if record is None else f"is {record.state}: cancel it first"
    return Change(id=job_id, done=False, outcome=outcome)


def _cancel_trees(verb: Verb, job_ids: list[str] | None, which: Filter, consent: Consent, common: Common) -> int:
    if which.given or not job_ids:
        raise UsageError("--tree is for jobs that are named by their ids: naq jobs cancel ID --tree")
    config = read_config(common)

    async def act(backend: Backend) -> list[Change]:
        from naq.codec.reader import Reader
        from naq.connections import Held
        from naq.flow.cancel import cancel_tree
        from naq.flow.kin import descendants

        done: dict[str, Change] = {}
        for top in job_ids:
            if consent.dry_run:
                below = await descendants(backend, Reader(config), top)
                done |= {one: await _look(backend, one, verb) for one in (*below, top)}
            else:
                results = await cancel_tree(Held(backend, config), top)
                done |= {one: _cancelled(one, result) for one, result in results.items() if one not in done}
        return list(done.values())

    return report(talk(config, act), common)


def _run(verb: Verb, job_ids: list[str] | None, which: Filter, consent: Consent, common: Common) -> int:
    config = read_config(common)
    if job_ids:
        if which.given:
            raise UsageError("say which jobs by their ids or by a filter, not by both")
        return _named(verb, config, list(dict.fromkeys(job_ids)), consent, common)
    if not which.given:
        raise UsageError(
            f"say which jobs: their ids (naq jobs list -q), or a filter such as --queue mail or --filter 'state:"
            f"{max(verb.within)}'"
        )
    return _fitting(verb, config, which, consent, common)


def _named(verb: Verb, config: Config, ids: list[str], consent: Consent, common: Common) -> int:
    if consent.dry_run:
        return report(
            talk(config, lambda backend: each("looking", ids, lambda name: _look(backend, name, verb))), common
        )
    if verb.asks and not agree(consent, f"{verb.name.capitalize()} what is kept of {counted(len(ids), 'job')}?"):
        return _refused()
    return report(talk(config, lambda backend: each(verb.doing, ids, lambda name: verb.act(backend, name))), common)


def _fitting(verb: Verb, config: Config, which: Filter, consent: Consent, common: Common) -> int:
    wanted = read(which)

    async def look(backend: Backend) -> list[JobRecord]:
        found = await find(backend, config, wanted, within=verb.within)
        if not found:
            await say_nothing_fits(backend, wanted)
        return found

    found = talk(config, look)
    fit = [record.id for record in found if record.state in verb.within]
    others = len(found) - len(fit)
    if found and not fit:
        say(f"{counted(len(found), 'job')} match, and none of them can be {_past(verb)}: they are {_states(found)}")
        return Exit.CONFLICT
    if consent.dry_run or not fit:
        return report([Change(id=job_id, done=True, outcome=verb.would) for job_id in fit], common)
    cannot = f" ({others:,} more match and cannot be)" if others else ""
    if not agree(consent, f"{verb.name.capitalize()} {counted(len(fit), 'job')}{cannot}?"):
        return _refused()
    return report(talk(config, lambda backend: each(verb.doing, fit, lambda name: verb.act(backend, name))), common)


async def _look(backend: Backend, job_id: str, verb: Verb) -> Change:
    record = await backend.get(job_id)
    if record is None:
        return Change(id=job_id, done=False, outcome="not found")
    done = record.state in verb.within
    hint = ": cancel it first" if verb.name == "delete" else ""
    return Change(id=job_id, done=done, outcome=verb.would if done else f"is {record.state}{hint}")


def _refused() -> int:
    say("nothing was done")
    return Exit.FAILED


def _past(verb: Verb) -> str:
    return verb.would.rpartition(" ")[2] if verb.name != "retry" else "retried"


def _states(found: list[JobRecord]) -> str:
    return ", ".join(sorted({record.state.value for record in found}))
