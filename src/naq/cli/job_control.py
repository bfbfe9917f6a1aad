"""``naq job-control``: choose a job, and what to do with it."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from naq.cli.acts import cancel_one, delete_one, retry_one, run_now_one
from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, ask, read_config, say, talk
from naq.cli.exits import Exit
from naq.cli.filters import NONE, UNFINISHED, Filter, find, read
from naq.cli.jobs import show as show_job
from naq.cli.output import ago
from naq.cli.views import Change
from naq.job import FINAL, JobRecord, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend

Action = Literal["show", "cancel", "retry", "run-now", "delete"]

_LISTED: Final = 500  # jobs to choose from; a search with --filter finds older ones
_WAITS: Final = frozenset({JobState.SCHEDULED, JobState.RETRYING})


class Offer(NamedTuple):
    """What can be done to a job, and to those in which states; None: only shown."""

    action: Action
    text: str
    states: frozenset[JobState]
    act: Callable[[Backend, str], Awaitable[Change]] | None


OFFERS: Final[tuple[Offer, ...]] = (
    Offer("show", "show all that is known of it", frozenset(JobState), None),
    Offer("cancel", "cancel it", UNFINISHED, cancel_one),
    Offer("run-now", "put it in line now", _WAITS, run_now_one),
    Offer("retry", "run it again, as a new run", frozenset({JobState.FAILED}), retry_one),
    Offer("delete", "delete what is kept of it", FINAL, delete_one),
)


def job_control(
    job_id: str | None = None,
    action: Action | None = None,
    /,
    *,
    which: Filter = NONE,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Look at a job or act on it; without an id, search and choose one of the latest 500, and then what to do.

    Example: naq job-control
    Example: naq job-control 01JC4N9W2V cancel

    Args:
        job_id: The job. Default: choose one.
        action: What to do. Default: choose.
    """
    if job_id is not None and action is not None:
        return _act(job_id, action, consent, common)
    from naq.cli.keys import Keys
    from naq.cli.picker import pick

    jobs = _jobs(job_id, which, common)
    if not jobs:
        say("no jobs" + (" match" if which.given or job_id else ""))
        return Exit.NOT_FOUND if job_id else Exit.DONE
    with Keys(instead="say which job and what to do: naq job-control ID " + "|".join(o.action for o in OFFERS)) as keys:
        job = jobs[0] if job_id else pick(keys, "Which job?", jobs, lambda job: _line(job, common))
        if job is None:
            return _left()
        offers = [offer for offer in OFFERS if job.state in offer.states]
        offer = pick(keys, f"{job.id}  {job.task}  {job.state.value}", offers, lambda o: f"{o.action:8}  {o.text}")
    if offer is None:
        return _left()
    return _act(job.id, offer.action, consent, common)


def _jobs(job_id: str | None, which: Filter, common: Common) -> list[JobRecord]:
    """What there is to choose from."""
    config, wanted = read_config(common), read(which)

    async def look(backend: Backend) -> list[JobRecord]:
        if job_id is None:
            return await find(backend, config, wanted, limit=_LISTED)
        record = await backend.get(job_id)
        return [] if record is None else [record]

    return talk(config, look)


def _line(job: JobRecord, common: Common) -> str:
    from naq.cli.output import moment

    when = ago(moment(job.finished_at or job.run_at or job.enqueued_at), common)
    return f"{job.id}  {job.state.value:9}  {job.task}  {job.queue}  {when}"


def _act(job_id: str, action: Action, consent: Consent, common: Common) -> int:
    offer = next(offer for offer in OFFERS if offer.action == action)
    if offer.act is None:
        show_job(job_id, common=common)
        return Exit.DONE
    if consent.dry_run:
        return report([Change(id=job_id, done=True, outcome=f"would be told: {action}")], common)
    if action == "delete" and not agree(consent, f"Delete what is kept of {job_id}?"):
        return _left()
    act = offer.act
    return report([ask(common, lambda backend: act(backend, job_id))], common)


def _left() -> int:
    say("nothing was done")
    return Exit.FAILED
