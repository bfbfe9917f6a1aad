"""Changing a job that waits: read what is stored, make another of it, store that if nothing has changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from naq import clock
from naq.codec.envelope import JSON, Envelope, decode_envelope, encode_envelope
from naq.codec.headers import TAG, build_headers
from naq.codec.reader import Reader
from naq.codec.sealing import seal_for
from naq.config import Config, hint
from naq.exceptions import BackendError, ConfigurationError
from naq.job import JobSpec, JobState, Priority
from naq.task.options import Duration, JobOptions, RetryLike, read_job_options

if TYPE_CHECKING:
    from naq.connections import Host
    from naq.task import Task

Tasks = Mapping[str, "Task[..., Any]"]

#: The states of the jobs that can be changed: all in which no worker has it.
EDITABLE: Final = frozenset({JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING, JobState.BLOCKED})
_TRIES: Final = 100  # times that somebody else may change a job under our hands; a bound where a store is broken


class Edits(TypedDict, total=False):
    """What can be changed of a job that waits, beside its arguments; None leaves it as it is.

    Attributes:
        priority: "high", "normal" or "low".
        delay: seconds or timedelta from now on before which it does not run; or
        run_at: a datetime (naive means UTC) or UNIX seconds. One that is past lets it run at once.
        tags: instead of all that it has.
        timeout: seconds or timedelta that an attempt may run.
        retry, retries: how often, and when, it is tried again; attempts it has had count.
        expires_in: seconds or timedelta from now on after which it is not started any more; or
        expires_at: a datetime (naive means UTC) or UNIX seconds.
    """

    priority: Priority | None
    delay: Duration | None
    run_at: datetime | float | None
    tags: Mapping[str, str] | None
    timeout: Duration | None
    retry: RetryLike | None
    retries: int | None
    expires_in: Duration | None
    expires_at: datetime | float | None


class Change(Struct, frozen=True, kw_only=True):
    """What is to become of a job, checked; None for what stays."""

    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    options: JobOptions = JobOptions()
    tags: Mapping[str, str] | None = None


async def edit_job(
    host: Host,
    job_id: str,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    options: Edits,
    tasks: Tasks,
    *,
    dry_run: bool = False,
    check: Callable[[JobSpec], None] | None = None,
) -> JobSpec | None:
    """Change the job `job_id` if it waits, and return it as it is then; see `Job.edit`.

    `dry_run`: everything but storing it. `check`: looks at the job as it stands, and raises what is against it.
    """
    change = read_change(job_id, args, kwargs, options)
    backend = await host.connect()
    for _ in range(_TRIES):
        record = await backend.get(job_id)
        if record is None or record.state not in EDITABLE:
            return None
        seen = (await backend.specs([job_id])).get(job_id)
        if seen is None:
            continue  # it moved between the two looks
        if check is not None:
            check(seen)
        changed = changed_job(seen, change, host.config, tasks, clock.now())
        if dry_run or await backend.amend(seen, changed):
            return changed
    raise BackendError(f"job {job_id} was not changed: others changed it again and again; try again")


def read_change(job_id: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None, options: Edits) -> Change:
    """What was asked for, checked.

    Raises:
        ConfigurationError: an option that cannot be changed, or a value it cannot take; or nothing was asked for.
    """
    where = f"job {job_id}"
    known = tuple(Edits.__annotations__)
    for name in options:
        if name not in known:
            raise ConfigurationError(f"{where}: {name!r} of a job that waits cannot be changed; {hint(name, known)}")
    given = {name: value for name, value in options.items() if value is not None}
    if args is None and kwargs is None and not given:
        raise ConfigurationError(f"{where}: nothing to change was given")
    read = read_job_options(where, given)
    return Change(args=args, kwargs=kwargs, options=read, tags=None if options.get("tags") is None else read.tags)


def changed_job(seen: JobSpec, change: Change, config: Config, tasks: Tasks, now: float) -> JobSpec:
    """`seen` with `change`, sealed as `config` asks, at `now` (UNIX seconds).

    Raises:
        ConfigurationError, SerializationError, PayloadTooLarge: as `Job.edit`.
    """
    options = change.options
    envelope = Reader(config)(seen)
    run_at = now + options.delay if options.delay is not None else options.run_at
    in_line = seen.run_at is None and not seen.blocked
    run_at = seen.run_at if run_at is None or (in_line and run_at <= now) else run_at
    expires_at = now + options.expires_in if options.expires_in is not None else options.expires_at
    expires_at = envelope.expires_at if expires_at is None else expires_at
    if expires_at is not None and expires_at <= max(now, run_at or 0.0):
        raise ConfigurationError(f"job {seen.id}: it expires before it is to run; it could never start")
    task = tasks.get(envelope.task)
    after = replace(envelope, expires_at=expires_at)
    if options.timeout is not None:
        after = replace(after, timeout=options.timeout)
    if options.retry is not None:
        after = replace(after, retry=options.retry.wire(None if task is None else task.declared.retry))
    if change.args is not None or change.kwargs is not None:
        after = _called(seen, after, tuple(change.args or ()), change.kwargs or {}, task)
    return replace(
        seen,
        payload=seen.payload if after == envelope else _payload(seen, after, config),
        headers=seen.headers if change.tags is None else _headers(seen, change.tags, config),
        priority=options.priority or seen.priority,
        run_at=run_at,
    )


def _called(
    seen: JobSpec, envelope: Envelope, args: tuple[Any, ...], kwargs: Mapping[str, Any], task: Task[..., Any] | None
) -> Envelope:
    """`envelope` with other arguments, of the version that it is of, and the limits that follow from them."""
    where = f"job {seen.id}"
    if envelope.codec != JSON:
        raise ConfigurationError(f"{where}: its arguments are pickled; cancel it and enqueue it anew")
    if envelope.after is not None and envelope.after.fill:
        raise ConfigurationError(f"{where}: results of other jobs are among its arguments, which stay as they are")
    if task is None:
        if seen.key or envelope.limits:
            raise ConfigurationError(
                f"{where}: a limit or unique key of task {envelope.task!r} may follow from its arguments, and the task"
                " is not known here: change it with its app at hand (--app)"
            )
        try:
            encoded = Raw(msgspec.json.encode(args)), Raw(msgspec.json.encode(kwargs))
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{where}: the arguments are no JSON values: {error}") from error
        return replace(envelope, args=encoded[0], kwargs=encoded[1])
    signature = task.versions.signature(envelope.version)
    if seen.key or envelope.limits:
        if envelope.version != task.versions.current:
            raise ConfigurationError(
                f"{where}: it is of version {envelope.version} of {envelope.task}, whose limits and unique key nobody"
                " can tell any more; cancel it and enqueue it anew"
            )
        plan = task.call(*args, **kwargs).plan
        made_of_them = seen.key and plan.key(*signature.decode(envelope.args, envelope.kwargs)) == seen.key
        if made_of_them and plan.key(args, kwargs) != seen.key:
            raise ConfigurationError(
                f"{where}: its unique key is made of its arguments; cancel it and enqueue the other"
            )
        envelope = replace(envelope, limits=plan.limits(args, kwargs))
    raw_args, raw_kwargs = signature.encode(args, kwargs)
    return replace(envelope, args=raw_args, kwargs=raw_kwargs)


def _payload(seen: JobSpec, envelope: Envelope, config: Config) -> bytes:
    payload = encode_envelope(envelope, limit=config.max_payload)
    decode_envelope(payload, limit=config.max_payload)  # as a worker will: what it would not take is not stored
    seal = seal_for(config)
    if seal is None:
        return payload
    return seal.seal_job(
        payload, job_id=seen.id, queue=seen.queue, task=envelope.task, at=envelope.at, limit=config.max_payload
    )


def _headers(seen: JobSpec, tags: Mapping[str, str], config: Config) -> dict[str, str] | None:
    """What travels beside the payload, with `tags` instead of those there."""
    kept = {name: value for name, value in (seen.headers or {}).items() if not name.startswith(TAG)}
    return {**kept, **(build_headers(tags, limit=config.max_headers) or {})} or None
