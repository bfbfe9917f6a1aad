"""Jobs and results as bytes.

A job's are an envelope (docs/wire.md) with the fields `id`, `queue`, `priority` and `run_at` added, which on a broker
are the message's subject and headers. Whoever reads an envelope reads them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from naq.codec.codecs import get_codec
from naq.codec.envelope import JSON, VERSION, Envelope, decode_envelope
from naq.config import hint
from naq.connections import settings
from naq.exceptions import ConfigurationError, SerializationError, UnknownTask
from naq.job import FINAL, AttemptError, JobState, Priority
from naq.names import check_token
from naq.retry import Retry

if TYPE_CHECKING:
    from naq.task.call import Call


class PortableJob(Envelope, frozen=True, kw_only=True, omit_defaults=True):
    """An envelope that also says what on a broker its message does."""

    id: str = ""
    queue: str = "default"
    priority: Priority = "normal"
    run_at: float | None = None


class Restored(NamedTuple):
    """What some bytes say of a job."""

    id: str
    call: Call[Any]
    at: float
    error: AttemptError | None


class _Result(msgspec.Struct):
    """What a job ended in, as bytes."""

    status: JobState
    result: Any = None
    error: str | None = None
    traceback: str | None = None


_encode: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(PortableJob).decode
_read_result: Final = msgspec.json.Decoder(_Result).decode


def pack(job_id: str, call: Call[Any], at: float, error: AttemptError | None = None) -> bytes:
    """A job as bytes, with `error` as what ended its last attempt; neither signed nor encrypted.

    Raises:
        SerializationError: its arguments cannot be encoded.
    """
    plan, options = call.plan, call.plan.options
    args, kwargs = plan.signature.encode(call.args, call.kwargs)
    return _encode(
        PortableJob(
            v=VERSION,
            task=plan.task,
            args=args,
            kwargs=kwargs,
            codec=plan.signature.codec,
            at=at,
            timeout=options.timeout,
            retry=None if options.retry is None else options.retry.wire(options.retry),
            expires_at=options.expires_at if options.expires_in is None else at + options.expires_in,
            version=plan.version,
            errors=[] if error is None else [error],
            id=job_id,
            queue=plan.queue,
            priority=plan.priority,
            run_at=at + options.delay if options.delay else options.run_at,
        )
    )


def unpack(data: bytes) -> Restored:
    """The job that `data` is. Nothing is imported because the bytes say so.

    Raises:
        SerializationError: they are no job.
        UnknownTask: they name a function that neither was made a job of in this process, nor is of a module in
            `imports`.
        ConfigurationError: they hold a name or an option that cannot be.
    """
    from naq.task.call import Call
    from naq.task.function import find_known
    from naq.task.options import JobOptions
    from naq.task.plan import Plan
    from naq.task.versions import Versions

    config = settings()
    # Refuses what is unsafe, and says best what is wrong.
    decode_envelope(data, codecs=frozenset({JSON, config.codec}))
    try:
        read = _read(data)
    except msgspec.DecodeError as error:
        raise SerializationError(f"malformed job: {error}") from error
    if read.codec != JSON and config.signing_keys:
        raise SerializationError(
            f"the arguments of this job are encoded with {read.codec!r}, which is read from signed jobs only where "
            "there are signing keys, and bytes made by serialize() are not signed"
        )
    found = find_known(read.task, config.imports)
    if found is None:
        raise UnknownTask(
            f"no function {read.task!r} is known here: import its module and name that in imports "
            f"(NAQ_IMPORTS, [tool.naq]); {hint(read.task, config.imports)}"
        )
    signature = found.signature(config.codec)
    versions = Versions(found.name, signature, 1) if found.task is None else found.task.versions
    older = versions.signature(read.version)
    args, kwargs = versions.upcast(read.version, *get_codec(read.codec).decode(older, read.args, read.kwargs))
    options = JobOptions(
        queue=check_token("queue", read.queue),
        priority=read.priority,
        retry=None if read.retry is None else Retry.from_wire(read.retry, found.declared.retry),
        timeout=read.timeout,
        run_at=read.run_at,
        job_id=check_token("job id", read.id) if read.id else None,
        expires_at=read.expires_at,
    )
    plan = Plan(found.name, signature, found.declared, options, config, found.func)
    return Restored(read.id, Call(plan, tuple(args), kwargs), read.at, read.errors[-1] if read.errors else None)


def pack_result(result: Any, status: str, error: str | None, traceback_str: str | None) -> bytes:
    """A result, or the lack of one, as bytes.

    Raises:
        ConfigurationError: `status` is no final state.
        SerializationError: `result` has no JSON form.
    """
    if status not in FINAL:
        raise ConfigurationError(
            f"status {status!r} is no final state; {hint(status, [state.value for state in FINAL])}"
        )
    try:
        return _encode(_Result(JobState(status), result, error, traceback_str))
    except (TypeError, ValueError, RecursionError) as wrong:
        raise SerializationError(f"the result cannot be stored as JSON: {wrong}") from wrong


def unpack_result(data: bytes) -> Mapping[str, Any]:
    """What `pack_result` packed: `status`, `result`, `error`, `traceback`.

    Raises:
        SerializationError: it is something else.
    """
    try:
        return msgspec.structs.asdict(_read_result(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerializationError(f"these bytes are no result: {error}") from error
