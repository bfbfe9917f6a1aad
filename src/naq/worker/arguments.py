"""Encoded arguments -> what to call a task with; in the worker, or in the child process that runs the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from naq.codec.after import fill_in
from naq.codec.codecs import get_codec
from naq.codec.envelope import JSON
from naq.codec.signature import Signature

if TYPE_CHECKING:
    from naq.task import Task


def read_arguments(
    task: Task[..., Any], codec: str, args: Raw, kwargs: Raw, values: Mapping[str, Raw], version: int = 1
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """What to call `task` with. `codec` is one that this worker has opted into: the reader let the message through.

    `values` are the results of other jobs among the arguments, by position or name; `version` is that of the
    parameters which the arguments were made for: the task's upcasters make of them what it takes now.

    Raises:
        SerializationError: they do not fit the task. Validators of the user's types, and upcasters, may raise anything
            else.
    """
    versions = task.versions
    if version == versions.current:
        return _read(task.signature, codec, args, kwargs, values)
    return versions.upcast(version, *_read(versions.signature(version), codec, args, kwargs, values))


def _read(
    signature: Signature, codec: str, args: Raw, kwargs: Raw, values: Mapping[str, Raw]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if codec == JSON:
        return signature.decode(*fill_in(args, kwargs, values)) if values else signature.decode(args, kwargs)
    positional, named = get_codec(codec).decode(signature, args, kwargs)
    if values:
        given, named = list(positional), dict(named)
        for place, raw in values.items():
            if not place.isdigit():
                named[place] = signature.decode_one(place, raw, len(given))
            elif int(place) < len(given):
                given[int(place)] = signature.decode_one(int(place), raw, len(given))
        positional = tuple(given)
    return positional, named
