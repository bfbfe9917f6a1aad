"""What may be stored at all, the same for every backend: checked before anything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

from msgspec.structs import replace

from naq.exceptions import ConfigurationError, PayloadTooLarge
from naq.job import PRIORITIES, JobSpec
from naq.names import check_token, is_token

_BREAKS: Final = {":", " "}  # what would end a header's name on the wire
NO_KEY: Final = "-"  # what stores may put where a job has none
_END_OF_TIME: Final = (
    9214646400.0  # the year 2262 in UNIX seconds: nanoseconds overflow there, and a broker fires at once
)
_LINE: Final = 4  # bytes that stand around a header on the wire, counted as the codec counts them


def check_jobs(jobs: Sequence[JobSpec], *, max_payload: int, max_headers: int) -> None:
    """Refuse the whole batch if one of it is no good.

    `max_payload` and `max_headers` are in bytes, for each job.

    Raises:
        ConfigurationError: a name, priority, time or header that is not allowed.
        PayloadTooLarge: a payload or its headers are over the limit (bytes).
    """
    for job in jobs:
        if not is_token(job.id):
            check_token("job id", job.id)
        if len(job.payload) > max_payload:
            raise PayloadTooLarge(
                f"the payload of job {job.id} has {len(job.payload)} bytes and max_payload is {max_payload}; "
                "pass a reference to the data instead of the data"
            )
        if job.priority not in PRIORITIES:
            raise ConfigurationError(
                f"priority {job.priority!r} of job {job.id} does not exist: use high, normal or low"
            )
        if job.run_at is not None and not (isfinite(job.run_at) and job.run_at < _END_OF_TIME):
            raise ConfigurationError(f"run_at of job {job.id} is {job.run_at}: use UNIX seconds before the year 2262")
        if job.headers is not None:
            _check_headers(job.id, job.headers, max_headers)
        check_token("queue", job.queue)
        if job.key:
            _check_key(job)


def check_amended(seen: JobSpec, changed: JobSpec, *, max_payload: int, max_headers: int) -> None:
    """Refuse what `amend` cannot make of a job; the limits as in `check_jobs`.

    Raises:
        ConfigurationError: it is another job, or stands elsewhere, or would lose its time, or is not allowed.
        PayloadTooLarge: over a limit.
    """
    same = replace(changed, payload=seen.payload, headers=seen.headers, priority=seen.priority, run_at=seen.run_at)
    if same != seen:
        raise ConfigurationError(f"job {seen.id} can be given another payload, priority, time and headers, no more")
    if not seen.blocked and seen.run_at is not None and changed.run_at is None:
        raise ConfigurationError(f"job {seen.id} waits for a time: give it another one, or let it run now")
    # What it has from its enqueue was checked there, and a key goes with an id that was made then.
    plain = replace(changed, key="", fresh=False)
    check_jobs([plain], max_payload=max_payload, max_headers=max_headers)


def check_moved(seen: JobSpec, changed: JobSpec, *, max_payload: int, max_headers: int) -> None:
    """Refuse what `move` cannot make of a job; the limits as in `check_jobs`.

    Raises:
        ConfigurationError: it is another job, or would not move, or its queue is not allowed.
        PayloadTooLarge: over the limit.
    """
    if replace(changed, payload=seen.payload, queue=seen.queue) != seen:
        raise ConfigurationError(f"job {seen.id} can be moved with another payload, and else as it is")
    if changed.queue == seen.queue:
        raise ConfigurationError(f"job {seen.id} is in queue {seen.queue!r} already: name another one to move it to")
    plain = replace(changed, key="", fresh=False)  # as in `check_amended`
    check_jobs([plain], max_payload=max_payload, max_headers=max_headers)


def _check_key(job: JobSpec) -> None:
    if job.key == NO_KEY:
        raise ConfigurationError(f"the key of job {job.id} is {NO_KEY!r}, which stands for none")
    check_token("key", job.key)
    if job.scope not in {"waiting", "active"}:
        raise ConfigurationError(f"the key of job {job.id} has the scope {job.scope!r}: use waiting or active")
    if not job.fresh or job.replace:
        raise ConfigurationError(f"job {job.id} has a key and a chosen id: both say which job is the same; give one")


def _check_headers(job_id: str, headers: Mapping[str, str], limit: int) -> None:
    size = 0
    for name, value in headers.items():
        if not (name and (name + value).isascii() and (name + value).isprintable()) or set(name) & _BREAKS:
            raise ConfigurationError(
                f"header {name[:80]!r} of job {job_id} is not allowed: "
                "use printable ASCII, and neither ':' nor ' ' in the name"
            )
        size += len(name) + len(value) + _LINE
    if size > limit:
        raise PayloadTooLarge(f"the headers of job {job_id} have {size} bytes and max_headers is {limit}")
