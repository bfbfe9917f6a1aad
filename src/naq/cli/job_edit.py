"""``naq jobs edit``: another call, another time or other options for a job that waits."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, read_config, say, talk
from naq.cli.edit import Arguments, edited, given
from naq.cli.errors import ConflictError
from naq.cli.exits import Exit
from naq.cli.jobs import get
from naq.cli.parameter import Parameter
from naq.cli.values import read_duration, read_moment, read_tags
from naq.cli.views import Change
from naq.job import Priority

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config
    from naq.handle.edit import Edits, Tasks


def edit(
    job_id: str,
    /,
    *,
    args: str | None = None,
    delay: Annotated[str | None, Parameter(name=["--in", "--delay"])] = None,
    at: str | None = None,
    priority: Priority | None = None,
    tag: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    timeout: str | None = None,
    retries: int | None = None,
    expires_in: str | None = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Change a job that waits: in line, for a time, for its next attempt or for other jobs; what is not given stays.

    Without options it opens what the job calls its task with as JSON in $VISUAL or $EDITOR, and asks before it stores
    that. With --app the arguments are checked against the task. A job in line goes behind those there, and its queue
    stands still for a moment; one that a worker has cannot be changed.

    Example: naq jobs edit 01JC4N9W2V --in 10m --priority high
    Example: naq jobs edit 01JC4N9W2V --args '{"to": "a@b.c"}' --app tasks:app --dry-run

    Args:
        job_id: The job.
        args: The new arguments: a JSON array (by position) or object (by name), which replace all of the old ones.
        delay: Run it this long from now, such as 10m.
        at: Run it at this time, such as 2026-12-24T18:00.
        priority: In which lane of its queue.
        tag: A tag of it, as name=value (may be given several times); instead of those it has.
        timeout: How long an attempt may run, such as 30s.
        retries: How many times it is tried again; attempts that it has had count.
        expires_in: It does not start any more after this time from now, such as 1h.
    """
    options: Edits = {
        "priority": priority,
        "delay": read_duration("--in", delay),
        "run_at": read_moment("--at", at),
        "tags": read_tags(tag) if tag else None,
        "timeout": read_duration("--timeout", timeout),
        "retries": retries,
        "expires_in": read_duration("--expires-in", expires_in),
    }
    config = read_config(common)
    new = None if args is None else given(args)
    if new is None and all(value is None for value in options.values()):
        new = edited(*talk(config, lambda backend: _call_of(backend, config, job_id)))
        if new is None:
            say("nothing was changed")
            return Exit.FAILED
        if not consent.dry_run and not agree(consent, f"Change the arguments of job {job_id}?"):
            say("nothing was changed")
            return Exit.FAILED
    tasks = _tasks(common)

    async def act(backend: Backend) -> Change:
        from naq.connections import Held
        from naq.handle.edit import edit_job

        host, dry = Held(backend, config), consent.dry_run
        values = (None, None) if new is None else (new.args, new.kwargs)
        if await edit_job(host, job_id, *values, options, tasks, dry_run=dry) is not None:
            return Change(id=job_id, done=True, outcome="would be changed" if dry else "changed")
        record = await backend.get(job_id)
        return Change(id=job_id, done=False, outcome="not found" if record is None else f"is {record.state}")

    return report([talk(config, act)], common)


async def _call_of(backend: Backend, config: Config, job_id: str) -> tuple[str, Arguments]:
    """The task of a job that waits, and what it is called with.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: it does not wait, or its arguments are pickled.
    """
    from naq.codec.envelope import JSON
    from naq.codec.reader import Reader
    from naq.handle.edit import EDITABLE

    record = await get(backend, job_id)
    spec = (await backend.specs([job_id])).get(job_id)
    if record.state not in EDITABLE or spec is None:
        raise ConflictError(f"job {job_id} is {record.state}: only one that waits can be changed")
    envelope = Reader(config)(spec)
    if envelope.codec != JSON:
        raise ConflictError(f"the arguments of job {job_id} are pickled: cancel it and enqueue it anew")
    return envelope.task, Arguments(msgspec.json.decode(envelope.args), msgspec.json.decode(envelope.kwargs))


def _tasks(common: Common) -> Tasks:
    if common.app is None:
        return {}
    from naq.worker.loader import load_app

    return load_app(common.app).tasks
