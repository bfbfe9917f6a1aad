"""From a schedule and a slot to the job that is stored for it, and back from a job to its slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from naq.codec.envelope import Envelope, encode_envelope
from naq.codec.headers import TAG, build_headers
from naq.codec.reader import Reader
from naq.codec.sealing import seal_for
from naq.config import Config
from naq.exceptions import ConfigurationError
from naq.job import JobSpec, Priority, new_id
from naq.names import check_token, is_token
from naq.schedules.kept import Kept, Template, Tick, short_name, tick_id

if TYPE_CHECKING:
    from naq.task.call import Call

TICK: Final = "Naq-Tick"  # header of a tick's job: schedule, slot, when it is due, generation, 1 where it was made up
_OF_THE_CALL: Final = ("task", "args", "kwargs", "codec", "version", "limits")  # what another call changes of a job
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

    def reshaped(
        self,
        kept: Kept,
        call: Template | None = None,
        *,
        queue: str | None = None,
        priority: Priority | None = None,
        tags: Mapping[str, str] | None = None,
        expires_in: float | None = None,
    ) -> Template:
        """What `kept` repeats, with what is given instead: of `call` the task and its arguments, and the rest.

        Raises:
            SerializationError: it is not sealed as the keys at hand ask.
            PayloadTooLarge: the tags are over the limit with the schedule's own.
        """
        there, envelope = kept.template, self.envelope(kept)
        if call is not None:
            new = self._read(JobSpec(id=_id_of(kept.name), payload=call.payload, queue=call.queue))
            envelope = replace(envelope, **{name: getattr(new, name) for name in _OF_THE_CALL})
        place = there.queue if queue is None else check_token("queue", queue)
        headers = there.headers
        if tags is not None:
            rest = {name: text for name, text in headers.items() if not name.startswith(TAG)}
            own = {**tags, SCHEDULE_TAG: kept.name}
            headers = {**rest, **(build_headers(own, limit=self._config.max_headers) or {})}
        return replace(
            there,
            task=envelope.task,
            payload=self._sealed(envelope, _id_of(kept.name), place),
            queue=place,
            priority=there.priority if priority is None else priority,
            headers=headers,
            expires_in=there.expires_in if expires_in is None else expires_in,
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


def check_schedulable(call: Call[Any], spec: JobSpec) -> None:
    """Refuse what only makes sense for a single job, or is asked when one is enqueued: ticks are stored ahead.

    Raises:
        ConfigurationError: says which option, and what to use instead.
    """
    options = call.plan.options
    for there, option in (
        (options.delay is not None or options.run_at is not None, "delay or run_at"),
        (options.job_id is not None, "job_id"),
        (options.expires_at is not None, "expires_at (say expires_in)"),
        (spec.blocked, "depends_on"),
    ):
        if there:
            raise ConfigurationError(f"a schedule makes many jobs, so {option} cannot be an option of its call")
    check_limits(call)


def check_limits(call: Call[Any]) -> None:
    """Refuse limits that are asked when a job is enqueued; those that are asked when it is to run hold as for any job.

    Raises:
        ConfigurationError: says which, and what to use instead.
    """
    plan = call.plan
    gate = plan.gate(call.args, call.kwargs)
    if gate is not None and gate.rate is not None:
        what, instead = (
            f"rate_mode={gate.mode!r}",
            'Use rate_mode="wait", which its jobs are asked when they are to run',
        )
    elif gate is not None and gate.debounce is not None:
        what, instead = "debounce", "The schedule itself says when its jobs run"
    elif gate is not None and gate.unique_entry:
        what, instead = "unique_for (or throttle)", "The schedule itself says how often its jobs run"
    elif plan.key(call.args, call.kwargs):
        what, instead = "unique", 'Use overlap="skip", which keeps a run from starting beside the one before it'
    else:
        return
    raise ConfigurationError(
        f"task {plan.task} cannot be scheduled with {what}: that is asked when a job is enqueued, and those of a "
        f"schedule are enqueued ahead of their time. {instead}; or let the scheduled task enqueue this one"
    )


def _id_of(name: str) -> str:
    """The job id under which what a schedule repeats is sealed; no job has it."""
    return f"schedule-{short_name(name)}"
