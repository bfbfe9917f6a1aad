"""From a schedule and a slot to the job that is stored for it, and back from a job to its slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from naq.codec.envelope import Envelope, encode_envelope
from naq.codec.headers import TAG, build_headers
from naq.codec.reader import Reader
from naq.codec.sealing import seal_for
from naq.config import Config
from naq.exceptions import ConfigurationError
from naq.job import JobSpec, new_id
from naq.names import is_token
from naq.schedules.kept import Kept, Template, Tick, short_name, tick_id

TICK: Final = "Naq-Tick"  # header of a tick's job: schedule, slot, when it is due, generation, 1 where it was made up
SCHEDULE_TAG: Final = "schedule"  # the tag that all jobs of a schedule carry, so that people can find them


class Jobs:
    """Makes the jobs of schedules under `config`, whose keys seal what is kept and what is enqueued alike."""

    def __init__(self, config: Config) -> None:
        self._config: Final = config
        self._seal: Final = seal_for(config)
        self._read: Final = Reader(config)

    def template(self, name: str, spec: JobSpec, *, expires_in: float | None = None) -> Template:
        """What the schedule `name` makes of `spec`, a job that was built as if for now.

        Raises:
            PayloadTooLarge: the tags are over the limit with the schedule's own.
        """
        envelope = replace(self._read(spec), at=0.0, expires_at=None, parent="", root="")
        # Built once for its errors: a tag too many must show now, not at the first tick.
        tagged = build_headers({SCHEDULE_TAG: name}, limit=self._config.max_headers) or {}
        return Template(
            task=envelope.task,
            payload=self._sealed(envelope, _id_of(name), spec.queue),
            queue=spec.queue,
            priority=spec.priority,
            headers={**(spec.headers or {}), **tagged},
            expires_in=expires_in,
        )

    def envelope(self, kept: Kept) -> Envelope:
        """The job that `kept` repeats, opened.

        Raises:
            SerializationError: it is not sealed as the keys at hand ask.
        """
        template = kept.template
        return self._read(JobSpec(id=_id_of(kept.name), payload=template.payload, queue=template.queue))

    def tick(self, kept: Kept, envelope: Envelope, tick: Tick) -> JobSpec:
        """The job of `tick`; the same id whoever makes it."""
        generation, late = tick.generation, int(tick.late)
        mark = {TICK: f"{kept.name} {tick.at:.0f} {tick.due!r} {generation} {late}"}
        return self.job(kept, envelope, tick_id(kept.name, tick), tick.due, mark, now=tick.late)

    def job(self, kept: Kept, envelope: Envelope, job_id: str, at: float, mark: Mapping[str, str] | None = None, *,
            now: bool = False) -> JobSpec:  # fmt: skip
        """A job of the schedule under `job_id`, to run at `at`, or `now`."""
        template = kept.template
        expires = None if template.expires_in is None or now else at + template.expires_in
        return JobSpec(
            id=job_id,
            payload=self._sealed(replace(envelope, at=at, expires_at=expires), job_id, template.queue),
            queue=template.queue,
            priority=template.priority,
            headers={**template.headers, **(mark or {})},
            run_at=None if now else at,
        )

    def _sealed(self, envelope: Envelope, job_id: str, queue: str) -> bytes:
        limit = self._config.max_payload
        payload = encode_envelope(envelope, limit=limit)
        if self._seal is None:
            return payload
        return self._seal.seal_job(payload, job_id=job_id, queue=queue, task=envelope.task, at=envelope.at, limit=limit)


def read_tick(headers: Mapping[str, str] | None) -> tuple[str, Tick] | None:
    """The schedule and the slot that a job's headers name; None for any other job. Anybody may have written them."""
    text = headers.get(TICK) if headers else None
    if text is None:
        return None
    try:
        name, at, due, generation, late = text.split(" ")
        tick = Tick(float(at), float(due), int(generation), late == "1")
    except ValueError:
        return None
    return (name, tick) if is_token(name) else None


def manual_id(name: str) -> str:
    """The id of a job that somebody asked for, beside the slots."""
    return f"run-{short_name(name)[:30]}-{new_id()}"


def check_schedulable(spec: JobSpec, *, delayed: bool, chosen: bool, ends: bool) -> None:
    """Refuse options that only make sense for a single job.

    Raises:
        ConfigurationError: says which.
    """
    for there, option in (
        (delayed, "delay or run_at"),
        (chosen, "job_id"),
        (ends, "expires_at (say expires_in)"),
        (bool(getattr(spec, "blocked", False)), "depends_on"),
        (bool(getattr(spec, "key", "")), "unique"),
    ):
        if there:
            raise ConfigurationError(f"a schedule makes many jobs, so {option} cannot be an option of its call")


def is_of(name: str, headers: Mapping[str, str]) -> bool:
    """Whether a job with these headers was made by the schedule `name`."""
    return headers.get(f"{TAG}{SCHEDULE_TAG}") == name


def _id_of(name: str) -> str:
    """The job id under which what a schedule repeats is sealed; no job has it."""
    return f"schedule-{short_name(name)}"
