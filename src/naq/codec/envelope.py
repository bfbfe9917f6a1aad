"""The versioned JSON that a job is on the wire. Documented for other languages in ``docs/wire.md``.

An envelope holds what the task needs; where the job goes, when, and its id are the message's subject and headers.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final, cast

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, ValidationError
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from naq.codec.after import After
from naq.codec.arguments import JSON, NO_ARGS, NO_KWARGS
from naq.codec.values import MAX_DEPTH, READ_ERRORS, is_too_deep, why
from naq.exceptions import PayloadTooLarge, SerializationError
from naq.job import AttemptError
from naq.names import is_task_name
from naq.retry import RetryWire

VERSION: Final = 1
MAX_ERRORS: Final = 10  # attempts whose errors travel with a job; older ones are dropped
#: Values of `Envelope.codec` beside JSON: pickled arguments; a whole envelope, encrypted, in their place.
PICKLE: Final = "pickle"
ENCRYPTED: Final = "encrypted"
ONLY_JSON: Final = frozenset({JSON})

_Time = Annotated[float, Meta(ge=0, le=253_402_300_799)]  # UNIX seconds up to the year 9999
_Limit = Annotated[str, Meta(pattern=r"^[a-z]{1,16}(\.[A-Za-z0-9_-]{1,64}){2}\Z")]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,64}\Z")]


class Envelope(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a job says about itself. Fields that have their default are left out of the JSON.

    Attributes:
        v: version of this format; 1.
        task: the task's name.
        args, kwargs: the encoded arguments: a JSON array and a JSON object.
        codec: what is in them; whoever does not know it, or has not opted in, refuses the message.
        at: when it was enqueued, UNIX seconds; 0 where unknown.
        timeout: seconds an attempt may take; None: what the task says.
        retry: overrides the task's policy; None: what the task says.
        expires_at: UNIX seconds after which it must not be started; None: never.
        errors: what ended earlier attempts, oldest first, at most the last 10.
        limits: the names of the rate limits and groups that it falls under, with its key in each (docs/limits.md).
        parent: id of the job that enqueued this one, or "".
        root: id of the first job of that chain, or "".
        after: whom it waits for, and which of their results are arguments; None: nobody.
        version: that of the task's parameters which the arguments were made for, from 1 (docs/versions.md).
    """

    v: int
    task: str
    args: Raw = NO_ARGS
    kwargs: Raw = NO_KWARGS
    codec: str = JSON
    at: _Time = 0.0
    timeout: Annotated[float, Meta(gt=0, le=253_402_300_799)] | None = None
    retry: RetryWire | None = None
    expires_at: _Time | None = None
    errors: list[AttemptError] = []
    limits: Annotated[list[_Limit], Meta(max_length=8)] = []
    parent: _Id = ""
    root: _Id = ""
    after: After | None = None
    version: _Count = 1


class _Version(Struct):
    v: Any = UNSET


_encode: Final = Encoder().encode
_decode: Final = Decoder(Envelope).decode
_decode_version: Final = Decoder(_Version).decode


def encode_envelope(envelope: Envelope, *, limit: int | None = None) -> bytes:
    """The wire form of `envelope`.

    Raises:
        SerializationError: a field holds something that JSON has no form for.
        PayloadTooLarge: longer than `limit` bytes.
    """
    try:
        payload = _encode(envelope)
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"job of task {envelope.task!r} cannot be encoded: {error}") from error
    if limit is not None and len(payload) > limit:
        raise PayloadTooLarge(
            f"job of task {envelope.task!r} is {len(payload)} bytes, more than the limit of {limit} (max_payload):"
            " store the data elsewhere and pass a reference, or raise the limit on client, worker and broker"
        )
    return payload


