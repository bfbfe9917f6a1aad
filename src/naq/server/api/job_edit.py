"""A job that waits: how it stands in the broker, and changing that."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
from fastapi import Request, Response
from msgspec.structs import replace
from pydantic import AwareDatetime, Field

from naq.backends.base import Backend
from naq.codec.envelope import JSON
from naq.codec.headers import read_tags
from naq.codec.reader import Reader
from naq.connections import Held
from naq.exceptions import JobNotFoundError
from naq.handle.edit import EDITABLE, edit_job
from naq.job import JobSpec, JobState, Priority
from naq.server.access.restore import restored
from naq.server.api.gate import core_of, note
from naq.server.api.job_actions import DryRun
from naq.server.api.models import Given, Model, Moment, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.api.versions import CHANGED, IfMatch, check_version, conflict
from naq.server.core import Core
from naq.server.names import JobId, Token
from naq.server.problems import Problem, wrong

if TYPE_CHECKING:
    from naq.handle.edit import Edits as Options

routes = Routes("jobs")
Millis = Annotated[int, Field(ge=0, le=366 * 86_400_000)]
_STATES = ("job_not_found", "wrong_state", *BROKER)
_NOTED = {"state", "priority", "run_at", "expires_at", "timeout_ms", "max_attempts", "tags", "args", "kwargs"}


class JobEdits(Given):
    """What is to be different; what is not given, or null, stays. `args` and `kwargs`: giving one replaces both.

    ``[hidden]`` among the arguments stands for the value that is hidden there. `max_attempts` is of all attempts, those
    it has had included.
    """

    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    priority: Priority | None = None
    delay_ms: Millis | None = None
    run_at: AwareDatetime | None = None
    tags: Annotated[dict[Token, Annotated[str, Field(max_length=256)]] | None, Field(max_length=32)] = None
    timeout_ms: Annotated[int | None, Field(ge=1, le=366 * 86_400_000)] = None
    max_attempts: Annotated[int | None, Field(ge=1, le=1000)] = None
    expires_in_ms: Millis | None = None
    expires_at: AwareDatetime | None = None

    def options(self) -> Options:
        """The same as `naq.handle.edit` takes it."""
        return {
            "priority": self.priority,
            "delay": _seconds(self.delay_ms),
            "run_at": self.run_at,
            "tags": self.tags,
            "timeout": _seconds(self.timeout_ms),
            "retries": None if self.max_attempts is None else self.max_attempts - 1,
            "expires_in": _seconds(self.expires_in_ms),
            "expires_at": self.expires_at,
        }


class WaitingJob(Model):
    """A job as it waits in the broker; its arguments redacted, null where they are pickled. `version` is its ETag.

    `timeout_ms` and `max_attempts` are null where the task says them.
    """

    id: str
    state: JobState
    task: str
    queue: str
    priority: Priority
    attempt: int
    run_at: Moment | None
    expires_at: Moment | None
    timeout_ms: int | None
    max_attempts: int | None
    tags: dict[str, str]
    args: Any
    kwargs: Any
    version: str

    @classmethod
    def of(cls, state: JobState, spec: JobSpec, core: Core) -> WaitingJob:
        """`spec` as it is shown."""
        envelope = Reader(core.config)(spec)
        args, kwargs = _called(spec, core)
        return cls(
            id=spec.id, state=state, task=envelope.task, queue=spec.queue, priority=spec.priority,
            attempt=spec.attempt, run_at=at_seconds(spec.run_at or 0.0),
            expires_at=at_seconds(envelope.expires_at or 0.0),
            timeout_ms=None if envelope.timeout is None else round(envelope.timeout * 1000),
            max_attempts=None if envelope.retry is None else envelope.retry.max_attempts,
            tags=read_tags(spec.headers), args=core.redact(args, "args"), kwargs=core.redact(kwargs, "kwargs"),
            version=etag(spec),
        )  # fmt: skip


def etag(spec: JobSpec) -> str:
    """What changes whenever anything of a job that waits does."""
    return f'"{blake2b(msgspec.json.encode(replace(spec, fresh=False)), digest_size=12).hexdigest()}"'


@routes.add("GET", "/jobs/{job_id}/waiting", "getWaitingJob", "Show how a job waits", scope="job", problems=_STATES)
async def get_waiting(request: Request, response: Response, job_id: JobId) -> WaitingJob:
    """As the broker has it now, for who wants to change it; the ETag is for If-Match."""
    core = core_of(request)
    async with core.asking() as backend:
        view = WaitingJob.of(*await _waiting(backend, job_id), core)
    response.headers["ETag"] = view.version
    return view


@routes.add("PATCH", "/jobs/{job_id}", "editJob", "Change a job that waits", scope="job", role="operator",
            problems=(*_STATES, *CHANGED, "body_too_large"))  # fmt: skip
async def edit(
    request: Request, response: Response, job_id: JobId, edits: JobEdits, dry_run: DryRun = False, match: IfMatch = None
) -> WaitingJob:
    """Its arguments, time, priority, tags and options, as ``naq jobs edit``; one that a worker has stays as it is.

    A job in line goes behind those there, and its queue stands still for some tenths of a second.
    """
    core = core_of(request)
    if edits.delay_ms is not None and edits.run_at is not None:
        raise wrong("/run_at", "give delay_ms or run_at, not both")
    if edits.expires_in_ms is not None and edits.expires_at is not None:
        raise wrong("/expires_at", "give expires_in_ms or expires_at, not both")
    async with core.asking() as backend:
        state, seen = await _waiting(backend, job_id)
        check_version(match, etag(seen))
        args, kwargs = await _arguments(backend, core, seen, edits)

        def unchanged(spec: JobSpec) -> None:
            if etag(spec) != etag(seen):
                raise conflict(etag(spec))

        changed = await edit_job(
            Held(backend, core.config), job_id, args, kwargs, edits.options(), {}, dry_run=dry_run, check=unchanged
        )
        if changed is None:
            raise _moved_on(job_id, await backend.get(job_id))
        after = WaitingJob.of(_state(state, changed), changed, core)
    if not dry_run:
        before = WaitingJob.of(state, seen, core)
        note(request, before=before.model_dump(mode="json", include=_NOTED),
             after=after.model_dump(mode="json", include=_NOTED))  # fmt: skip
    response.headers["ETag"] = after.version
    return after


async def _waiting(backend: Backend, job_id: str) -> tuple[JobState, JobSpec]:
    """A job that waits.

    Raises:
        JobNotFoundError: there is none of this id.
        Problem: ``wrong_state``; it does not wait.
    """
    record = await backend.get(job_id)
    spec = (await backend.specs([job_id])).get(job_id)
    if record is None:
        raise JobNotFoundError(f"there is no job {job_id} in this namespace, and no record of one")
    if record.state not in EDITABLE or spec is None:
        raise _moved_on(job_id, record)
    return record.state, spec


async def _arguments(
    backend: Backend, core: Core, seen: JobSpec, edits: JobEdits
) -> tuple[list[Any] | None, dict[str, Any] | None]:
    """What the job is to be called with, checked by what its task's workers say; None, None: as it was."""
    if edits.args is None and edits.kwargs is None:
        return None, None
    stored, named = _called(seen, core)
    args = cast("list[Any]", restored(edits.args or [], stored, core.redact, "args"))
    kwargs = cast("dict[str, Any]", restored(edits.kwargs or {}, named, core.redact, "kwargs"))
    envelope = Reader(core.config)(seen)
    known = await core.caller.know(backend, envelope.task)
    if known.version == envelope.version:
        known.check(args, kwargs)
    return args, kwargs


def _called(spec: JobSpec, core: Core) -> tuple[Any, Any]:
    envelope = Reader(core.config)(spec)
    if envelope.codec != JSON:
        return None, None
    return msgspec.json.decode(envelope.args), msgspec.json.decode(envelope.kwargs)


def _state(before: JobState, changed: JobSpec) -> JobState:
    if before is JobState.QUEUED and changed.run_at is not None:
        return JobState.RETRYING if changed.attempt > 1 else JobState.SCHEDULED
    return before


def _moved_on(job_id: str, record: Any) -> Problem:
    state = "gone" if record is None else record.state
    return Problem(
        "wrong_state", f"job {job_id} is {state}: only one that waits can be changed", params={"state": state}
    )


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000