def decode_envelope(payload: bytes, *, limit: int | None = None, codecs: AbstractSet[str] = ONLY_JSON) -> Envelope:
    """The envelope that `payload` is. Arguments stay encoded: only their syntax is looked at.

    `codecs` are those that the caller reads; arguments of any other are refused.

    Raises:
        PayloadTooLarge: longer than `limit` bytes; nothing of it was read.
        SerializationError: it is no envelope of a version we know; says why.
    """
    if limit is not None and len(payload) > limit:
        raise PayloadTooLarge(f"malformed job: {len(payload)} bytes, more than the limit of {limit} (max_payload)")
    try:
        envelope = _decode(payload)
    except READ_ERRORS as error:
        raise _refused(payload, error) from error
    if envelope.v != VERSION:
        raise _unknown_version(envelope.v)
    if not is_task_name(envelope.task):
        raise SerializationError(f"malformed job: task {envelope.task[:80]!r} is no task name")
    if envelope.codec not in codecs:
        raise _unread_codec(envelope.codec)
    if is_too_deep(payload):
        raise SerializationError(f"malformed job: nested more than {MAX_DEPTH} deep")
    # What we encoded ourselves comes out the same, and cannot name a field twice; only foreign JSON is looked at again.
    if _encode(envelope) != payload:
        _check_foreign(payload)
    if envelope.args is not NO_ARGS and not bytes(envelope.args).startswith(b"["):
        raise SerializationError("malformed job: args is not an array")
    if envelope.kwargs is not NO_KWARGS and not bytes(envelope.kwargs).startswith(b"{"):
        raise SerializationError("malformed job: kwargs is not an object")
    return envelope


def next_payload(envelope: Envelope, error: AttemptError, *, limit: int | None = None) -> bytes:
    """The payload for the attempt after the one that `error` ended: `envelope` with that error at the end.

    Errors are what gives way when `limit` (bytes) is short: older ones first, then tracebacks, then all of them. The
    arguments always travel whole.

    Raises:
        PayloadTooLarge: the job is over the limit even without errors.
    """
    errors = [*envelope.errors, error][-MAX_ERRORS:]
    if limit is None:
        return encode_envelope(replace(envelope, errors=errors))
    bare = replace(error, frames=[], causes=[])
    for kept in (errors, errors[-3:], errors[-1:], [bare], [replace(bare, message=bare.message[:200])]):
        payload = encode_envelope(replace(envelope, errors=kept))
        if len(payload) <= limit:
            return payload
    return encode_envelope(replace(envelope, errors=[]), limit=limit)


def _refused(payload: bytes, error: Exception) -> SerializationError:
    """Why `payload` could not be decoded; an unknown version explains everything else."""
    if isinstance(error, ValidationError):
        try:
            version: Any = _decode_version(payload).v
        except READ_ERRORS:
            version = UNSET
        if not isinstance(version, UnsetType) and version != VERSION:
            return _unknown_version(version)
    return SerializationError(f"malformed job: {why(error)}")


def _unknown_version(version: object) -> SerializationError:
    return SerializationError(
        f"malformed job: version {repr(version)[:40]} of the wire format is unknown here, this naq reads {VERSION}:"
        " upgrade the workers before the producers"
    )


def _unread_codec(codec: str) -> SerializationError:
    """Why a message of `codec` stays unread."""
    match codec:
        case "pickle":
            text = "its arguments are pickled, and here nothing is unpickled without codec='pickle' (docs/pickle.md)"
        case "encrypted":
            text = "it is encrypted, and there are no encryption_keys here (docs/signing.md)"
        case _:
            text = f"codec {codec[:40]!r} is unknown here"
    return SerializationError(f"malformed job: {text}")


def _check_foreign(payload: bytes) -> None:
    """Refuse a field that is given twice: two readers of it would not agree on what the job is."""
    import json  # only messages that naq did not write come here

    try:
        read = json.loads(payload, object_pairs_hook=list, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"malformed job: {error}") from error
    names = [name for name, _ in cast("list[tuple[str, object]]", read)]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SerializationError(f"malformed job: the field {twice[:80]!r} is given twice")
